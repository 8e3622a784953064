//! Whoever is elected has every entry that was committed in earlier terms.

use std::collections::BTreeMap;

use super::{Committed, Invariant, Seen, index};

/// Looks into the log of each new leader.
#[derive(Default)]
pub(super) struct LeaderIsComplete {
    committed: Committed,
    /// By node: the last term in which it was looked at.
    looked: BTreeMap<u64, u64>,
}

impl Invariant for LeaderIsComplete {
    fn name(&self) -> &'static str {
        "a leader is complete"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for leader in seen.nodes.iter().filter(|node| node.standing.leads) {
            let term = leader.standing.term.0;
            if self.looked.insert(leader.id, term) == Some(term) {
                continue;
            }
            let forgotten = index(leader.standing.purged);
            let earlier = self.committed.ids.range(forgotten + 1..);
            for (index, id) in earlier.filter(|(_, id)| id.term.0 < term) {
                if leader.log_id_at(*index) != Some(*id) {
                    return Err(format!(
                        "node {} leads in term {term} without the committed entry {id}",
                        leader.id
                    ));
                }
            }
        }
        // Afterwards: what this tick committed may be the new leader's own.
        self.committed.learn(seen.nodes)
    }
}
