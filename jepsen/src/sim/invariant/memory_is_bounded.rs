//! What waits in memory for a disk stays in proportion to what clients have asked.

use super::{Invariant, Seen};

/// Far more than so few clients, with one small operation each, can have on their way at once,
/// and far less than a node may hold: what grows while the disk stands still is found.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Looks at what waits to be synced.
#[derive(Default)]
pub(super) struct MemoryIsBounded;

impl Invariant for MemoryIsBounded {
    fn name(&self) -> &'static str {
        "memory is bounded"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        let hungry = |bytes: usize| bytes > BYTES_MAX;
        let mut nodes = seen.nodes.iter();
        match nodes.find(|node| hungry(node.standing.unsynced_bytes)) {
            Some(node) => Err(format!(
                "node {} holds {} bytes that wait for its disk",
                node.id, node.standing.unsynced_bytes
            )),
            None => Ok(()),
        }
    }
}
