//! Nodes that have applied the same entries are in the same state.

use std::collections::BTreeMap;

use super::{Invariant, Seen};

/// Every state ever seen, by the last entry applied.
#[derive(Default)]
pub(super) struct DigestsAgree {
    states: BTreeMap<u64, State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    digest: u64,
    revision: u64,
    node: u64,
}

impl Invariant for DigestsAgree {
    fn name(&self) -> &'static str {
        "digests agree"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for node in seen.nodes {
            let state = State {
                digest: node.standing.digest,
                revision: node.standing.revision.0,
                node: node.id,
            };
            let known = *self.states.entry(node.applied()).or_insert(state);
            if (known.digest, known.revision) != (state.digest, state.revision) {
                return Err(format!(
                    "at entry {} node {} has digest {:016x} and revision {}, node {} has {:016x} \
                     and {}",
                    node.applied(),
                    known.node,
                    known.digest,
                    known.revision,
                    node.id,
                    state.digest,
                    state.revision
                ));
            }
        }
        Ok(())
    }
}
