//! The newest rows, in memory, in order.
//!
//! A skip list: the one writer inserts while any number of readers walk, and nobody waits.
//! Each row is copied into a chunk of the memtable's own, so that the memory counted is the memory
//! held: a slice of a large request would keep all of it alive.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering as Memory};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crossbeam_skiplist::SkipMap;
use crossbeam_skiplist::map::Entry;
use parking_lot::{Mutex, RwLock};

use super::deleted::{DeletedRange, DeletedRanges};
use super::iter::Direction;
use super::key::Place;
use super::row::{Found, RowParts, RowWrite, StoredRow, StoredValue, ValueParts};
use crate::ids::Revision;

/// What a row costs beyond its bytes: its node in the skip list, and the allocator's share.
const ROW_OVERHEAD_BYTES: usize = 96;

/// Rows are copied into chunks of this size; a larger one has a chunk for itself.
const CHUNK_BYTES: usize = 64 << 10;

/// Rows fetched from the skip list at once: few at first, for the many short scans.
const BATCH_FIRST: usize = 4;
const BATCH_MAX: usize = 64;

/// Versions of rows, ordered by [`Place`].
pub(super) struct Memtable {
    rows: SkipMap<Record, ()>,
    chunk: Mutex<BytesMut>,
    deleted: RwLock<DeletedRanges>,
    /// Spares readers the lock while no range was deleted.
    any_deleted: AtomicBool,
    bytes: AtomicUsize,
    count: AtomicU64,
}

/// A version: its head, its key, its value, in a piece of a chunk. The key's beginning is here once
/// more: it decides most comparisons, without a look into the chunk.
#[derive(Clone)]
struct Record {
    beginning: u128,
    bytes: Bytes,
}

/// What stands before a version's key.
#[derive(Clone, Copy)]
struct Head {
    revision: Revision,
    key_len: u32,
    /// What a version knows beside its value; a tombstone has none.
    life: Option<Life>,
}

#[derive(Clone, Copy)]
struct Life {
    create_revision: Revision,
    version: u64,
}

/// `revision:u64 key_len:u32 alive:u8 create_revision:u64 version:u64`
const HEAD_BYTES: usize = 8 + 4 + 1 + 8 + 8;

impl Memtable {
    pub(super) fn new() -> Self {
        Self {
            rows: SkipMap::new(),
            chunk: Mutex::default(),
            deleted: RwLock::default(),
            any_deleted: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            count: AtomicU64::new(0),
        }
    }

    /// Keeps a version; the one it replaces, at the same place, is forgotten.
    pub(super) fn insert(&self, revision: Revision, write: &RowWrite) {
        let value = write.value.as_ref().map_or(&[][..], |row| &row.value);
        let head = Head {
            revision,
            key_len: u32::try_from(write.key.len()).expect("rows end far below 4 GiB"),
            life: write.value.as_ref().map(|row| Life {
                create_revision: row.create_revision,
                version: row.version,
            }),
        };
        let record = Record {
            beginning: beginning(&write.key),
            bytes: self.copy(head, &write.key, value),
        };
        let cost = record.bytes.len() + ROW_OVERHEAD_BYTES;
        self.rows.insert(record, ());
        self.bytes.fetch_add(cost, Memory::Relaxed);
        self.count.fetch_add(1, Memory::Relaxed);
    }

    /// Copies a version into the chunk, or into a new one.
    fn copy(&self, head: Head, key: &[u8], value: &[u8]) -> Bytes {
        let len = HEAD_BYTES + key.len() + value.len();
        let mut chunk = self.chunk.lock();
        if chunk.capacity() < len {
            *chunk = BytesMut::with_capacity(len.max(CHUNK_BYTES));
        }
        head.put(&mut chunk);
        chunk.put_slice(key);
        chunk.put_slice(value);
        chunk.split().freeze()
    }

    /// Hides what was written in a range below a revision, here and in older places.
    pub(super) fn delete_range(&self, deleted: DeletedRange) {
        let mut all = self.deleted.write();
        let before = all.bytes();
        all.insert(deleted);
        self.bytes.fetch_add(all.bytes() - before, Memory::Relaxed);
        self.any_deleted.store(true, Memory::Release);
    }

    /// The latest revision up to `at` at which a range with this key was deleted.
    pub(super) fn hidden_below(&self, key: &[u8], at: Revision) -> Revision {
        if !self.any_deleted.load(Memory::Acquire) {
            return Revision(0);
        }
        self.deleted.read().hidden_below(key, at)
    }

    /// How many ranges were deleted.
    pub(super) fn deleted_ranges(&self) -> usize {
        self.deleted.read().ranges().len()
    }

    /// The ranges that were deleted.
    pub(super) fn deleted(&self) -> Vec<DeletedRange> {
        self.deleted.read().ranges().to_vec()
    }

    /// The newest version not above `at`.
    pub(super) fn get(&self, key: &[u8], at: Revision) -> Option<Found> {
        let probe = Place { key, revision: at };
        let entry = self.lower_bound(Bound::Included(&probe))?;
        let record = entry.key();
        let head = record.head();
        (record.key() == key).then(|| Found {
            revision: head.revision,
            row: record.row(head),
        })
    }

    /// Bytes held, by estimate.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Memory::Relaxed)
    }

    /// Every version in order; only for a memtable that is no longer written.
    pub(super) fn for_each<E>(
        &self,
        mut visit: impl FnMut(Place<'_>, Option<RowParts<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        for entry in &self.rows {
            let record = entry.key();
            let row = record.head().life.map(|life| RowParts {
                value: ValueParts::Inline(record.value()),
                create_revision: life.create_revision,
                version: life.version,
            });
            visit(record.place(), row)?;
        }
        Ok(())
    }

    fn lower_bound(&self, bound: Bound<&Place<'_>>) -> Option<Entry<'_, Record, ()>> {
        let bound = bound.map(|place| Probe::new(*place));
        self.rows
            .lower_bound::<dyn Placed + '_>(bound.as_ref().map(|probe| probe as &dyn Placed))
    }

    fn upper_bound(&self, bound: Bound<&Place<'_>>) -> Option<Entry<'_, Record, ()>> {
        let bound = bound.map(|place| Probe::new(*place));
        self.rows
            .upper_bound::<dyn Placed + '_>(bound.as_ref().map(|probe| probe as &dyn Placed))
    }
}

impl fmt::Debug for Memtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memtable")
            .field("bytes", &self.bytes())
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Walks a memtable, in either direction, without borrowing it: versions are fetched in small
/// batches, and the next batch is sought from the last version of the one before.
pub(super) struct MemtableCursor {
    memtable: Arc<Memtable>,
    direction: Direction,
    batch: Vec<Record>,
    position: usize,
    batch_size: usize,
}

impl MemtableCursor {
    pub(super) fn new(memtable: Arc<Memtable>, direction: Direction) -> Self {
        Self {
            memtable,
            direction,
            batch: Vec::new(),
            position: 0,
            batch_size: BATCH_FIRST,
        }
    }

    pub(super) fn seek(&mut self, to: Place<'_>) {
        self.batch_size = BATCH_FIRST;
        match self.direction {
            Direction::Forward => self.fill(Bound::Included(&to)),
            Direction::Reverse => self.fill(Bound::Excluded(&to)),
        }
    }

    pub(super) fn seek_to_last(&mut self) {
        self.fill(Bound::Unbounded);
    }

    pub(super) fn place(&self) -> Option<Place<'_>> {
        self.batch.get(self.position).map(Record::place)
    }

    pub(super) fn key(&self) -> Bytes {
        self.batch
            .get(self.position)
            .map(|record| record.bytes.slice_ref(record.key()))
            .unwrap_or_default()
    }

    pub(super) fn row(&self) -> Option<StoredRow> {
        let record = self.batch.get(self.position)?;
        record.row(record.head())
    }

    pub(super) fn advance(&mut self) {
        self.position += 1;
        if self.position < self.batch.len() || self.batch.len() < self.batch_size {
            return;
        }
        if let Some(last) = self.batch.last().cloned() {
            self.batch_size = (self.batch_size * 2).min(BATCH_MAX);
            self.fill(Bound::Excluded(&last.place()));
        }
    }

    fn fill(&mut self, from: Bound<&Place<'_>>) {
        self.batch.clear();
        self.position = 0;
        let forward = self.direction == Direction::Forward;
        let mut entry = if forward {
            self.memtable.lower_bound(from)
        } else {
            self.memtable.upper_bound(from)
        };
        while let Some(found) = entry {
            self.batch.push(found.key().clone());
            if self.batch.len() == self.batch_size {
                return;
            }
            entry = if forward { found.next() } else { found.prev() };
        }
    }
}

impl Head {
    fn put(self, out: &mut BytesMut) {
        let life = self.life.unwrap_or(Life {
            create_revision: Revision(0),
            version: 0,
        });
        out.put_u64_le(self.revision.0);
        out.put_u32_le(self.key_len);
        out.put_u8(u8::from(self.life.is_some()));
        out.put_u64_le(life.create_revision.0);
        out.put_u64_le(life.version);
    }

    fn get(mut bytes: &[u8]) -> Self {
        let revision = Revision(bytes.get_u64_le());
        let key_len = bytes.get_u32_le();
        let alive = bytes.get_u8() == 1;
        let life = Life {
            create_revision: Revision(bytes.get_u64_le()),
            version: bytes.get_u64_le(),
        };
        Self {
            revision,
            key_len,
            life: alive.then_some(life),
        }
    }
}

impl Record {
    fn head(&self) -> Head {
        Head::get(&self.bytes)
    }

    fn key(&self) -> &[u8] {
        let key_len = (&self.bytes[8..12]).get_u32_le() as usize;
        &self.bytes[HEAD_BYTES..HEAD_BYTES + key_len]
    }

    fn value(&self) -> &[u8] {
        &self.bytes[HEAD_BYTES + self.key().len()..]
    }

    fn row(&self, head: Head) -> Option<StoredRow> {
        head.life.map(|life| StoredRow {
            value: StoredValue::Inline(self.bytes.slice_ref(self.value())),
            create_revision: life.create_revision,
            version: life.version,
        })
    }
}

/// What has a place in the order. A trait object of it lets the skip list be searched for a
/// borrowed key, without a copy of the key.
trait Placed {
    fn beginning(&self) -> u128;
    fn place(&self) -> Place<'_>;
}

/// A place that is searched for.
struct Probe<'a> {
    beginning: u128,
    place: Place<'a>,
}

impl<'a> Probe<'a> {
    fn new(place: Place<'a>) -> Self {
        Self {
            beginning: beginning(place.key),
            place,
        }
    }
}

/// The first sixteen bytes of a key as a number, zeroes where it is shorter. Where two of these
/// differ, the keys are in the same order; where they do not, the keys must be compared.
fn beginning(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let len = key.len().min(16);
    bytes[..len].copy_from_slice(&key[..len]);
    u128::from_be_bytes(bytes)
}

fn compare(a: &(impl Placed + ?Sized), b: &(impl Placed + ?Sized)) -> Ordering {
    a.beginning()
        .cmp(&b.beginning())
        .then_with(|| a.place().cmp(&b.place()))
}

impl Placed for Record {
    fn beginning(&self) -> u128 {
        self.beginning
    }

    fn place(&self) -> Place<'_> {
        Place {
            key: self.key(),
            revision: Revision((&self.bytes[..8]).get_u64_le()),
        }
    }
}

impl Placed for Probe<'_> {
    fn beginning(&self) -> u128 {
        self.beginning
    }

    fn place(&self) -> Place<'_> {
        self.place
    }
}

impl<'a> Borrow<dyn Placed + 'a> for Record {
    fn borrow(&self) -> &(dyn Placed + 'a) {
        self
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for dyn Placed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Placed + '_ {
    fn eq(&self, other: &Self) -> bool {
        compare(self, other).is_eq()
    }
}

impl Eq for dyn Placed + '_ {}

impl Ord for Record {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for Record {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        compare(self, other).is_eq()
    }
}

impl Eq for Record {}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &[u8], revision: u64) -> Record {
        let head = Head {
            revision: Revision(revision),
            key_len: u32::try_from(key.len()).expect("a short key"),
            life: None,
        };
        Record {
            beginning: beginning(key),
            bytes: Memtable::new().copy(head, key, b"value"),
        }
    }

    #[test]
    fn the_beginning_of_a_key_never_changes_the_order() {
        let long = "0123456789abcdef";
        let mut keys: Vec<Vec<u8>> = vec![vec![], vec![0], vec![0, 0], vec![0, 1], vec![255; 20]];
        for tail in ["", "\0", "\0\0x", "g", "h"] {
            keys.push(format!("{long}{tail}").into_bytes());
            keys.push(format!("{}{tail}", &long[..15]).into_bytes());
            keys.push(format!("a{tail}").into_bytes());
        }
        for a in &keys {
            for b in &keys {
                let (x, y) = (record(a, 3), record(b, 3));
                assert_eq!(x.cmp(&y), a.cmp(b), "{a:?} {b:?}");
                assert!(record(a, 4) < x);
            }
        }
    }
}
