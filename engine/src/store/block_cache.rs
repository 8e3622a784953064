//! Recently read blocks of all tables of a node, under one budget of bytes.
//!
//! Each shard is a clock: a hit only sets a mark, under a lock that readers share; to make room
//! the hand goes round, takes marks away and evicts what has none. So a block that is read now
//! and then outlives one that was read once.
//!
//! # Invariants
//! - Blocks and resident bytes together stay within the budget; if block indexes and filters
//!   alone exceed it, no block is kept.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::buffers::Buffers;

/// Enough that threads seldom meet.
const SHARDS: usize = 32;

/// What a block costs beside its bytes: its slot, its place in the map, what its buffer is larger.
const SLOT_OVERHEAD_BYTES: usize = 192;

/// A cache of table blocks with a budget of bytes, shared by all stores of a node.
#[derive(Debug)]
pub struct BlockCache {
    budget: usize,
    resident: AtomicUsize,
    files: AtomicU64,
    shards: Vec<CountedShard>,
    buffers: Arc<Buffers>,
}

/// Names a block: a number that the cache gave to an open file, and an offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockKey {
    pub(super) file: u64,
    pub(super) offset: u64,
}

/// A shard, and what readers count beside it.
#[derive(Debug, Default)]
struct CountedShard {
    shard: RwLock<Shard>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    places: HashMap<BlockKey, usize, BuildHasherDefault<MixedHasher>>,
    bytes: usize,
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    key: BlockKey,
    block: Bytes,
    used: AtomicBool,
}

impl BlockCache {
    /// A cache that holds at most `bytes`; 0 keeps nothing.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            budget: bytes,
            resident: AtomicUsize::new(0),
            files: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| CountedShard::default()).collect(),
            buffers: Arc::default(),
        })
    }

    /// The most bytes that it may hold.
    #[cfg(feature = "sled")]
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// Bytes of blocks held now, their overhead included.
    pub fn bytes(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|counted| counted.shard.read().bytes).sum()
    }

    /// Bytes of block indexes and filters that open tables keep in memory.
    pub fn resident_bytes(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// Reads that found their block here, and reads that did not.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        let sum = |count: fn(&CountedShard) -> &AtomicU64| {
            let shards = self.shards.iter();
            shards
                .map(|shard| count(shard).load(Ordering::Relaxed))
                .sum()
        };
        (sum(|shard| &shard.hits), sum(|shard| &shard.misses))
    }

    /// A number for a newly opened file. Blocks of closed files are never asked for again.
    pub(super) fn file(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }

    /// Memory for blocks that are read.
    pub(super) fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    pub(super) fn get(&self, key: BlockKey) -> Option<Bytes> {
        let counted = self.shard(key);
        let shard = counted.shard.read();
        let found = shard
            .places
            .get(&key)
            .and_then(|place| shard.slots.get(*place))
            .and_then(Option::as_ref);
        let Some(slot) = found else {
            counted.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        counted.hits.fetch_add(1, Ordering::Relaxed);
        // A mark that is set already is not written again: its cache line stays shared.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(slot.block.clone())
    }

    /// Keeps a block, unless it is larger than a shard's share of the budget.
    pub(super) fn insert(&self, key: BlockKey, block: Bytes) {
        let share = self.share();
        let cost = block.len() + SLOT_OVERHEAD_BYTES;
        if cost > share {
            return;
        }
        let mut shard = self.shard(key).shard.write();
        if shard.places.contains_key(&key) {
            return;
        }
        shard.evict_to(share - cost);
        shard.insert(key, block);
    }

    /// Forgets all blocks.
    pub fn clear(&self) {
        for counted in &self.shards {
            counted.shard.write().evict_to(0);
        }
    }

    /// Counts memory that an open table keeps; blocks make room for it.
    pub(super) fn add_resident(&self, bytes: usize) {
        self.resident.fetch_add(bytes, Ordering::Relaxed);
        let share = self.share();
        for shard in &self.shards {
            let crowded = shard.shard.read().bytes > share;
            if crowded {
                shard.shard.write().evict_to(share);
            }
        }
    }

    pub(super) fn remove_resident(&self, bytes: usize) {
        self.resident.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn share(&self) -> usize {
        self.budget.saturating_sub(self.resident_bytes()) / SHARDS
    }

    fn shard(&self, key: BlockKey) -> &CountedShard {
        let shard = usize::try_from(key.mix() >> 59).expect("five bits");
        &self.shards[shard]
    }
}

impl Shard {
    fn insert(&mut self, key: BlockKey, block: Bytes) {
        self.bytes += block.len() + SLOT_OVERHEAD_BYTES;
        let slot = Some(Slot {
            key,
            block,
            used: AtomicBool::new(false),
        });
        let place = if let Some(place) = self.free.pop() {
            self.slots[place] = slot;
            place
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.places.insert(key, place);
    }

    fn evict_to(&mut self, bytes: usize) {
        while self.bytes > bytes && !self.places.is_empty() {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            let spared = slot
                .as_mut()
                .is_none_or(|slot| std::mem::take(slot.used.get_mut()));
            if spared {
                continue;
            }
            if let Some(slot) = slot.take() {
                self.bytes -= slot.block.len() + SLOT_OVERHEAD_BYTES;
                self.places.remove(&slot.key);
                self.free.push(self.hand);
            }
        }
    }
}

impl BlockKey {
    fn mix(self) -> u64 {
        let mixed = (self.file ^ self.offset.rotate_left(24)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }
}

impl std::hash::Hash for BlockKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.mix());
    }
}

/// Passes on a hash that is mixed already. Keys are ours, so nobody can make them collide.
#[derive(Debug, Default)]
struct MixedHasher(u64);

impl Hasher for MixedHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0.rotate_left(8) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = SHARDS * 8 * (1024 + SLOT_OVERHEAD_BYTES);

    fn key(offset: u64) -> BlockKey {
        BlockKey { file: 1, offset }
    }

    #[test]
    fn blocks_and_resident_bytes_never_exceed_the_budget() {
        let cache = BlockCache::new(BUDGET);
        for n in 0..5_000 {
            cache.insert(key(n * 4096), Bytes::from(vec![7; 1024]));
            assert!(cache.bytes() <= BUDGET);
        }
        assert!(cache.bytes() > BUDGET / 2);
        cache.add_resident(BUDGET / 2);
        assert!(cache.bytes() + cache.resident_bytes() <= BUDGET);
        cache.add_resident(BUDGET);
        assert_eq!(cache.bytes(), 0);
        cache.insert(key(1), Bytes::from_static(b"x"));
        assert_eq!(cache.get(key(1)), None);
        cache.remove_resident(BUDGET);
        cache.insert(key(1), Bytes::from_static(b"x"));
        assert_eq!(cache.get(key(1)), Some(Bytes::from_static(b"x")));
    }

    #[test]
    fn a_block_that_is_read_outlives_those_that_are_not() {
        let cache = BlockCache::new(BUDGET);
        cache.insert(key(0), Bytes::from(vec![1; 1024]));
        for n in 1..5_000 {
            cache.insert(key(n * 4096), Bytes::from(vec![7; 1024]));
            assert!(cache.get(key(0)).is_some(), "after {n}");
        }
    }

    #[test]
    fn a_block_larger_than_a_share_is_not_kept() {
        let cache = BlockCache::new(BUDGET);
        cache.insert(key(0), Bytes::from(vec![1; BUDGET / 2]));
        assert_eq!(cache.bytes(), 0);
    }
}
