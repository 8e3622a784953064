//! No read that is not local is answered before its node has recovered.

use super::{Invariant, Seen};

#[derive(Default)]
pub(super) struct RecoveredBeforeReads;

impl Invariant for RecoveredBeforeReads {
    fn name(&self) -> &'static str {
        "recovered before reads"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        let early = |node: &&super::SeenNode| node.standing.has_read && !node.standing.recovered;
        match seen.nodes.iter().find(early) {
            Some(node) => Err(format!("node {} reads, and has not recovered", node.id)),
            None => Ok(()),
        }
    }
}
