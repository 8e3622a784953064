//! Within one life of a process nothing that is shown goes back.

use std::collections::BTreeMap;

use super::{Invariant, Seen};

/// What each process has shown: term, applied, revision.
#[derive(Default)]
pub(super) struct NeverBackwards {
    shown: BTreeMap<(u64, u64), [u64; 3]>,
}

impl Invariant for NeverBackwards {
    fn name(&self) -> &'static str {
        "never backwards"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for node in seen.nodes {
            let standing = &node.standing;
            let now = [standing.term.0, node.applied(), standing.revision.0];
            let before = self.shown.insert((node.id, node.life), now);
            let went_back = before
                .is_some_and(|before| before.iter().zip(&now).any(|(before, now)| now < before));
            if went_back {
                return Err(format!(
                    "node {} went back: term, applied and revision were {before:?}, now {now:?}",
                    node.id
                ));
            }
        }
        Ok(())
    }
}
