//! The second store: reads from a sled tree, checkpoints by our own store beside it.
//!
//! sled cannot make a checkpoint durable (its `flush` does not fdatasync), its iterators see
//! several moments at once, and it takes no [`Vfs`](crate::env::Vfs). So a [`SledStore`] writes
//! everything twice: into sled, which answers every read, and into an inner [`Lsm`], which
//! alone freezes, flushes, pins and recovers. It is there to be compared with, not for
//! production: docs/adr/2026-11-21-own-lsm-with-sled-as-second-backend.md says what it costs.
//!
//! ```text
//! write ──► Lsm (memtable, tables, checkpoint)      durable truth
//!     └───► sled: key ‖ !revision → row             every get and scan
//!
//! folder = the Lsm's files  sled/  SLED-CLEAN
//! ```
//!
//! # Invariants
//! - A version is never changed once its revision was published, except by a later write of the
//!   same revision; so a walk over sled meets the right version of each row, whatever else it meets.
//! - A version is dropped only when neither the floor, nor a running scan, nor the newest durable
//!   checkpoint needs it; older versions go before the tombstone that hides them.
//! - sled's folder is used only after a clean end, and only if it holds exactly the rows of the
//!   Lsm's checkpoint. Otherwise it is removed and filled from there, and the log is replayed.
//!
//! # Not here
//! sled's own files and threads: see [`tree`].

mod tree;
mod version_key;

mod scan;

mod surplus;
mod sweep;

mod clean_end;
mod rebuild;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::row::{NewRow, Row, RowWrite};
use super::{BlockCache, KeyRange, Lsm, PinnedTables, RowIter, Store, StoreOptions, StoreStats};
use crate::Result;
use crate::env::Env;
use crate::ids::Revision;
use scan::{Scan, Scans};
use surplus::Surplus;
use sweep::Sweep;
use tree::{Changes, Tree};

/// sled's folder inside the store's.
const FOLDER: &str = "sled";

/// Bytes of changes that go to sled at once.
const BATCH_BYTES: usize = 1 << 20;

/// A store in one folder, read from sled.
#[derive(Debug)]
pub struct SledStore {
    env: Env,
    dir: PathBuf,
    lsm: Lsm,
    /// Taken by the end alone.
    tree: Option<Arc<Tree>>,
    scans: Arc<Scans>,
    /// The highest revision of which every row is readable.
    written: AtomicU64,
    /// What a restart would not find in the checkpoint; locked by writes.
    surplus: Mutex<Surplus>,
    sweep: Sweep,
    closed: AtomicBool,
}

impl SledStore {
    /// Opens a folder, or begins a store in it; the state is that of the newest durable
    /// checkpoint. On any disk but the system's own, sled's part is temporary.
    ///
    /// # Errors
    /// As [`Lsm::open`]; `Io` if sled cannot be filled.
    pub fn open(
        env: &Env,
        dir: &Path,
        options: StoreOptions,
        blocks: Arc<BlockCache>,
    ) -> Result<Self> {
        let cache_bytes = blocks.budget();
        let lsm = Lsm::open(env, dir, options, blocks)?;
        let folder = env.vfs.is_system().then(|| dir.join(FOLDER));
        let mut durable = lsm.written();
        let tree = match &folder {
            Some(folder) => {
                let mark = clean_end::take(env, dir)?;
                let mark = mark.filter(|mark| mark.is_at(lsm.checkpoint()));
                durable = mark.map_or(durable, |mark| mark.revision.max(durable));
                rebuild::reopen(env, folder, cache_bytes, mark.is_some(), &lsm)?
            }
            None => rebuild::fill(Tree::temporary(cache_bytes)?, &lsm)?,
        };
        Ok(Self {
            env: env.clone(),
            dir: dir.to_owned(),
            tree: Some(Arc::new(tree)),
            scans: Arc::default(),
            written: AtomicU64::new(durable.0),
            surplus: Mutex::new(Surplus::new(durable, folder.is_some())),
            sweep: Sweep::default(),
            closed: AtomicBool::new(false),
            lsm,
        })
    }

    fn tree(&self) -> &Arc<Tree> {
        self.tree.as_ref().expect("it is taken by the end alone")
    }

    /// The revision to read for `at`: nothing of a write that is still going on.
    fn readable(&self, at: Revision) -> Revision {
        at.min(Revision(self.written.load(Ordering::Acquire)))
    }

    /// Writes to sled what the Lsm has taken.
    fn mirror(
        &self,
        surplus: &mut Surplus,
        revision: Revision,
        writes: &[RowWrite],
        deleted: &[KeyRange],
    ) -> Result<()> {
        let mut changes = Changes::default();
        let mut put = |changes: &mut Changes, key: &[u8], row: Option<&NewRow>| {
            surplus.note(revision, changes.put(revision, key, row));
            self.sweep.note_written();
        };
        for range in deleted.iter().filter(|range| !range.is_empty()) {
            // sled knows no deleted ranges: each row gets a tombstone.
            let newest = self.readable(Revision(u64::MAX));
            for item in Scan::new(self.tree(), &self.scans, range, newest, false) {
                let (key, row) = item?;
                if row.mod_revision < revision {
                    put(&mut changes, &key, None);
                }
                if changes.bytes() >= BATCH_BYTES {
                    self.tree().apply(std::mem::take(&mut changes))?;
                }
            }
        }
        for write in writes {
            put(&mut changes, &write.key, write.value.as_ref());
        }
        self.tree().apply(changes)
    }

    /// Up to where versions may be dropped from sled. Below the newest revision, so that what is
    /// being dropped is not being written again; a scan that begins later reads above the floor.
    fn sweep_floor(&self, floor: Revision) -> Revision {
        let durable = self.surplus.lock().durable();
        let needed = self.scans.lowest().unwrap_or(floor);
        let newest = self.written.load(Ordering::Acquire);
        let unchanging = Revision(newest.saturating_sub(1));
        floor.min(durable).min(needed).min(unchanging)
    }

    /// How many versions sled holds.
    #[cfg(test)]
    pub(super) fn version_count(&self) -> usize {
        self.tree().len()
    }

    /// Takes back what no checkpoint covers, and marks sled's folder as sound; nothing if
    /// somebody still reads, or if it is not known what to take back.
    fn end(&mut self) -> Result<()> {
        let surplus = self.surplus.get_mut();
        let (durable, surplus) = (surplus.durable(), surplus.take());
        let tree = self.tree.take().and_then(Arc::into_inner);
        let (Some(keys), Some(tree), true) = (surplus, tree, self.lsm.is_running()) else {
            return Ok(());
        };
        tree.remove_all(keys)?;
        tree.end(&self.env, &self.dir.join(FOLDER))?;
        let mark = clean_end::Mark::new(self.lsm.checkpoint(), durable);
        clean_end::write(&self.env, &self.dir, mark)
    }
}

impl Store for SledStore {
    fn write(&self, revision: Revision, writes: &[RowWrite], deleted: &[KeyRange]) -> Result<()> {
        let mut surplus = self.surplus.lock();
        self.lsm.write(revision, writes, deleted)?;
        // The two must not part: sled's failure stops the whole store.
        self.mirror(&mut surplus, revision, writes, deleted)
            .map_err(|error| self.lsm.stop(error))?;
        self.written.store(revision.0, Ordering::Release);
        Ok(())
    }

    fn get(&self, key: &[u8], at: Revision) -> Result<Option<Row>> {
        self.tree().get(key, self.readable(at))
    }

    fn scan(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>> {
        let at = self.readable(at);
        let scan = Scan::new(self.tree(), &self.scans, &range, at, reverse);
        Ok(Box::new(scan))
    }

    fn scan_keys(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>> {
        let at = self.readable(at);
        let scan = Scan::new(self.tree(), &self.scans, &range, at, reverse);
        Ok(Box::new(scan.keys_only()))
    }

    fn memtable_bytes(&self) -> usize {
        self.lsm.memtable_bytes()
    }

    fn unflushed_bytes(&self) -> usize {
        self.lsm.unflushed_bytes()
    }

    fn stalled(&self) -> bool {
        self.lsm.stalled()
    }

    fn freeze(&self, checkpoint: Bytes) {
        // Under one lock, so that a flush finds the two in step.
        let mut surplus = self.surplus.lock();
        self.lsm.freeze(checkpoint);
        surplus.freeze(Revision(self.written.load(Ordering::Acquire)));
    }

    fn flush(&self) -> Result<bool> {
        let flushed = self.lsm.flush()?;
        if flushed {
            self.surplus.lock().flushed();
        }
        Ok(flushed)
    }

    fn checkpoint(&self) -> Option<Bytes> {
        self.lsm.checkpoint()
    }

    fn compact_whole(&self) {
        self.lsm.compact_whole();
    }

    fn compact_l0(&self) -> bool {
        self.lsm.compact_l0()
    }

    fn compaction_bytes(&self, floor: Revision) -> Option<u64> {
        self.lsm.compaction_bytes(floor)
    }

    fn compact_step(&self, floor: Revision) -> Result<bool> {
        let merged = self.lsm.compact_step(floor)?;
        let swept = self.sweep.step(self.tree(), self.sweep_floor(floor));
        Ok(merged | swept.map_err(|error| self.lsm.stop(error))?)
    }

    fn pin(&self) -> PinnedTables {
        self.lsm.pin()
    }

    fn stats(&self) -> StoreStats {
        self.lsm.stats()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lsm.close();
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // The folder of a closed store may be another's.
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.end() {
            tracing::warn!(dir = %self.dir.display(), %error, "sled will be filled anew");
        }
    }
}
