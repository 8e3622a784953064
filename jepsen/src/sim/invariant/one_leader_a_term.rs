//! In one term at most one node leads.

use std::collections::BTreeMap;

use super::{Invariant, Seen};

/// Who was ever seen leading, by term.
#[derive(Default)]
pub(super) struct OneLeaderATerm {
    leaders: BTreeMap<u64, u64>,
}

impl Invariant for OneLeaderATerm {
    fn name(&self) -> &'static str {
        "one leader a term"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for node in seen.nodes.iter().filter(|node| node.standing.leads) {
            let term = node.standing.term.0;
            let known = *self.leaders.entry(term).or_insert(node.id);
            if known != node.id {
                return Err(format!(
                    "nodes {known} and {} have both led in term {term}",
                    node.id
                ));
            }
        }
        Ok(())
    }
}
