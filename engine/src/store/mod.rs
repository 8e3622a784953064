//! Rows in memory, until the tables land.
#![allow(missing_docs, dead_code, reason = "a stand-in for some minutes")]
mod key;
mod options;
mod row;
use std::fmt::Debug;

use bytes::Bytes;

use crate::Result;
use crate::ids::Revision;

pub use key::KeyRange;
pub use options::{LevelStats, StoreOptions, StoreStats};
pub use row::{NewRow, Row, RowWrite};

/// Rows in key order, streamed: each item is the full store key and the row.
///
/// After an error the iterator ends.
pub trait RowIter: Iterator<Item = Result<(Bytes, Row)>> + Send {}

impl<T: Iterator<Item = Result<(Bytes, Row)>> + Send> RowIter for T {}

/// An ordered, multi-version map from store keys to rows.
///
/// One thread writes and freezes; any thread reads; background jobs flush and compact.
pub trait Store: Debug + Send + Sync {
    /// Writes rows at a revision, which must not be below that of an earlier write. Of two
    /// writes of one key at one revision the later wins.
    ///
    /// # Durability
    /// None until a [`Store::flush`] of the memtable returned.
    ///
    /// # Errors
    /// `Invalid` for a revision that goes back or a row of more than 1 GiB, before anything is
    /// written; `Stopped` once the store is poisoned.
    fn write(&self, revision: Revision, writes: &[RowWrite]) -> Result<()>;

    /// The newest version of a row not above `at`; `None` if it is absent there.
    ///
    /// The value shares the memory of a block: whoever keeps it for long copies it.
    ///
    /// # Errors
    /// `Io`, or `Corrupt` with the table's file and the offset of the damaged block.
    fn get(&self, key: &[u8], at: Revision) -> Result<Option<Row>>;

    /// The rows of a range as they stood at `at`, in key order or against it.
    ///
    /// Later writes, flushes and compactions do not change what the iterator yields. It holds
    /// at most some blocks in memory, and keeps the tables it reads alive until dropped.
    ///
    /// # Errors
    /// As [`Store::get`], here or from the iterator.
    fn scan(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>>;

    /// Bytes in the active memtable: keys, values and an estimate of their overhead.
    fn memtable_bytes(&self) -> usize;

    /// Whether as many frozen memtables wait for a flush as there may be: the writer should
    /// wait before it freezes another.
    fn stalled(&self) -> bool;

    /// Freezes the active memtable together with the checkpoint that describes the state it
    /// completes; later writes go to a new one. Called between two writes, even if nothing was
    /// written: the checkpoint itself is what the flush must store.
    fn freeze(&self, checkpoint: Bytes);

    /// Makes the oldest frozen memtable and its checkpoint durable; `false` if there is none.
    ///
    /// # Durability
    /// Once this returned `true`, [`Store::checkpoint`] and the rows below it survive a crash.
    ///
    /// # Errors
    /// `Full` or `Io` if a table could not be written: nothing was changed, try again. A failed
    /// write of the manifest poisons the store: every later write and flush answers `Stopped`.
    fn flush(&self) -> Result<bool>;

    /// The newest durable checkpoint.
    fn checkpoint(&self) -> Option<Bytes>;

    /// Does one bounded piece of compaction; `false` if there is nothing to do. Versions that
    /// cannot be seen at any revision from `floor` up are dropped on the way.
    ///
    /// # Errors
    /// As [`Store::flush`], and `Corrupt` if a table is damaged.
    fn compact_step(&self, floor: Revision) -> Result<bool>;

    /// The newest durable checkpoint and its table files, which stay until the pin is dropped.
    fn pin(&self) -> PinnedTables;

    /// Figures for operators and tests.
    fn stats(&self) -> StoreStats;
}

use std::{cmp::Reverse, collections::BTreeMap, collections::VecDeque, sync::Arc};
#[derive(Debug)]
pub struct BlockCache;
impl BlockCache {
    pub fn new(_b: usize) -> Arc<Self> {
        Arc::new(Self)
    }
}
type Rows = BTreeMap<(Bytes, Reverse<Revision>), Option<NewRow>>;
#[derive(Debug, Default)]
pub struct Lsm {
    rows: parking_lot::RwLock<Rows>,
    bytes: std::sync::atomic::AtomicUsize,
    frozen: parking_lot::Mutex<(VecDeque<Bytes>, Option<Bytes>)>,
}
impl Lsm {
    pub fn open(
        _: &crate::env::Env,
        _: &std::path::Path,
        _: StoreOptions,
        _: Arc<BlockCache>,
    ) -> Result<Lsm> {
        Ok(Self::default())
    }
    pub fn install(
        _: &crate::env::Env,
        _: &std::path::Path,
        _: &[InstalledTable],
        _: Bytes,
    ) -> Result<()> {
        Ok(())
    }
}
#[derive(Debug, Clone)]
pub struct InstalledTable {
    pub id: u64,
    pub level: u32,
    pub bytes: u64,
}
#[derive(Debug, Clone)]
pub struct PinnedTable {
    pub id: u64,
    pub level: u32,
    pub bytes: u64,
    pub path: std::path::PathBuf,
}
#[derive(Debug, Clone)]
pub struct PinnedTables {
    pub checkpoint: Option<Bytes>,
    pub tables: Vec<PinnedTable>,
}
pub fn table_file_name(id: u64) -> String {
    format!("{id}.table")
}
impl Store for Lsm {
    fn write(&self, r: Revision, w: &[RowWrite]) -> Result<()> {
        let mut rows = self.rows.write();
        for w in w {
            rows.insert((w.key.clone(), Reverse(r)), w.value.clone());
        }
        Ok(())
    }
    fn get(&self, k: &[u8], at: Revision) -> Result<Option<Row>> {
        let rows = self.rows.read();
        let k = Bytes::copy_from_slice(k);
        Ok(rows
            .range((k.clone(), Reverse(at))..=(k, Reverse(Revision(0))))
            .next()
            .and_then(|((_, r), v)| {
                v.clone().map(|v| Row {
                    value: v.value,
                    create_revision: v.create_revision,
                    mod_revision: r.0,
                    version: v.version,
                })
            }))
    }
    fn scan(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>> {
        let rows = self.rows.read();
        let mut out: Vec<(Bytes, Row)> = vec![];
        let mut last = None;
        for ((k, r), v) in rows.iter() {
            if !range.contains(k) || r.0 > at || last.as_ref() == Some(k) {
                continue;
            }
            last = Some(k.clone());
            if let Some(v) = v {
                out.push((
                    k.clone(),
                    Row {
                        value: v.value.clone(),
                        create_revision: v.create_revision,
                        mod_revision: r.0,
                        version: v.version,
                    },
                ));
            }
        }
        if reverse {
            out.reverse();
        }
        Ok(Box::new(out.into_iter().map(Ok)))
    }
    fn memtable_bytes(&self) -> usize {
        0
    }
    fn stalled(&self) -> bool {
        false
    }
    fn freeze(&self, b: Bytes) {
        self.frozen.lock().0.push_back(b);
    }
    fn flush(&self) -> Result<bool> {
        let mut f = self.frozen.lock();
        let b = f.0.pop_front();
        if let Some(b) = b {
            f.1 = Some(b);
            return Ok(true);
        }
        Ok(false)
    }
    fn checkpoint(&self) -> Option<Bytes> {
        self.frozen.lock().1.clone()
    }
    fn compact_step(&self, _: Revision) -> Result<bool> {
        Ok(false)
    }
    fn pin(&self) -> PinnedTables {
        PinnedTables {
            checkpoint: self.checkpoint(),
            tables: vec![],
        }
    }
    fn stats(&self) -> StoreStats {
        unimplemented!()
    }
}
