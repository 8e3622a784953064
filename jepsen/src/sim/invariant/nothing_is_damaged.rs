//! No node finds its state damaged, if nothing has rotted there. A repair would hide what a power
//! cut has taken.

use std::collections::BTreeMap;

use super::{Invariant, Seen};

/// Asks each process once, when it begins to serve.
#[derive(Default)]
pub(super) struct NothingIsDamaged {
    /// By node: its last process that was asked.
    asked: BTreeMap<u64, u64>,
}

impl Invariant for NothingIsDamaged {
    fn name(&self) -> &'static str {
        "nothing is damaged"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for node in seen.nodes {
            if self.asked.insert(node.id, node.life) == Some(node.life) {
                continue;
            }
            if node.disk.has_rotted {
                continue;
            }
            if let Some(repair) = node.node.status().repairs.first() {
                return Err(format!(
                    "node {} has found damage: {:?}",
                    node.id, repair.damage
                ));
            }
        }
        Ok(())
    }
}
