//! What a replica holds in memory, beside what it may.

use super::Replica;
use crate::query::{Budgeted, MemoryUse};

/// Memtables that a store may hold: one is written, the others wait for their flush.
const MEMTABLES_MAX: usize = 3;

impl Replica {
    /// What it holds now.
    pub fn memory(&self) -> MemoryUse {
        let shared = &self.inner.shared;
        let options = shared.options.get();
        let rooms = self.inner.rooms.read().clone();
        MemoryUse {
            memtables: Budgeted {
                bytes: rooms.store.unflushed_bytes(),
                budget: MEMTABLES_MAX * options.memtable_bytes,
            },
            row_cache: Budgeted {
                bytes: shared.rows.stats().bytes,
                budget: options.row_cache_bytes,
            },
            block_cache: Budgeted {
                bytes: shared.blocks.bytes(),
                budget: options.block_cache_bytes,
            },
        }
    }
}
