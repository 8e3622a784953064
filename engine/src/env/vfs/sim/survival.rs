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
