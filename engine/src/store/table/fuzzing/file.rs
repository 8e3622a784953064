//! Whole tables, some of whose bytes are others, under checksums that are right.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::env::Vfs;
use crate::env::vfs::OpenMode;
use crate::env::vfs::mem::MemVfs;
use crate::ids::Revision;
use crate::inspect::Seen;
use crate::store::block_cache::BlockCache;
use crate::store::deleted::DeletedRanges;
use crate::store::folder::Folder;
use crate::store::iter::{Direction, VisibleRows};
use crate::store::key::{KeyRange, Place};
use crate::store::memtable::Memtable;
use crate::store::options::{Compression, StoreOptions};
use crate::store::row::{RowKind, RowMeta, RowParts, ValueParts};
use crate::store::section::checksum;
use crate::store::table::footer::{FOOTER_BYTES, Footer};
use crate::store::table::index::{BlockSpan, Index};
use crate::store::table::inspect::table as look;
use crate::store::table::{CRC_BYTES, Fill, Table, TableCursor, TableWriter, hash_key};
use crate::store::version::{Levels, Version};
use crate::{ErrorKind, Result};

const DIR: &str = "/store";
const ID: u64 = 3;

/// A version: its key, revision, and value if it is no tombstone.
type Entry = (Bytes, Revision, Option<Bytes>);

/// A table that is opened, looked at and read in every way: what a look takes for sound can be
/// read, and reads the same forward and backward.
pub(crate) fn table(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let (changes, rows) = rest.split_at(usize::from(count % 16 * 3).min(rest.len()));
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    vfs.create_dir_all(Path::new(DIR))
        .expect("a folder in memory");
    let folder = Folder::new(&vfs, Path::new(DIR));
    let Some(len) = write(&folder, rows, count / 16) else {
        return;
    };
    let path = folder.table_path(ID);
    change(vfs.as_ref(), &path, len, changes);

    let mut damaged = false;
    let looked = look(&vfs, &path, &mut |seen| {
        damaged |= matches!(seen, Seen::Problem(_));
    });
    let table = Table::open(&folder, ID, len, &BlockCache::new(1 << 16)).map(Arc::new);
    let unsupported = |kind: ErrorKind| kind == ErrorKind::Unsupported;
    if let Err(error) = &looked {
        assert!(unsupported(error.kind()), "{error}");
    }
    match &table {
        Err(error) if unsupported(error.kind()) => assert!(looked.is_err(), "{error}"),
        Err(error) => assert!(error.kind() == ErrorKind::Corrupt && damaged, "{error}"),
        Ok(table) => read(table, rows, damaged),
    }
}

/// Writes a table of the rows that the input names; its length, or none if there are no rows.
fn write(folder: &Arc<Folder>, mut rest: &[u8], kind: u8) -> Option<u64> {
    let mut rows = BTreeMap::new();
    while let [key_len, revision, value_len, tail @ ..] = rest {
        let (key, tail) = tail.split_at(usize::from(*key_len % 32).min(tail.len()));
        let (value, tail) = tail.split_at(usize::from(*value_len % 32).min(tail.len()));
        let value = (*value_len < 0xe0).then_some(value);
        rows.insert((key, Reverse(Revision(u64::from(*revision)))), value);
        rest = tail;
    }
    let options = StoreOptions {
        block_bytes: 64,
        blob_bytes: [16, usize::MAX][usize::from(kind % 2)],
        compression: match kind / 2 % 2 {
            0 => Compression::None,
            _ => Compression::Lz4,
        },
        ..StoreOptions::default()
    };
    let mut writer = None;
    for ((key, Reverse(revision)), value) in rows {
        let writer = writer.get_or_insert_with(|| {
            TableWriter::create(folder, ID, 5, &options, Revision(0)).expect("a file in memory")
        });
        let row = value.map(|value| RowParts {
            value: ValueParts::Inline(value),
            meta: meta(revision),
        });
        let added = writer.add(Place { key, revision }, row);
        added.expect("a file in memory");
    }
    let mut written = writer?.finish().expect("a file in memory");
    written.publish();
    Some(written.len)
}

/// Some rows end, or are sets.
fn meta(revision: Revision) -> RowMeta {
    RowMeta {
        expires_at_ms: revision.0.wrapping_sub(revision.0 % 3),
        kind: RowKind::of(u8::from(revision.0 % 5 == 1)).unwrap_or_default(),
        ..RowMeta::of_bytes(revision, 1)
    }
}

/// Changes some bytes of the file, and puts right the checksums of all its sections.
fn change(vfs: &dyn Vfs, path: &Path, len: u64, changes: &[u8]) {
    let file = vfs.open(path, OpenMode::ReadWrite).expect("it was written");
    let mut bytes = vec![0; usize::try_from(len).expect("it is small")];
    file.read_exact_at(&mut bytes, 0).expect("it is so long");
    let sections = sections(&Bytes::copy_from_slice(&bytes));
    for change in changes.chunks_exact(3) {
        if let [low, high, mask] = *change {
            let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
            bytes[at] ^= mask;
        }
    }
    let footer_at = bytes.len() - FOOTER_BYTES;
    let salt = bytes[footer_at + 44..].first_chunk().expect("a footer");
    let salt = u64::from_le_bytes(*salt);
    for span in sections {
        let start = usize::try_from(span.offset).expect("it is small");
        let crc_at = start + span.len as usize - CRC_BYTES;
        let crc = checksum(salt, span.offset, &bytes[start..crc_at]);
        bytes[crc_at..crc_at + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
    }
    let crc_at = bytes.len() - CRC_BYTES;
    let crc = crc32fast::hash(&bytes[footer_at..crc_at]);
    bytes[crc_at..].copy_from_slice(&crc.to_le_bytes());
    file.write_at(&bytes, 0).expect("a file in memory");
}

/// All sections of a table that is whole.
fn sections(bytes: &Bytes) -> Vec<BlockSpan> {
    let footer_at = bytes.len() - FOOTER_BYTES;
    let footer = Footer::decode(bytes.slice(footer_at..), bytes.len() as u64);
    let footer = footer.expect("our own bytes");
    let place = |offset: u64| usize::try_from(offset).expect("it is small");
    let body = place(footer.index.offset)..place(footer.index.end()) - CRC_BYTES;
    let index = Index::decode(bytes.slice(body), footer.index.offset).expect("our own bytes");
    let blocks = (0..index.len()).filter_map(|block| index.span(block));
    blocks
        .chain([footer.index, footer.filter, footer.properties])
        .collect()
}

fn read(table: &Arc<Table>, keys: &[u8], damaged: bool) {
    let forward = walk(table, Direction::Forward, Fill::Ahead);
    let backward = walk(table, Direction::Reverse, Fill::Cache);
    if !damaged {
        let forward = forward.as_ref().expect("a look found nothing wrong");
        let mut backward = backward.expect("a look found nothing wrong");
        backward.reverse();
        assert_eq!(*forward, backward);
        assert_eq!(forward.len() as u64, table.properties.entries);
    }
    let version = Arc::new(Version {
        active: Arc::new(Memtable::new()),
        frozen: Vec::new(),
        levels: Levels::new(vec![(1, Arc::clone(table))]),
        deleted: Arc::new(DeletedRanges::new(std::iter::empty())),
        checkpoint: None,
    });
    for direction in [Direction::Forward, Direction::Reverse] {
        for at in [Revision(u64::MAX), Revision(7)] {
            if let Ok(rows) = VisibleRows::new(&version, KeyRange::all(), at, direction) {
                let read = rows.count() as u64;
                assert!(read <= table.properties.entries.max(0xffff), "{read}");
            }
        }
    }
    for key in keys.chunks(5) {
        if let Err(error) = table.get(key, Revision(7), hash_key(key)) {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
    }
}

/// All versions of a table, in the order of the walk.
fn walk(table: &Arc<Table>, direction: Direction, fill: Fill) -> Result<Vec<Entry>> {
    let mut cursor = TableCursor::new(Arc::clone(table), direction, fill);
    match direction {
        Direction::Forward => cursor.seek(Place::before(&[]))?,
        Direction::Reverse => cursor.seek_to_last()?,
    }
    let mut entries = Vec::new();
    while let Some(place) = cursor.place() {
        let (key, revision) = (Bytes::copy_from_slice(place.key), place.revision);
        let row = cursor.row().map(|row| row.load(revision)).transpose()?;
        entries.push((key, revision, row.map(|row| row.value)));
        cursor.advance()?;
    }
    Ok(entries)
}
