//! raft-engine: a log for many regions, with files that are used again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use super::group_commit::{BatchLog, Request};
use super::purge_every;

/// How often its owner asks it to give back files, as its documentation wants.
const PURGE_INTERVAL: Duration = Duration::from_millis(200);

/// The engine, the last index of each region, and the thread that purges.
pub(super) struct RaftEngine {
    engine: Arc<Engine>,
    last: Vec<AtomicU64>,
    purger: Option<(Sender<()>, JoinHandle<()>)>,
}

/// An entry is its index in eight bytes, then what was appended.
struct Entry;

impl MessageExt for Entry {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry
            .get_value()
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

impl RaftEngine {
    pub(super) fn open(dir: &Path, regions: usize) -> Result<Self> {
        let engine = Arc::new(Engine::open(Config {
            dir: dir.to_string_lossy().into_owned(),
            // 0 turns compression off.
            batch_compression_threshold: ReadableSize(0),
            target_file_size: ReadableSize::mb(64),
            purge_threshold: ReadableSize::mb(192),
            enable_log_recycle: true,
            ..Config::default()
        })?);
        let (stop, stopped) = channel();
        let purged = Arc::clone(&engine);
        let purger = thread::Builder::new().name("purge".into()).spawn(move || {
            while stopped.recv_timeout(PURGE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                purged.purge_expired_files().expect("purge files");
            }
        })?;
        Ok(Self {
            engine,
            last: (0..regions).map(|_| AtomicU64::new(0)).collect(),
            purger: Some((stop, purger)),
        })
    }

    fn write<'a>(
        &self,
        region: usize,
        entries: impl Iterator<Item = &'a [u8]>,
        purge_every: u64,
    ) -> Result<()> {
        let first = self.last[region].load(Ordering::Relaxed) + 1;
        let entries: Vec<BytesValue> = entries
            .zip(first..)
            .map(|(entry, index)| {
                let mut value = BytesValue::new();
                value.set_value([&index.to_le_bytes()[..], entry].concat());
                value
            })
            .collect();
        let last = first + entries.len() as u64 - 1;
        self.last[region].store(last, Ordering::Relaxed);
        // Region 0 is not allowed.
        let id = region as u64 + 1;
        let mut batch = LogBatch::default();
        batch.add_entries::<Entry>(id, &entries)?;
        self.engine.write(&mut batch, true)?;
        if last / purge_every > (first - 1) / purge_every && last > purge_every {
            self.engine.compact_to(id, last - purge_every);
        }
        Ok(())
    }
}

impl BatchLog for RaftEngine {
    fn append_batch(&self, entries: &[Request]) -> Result<()> {
        let entries = entries.iter().map(|request| &*request.entry);
        self.write(0, entries, purge_every(1))
    }

    fn append_one(&self, group: usize, entry: &[u8]) -> Result<()> {
        self.write(group, std::iter::once(entry), purge_every(self.last.len()))
    }
}

impl Drop for RaftEngine {
    fn drop(&mut self) {
        if let Some((stop, purger)) = self.purger.take() {
            drop(stop);
            // Its panic was printed already.
            let _ = purger.join();
        }
    }
}
