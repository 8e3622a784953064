//! No node applies what its own disk does not have, in its log or in a checkpoint.

use super::{Invariant, Seen, index};

/// Compares each node's state with its disk.
#[derive(Default)]
pub(super) struct AppliedIsSynced;

impl Invariant for AppliedIsSynced {
    fn name(&self) -> &'static str {
        "applied is synced"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for node in seen.nodes {
            let standing = &node.standing;
            let synced = standing.synced.0.max(index(standing.checkpoint));
            if node.applied() > synced {
                return Err(format!(
                    "node {} has applied entry {}, its disk ends at {synced}",
                    node.id,
                    node.applied()
                ));
            }
        }
        Ok(())
    }
}
