//! One shard: rows in the order of their last use, within its share of the budget.

use std::collections::BTreeMap;

use bytes::Bytes;
use lru::LruCache;

use super::row_cache::CacheStats;
use crate::ids::{GroupId, Revision};
use crate::store::{KeyRange, Row};

/// What an entry costs beyond its key and value: the list node (about 130 bytes), its place in the
/// hash table at a load between one half and seven eighths, and the shared allocation's head.
const OVERHEAD_BYTES: usize = 192;

/// Where a row belongs. Two rows of one hash displace each other: there is no chain, and the key
/// is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) hash: u64,
    pub(super) group: GroupId,
    pub(super) key: &'a [u8],
}

pub(super) struct Shard {
    rows: LruCache<u64, Entry>,
    bytes: usize,
    bytes_max: usize,
    /// The newest invalidation of each group in this shard.
    invalidated: BTreeMap<GroupId, Revision>,
    counts: Counts,
}

/// A row with its key, in memory of its own.
pub(super) struct Entry {
    group: GroupId,
    key: Bytes,
    row: Row,
}

#[derive(Default)]
struct Counts {
    hits: u64,
    misses: u64,
    fills: u64,
    refused: u64,
    evictions: u64,
}

impl Shard {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            rows: LruCache::unbounded(),
            bytes: 0,
            bytes_max,
            invalidated: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn get(&mut self, slot: &Slot<'_>) -> Option<Row> {
        let found = self.rows.get(&slot.hash).filter(|entry| entry.is(slot));
        match found {
            Some(_) => self.counts.hits += 1,
            None => self.counts.misses += 1,
        }
        found.map(|entry| entry.row.clone())
    }

    pub(super) fn invalidate(&mut self, slot: &Slot<'_>, revision: Revision) {
        self.raise(slot.group, revision);
        if self
            .rows
            .peek(&slot.hash)
            .is_some_and(|entry| entry.is(slot))
        {
            self.remove(slot.hash);
        }
    }

    pub(super) fn invalidate_range(
        &mut self,
        group: GroupId,
        range: &KeyRange,
        revision: Revision,
    ) {
        self.raise(group, revision);
        let rows = self
            .rows
            .iter()
            .filter(|(_, entry)| entry.group == group && range.contains(&entry.key));
        let hashes: Vec<u64> = rows.map(|(hash, _)| *hash).collect();
        for hash in hashes {
            self.remove(hash);
        }
    }

    pub(super) fn fill(&mut self, hash: u64, entry: Entry, read_at: Revision) -> bool {
        let invalidated = self.invalidated.get(&entry.group);
        if invalidated.is_some_and(|invalidated| *invalidated > read_at) {
            self.counts.refused += 1;
            return false;
        }
        self.remove(hash);
        while self.bytes + entry.bytes() > self.bytes_max {
            let Some((_, oldest)) = self.rows.pop_lru() else {
                break;
            };
            self.bytes -= oldest.bytes();
            self.counts.evictions += 1;
        }
        self.bytes += entry.bytes();
        self.rows.put(hash, entry);
        self.counts.fills += 1;
        true
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }

    pub(super) fn add_to(&self, stats: &mut CacheStats) {
        stats.hits += self.counts.hits;
        stats.misses += self.counts.misses;
        stats.fills += self.counts.fills;
        stats.refused += self.counts.refused;
        stats.evictions += self.counts.evictions;
        stats.bytes += self.bytes;
        stats.entries += self.rows.len();
    }

    fn raise(&mut self, group: GroupId, revision: Revision) {
        let newest = self.invalidated.entry(group).or_insert(revision);
        *newest = revision.max(*newest);
    }

    fn remove(&mut self, hash: u64) {
        if let Some(entry) = self.rows.pop(&hash) {
            self.bytes -= entry.bytes();
        }
    }
}

impl Entry {
    /// A copy in one allocation of its own: a slice would keep its whole block or log entry alive,
    /// which no budget counts.
    pub(super) fn new(slot: &Slot<'_>, row: &Row) -> Self {
        let mut owned = Vec::with_capacity(slot.key.len() + row.value.len());
        owned.extend_from_slice(slot.key);
        owned.extend_from_slice(&row.value);
        let mut key = Bytes::from(owned);
        let value = key.split_off(slot.key.len());
        let row = Row {
            value,
            ..row.clone()
        };
        Self {
            group: slot.group,
            key,
            row,
        }
    }

    fn is(&self, slot: &Slot<'_>) -> bool {
        self.group == slot.group && self.key == slot.key
    }

    fn bytes(&self) -> usize {
        entry_bytes(&self.key, &self.row)
    }
}

/// What a row counts against the budget.
pub(super) fn entry_bytes(key: &[u8], row: &Row) -> usize {
    key.len() + row.value.len() + OVERHEAD_BYTES
}
