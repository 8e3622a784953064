//! Our log: appends are queued, and one job syncs them in groups.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use anyhow::Result;
use bytes::Bytes;
use engine::env::Env;
use engine::ids::{ClusterId, GroupId, LogId};
use engine::segment::{Log, LogEntry, LogOptions, Write};

use super::{Appendable, purge_every};

const TERM: u64 = 1;

/// The log, and the last index of each group.
pub(super) struct Ours {
    log: Log,
    last: Vec<AtomicU64>,
}

impl Ours {
    pub(super) fn open(dir: &Path, groups: usize) -> Result<Self> {
        Ok(Self {
            log: Log::open(&Env::os(), dir, ClusterId(1), LogOptions::default())?,
            last: (0..groups).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The next entry of a group, and a purge when it is time for one. Only one thread appends
    /// to a group.
    fn writes(&self, group: usize, entry: &[u8], purge_every: u64) -> Vec<Write> {
        let index = self.last[group].fetch_add(1, Ordering::Relaxed) + 1;
        let mut writes = vec![Write::Entry(LogEntry {
            log_id: LogId::new(TERM, index),
            body: Bytes::copy_from_slice(entry),
        })];
        if index.is_multiple_of(purge_every) && index > purge_every {
            writes.push(Write::Purge(LogId::new(TERM, index - purge_every)));
        }
        writes
    }
}

impl Appendable for Ours {
    fn append(&self, entry: &[u8], appender: usize, done: &Sender<usize>) -> Result<()> {
        let writes = self.writes(0, entry, purge_every(1));
        let done = done.clone();
        let tell = move |result: engine::Result<()>| {
            result.expect("the log accepts what follows its last entry");
            // Nobody listens any more once the measurement is over.
            let _ = done.send(appender);
        };
        self.log.append(GroupId(0), writes, Box::new(tell));
        Ok(())
    }

    fn append_wait(&self, group: usize, entry: &[u8]) -> Result<()> {
        let writes = self.writes(group, entry, purge_every(self.last.len()));
        let group = GroupId(u32::try_from(group)?);
        Ok(self.log.append_wait(group, writes)?)
    }

    fn syncs(&self) -> u64 {
        self.log.stats().group_commits
    }
}
