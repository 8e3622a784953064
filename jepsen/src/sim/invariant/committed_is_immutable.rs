//! An index is committed once, with one entry.

use super::{Committed, Invariant, Seen};

/// Every entry that any node ever called committed.
#[derive(Default)]
pub(super) struct CommittedIsImmutable {
    committed: Committed,
}

impl Invariant for CommittedIsImmutable {
    fn name(&self) -> &'static str {
        "committed is immutable"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        self.committed.learn(seen.nodes)
    }
}
