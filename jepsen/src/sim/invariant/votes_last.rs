//! What a leader has voted outlives its process: it never comes back in an older term, unless its
//! disk is an old copy. Such a node is refused by the others, and must never lead again.

use std::collections::BTreeMap;

use super::{Invariant, Seen};

/// By node: the highest term that it has led.
#[derive(Default)]
pub(super) struct VotesLast {
    led: BTreeMap<u64, u64>,
}

impl Invariant for VotesLast {
    fn name(&self) -> &'static str {
        "votes last"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for node in seen.nodes {
            let term = node.standing.term.0;
            let led = self.led.entry(node.id).or_default();
            if node.disk.is_old && !node.standing.leads {
                continue;
            }
            if term < *led {
                return Err(format!(
                    "node {} is in term {term}, and has led in term {led}",
                    node.id
                ));
            }
            if node.standing.leads {
                *led = term;
            }
        }
        Ok(())
    }
}
