//! The store itself: one writer, any number of readers, and the two background works.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::block_cache::BlockCache;
use super::cleaning::Leftovers;
use super::compaction::{Asked, Compaction, Plan, pick};
use super::deleted::{DeletedRange, DeletedRanges};
use super::folder::Folder;
use super::iter::{Direction, VisibleRows};
use super::key::KeyRange;
use super::manifest::{Edit, Manifest, TableRecord, sync_dir};
use super::memtable::Memtable;
use super::options::{LevelStats, StoreOptions, StoreStats};
use super::pin::{InstalledTable, PinnedTables};
use super::recovery;
use super::row::{Found, Row, RowWrite};
use super::table::{Table, TableWriter, WrittenTable, hash_key};
use super::version::{Frozen, Version, table_of};
use super::{RowIter, Store};
use crate::env::Env;
use crate::failpoint::{Point, hit};
use crate::ids::Revision;
use crate::limits::DELETED_RANGES_MAX;
use crate::{Error, ErrorKind, Result};

/// Most bytes of one row: blocks and sections count with 32 bits.
const ROW_BYTES_MAX: usize = 1 << 30;

/// A log-structured store in one folder.
pub struct Lsm {
    env: Env,
    folder: Arc<Folder>,
    options: StoreOptions,
    blocks: Arc<BlockCache>,
    /// Read at any time; replaced only under `changing`.
    current: ArcSwap<Version>,
    changing: Mutex<()>,
    /// Flushed memtables that readers may still hold: none of them shall pay for freeing one.
    retired: Mutex<Vec<Arc<Memtable>>>,
    asked: Mutex<Asked>,
    /// The highest revision of which every row is readable.
    written: AtomicU64,
    writing: Mutex<()>,
    flushing: Mutex<()>,
    compacting: Mutex<Option<Box<Compaction>>>,
    manifest: Mutex<Manifest>,
    stopped: RwLock<Option<Error>>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    flushes: AtomicU64,
    compactions: AtomicU64,
    flushed_bytes: AtomicU64,
    compacted_bytes: AtomicU64,
    dropped_versions: AtomicU64,
}

/// Tables whose files are complete, open and durable, but not in the manifest yet.
struct Adopted {
    records: Vec<TableRecord>,
    tables: Vec<(usize, Arc<Table>)>,
}

/// A change of the levels, once its files are durable.
struct Publication {
    edit: Edit,
    added: Vec<(usize, Arc<Table>)>,
    removed: Vec<(usize, Arc<Table>)>,
}

impl Lsm {
    /// Opens a folder, or begins a store in it. The state is that of the newest durable
    /// checkpoint; what was written later is gone, and replayed by the caller.
    ///
    /// The folder must be this store's alone; the caller holds a lock.
    ///
    /// # Errors
    /// `Corrupt` with the file and offset if the manifest or a table is damaged: nothing was
    /// changed. `Unsupported` for a newer format. `Io` and `Full` from the disk.
    pub fn open(
        env: &Env,
        dir: &Path,
        options: StoreOptions,
        blocks: Arc<BlockCache>,
    ) -> Result<Self> {
        let recovered = recovery::recover(env, dir, &blocks)?;
        let tables = recovered.version.levels.tables();
        let deleted = recovered.version.deleted.ranges().iter();
        let written = tables
            .map(|(_, table)| table.properties.revision_max.0)
            .chain(deleted.map(|deleted| deleted.revision.0))
            .max();
        recovered.folder.open();
        Ok(Self {
            env: env.clone(),
            folder: recovered.folder,
            options,
            blocks,
            current: ArcSwap::from_pointee(recovered.version),
            changing: Mutex::default(),
            retired: Mutex::default(),
            asked: Mutex::default(),
            written: AtomicU64::new(written.unwrap_or(0)),
            writing: Mutex::new(()),
            flushing: Mutex::new(()),
            compacting: Mutex::default(),
            manifest: Mutex::new(recovered.manifest),
            stopped: RwLock::new(None),
            counters: Counters::default(),
        })
    }

    /// Builds the manifest of a fresh folder from received table and blob files, which are in
    /// `dir` already and synced, the deleted ranges that belong to them, and a checkpoint. Durable
    /// when this returns.
    ///
    /// # Errors
    /// `Invalid` if the folder is in use or a level is out of range; `Corrupt` if a file is not
    /// what it should be.
    pub fn install(
        env: &Env,
        dir: &Path,
        tables: &[InstalledTable],
        deleted: &[DeletedRange],
        checkpoint: Bytes,
    ) -> Result<()> {
        recovery::install(env, dir, tables, deleted, checkpoint)
    }

    /// The highest revision that was written.
    #[cfg(feature = "sled")]
    pub(super) fn written(&self) -> Revision {
        Revision(self.written.load(Ordering::Acquire))
    }

    /// Whether the store is neither closed nor poisoned.
    #[cfg(feature = "sled")]
    pub(super) fn is_running(&self) -> bool {
        self.stopped.read().is_none()
    }

    pub(super) fn version(&self) -> Arc<Version> {
        self.current.load_full()
    }

    /// The revision to read for `at`: nothing of a write that is still going on.
    fn readable(&self, at: Revision) -> Revision {
        at.min(Revision(self.written.load(Ordering::Acquire)))
    }

    fn visible(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<VisibleRows> {
        let direction = if reverse {
            Direction::Reverse
        } else {
            Direction::Forward
        };
        VisibleRows::new(&self.version(), range, self.readable(at), direction)
    }

    /// Never so few that no compaction would be due.
    fn stall_tables(&self) -> usize {
        self.options.l0_stall_tables.max(self.options.l0_tables + 1)
    }

    fn check_running(&self) -> Result<()> {
        match &*self.stopped.read() {
            None => Ok(()),
            Some(cause) => Err(Error::new(
                ErrorKind::Stopped,
                format!("the store stopped: {cause}"),
            )),
        }
    }

    /// Poisons the store: what the disk holds is no longer known.
    pub(super) fn stop(&self, cause: Error) -> Error {
        let error = Error::poisoning("the store", cause);
        let mut stopped = self.stopped.write();
        if stopped.is_none() {
            tracing::error!(folder = %self.folder.path.display(), %error, "store stopped");
            *stopped = Some(error.again());
            // The manifest may name what it was about to name: every file stays.
            self.folder.close();
        }
        error
    }

    fn create_table(&self, cleaned: Revision) -> Result<TableWriter> {
        let id = self.manifest.lock().take_id();
        let salt = self.env.rng.next_u64();
        TableWriter::create(&self.folder, id, salt, &self.options, cleaned)
    }

    /// Writes a memtable's versions into a table, synced but not named anywhere yet; none if there
    /// are none. It is not cut: each table of L0 is one more that every read asks.
    fn write_table(&self, memtable: &Arc<Memtable>) -> Result<Option<WrittenTable>> {
        let mut writer: Option<TableWriter> = None;
        memtable.for_each(|place, row| {
            let writer = match &mut writer {
                Some(writer) => writer,
                empty => empty.insert(self.create_table(Revision(0))?),
            };
            writer.add(place, row)
        })?;
        writer.map(TableWriter::finish).transpose()
    }

    /// Frees the memtables that no reader holds any more.
    fn free_retired(&self) {
        let mut retired = self.retired.lock();
        retired.retain(|memtable| Arc::strong_count(memtable) > 1);
    }

    /// Opens finished tables and makes their names durable.
    fn adopt(&self, written: &mut [WrittenTable], level: usize) -> Result<Adopted> {
        let mut records = Vec::new();
        let mut tables = Vec::new();
        for table in written.iter() {
            let opened = Table::open(&self.folder, table.id, table.len, &self.blocks)?;
            tables.push((level, Arc::new(opened)));
            records.push(TableRecord {
                id: table.id,
                level,
                len: table.len,
                properties: table.properties.clone(),
            });
        }
        if !written.is_empty() {
            // A failed sync is never retried, and the names of all files are in this folder.
            sync_dir(&self.env.vfs, &self.folder.path).map_err(|e| self.stop(e))?;
        }
        Ok(Adopted { records, tables })
    }

    /// Makes a change of the levels durable, then visible, as one.
    fn publish(
        &self,
        written: &mut [WrittenTable],
        publication: Publication,
        flushed: bool,
    ) -> Result<()> {
        let Publication {
            edit,
            added,
            removed,
        } = publication;
        let checkpoint = edit.checkpoint.clone();
        let ranges_change = !edit.deleted.is_empty() || !edit.forgotten.is_empty();
        let mut manifest = self.manifest.lock();
        self.check_running()?;
        if let Err(error) = manifest.commit(edit) {
            // Nothing was changed: the tables are removed, and written again later.
            if error.kind() == ErrorKind::Full {
                return Err(error);
            }
            return Err(self.stop(error));
        }
        written.iter_mut().for_each(WrittenTable::publish);
        let places: Vec<_> = removed
            .iter()
            .map(|(level, table)| (*level, table.id))
            .collect();
        // Only the holder of the manifest changes levels, so they may be prepared before the lock
        // that readers need.
        let levels = self.version().levels.edited(&added, &places);
        let deleted = ranges_change.then(|| {
            let ranges = manifest.state().deleted.iter().cloned();
            Arc::new(DeletedRanges::new(ranges))
        });
        {
            let _changing = self.changing.lock();
            let current = self.current.load();
            let mut frozen = current.frozen.clone();
            if flushed {
                frozen.pop();
            }
            self.current.store(Arc::new(Version {
                active: Arc::clone(&current.active),
                frozen,
                levels,
                deleted: deleted.unwrap_or_else(|| Arc::clone(&current.deleted)),
                checkpoint: checkpoint.or_else(|| current.checkpoint.clone()),
            }));
        }
        drop(manifest);
        for (_, table) in removed {
            if !added.iter().any(|(_, kept)| kept.id == table.id) {
                table.set_obsolete();
            }
        }
        Ok(())
    }

    fn move_tables(&self, plan: &Plan) -> Result<()> {
        let level = plan.output;
        let records = plan.upper.iter().map(|table| TableRecord {
            id: table.id,
            level,
            len: table.len,
            properties: table.properties.clone(),
        });
        let edit = Edit {
            added: records.collect(),
            removed: plan.upper.iter().map(|table| table.id).collect(),
            ..Edit::default()
        };
        let moved = |level| {
            plan.upper
                .iter()
                .map(move |table| (level, Arc::clone(table)))
        };
        let publication = Publication {
            edit,
            added: moved(level).collect(),
            removed: moved(plan.level).collect(),
        };
        self.publish(&mut [], publication, false)?;
        hit(Point::TablesMoved);
        Ok(())
    }

    /// Deletes the rows of a range one by one: as many ranges as there may be are remembered.
    fn delete_each(
        &self,
        version: &Arc<Version>,
        range: &KeyRange,
        revision: Revision,
    ) -> Result<()> {
        let at = self.readable(Revision(u64::MAX));
        for item in VisibleRows::new(version, range.clone(), at, Direction::Forward)? {
            let (key, row) = item?;
            if row.mod_revision < revision {
                let deleted = RowWrite { key, value: None };
                version.active.write(revision, &[deleted]);
            }
        }
        Ok(())
    }

    fn drop_leftovers(&self, leftovers: Leftovers) -> Result<()> {
        let Leftovers { tables, ranges } = leftovers;
        tracing::debug!(
            tables = tables.len(),
            ranges = ranges.len(),
            "deleted ranges dropped"
        );
        let edit = Edit {
            removed: tables.iter().map(|(_, table)| table.id).collect(),
            forgotten: ranges,
            ..Edit::default()
        };
        let publication = Publication {
            edit,
            added: Vec::new(),
            removed: tables,
        };
        self.publish(&mut [], publication, false)
    }

    fn finish_compaction(&self, mut compaction: Compaction) -> Result<()> {
        let level = compaction.plan.output;
        hit(Point::CompactionWritten);
        let adopted = self.adopt(&mut compaction.outputs, level)?;
        let bytes = compaction.outputs.iter().map(|table| table.len).sum();
        let plan = &compaction.plan;
        let inputs = plan.inputs();
        let removed: Vec<_> = inputs.map(|(level, t)| (level, Arc::clone(t))).collect();
        let edit = Edit {
            added: adopted.records,
            removed: removed.iter().map(|(_, table)| table.id).collect(),
            ..Edit::default()
        };
        tracing::debug!(
            level,
            inputs = removed.len(),
            outputs = adopted.tables.len(),
            dropped = compaction.dropped,
            "compacted"
        );
        let publication = Publication {
            edit,
            added: adopted.tables,
            removed,
        };
        self.publish(&mut compaction.outputs, publication, false)?;
        hit(Point::CompactionPublished);
        let counters = &self.counters;
        counters.compacted_bytes.fetch_add(bytes, Ordering::Relaxed);
        counters
            .dropped_versions
            .fetch_add(compaction.dropped, Ordering::Relaxed);
        Ok(())
    }
}

impl Store for Lsm {
    fn write(&self, revision: Revision, writes: &[RowWrite], deleted: &[KeyRange]) -> Result<()> {
        let _writing = self.writing.lock();
        self.check_running()?;
        if revision.0 < self.written.load(Ordering::Acquire) {
            let message = format!("write at revision {revision}, below one that was written");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let too_long = writes.iter().any(|write| {
            let value_len = write.value.as_ref().map_or(0, |row| row.value.len());
            write.key.len().saturating_add(value_len) > ROW_BYTES_MAX
        });
        if too_long {
            let message = format!("write a row of more than {ROW_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let version = self.version();
        let active = &version.active;
        for range in deleted.iter().filter(|range| !range.is_empty()) {
            if version.deleted_ranges() < DELETED_RANGES_MAX {
                active.delete_range(DeletedRange {
                    range: range.clone(),
                    revision,
                });
            } else {
                self.delete_each(&version, range, revision)?;
            }
        }
        active.write(revision, writes);
        self.written.store(revision.0, Ordering::Release);
        Ok(())
    }

    fn get(&self, key: &[u8], at: Revision) -> Result<Option<Row>> {
        let at = self.readable(at);
        let version = self.current.load();
        let hidden_below = version.hidden_below(key, at);
        let visible = |found: Found| {
            if found.revision < hidden_below {
                return Ok(None);
            }
            found.into_row()
        };
        let frozen = version.frozen.iter().map(|frozen| &frozen.memtable);
        for memtable in std::iter::once(&version.active).chain(frozen) {
            if let Some(found) = memtable.get(key, at) {
                return visible(found);
            }
        }
        let hash = hash_key(key);
        for table in version.levels.level(0).iter() {
            if table.properties.covers(key)
                && let Some(found) = table.get(key, at, hash)?
            {
                return visible(found);
            }
        }
        for level in version.levels.iter().skip(1) {
            if let Some(table) = table_of(level, key)
                && let Some(found) = table.get(key, at, hash)?
            {
                return visible(found);
            }
        }
        Ok(None)
    }

    fn scan(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>> {
        Ok(Box::new(self.visible(range, at, reverse)?))
    }

    fn scan_keys(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>> {
        Ok(Box::new(self.visible(range, at, reverse)?.keys_only()))
    }

    fn memtable_bytes(&self) -> usize {
        self.current.load().active.bytes()
    }

    fn unflushed_bytes(&self) -> usize {
        let current = self.current.load();
        let frozen = current.frozen.iter();
        let frozen: usize = frozen.map(|frozen| frozen.memtable.bytes()).sum();
        current.active.bytes() + frozen
    }

    fn stalled(&self) -> bool {
        let current = self.current.load();
        current.frozen.len() >= self.options.frozen_max.max(1)
            || current.levels.level(0).len() >= self.stall_tables()
    }

    fn freeze(&self, checkpoint: Bytes) {
        let _writing = self.writing.lock();
        let _changing = self.changing.lock();
        let mut next = Version::clone(&self.current.load());
        let memtable = std::mem::replace(&mut next.active, Arc::new(Memtable::new()));
        next.frozen.insert(
            0,
            Frozen {
                memtable,
                checkpoint,
            },
        );
        self.current.store(Arc::new(next));
    }

    fn flush(&self) -> Result<bool> {
        let _flushing = self.flushing.lock();
        self.check_running()?;
        let Some(oldest) = self.version().frozen.last().cloned() else {
            return Ok(false);
        };
        let mut written = self.write_table(&oldest.memtable)?;
        let adopted = self.adopt(written.as_mut_slice(), 0)?;
        let bytes = written.iter().map(|table| table.len).sum();
        let edit = Edit {
            added: adopted.records,
            checkpoint: Some(oldest.checkpoint),
            deleted: oldest.memtable.deleted(),
            ..Edit::default()
        };
        tracing::debug!(tables = adopted.tables.len(), bytes, "memtable flushed");
        let publication = Publication {
            edit,
            added: adopted.tables,
            removed: Vec::new(),
        };
        self.publish(written.as_mut_slice(), publication, true)?;
        hit(Point::FlushPublished);
        self.retired.lock().push(oldest.memtable);
        self.free_retired();
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        let flushed = &self.counters.flushed_bytes;
        flushed.fetch_add(bytes, Ordering::Relaxed);
        Ok(true)
    }

    fn checkpoint(&self) -> Option<Bytes> {
        self.current.load().checkpoint.clone()
    }

    fn compact_whole(&self) {
        let next_id = self.manifest.lock().state().next_id;
        let mut asked = self.asked.lock();
        asked.whole_before = next_id;
        asked.whole_until = self.readable(Revision(u64::MAX));
    }

    fn compact_l0(&self) -> bool {
        let worth_it = Plan::of_l0(&self.version().levels).is_worth_it();
        if worth_it {
            let next_id = self.manifest.lock().state().next_id;
            self.asked.lock().l0_before = next_id;
        }
        worth_it
    }

    fn compaction_bytes(&self, floor: Revision) -> Option<u64> {
        if self.compacting.lock().is_some() {
            return None;
        }
        let version = self.version();
        if !Leftovers::find(&version, floor).is_empty() {
            return Some(0);
        }
        let plan = pick(&version, floor, &self.options, *self.asked.lock());
        let plan = plan.unwrap_or_else(|| Plan::of_l0(&version.levels));
        Some(plan.output_bytes_max(&version.levels))
    }

    fn compact_step(&self, floor: Revision) -> Result<bool> {
        let mut compacting = self.compacting.lock();
        self.check_running()?;
        self.free_retired();
        // Taken out, so that an error drops it and its unfinished files.
        let mut running = if let Some(running) = compacting.take() {
            running
        } else {
            let version = self.version();
            let leftovers = Leftovers::find(&version, floor);
            if !leftovers.is_empty() {
                self.drop_leftovers(leftovers)?;
                return Ok(true);
            }
            let Some(plan) = pick(&version, floor, &self.options, *self.asked.lock()) else {
                return Ok(false);
            };
            if plan.is_move() {
                self.move_tables(&plan)?;
                return Ok(true);
            }
            hit(Point::CompactionBegun);
            let table_bytes = self.options.table_bytes;
            Box::new(Compaction::new(plan, &version, floor, table_bytes)?)
        };
        let cleaned = running.cleaned();
        if running.step(|| self.create_table(cleaned))? {
            self.finish_compaction(*running)?;
            self.counters.compactions.fetch_add(1, Ordering::Relaxed);
        } else {
            *compacting = Some(running);
        }
        Ok(true)
    }

    fn pin(&self) -> PinnedTables {
        PinnedTables::new(&self.version())
    }

    fn stats(&self) -> StoreStats {
        let version = self.version();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let levels = version.levels.iter().map(|level| LevelStats {
            tables: level.len(),
            bytes: level.iter().map(|table| table.len).sum(),
            entries: level.iter().map(|table| table.properties.entries).sum(),
        });
        let frozen = version.frozen.iter();
        let tables = version.levels.tables();
        let blobs = tables.flat_map(|(_, table)| table.blob_files());
        let blobs: BTreeMap<u64, u64> = blobs.map(|file| (file.id, file.len)).collect();
        let tables = version.levels.tables();
        StoreStats {
            memtable_bytes: version.active.bytes(),
            frozen: version.frozen.len(),
            frozen_bytes: frozen.map(|frozen| frozen.memtable.bytes()).sum(),
            levels: levels.collect(),
            deleted_ranges: version.deleted.ranges().len(),
            blob_files: blobs.len(),
            blob_bytes: blobs.values().sum(),
            resident_bytes: tables.map(|(_, table)| table.resident_bytes() as u64).sum(),
            flushes: count(&self.counters.flushes),
            compactions: count(&self.counters.compactions),
            flushed_bytes: count(&self.counters.flushed_bytes),
            compacted_bytes: count(&self.counters.compacted_bytes),
            dropped_versions: count(&self.counters.dropped_versions),
        }
    }

    fn close(&self) {
        let _flushing = self.flushing.lock();
        let mut compacting = self.compacting.lock();
        let _writing = self.writing.lock();
        self.stopped.write().get_or_insert_with(|| {
            let message = format!("{} was closed", self.folder.path.display());
            Error::new(ErrorKind::Stopped, message)
        });
        // Its unfinished files go now, while they are surely its own.
        *compacting = None;
        self.folder.close();
    }
}

impl Drop for Lsm {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Lsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lsm")
            .field("dir", &self.folder.path)
            .field("version", &self.current.load())
            .finish_non_exhaustive()
    }
}
