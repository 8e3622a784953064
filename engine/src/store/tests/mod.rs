//! The store against its obvious model, against damage, and against power cuts.

mod behaviour;
mod crash;
mod damage;
mod deletions;
mod faults;
mod keys_only;
mod model;
#[cfg(feature = "sled")]
mod sled;
mod space;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

#[cfg(feature = "sled")]
use super::SledStore;
use super::pin::{PinnedTable, is_table_file};
use super::{
    BlockCache, Compression, KeyRange, Lsm, NEVER_MS, NewRow, Row, RowKind, RowMeta, RowWrite,
    Store, StoreOptions,
};
use crate::env::vfs::OpenMode;
use crate::env::{Env, Vfs};
use crate::ids::Revision;

/// Every version of every row, in a map.
#[derive(Clone, Debug, Default)]
struct Model {
    rows: BTreeMap<(Bytes, Reverse<u64>), Option<NewRow>>,
    deleted: Vec<(u64, KeyRange)>,
}

/// What a scan yields.
type Rows = Vec<(Bytes, Row)>;

impl Model {
    fn write(&mut self, revision: u64, writes: &[RowWrite]) {
        for write in writes {
            let place = (write.key.clone(), Reverse(revision));
            self.rows.insert(place, write.value.clone());
        }
    }

    fn delete_range(&mut self, revision: u64, range: KeyRange) {
        self.deleted.push((revision, range));
    }

    fn get(&self, key: &[u8], at: u64) -> Option<Row> {
        let from = (Bytes::copy_from_slice(key), Reverse(at));
        let ((found, Reverse(revision)), row) = self.rows.range(from..).next()?;
        let row = row.clone().filter(|_| found == key)?;
        let mut deleted = self.deleted.iter();
        if deleted.any(|(when, range)| revision < when && *when <= at && range.contains(key)) {
            return None;
        }
        Some(row.at(Revision(*revision)))
    }

    fn scan(&self, range: &KeyRange, at: u64, reverse: bool) -> Rows {
        let mut keys: Vec<&Bytes> = self.rows.keys().map(|(key, _)| key).collect();
        keys.dedup();
        if reverse {
            keys.reverse();
        }
        keys.into_iter()
            .filter(|key| range.contains(key))
            .filter_map(|key| Some((key.clone(), self.get(key, at)?)))
            .collect()
    }

    /// All rows as they stood at a revision.
    fn rows_at(&self, at: u64) -> Rows {
        let mut rows = Rows::new();
        let mut last = None;
        for ((key, Reverse(revision)), row) in &self.rows {
            if *revision > at || last.replace(key) == Some(key) {
                continue;
            }
            let mut deleted = self.deleted.iter();
            if let Some(row) = row.clone()
                && !deleted
                    .any(|(when, range)| revision < when && *when <= at && range.contains(key))
            {
                rows.push((key.clone(), row.at(Revision(*revision))));
            }
        }
        rows
    }

    /// Forgets what is newer than a revision: a crash.
    fn cut(&mut self, after: u64) {
        self.rows
            .retain(|(_, Reverse(revision)), _| *revision <= after);
        self.deleted.retain(|(revision, _)| *revision <= after);
    }
}

/// Sizes so small that a few rows make tables, levels and compactions.
fn tiny() -> StoreOptions {
    StoreOptions {
        memtable_bytes: 4 << 10,
        table_bytes: 700,
        block_bytes: 128,
        compression: Compression::Lz4,
        blob_bytes: 400,
        level_base_bytes: 2 << 10,
        l0_tables: 2,
        l0_stall_tables: 6,
        frozen_max: 2,
    }
}

fn dir() -> PathBuf {
    PathBuf::from("/store")
}

fn open(env: &Env, options: StoreOptions) -> Lsm {
    open_as(env, options)
}

/// A store of any kind in the usual folder.
fn open_as<S: Backend>(env: &Env, options: StoreOptions) -> S {
    S::open_in(env, &dir(), options, BlockCache::new(1 << 20)).expect("the folder is sound")
}

/// A kind of store, to be held to the common promises.
trait Backend: Store + Sized {
    fn open_in(
        env: &Env,
        dir: &Path,
        options: StoreOptions,
        blocks: Arc<BlockCache>,
    ) -> crate::Result<Self>;
}

impl Backend for Lsm {
    fn open_in(
        env: &Env,
        dir: &Path,
        options: StoreOptions,
        blocks: Arc<BlockCache>,
    ) -> crate::Result<Self> {
        Self::open(env, dir, options, blocks)
    }
}

#[cfg(feature = "sled")]
impl Backend for SledStore {
    fn open_in(
        env: &Env,
        dir: &Path,
        options: StoreOptions,
        blocks: Arc<BlockCache>,
    ) -> crate::Result<Self> {
        Self::open(env, dir, options, blocks)
    }
}

/// Runs each of some functions, generic over the kind of store, as a test of every kind.
macro_rules! every_store {
    ($($test:ident)*) => {
        mod lsm {
            $(#[test]
            fn $test() {
                super::$test::<super::Lsm>();
            })*
        }
        #[cfg(feature = "sled")]
        mod sled {
            $(#[test]
            fn $test() {
                super::$test::<super::SledStore>();
            })*
        }
    };
}
use every_store;

fn put(key: &str, value: &str) -> RowWrite {
    RowWrite {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Some(NewRow {
            value: Bytes::copy_from_slice(value.as_bytes()),
            meta: RowMeta::of_bytes(Revision(1), 1),
        }),
    }
}

fn delete(key: &str) -> RowWrite {
    RowWrite {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: None,
    }
}

/// A checkpoint of several sectors, so that a power cut may tear it.
fn blob(revision: u64) -> Bytes {
    revision.to_le_bytes().repeat(200).into()
}

/// The revision in a checkpoint made by [`blob`]; 0 before the first.
fn revision_of(checkpoint: Option<Bytes>) -> u64 {
    checkpoint.map_or(0, |found| {
        let revision = u64::from_le_bytes(*found.first_chunk().expect("eight bytes"));
        assert_eq!(found, blob(revision));
        revision
    })
}

fn scan(store: &dyn Store, range: KeyRange, at: u64, reverse: bool) -> crate::Result<Rows> {
    let mut found = store.scan(range, Revision(at), reverse)?;
    let mut rows = Rows::new();
    // By turns handed out and shown where it lies.
    while let Some(item) = found.next() {
        rows.push(item?);
        let shown = found.show_next(&mut |key, row| {
            let row = Row {
                value: Bytes::copy_from_slice(row.value),
                mod_revision: row.mod_revision,
                meta: row.meta,
            };
            rows.push((Bytes::copy_from_slice(key), row));
        });
        if !shown? {
            break;
        }
    }
    Ok(rows)
}

fn compact_all(store: &dyn Store, floor: u64) {
    while store
        .compact_step(Revision(floor))
        .expect("nothing fails here")
    {}
}

fn read_file(vfs: &Arc<dyn Vfs>, path: &Path) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::Read).expect("the file is there");
    let len = file.len().expect("a length");
    let mut bytes = vec![0; usize::try_from(len).expect("a small file")];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    bytes
}

fn write_file(vfs: &Arc<dyn Vfs>, path: &Path, bytes: &[u8]) {
    let file = vfs
        .open(path, OpenMode::CreateNew)
        .expect("no such file yet");
    file.write_at(bytes, 0).expect("room");
    file.sync_data().expect("a disk that works");
}

fn file_names(vfs: &Arc<dyn Vfs>, dir: &Path) -> Vec<String> {
    let entries = vfs.list(dir).expect("the folder is there");
    entries.into_iter().map(|entry| entry.name).collect()
}

fn table_names(vfs: &Arc<dyn Vfs>, dir: &Path) -> Vec<String> {
    let mut names = file_names(vfs, dir);
    names.retain(|name| is_table_file(name));
    names
}
