//! A data block: some versions in order, their keys without what they share.
//!
//! ```text
//! block    = entry* restart:u32* restarts:u32
//! entry    = shared:varint tail_len:varint tail revision:varint kind:u8 [row]
//! row      = age:varint version:varint inline                             kind 1
//!          | age:varint version:varint blob                               kind 2
//!          | age:varint version:varint life:varint row_kind:u8 inline     kind 3
//!          | age:varint version:varint life:varint row_kind:u8 blob       kind 4
//! inline   = value_len:varint value
//! blob     = file:varint offset:varint len:varint
//! ```
//!
//! `shared` bytes of the key are those of the entry before. Every sixteenth entry is a restart:
//! it shares nothing, and a search begins at one. `age` is the revision less the revision at
//! which the row came into being. Kind 0 is a tombstone; the value of kinds 2 and 4 is in a blob file.
//! Kinds 3 and 4, since version 3 of the table's format, are of rows that end or are no plain bytes:
//! `life` is 0 for a row that never ends, else one more than its end in milliseconds since 1970; `row_kind` is 0
//! for bytes, 1 for a set, 2 for a hash.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::DecodeError;
use crate::ids::Revision;
use crate::store::blob::{BlobFile, BlobRef, BlobValue};
use crate::store::key::Place;
use crate::store::row::{Found, RowKind, RowMeta, RowParts, StoredRow, StoredValue, ValueParts};

/// Entries from one restart to the next.
const RESTART_ENTRIES: usize = 16;

/// What a key may be longer than the first of its run before memory is asked for again.
const KEY_BYTES_SPARE: usize = 8;

const KIND_TOMBSTONE: u8 = 0;
const KIND_ROW: u8 = 1;
const KIND_BLOB: u8 = 2;
const KIND_ROW_WITH_META: u8 = 3;
const KIND_BLOB_WITH_META: u8 = 4;

/// The blob files that a table names; most tables name none.
pub(super) type BlobFiles = Option<Arc<Vec<Arc<BlobFile>>>>;

/// Collects entries, in order, into a block.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    out: Vec<u8>,
    restarts: Vec<u32>,
    since_restart: usize,
    last_key: Vec<u8>,
}

impl BlockBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Bytes that the block has now.
    pub(super) fn len(&self) -> usize {
        self.out.len() + 4 * self.restarts.len() + 4
    }

    pub(super) fn add(&mut self, place: Place<'_>, row: Option<RowParts<'_>>) {
        let mut shared = 0;
        if self.restarts.is_empty() || self.since_restart == RESTART_ENTRIES {
            self.restarts.push(
                u32::try_from(self.out.len()).expect("a block ends far below 4 GiB: see `write`"),
            );
            self.since_restart = 0;
        } else {
            shared = common_prefix(&self.last_key, place.key);
        }
        self.since_restart += 1;
        let tail = &place.key[shared..];
        put_varint(&mut self.out, shared as u64);
        put_varint(&mut self.out, tail.len() as u64);
        self.out.extend_from_slice(tail);
        put_varint(&mut self.out, place.revision.0);
        match row {
            None => self.out.push(KIND_TOMBSTONE),
            Some(row) => {
                let meta = row.meta;
                let kind = match (row.value, meta.is_plain()) {
                    (ValueParts::Inline(_), true) => KIND_ROW,
                    (ValueParts::Blob { .. }, true) => KIND_BLOB,
                    (ValueParts::Inline(_), false) => KIND_ROW_WITH_META,
                    (ValueParts::Blob { .. }, false) => KIND_BLOB_WITH_META,
                };
                self.out.push(kind);
                let age = place.revision.0.wrapping_sub(meta.create_revision.0);
                put_varint(&mut self.out, age);
                put_varint(&mut self.out, meta.version);
                if !meta.is_plain() {
                    // Never is the highest number, and becomes the shortest.
                    put_varint(&mut self.out, meta.expires_at_ms.wrapping_add(1));
                    self.out.push(meta.kind.number());
                }
                match row.value {
                    ValueParts::Inline(value) => {
                        put_varint(&mut self.out, value.len() as u64);
                        self.out.extend_from_slice(value);
                    }
                    ValueParts::Blob { at, .. } => {
                        put_varint(&mut self.out, at.file);
                        put_varint(&mut self.out, at.offset);
                        put_varint(&mut self.out, u64::from(at.len));
                    }
                }
            }
        }
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(tail);
    }

    /// The finished block; the builder is then empty again only after [`BlockBuilder::clear`].
    pub(super) fn finish(&mut self) -> &[u8] {
        for restart in &self.restarts {
            self.out.extend_from_slice(&restart.to_le_bytes());
        }
        let count = u32::try_from(self.restarts.len()).expect("fewer restarts than bytes");
        self.out.extend_from_slice(&count.to_le_bytes());
        &self.out
    }

    pub(super) fn clear(&mut self) {
        self.out.clear();
        self.restarts.clear();
        self.since_restart = 0;
        self.last_key.clear();
    }
}

/// A block as read; its checksum was right, yet nothing in it is trusted.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    bytes: Bytes,
    entries_len: usize,
    restarts: usize,
    blob_files: BlobFiles,
}

/// One entry, its key still split.
struct RawEntry<'a> {
    shared: usize,
    tail: &'a [u8],
    revision: Revision,
    row: Option<RawRow>,
}

#[derive(Clone, Debug)]
struct RawRow {
    meta: RowMeta,
    value: RawValue,
}

#[derive(Clone, Debug)]
enum RawValue {
    Inline(Range<usize>),
    Blob(BlobRef),
}

impl Block {
    pub(super) fn new(bytes: Bytes, blob_files: &BlobFiles) -> Result<Self, DecodeError> {
        let damaged = |problem| DecodeError {
            field: "restarts",
            position: bytes.len(),
            problem,
        };
        let (rest, count) = bytes
            .split_last_chunk::<4>()
            .ok_or_else(|| damaged("the block ends too early"))?;
        let restarts = u32::from_le_bytes(*count) as usize;
        let entries_len = restarts
            .checked_mul(4)
            .and_then(|len| rest.len().checked_sub(len))
            .ok_or_else(|| damaged("more restarts than bytes"))?;
        if restarts == 0 {
            return Err(damaged("a block without entries"));
        }
        Ok(Self {
            bytes,
            entries_len,
            restarts,
            blob_files: blob_files.clone(),
        })
    }

    /// How many runs of entries the block has.
    pub(super) fn intervals(&self) -> usize {
        self.restarts
    }

    /// The first version at or behind `target`, if its key is the target's.
    pub(super) fn get(&self, target: Place<'_>) -> Result<Option<Found>, DecodeError> {
        let interval = self.interval_of(target)?;
        // Keys are compared without being put together: `common` bytes of the target agree with
        // the last entry, which is before the target.
        let mut common = 0;
        let mut reader = self.reader(self.restart(interval)?);
        let next_restart = self.interval_end(interval)?;
        while reader.position < self.entries_len {
            if reader.position == next_restart {
                common = 0;
            }
            let entry = reader.entry()?;
            if entry.shared > common {
                continue;
            }
            if entry.shared < common {
                return Ok(None);
            }
            let tail = entry.tail;
            let wanted = target.key.get(common..).unwrap_or_default();
            let agree = common_prefix(tail, wanted);
            match (tail.get(agree), wanted.get(agree)) {
                (None, None) if entry.revision <= target.revision => {
                    return Ok(Some(Found {
                        revision: entry.revision,
                        row: self.row(entry.row.as_ref()),
                    }));
                }
                (Some(_), None) => return Ok(None),
                (Some(here), Some(there)) if here > there => return Ok(None),
                // The entry is before the target.
                (None, _) | (Some(_), Some(_)) => {}
            }
            common += agree;
        }
        Ok(None)
    }

    /// The last interval whose first version is before `target`; the first one if none is.
    pub(super) fn interval_of(&self, target: Place<'_>) -> Result<usize, DecodeError> {
        let (mut low, mut high) = (0, self.restarts);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let entry = self.reader(self.restart(middle)?).entry()?;
            let place = Place {
                key: entry.tail,
                revision: entry.revision,
            };
            if place < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Reads a run of entries, their keys put together.
    pub(super) fn read_interval(
        &self,
        index: usize,
        into: &mut Interval,
    ) -> Result<(), DecodeError> {
        into.entries.clear();
        let mut reader = self.reader(self.restart(index)?);
        let end = self.interval_end(index)?;
        let mut keys = Vec::new();
        let mut last = 0..0;
        while reader.position < end {
            let entry = reader.entry()?;
            if entry.shared > last.len() {
                return Err(reader.damaged("key", "shares more than there is"));
            }
            if into.entries.len() == RESTART_ENTRIES {
                // Without this a small block could stand for gigabytes of keys.
                return Err(reader.damaged("entry", "a run longer than any that is written"));
            }
            if keys.is_empty() {
                // Most keys of a run are about as long as its first.
                let guess = (entry.tail.len() + KEY_BYTES_SPARE) * RESTART_ENTRIES;
                keys.reserve(guess.min(self.entries_len));
            }
            let start = keys.len();
            keys.extend_from_within(last.start..last.start + entry.shared);
            keys.extend_from_slice(entry.tail);
            last = start..keys.len();
            into.entries.push(Slot {
                key: last.clone(),
                revision: entry.revision,
                row: entry.row,
            });
        }
        if into.entries.is_empty() {
            return Err(reader.damaged("entry", "a restart without entries"));
        }
        into.keys = keys.into();
        Ok(())
    }

    #[inline]
    fn row(&self, row: Option<&RawRow>) -> Option<StoredRow> {
        row.map(|row| StoredRow {
            value: match &row.value {
                RawValue::Inline(range) => StoredValue::Inline(self.bytes.slice(range.clone())),
                RawValue::Blob(at) => StoredValue::Blob(BlobValue {
                    file: Arc::clone(self.blob_file(*at).expect("`entry` found it")),
                    at: *at,
                }),
            },
            meta: row.meta,
        })
    }

    #[inline]
    fn parts(&self, row: &RawRow) -> Option<RowParts<'_>> {
        Some(RowParts {
            value: match &row.value {
                RawValue::Inline(range) => ValueParts::Inline(self.bytes.get(range.clone())?),
                RawValue::Blob(at) => ValueParts::Blob {
                    at: *at,
                    file_bytes: self.blob_file(*at)?.len,
                },
            },
            meta: row.meta,
        })
    }

    fn blob_file(&self, at: BlobRef) -> Option<&Arc<BlobFile>> {
        let files = self.blob_files.as_ref()?;
        files.iter().find(|file| file.id == at.file)
    }

    fn restart(&self, index: usize) -> Result<usize, DecodeError> {
        let at = self.entries_len + 4 * index;
        let offset = self
            .bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk::<4>)
            .map(|bytes| u32::from_le_bytes(*bytes) as usize);
        match offset {
            Some(offset) if offset < self.entries_len => Ok(offset),
            _ => Err(damaged("restart", at, "points outside the entries")),
        }
    }

    fn interval_end(&self, index: usize) -> Result<usize, DecodeError> {
        if index + 1 < self.restarts {
            self.restart(index + 1)
        } else {
            Ok(self.entries_len)
        }
    }

    /// What reads entries from `position` on.
    #[inline]
    fn reader(&self, position: usize) -> Reader<'_> {
        Reader {
            block: self,
            entries: self.bytes.get(..self.entries_len).unwrap_or_default(),
            position,
        }
    }
}

/// A run of entries with whole keys, which share one allocation.
#[derive(Debug, Default)]
pub(super) struct Interval {
    keys: Bytes,
    entries: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    key: Range<usize>,
    revision: Revision,
    row: Option<RawRow>,
}

impl Interval {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn place(&self, index: usize) -> Option<Place<'_>> {
        let slot = self.entries.get(index)?;
        Some(Place {
            key: self.keys.get(slot.key.clone())?,
            revision: slot.revision,
        })
    }

    #[inline]
    pub(super) fn key(&self, index: usize) -> Option<Bytes> {
        let slot = self.entries.get(index)?;
        Some(self.keys.slice(slot.key.clone()))
    }

    /// How many entries stand before `target`.
    pub(super) fn before(&self, target: Place<'_>) -> usize {
        (0..self.entries.len())
            .take_while(|index| self.place(*index).is_some_and(|place| place < target))
            .count()
    }

    /// The row of an entry; `block` is the one that was read.
    #[inline]
    pub(super) fn row(&self, index: usize, block: &Block) -> Option<StoredRow> {
        block.row(self.entries.get(index)?.row.as_ref())
    }

    /// The same, where it lies.
    #[inline]
    pub(super) fn parts<'a>(&self, index: usize, block: &'a Block) -> Option<RowParts<'a>> {
        block.parts(self.entries.get(index)?.row.as_ref()?)
    }
}

/// Reads entries one after another.
struct Reader<'a> {
    block: &'a Block,
    entries: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn entry(&mut self) -> Result<RawEntry<'a>, DecodeError> {
        let shared = self.length("shared")?;
        let tail = self.range("key")?;
        let tail = self.entries.get(tail).unwrap_or_default();
        let revision = Revision(self.varint("revision")?);
        let kind = self.entries.get(self.position);
        self.position += 1;
        let row = match kind {
            Some(&KIND_TOMBSTONE) => None,
            Some(kind @ &(KIND_ROW..=KIND_BLOB_WITH_META)) => {
                let age = self.varint("age")?;
                let create_revision = Revision(revision.0.wrapping_sub(age));
                let mut meta = RowMeta::of_bytes(create_revision, self.varint("version")?);
                if matches!(*kind, KIND_ROW_WITH_META | KIND_BLOB_WITH_META) {
                    self.end_and_kind(&mut meta)?;
                }
                Some(RawRow {
                    meta,
                    value: match *kind {
                        KIND_ROW | KIND_ROW_WITH_META => RawValue::Inline(self.range("value")?),
                        _ => RawValue::Blob(self.blob_ref()?),
                    },
                })
            }
            Some(_) | None => return Err(self.damaged("kind", "is unknown")),
        };
        Ok(RawEntry {
            shared,
            tail,
            revision,
            row,
        })
    }

    fn end_and_kind(&mut self, meta: &mut RowMeta) -> Result<(), DecodeError> {
        meta.expires_at_ms = self.varint("life")?.wrapping_sub(1);
        let kind = self.entries.get(self.position).copied();
        meta.kind = kind
            .and_then(RowKind::of)
            .ok_or_else(|| self.damaged("row kind", "is unknown"))?;
        self.position += 1;
        Ok(())
    }

    fn blob_ref(&mut self) -> Result<BlobRef, DecodeError> {
        let at = BlobRef {
            file: self.varint("blob file")?,
            offset: self.varint("blob offset")?,
            len: u32::try_from(self.varint("blob length")?)
                .map_err(|_| self.damaged("blob length", "is too large"))?,
        };
        let inside = self
            .block
            .blob_file(at)
            .is_some_and(|file| at.offset.saturating_add(at.record_bytes()) <= file.len);
        if !inside {
            return Err(self.damaged("blob", "lies outside the table's blob files"));
        }
        Ok(at)
    }

    /// A length, and the range of that many bytes behind it.
    #[inline]
    fn range(&mut self, field: &'static str) -> Result<Range<usize>, DecodeError> {
        let len = self.length(field)?;
        let start = self.position;
        match start.checked_add(len) {
            Some(end) if end <= self.entries.len() => {
                self.position = end;
                Ok(start..end)
            }
            _ => Err(self.damaged(field, "is longer than the block")),
        }
    }

    #[inline]
    fn length(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let len = self.varint(field)?;
        usize::try_from(len).map_err(|_| self.damaged(field, "does not fit in memory"))
    }

    #[inline]
    fn varint(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let bytes = self.entries.get(self.position..).unwrap_or_default();
        let low = |byte: &u8| u64::from(byte & 0x7f);
        // Nearly all are as short as this.
        let (value, len) = match bytes {
            [a @ 0..=0x7f, ..] => (low(a), 1),
            [a, b @ 0..=0x7f, ..] => (low(a) | low(b) << 7, 2),
            [a, b, c @ 0..=0x7f, ..] => (low(a) | low(b) << 7 | low(c) << 14, 3),
            _ => return self.long_varint(field, bytes),
        };
        self.position += len;
        Ok(value)
    }

    #[cold]
    fn long_varint(&mut self, field: &'static str, bytes: &[u8]) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (index, byte) in bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.position += index + 1;
                return Ok(value);
            }
        }
        Err(self.damaged(field, "a number does not end"))
    }

    #[cold]
    fn damaged(&self, field: &'static str, problem: &'static str) -> DecodeError {
        damaged(field, self.position, problem)
    }
}

fn damaged(field: &'static str, position: usize, problem: &'static str) -> DecodeError {
    DecodeError {
        field,
        position,
        problem,
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0];
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(entries: &[(&str, u64, Option<&str>)]) -> Block {
        let mut builder = BlockBuilder::default();
        for (key, revision, value) in entries {
            builder.add(
                Place {
                    key: key.as_bytes(),
                    revision: Revision(*revision),
                },
                value.map(|value| RowParts {
                    value: ValueParts::Inline(value.as_bytes()),
                    meta: RowMeta::of_bytes(Revision(1), *revision),
                }),
            );
        }
        Block::new(Bytes::copy_from_slice(builder.finish()), &None).expect("a well-formed block")
    }

    /// The value found, empty for a tombstone.
    fn value(block: &Block, key: &str, at: u64) -> Option<Bytes> {
        block
            .get(Place {
                key: key.as_bytes(),
                revision: Revision(at),
            })
            .expect("a well-formed block")
            .map(|found| match found.row.map(|row| row.value) {
                Some(StoredValue::Inline(value)) => value,
                Some(StoredValue::Blob(_)) | None => Bytes::new(),
            })
    }

    #[test]
    fn every_version_of_many_keys_with_shared_beginnings_is_found() {
        let names: Vec<String> = (0..40)
            .flat_map(|n| [format!("key/{n:03}"), format!("key/{n:03}/tail")])
            .collect();
        let mut entries = Vec::new();
        for name in &names {
            entries.push((name.as_str(), 300, Some("new")));
            entries.push((name.as_str(), 200, None));
            entries.push((name.as_str(), 100, Some("old")));
        }
        let block = block(&entries);
        for name in &names {
            assert_eq!(value(&block, name, 99), None);
            assert_eq!(value(&block, name, 100), Some("old".into()));
            assert_eq!(value(&block, name, 250), Some(Bytes::new()));
            assert_eq!(value(&block, name, 999), Some("new".into()));
            assert_eq!(value(&block, &format!("{name}x"), 999), None);
        }
        assert_eq!(value(&block, "", 999), None);
        assert_eq!(value(&block, "z", 999), None);
    }

    #[test]
    fn any_changed_byte_is_an_error_or_another_value_but_no_panic() {
        let good = block(&[("a", 9, Some("x")), ("ab", 8, None), ("b", 7, Some("y"))]);
        for position in 0..good.bytes.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = good.bytes.to_vec();
                bytes[position] = byte;
                let Ok(block) = Block::new(bytes.into(), &None) else {
                    continue;
                };
                for key in ["", "a", "ab", "b", "c"] {
                    let _ = block.get(Place::before(key.as_bytes()));
                }
                let mut interval = Interval::default();
                for index in 0..block.intervals().min(99) {
                    let _ = block.read_interval(index, &mut interval);
                }
            }
        }
    }
}
