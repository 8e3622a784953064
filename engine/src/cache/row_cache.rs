//! The cache of a node: shards by hash.

use std::fmt;

use bytes::Bytes;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::shard::{Entry, Shard, Slot, entry_bytes};
use crate::ids::{GroupId, Revision};
use crate::store::{KeyRange, Row};

const SHARDS: usize = 64;

/// Rows of all groups of a node, within one budget of bytes.
pub struct RowCache {
    /// Empty if the cache is off.
    shards: Vec<Mutex<Shard>>,
    entry_bytes_max: usize,
}

/// A row larger than this part of its shard would push out too many others.
const LARGEST_PART: usize = 8;

/// What a cache did since it was made, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads that found their row.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Rows taken in.
    pub fills: u64,
    /// Rows not taken in, because they might be old.
    pub refused: u64,
    /// Rows dropped for want of room.
    pub evictions: u64,
    /// Bytes of rows now held, with their overhead.
    pub bytes: usize,
    /// Rows now held.
    pub entries: usize,
}

impl RowCache {
    /// A cache of at most so many bytes, keys and overhead included; 0 turns it off.
    pub fn new(bytes: usize) -> Self {
        let shards = if bytes == 0 { 0 } else { SHARDS };
        Self {
            shards: (0..shards)
                .map(|_| Mutex::new(Shard::new(bytes / SHARDS)))
                .collect(),
            entry_bytes_max: bytes / SHARDS / LARGEST_PART,
        }
    }

    /// The newest version of a row, if it is here. It answers a read at an older revision only if
    /// its `mod_revision` is not above that.
    pub fn get(&self, group: GroupId, key: &[u8]) -> Option<Row> {
        let slot = Slot::of(group, key);
        self.shard(&slot)?.lock().get(&slot)
    }

    /// Forgets a row that `revision` changes. Call it before `revision` becomes visible.
    pub fn invalidate(&self, group: GroupId, key: &[u8], revision: Revision) {
        let slot = Slot::of(group, key);
        if let Some(shard) = self.shard(&slot) {
            shard.lock().invalidate(&slot, revision);
        }
    }

    /// Forgets all rows of a group whose state is replaced by another at `revision`, as by an
    /// installed snapshot. Call it before that state becomes visible.
    pub fn invalidate_group(&self, group: GroupId, revision: Revision) {
        for shard in &self.shards {
            shard
                .lock()
                .invalidate_range(group, &KeyRange::all(), revision);
        }
    }

    /// Forgets the rows of a range that `revision` empties; looks at every row of the cache. Call
    /// it before `revision` becomes visible.
    pub fn invalidate_range(&self, group: GroupId, range: &KeyRange, revision: Revision) {
        for shard in &self.shards {
            shard.lock().invalidate_range(group, range, revision);
        }
    }

    /// Takes in a row as it was read from the store; `false` if it might be old, or is too large.
    /// `read_at` is the newest revision that was visible when the read began; a read at any other
    /// revision must not fill.
    pub fn fill(&self, group: GroupId, key: Bytes, row: Row, read_at: Revision) -> bool {
        let slot = Slot::of(group, &key);
        let Some(shard) = self.shard(&slot) else {
            return false;
        };
        if entry_bytes(slot.key, &row) > self.entry_bytes_max {
            return false;
        }
        // Copied before the lock is taken: a value may be large.
        let entry = Entry::new(&slot, &row);
        shard.lock().fill(slot.hash, entry, read_at)
    }

    /// Forgets all rows. What was invalidated is still remembered: reads under way stay harmless.
    pub fn clear(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }

    /// The sum over all shards.
    pub fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for shard in &self.shards {
            shard.lock().add_to(&mut stats);
        }
        stats
    }

    fn shard(&self, slot: &Slot<'_>) -> Option<&Mutex<Shard>> {
        let index = slot.hash >> (u64::BITS - SHARDS.ilog2());
        self.shards.get(usize::try_from(index).ok()?)
    }
}

const _: () = assert!(SHARDS.is_power_of_two() && SHARDS > 1);

impl<'a> Slot<'a> {
    fn of(group: GroupId, key: &'a [u8]) -> Self {
        let hash = xxh3_64_with_seed(key, u64::from(group.0));
        Self { hash, group, key }
    }
}

impl fmt::Debug for RowCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowCache")
            .field("stats", &self.stats())
            .finish()
    }
}
