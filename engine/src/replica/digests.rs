//! The digests of the last entries: nodes that have not come equally far can be compared at one
//! that both have applied.

use std::collections::VecDeque;

use crate::ids::LogIndex;
use crate::limits::DIGESTS_KEPT;
use crate::state::State;

/// Digests of consecutive entries.
#[derive(Debug)]
pub(super) struct Digests {
    /// The entry of the first digest.
    first: u64,
    digests: VecDeque<u64>,
}

impl Digests {
    /// That of the last entry of a state.
    pub(super) fn of(state: &State) -> Self {
        Self {
            first: state.applied.map_or(0, |applied| applied.index.0),
            digests: VecDeque::from([state.digest]),
        }
    }

    /// Takes that of the next entry.
    pub(super) fn note(&mut self, index: LogIndex, digest: u64) {
        if self.digests.len() == DIGESTS_KEPT {
            self.digests.pop_front();
            self.first += 1;
        }
        debug_assert_eq!(index.0, self.first + self.digests.len() as u64);
        self.digests.push_back(digest);
    }

    pub(super) fn at(&self, index: LogIndex) -> Option<u64> {
        let place = index.0.checked_sub(self.first)?;
        self.digests.get(usize::try_from(place).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digests_are_known_and_no_others() {
        let mut digests = Digests::of(&State::new());
        let kept = DIGESTS_KEPT as u64;
        for index in 1..=kept + 9 {
            digests.note(LogIndex(index), index * 3);
        }
        assert_eq!(digests.at(LogIndex(9)), None, "too old");
        assert_eq!(digests.at(LogIndex(10)), Some(30));
        assert_eq!(digests.at(LogIndex(kept + 9)), Some((kept + 9) * 3));
        assert_eq!(digests.at(LogIndex(kept + 10)), None, "not applied");
    }
}
