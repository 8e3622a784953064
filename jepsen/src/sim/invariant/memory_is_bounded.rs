//! A node holds in memory what its options allow, and what waits there for a disk stays in
//! proportion to what clients have asked.

use engine::query::Budgeted;

use super::{Invariant, Seen, SeenNode};

/// Far more than so few clients, with one small operation each, can have on their way at once,
/// and far less than a node may hold: what grows while the disk stands still is found.
const UNSYNCED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Budgets of memtables are looked at between two entries, and an entry of these clients is small;
/// a memtable grows to twice its budget while a full disk refuses the flush of the one before.
const ENTRIES_BYTES: usize = 256 * 1024;

/// From one look at a node's budgets to the next, in ticks: each look takes its caches' locks.
const LOOK_EVERY: u64 = 16;

/// Looks at what waits to be synced, and at budgets.
#[derive(Default)]
pub(super) struct MemoryIsBounded;

impl Invariant for MemoryIsBounded {
    fn name(&self) -> &'static str {
        "memory is bounded"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        seen.nodes.iter().try_for_each(|node| {
            let unsynced = node.standing.unsynced_bytes;
            if unsynced > UNSYNCED_BYTES_MAX {
                let id = node.id;
                return Err(format!(
                    "node {id} holds {unsynced} bytes that wait for its disk"
                ));
            }
            match seen.tick % LOOK_EVERY {
                0 => within_budgets(node),
                _ => Ok(()),
            }
        })
    }
}

fn within_budgets(node: &SeenNode) -> Result<(), String> {
    let Some(memory) = node.memory() else {
        return Ok(());
    };
    let memtables = Budgeted {
        budget: 2 * memory.memtables.budget + ENTRIES_BYTES,
        ..memory.memtables
    };
    let parts = [
        ("memtables", memtables),
        ("row cache", memory.row_cache),
        ("block cache", memory.block_cache),
    ];
    match parts.iter().find(|(_, part)| part.bytes > part.budget) {
        Some((name, Budgeted { bytes, budget })) => Err(format!(
            "node {}: its {name} holds {bytes} bytes, {budget} are the most",
            node.id
        )),
        None => Ok(()),
    }
}
