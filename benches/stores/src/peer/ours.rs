//! Our store with our log before it, driven as a replica drives them.
//!
//! A batch is one log entry; the entry's index is the revision of its rows and, when a memtable
//! is frozen, the checkpoint: an open replays what the log has beyond it. Two threads flush and
//! compact; the log is purged up to what a flush made durable.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use engine::cache::RowCache;
use engine::env::Env;
use engine::env::vfs::os::OsVfs;
use engine::env::workers::be_patient;
use engine::ids::{ClusterId, GroupId, LogId, LogIndex, Revision};
use engine::segment::{Log, LogEntry, LogOptions, Write};
use engine::store::{
    BlockCache, BorrowedRow, KeyRange, Lsm, NewRow, RowWrite, Store, StoreOptions,
};
use parking_lot::{Condvar, Mutex};

use super::counting::{CountingVfs, Counts};
use super::{CACHE_BYTES, Engine, ROW_CACHE_BYTES};
use crate::workload::{BATCH_ROWS, KEY_BYTES, Key};

const CLUSTER: ClusterId = ClusterId(1);
const GROUP: GroupId = GroupId(0);
const TERM: u64 = 1;

/// The keyspace that every store key begins with, as in the product.
const KEYSPACE: [u8; 4] = 1u32.to_be_bytes();

/// The log always syncs; a writer that does not wait is held back by this much unsynced.
const UNSYNCED_BYTES_MAX: usize = 16 << 20;

/// How much of the log is read at once when it is replayed.
const REPLAY_BYTES: usize = 4 << 20;

/// How long a thread waits for a condition that has no event of its own.
const POLL: Duration = Duration::from_micros(200);

/// How long nothing is flushed before a replica merges tables for the sake of reads alone.
const QUIET: Duration = Duration::from_secs(5);

/// A store, its log and its background threads.
pub struct Ours {
    shared: Arc<Shared>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    store: Lsm,
    /// Only for gets of hot rows, while nothing is written.
    rows: RowCache,
    log: Log,
    memtable_bytes: usize,
    writing: Mutex<()>,
    /// The index of the newest entry that was applied.
    applied: AtomicU64,
    hold: AtomicBool,
    work: Mutex<Work>,
    changed: Condvar,
    l0_tables_max: AtomicU64,
    stalls_us: AtomicU64,
}

#[derive(Default)]
struct Work {
    /// Last entries of frozen memtables, oldest first.
    frozen: VecDeque<u64>,
    /// Finished flushes, and those that compaction has answered.
    flushes: u64,
    compacted: u64,
    stop: bool,
}

impl Ours {
    /// Opens the store, replays the log into it and starts the threads.
    pub fn open(dir: &Path) -> Result<Self> {
        let vfs = CountingVfs::new(OsVfs::new());
        let counts = vfs.counts();
        let env = Env {
            vfs: Arc::new(vfs),
            ..Env::os()
        };
        let (log_dir, store_dir) = (dir.join("log"), dir.join("store"));
        env.vfs.create_dir_all(&log_dir)?;
        env.vfs.create_dir_all(&store_dir)?;
        let log = Log::open(&env, &log_dir, CLUSTER, LogOptions::default())?;
        let options = StoreOptions::default();
        let memtable_bytes = options.memtable_bytes;
        let store = Lsm::open(&env, &store_dir, options, BlockCache::new(CACHE_BYTES))?;
        let checkpoint = store.checkpoint().map_or(Ok(0), |bytes| index_of(&bytes))?;
        let shared = Arc::new(Shared {
            store,
            rows: RowCache::new(ROW_CACHE_BYTES),
            log,
            memtable_bytes,
            writing: Mutex::default(),
            applied: AtomicU64::new(checkpoint),
            hold: AtomicBool::new(false),
            work: Mutex::new(Work {
                // What an earlier process left is looked at once.
                flushes: 1,
                ..Work::default()
            }),
            changed: Condvar::new(),
            l0_tables_max: AtomicU64::new(0),
            stalls_us: AtomicU64::new(0),
        });
        let threads = vec![
            spawn("flush", &shared, Shared::flush_until_stopped)?,
            spawn("compact", &shared, Shared::compact_until_stopped)?,
        ];
        shared.replay()?;
        Ok(Self {
            shared,
            counts,
            threads,
        })
    }
}

impl Shared {
    fn replay(&self) -> Result<()> {
        let Some(last) = self.log.group(GROUP).last else {
            return Ok(());
        };
        loop {
            let next = LogIndex(self.applied.load(Ordering::Acquire) + 1);
            if next > last.index {
                return Ok(());
            }
            let until = LogIndex(last.index.0 + 1);
            for entry in self.log.read(GROUP, next, until, REPLAY_BYTES)? {
                self.apply(entry.log_id.index.0, &entry.body)?;
            }
        }
    }

    /// Puts an entry's rows into the store, and freezes the memtable when it is full.
    fn apply(&self, index: u64, body: &Bytes) -> Result<()> {
        let (rows, deleted) = decode(body)?;
        self.store.write(Revision(index), &rows, &deleted)?;
        self.applied.store(index, Ordering::Release);
        if self.store.memtable_bytes() >= self.memtable_bytes && !self.hold.load(Ordering::Relaxed)
        {
            self.freeze(index);
        }
        Ok(())
    }

    fn freeze(&self, index: u64) {
        let begun = std::time::Instant::now();
        let mut work = self.work.lock();
        while self.store.stalled() && !work.stop {
            self.changed.wait(&mut work);
        }
        let waited = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.stalls_us.fetch_add(waited, Ordering::Relaxed);
        self.store
            .freeze(Bytes::copy_from_slice(&index.to_le_bytes()));
        work.frozen.push_back(index);
        self.changed.notify_all();
    }

    fn flush_until_stopped(&self) -> Result<()> {
        loop {
            let index = {
                let mut work = self.work.lock();
                while work.frozen.is_empty() && !work.stop {
                    self.changed.wait(&mut work);
                }
                match work.frozen.front() {
                    Some(index) => *index,
                    None => return Ok(()),
                }
            };
            // A replica applies only what is synced, so its tables never run ahead of its log.
            while self.log.synced(GROUP) < LogIndex(index) {
                thread::sleep(POLL);
            }
            self.store.flush()?;
            let purge = Write::Purge(LogId::new(TERM, index));
            self.log
                .append(GROUP, vec![purge], Box::new(expect_appended));
            let l0_tables = self
                .store
                .stats()
                .levels
                .first()
                .map_or(0, |level| level.tables);
            self.l0_tables_max
                .fetch_max(l0_tables as u64, Ordering::Relaxed);
            let mut work = self.work.lock();
            work.frozen.pop_front();
            work.flushes += 1;
            self.changed.notify_all();
        }
    }

    fn compact_until_stopped(&self) -> Result<()> {
        be_patient();
        loop {
            let (seen, stop) = {
                let mut work = self.work.lock();
                while work.compacted == work.flushes && !work.stop {
                    let quiet = self.changed.wait_for(&mut work, QUIET).timed_out();
                    if quiet && self.store.compact_l0() {
                        break;
                    }
                }
                (work.flushes, work.stop)
            };
            if stop {
                return Ok(());
            }
            // Like its peers, the store keeps no history here.
            while self
                .store
                .compact_step(Revision(self.applied.load(Ordering::Acquire)))?
            {
                if self.work.lock().stop {
                    return Ok(());
                }
            }
            let mut work = self.work.lock();
            work.compacted = seen;
            self.changed.notify_all();
        }
    }

    fn wait_until_quiet(&self) {
        let mut work = self.work.lock();
        while !work.frozen.is_empty() || work.compacted != work.flushes {
            self.changed.wait(&mut work);
        }
    }

    fn write(&self, rows: &[(Key, Option<&[u8]>)], sync: bool) -> Result<()> {
        let _writing = self.writing.lock();
        let index = self.applied.load(Ordering::Acquire) + 1;
        let body = encode(rows)?;
        let entry = Write::Entry(LogEntry {
            log_id: LogId::new(TERM, index),
            body: body.clone(),
        });
        if sync {
            self.log.append_wait(GROUP, vec![entry])?;
        } else {
            self.log
                .append(GROUP, vec![entry], Box::new(expect_appended));
            while self.log.pending_bytes() > UNSYNCED_BYTES_MAX {
                thread::sleep(POLL);
            }
        }
        self.apply(index, &body)
    }

    fn checkpoint_now(&self) {
        let _writing = self.writing.lock();
        self.freeze(self.applied.load(Ordering::Acquire));
    }
}

impl Engine for Ours {
    fn write(&self, batch: &[(Key, &[u8])], sync: bool) -> Result<()> {
        let rows: Vec<_> = batch
            .iter()
            .map(|(key, value)| (*key, Some(*value)))
            .collect();
        self.shared.write(&rows, sync)
    }

    fn persist(&self) -> Result<()> {
        let applied = LogIndex(self.shared.applied.load(Ordering::Acquire));
        while self.shared.log.synced(GROUP) < applied {
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let found = self.shared.store.get(&store_key(key), Revision(u64::MAX))?;
        Ok(found.is_some_and(|row| {
            see(&row.value);
            true
        }))
    }

    fn get_hot(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let key = store_key(key);
        if let Some(row) = self.shared.rows.get(GROUP, &key) {
            see(&row.value);
            return Ok(true);
        }
        let read_at = Revision(self.shared.applied.load(Ordering::Acquire));
        let Some(row) = self.shared.store.get(&key, read_at)? else {
            return Ok(false);
        };
        see(&row.value);
        let key = Bytes::copy_from_slice(&key);
        self.shared.rows.fill(GROUP, key, row, read_at);
        Ok(true)
    }

    fn scan(&self, from: &Key, count: usize, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let range = KeyRange {
            start: Bytes::copy_from_slice(&store_key(from)),
            end: None,
        };
        let mut seen = 0;
        let mut rows = self.shared.store.scan(range, Revision(u64::MAX), false)?;
        let mut see = |key: &[u8], row: BorrowedRow<'_>| see(&key[KEYSPACE.len()..], row.value);
        while seen < count && rows.show_next(&mut see)? {
            seen += 1;
        }
        Ok(seen)
    }

    fn delete_prefix(&self, prefix: u8) -> Result<()> {
        let mut key = [0; KEY_BYTES];
        key[0] = prefix;
        self.shared.write(&[(key, None)], false)
    }

    fn compact(&mut self) -> Result<()> {
        self.shared.checkpoint_now();
        self.shared.wait_until_quiet();
        self.shared.store.compact_whole();
        self.shared.checkpoint_now();
        self.shared.wait_until_quiet();
        Ok(())
    }

    fn hold_checkpoints(&self) {
        self.shared.hold.store(true, Ordering::Relaxed);
    }

    fn figures(&self) -> Vec<(String, f64)> {
        let stats = self.shared.store.stats();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let mut figures = vec![
            ("log MB written".into(), count(&self.counts.log_bytes) / 1e6),
            (
                "table MB written".into(),
                count(&self.counts.store_bytes) / 1e6,
            ),
            ("flushed MB".into(), stats.flushed_bytes as f64 / 1e6),
            ("compacted MB".into(), stats.compacted_bytes as f64 / 1e6),
            ("flushes".into(), stats.flushes as f64),
            ("compactions".into(), stats.compactions as f64),
            ("syncs".into(), count(&self.counts.syncs)),
            (
                "L0 tables at most".into(),
                count(&self.shared.l0_tables_max),
            ),
            (
                "writer stalled s".into(),
                count(&self.shared.stalls_us) / 1e6,
            ),
            (
                "indexes and filters MB".into(),
                stats.resident_bytes as f64 / 1e6,
            ),
        ];
        for (number, level) in stats
            .levels
            .iter()
            .enumerate()
            .filter(|(_, l)| l.tables > 0)
        {
            figures.push((format!("L{number} tables"), level.tables as f64));
            figures.push((format!("L{number} MB"), level.bytes as f64 / 1e6));
        }
        figures
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        self.shared.hold.store(false, Ordering::Relaxed);
        self.shared.checkpoint_now();
        self.shared.work.lock().stop = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            ensure!(thread.join().is_ok(), "a background thread failed");
        }
        self.shared.store.close();
        self.shared.log.close()?;
        Ok(())
    }
}

fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    run: fn(&Shared) -> Result<()>,
) -> Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            if let Err(error) = run(&shared) {
                // The writer would wait for ever.
                eprintln!("a background thread of our store failed: {error:#}");
                std::process::abort();
            }
        })
        .context("spawn a thread")
}

fn expect_appended(result: engine::Result<()>) {
    result.expect("the log accepts what follows its last entry");
}

fn index_of(checkpoint: &[u8]) -> Result<u64> {
    Ok(u64::from_le_bytes(checkpoint.try_into()?))
}

fn store_key(key: &Key) -> [u8; KEYSPACE.len() + KEY_BYTES] {
    let mut full = [0; KEYSPACE.len() + KEY_BYTES];
    full[..KEYSPACE.len()].copy_from_slice(&KEYSPACE);
    full[KEYSPACE.len()..].copy_from_slice(key);
    full
}

/// `row = key len:u32 value`, len `u32::MAX` for a tombstone.
/// Rows; one without a value stands for all that share its key's first byte, which are deleted.
fn encode(rows: &[(Key, Option<&[u8]>)]) -> Result<Bytes> {
    let values = rows.iter().map(|(_, value)| value.map_or(0, <[u8]>::len));
    let heads = rows.len() * (KEYSPACE.len() + KEY_BYTES + 4);
    let mut body = BytesMut::with_capacity(values.sum::<usize>() + heads);
    for (key, value) in rows {
        body.put_slice(&store_key(key));
        body.put_u32_le(value.map_or(Ok(u32::MAX), |value| u32::try_from(value.len()))?);
        body.put_slice(value.unwrap_or_default());
    }
    Ok(body.freeze())
}

/// Rows that share the entry's memory, as a replica decodes them.
fn decode(body: &Bytes) -> Result<(Vec<RowWrite>, Vec<KeyRange>)> {
    const HEAD: usize = KEYSPACE.len() + KEY_BYTES + 4;
    let mut rows = Vec::with_capacity(BATCH_ROWS as usize);
    let mut deleted = Vec::new();
    let mut at = 0;
    while at < body.len() {
        ensure!(body.len() - at >= HEAD, "a row is cut off");
        let key = body.slice(at..at + HEAD - 4);
        let len = u32::from_le_bytes(body[at + HEAD - 4..at + HEAD].try_into()?);
        at += HEAD;
        if len == u32::MAX {
            deleted.push(KeyRange::prefix(key.slice(..=KEYSPACE.len())));
            continue;
        }
        let end = at + len as usize;
        ensure!(end <= body.len(), "a value is cut off");
        rows.push(RowWrite {
            key,
            value: Some(NewRow {
                value: body.slice(at..end),
                meta: RowMeta::of_bytes(Revision(1), 1),
            }),
        });
        at = end;
    }
    Ok((rows, deleted))
}
