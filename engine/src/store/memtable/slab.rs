//! Values that are made one after another, never move, and are read without a lock.
//!
//! ```text
//! directory 0 -> 64 pieces    directory 1 -> 128 pieces    …    piece -> 64 values
//! ```

use std::sync::OnceLock;

const PIECE_VALUES: u32 = 64;

/// Pieces of the first directory; each later one has twice as many.
const FIRST_PIECES: u32 = 64;

/// Enough for every index of 32 bits.
const DIRECTORIES: usize = 21;

const _: () =
    assert!(((1 << DIRECTORIES) - 1) * FIRST_PIECES as u64 > (u32::MAX / PIECE_VALUES) as u64);

type Piece<T> = OnceLock<Box<[T]>>;

/// Values by the order in which they were made.
pub(super) struct Slab<T> {
    directories: [OnceLock<Box<[Piece<T>]>>; DIRECTORIES],
}

impl<T: Default> Slab<T> {
    pub(super) fn new() -> Self {
        Self {
            directories: [const { OnceLock::new() }; DIRECTORIES],
        }
    }

    /// A value that was made.
    pub(super) fn get(&self, index: u32) -> &T {
        let (directory, piece, value) = locate(index);
        let made = "an index is published after its value was made";
        let pieces = self.directories[directory].get().expect(made);
        &pieces[piece].get().expect(made)[value]
    }

    /// Makes a value, and what is missing beside it, with its default.
    pub(super) fn make(&self, index: u32) -> &T {
        let (directory, piece, value) = locate(index);
        let pieces =
            self.directories[directory].get_or_init(|| made((FIRST_PIECES as usize) << directory));
        &pieces[piece].get_or_init(|| made(PIECE_VALUES as usize))[value]
    }
}

fn made<T: Default>(count: usize) -> Box<[T]> {
    std::iter::repeat_with(T::default).take(count).collect()
}

/// Directory, piece in it, value in the piece.
fn locate(index: u32) -> (usize, usize, usize) {
    let piece = index / PIECE_VALUES;
    let directory = (piece / FIRST_PIECES + 1).ilog2();
    let before = ((1 << directory) - 1) * FIRST_PIECES;
    (
        directory as usize,
        (piece - before) as usize,
        (index % PIECE_VALUES) as usize,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_each_other_without_a_gap() {
        let mut expected = (0, 0, 0);
        for index in 0..PIECE_VALUES * FIRST_PIECES * 7 {
            assert_eq!(locate(index), expected, "{index}");
            expected.2 += 1;
            if expected.2 == PIECE_VALUES as usize {
                expected = (expected.0, expected.1 + 1, 0);
            }
            if expected.1 == (FIRST_PIECES as usize) << expected.0 {
                expected = (expected.0 + 1, 0, 0);
            }
        }
        assert!(locate(u32::MAX).0 < DIRECTORIES);
    }
}
