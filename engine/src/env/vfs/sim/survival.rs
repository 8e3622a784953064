//! Which pieces of unfinished work outlive a power cut.

use crate::env::rng::SeededRng;

/// How one power cut treats one sequence of pieces (sectors of a file, changes of names).
///
/// A fair coin for each piece would almost never lose or keep everything, or cut a clean
/// prefix, and those are the cases where recovery goes wrong in its own way each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survival {
    None,
    All,
    /// Pieces before this one.
    Prefix(usize),
    /// All but this one.
    AllBut(usize),
    /// Each by chance, in percent.
    Some(u64),
}

/// What a power cut kept and lost, piece by piece, as one number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    pub(super) hash: u64,
}

impl Losses {
    /// Takes in what happened to the next piece, and answers it.
    pub(super) fn note(&mut self, kept: bool) -> bool {
        let mixed = (self.hash ^ (1 + u64::from(kept))).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.hash = mixed ^ (mixed >> 29);
        kept
    }
}

impl Survival {
    pub(super) fn of_pieces(count: usize, rng: &SeededRng) -> Self {
        match rng.below(6) {
            0 => Self::None,
            1 => Self::All,
            2 => Self::Prefix(rng.index(count + 1)),
            3 => Self::AllBut(rng.index(count)),
            _ => Self::Some(10 + rng.below(81)),
        }
    }

    pub(super) fn keeps(self, piece: usize, rng: &SeededRng) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Prefix(until) => piece < until,
            Self::AllBut(lost) => piece != lost,
            Self::Some(percent) => rng.chance(percent),
        }
    }
}
