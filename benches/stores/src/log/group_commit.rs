//! Asynchronous appends for logs that only have synced batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context, Result};

use super::Appendable;

/// A log that writes batches.
pub(super) trait BatchLog: Send + Sync + 'static {
    /// Appends entries to group 0 as one synced batch.
    fn append_batch(&self, entries: &[Request]) -> Result<()>;

    /// Appends one entry to a group as a synced batch.
    fn append_one(&self, group: usize, entry: &[u8]) -> Result<()>;
}

/// An entry, and who waits for it.
pub(super) struct Request {
    pub(super) entry: Box<[u8]>,
    appender: usize,
    done: Sender<usize>,
}

/// One writer thread that makes one batch of all that waits.
pub(super) struct GroupCommit<L> {
    log: Arc<L>,
    requests: Sender<Request>,
    batches: Arc<AtomicU64>,
}

/// Most entries of one batch.
const BATCH_ENTRIES_MAX: usize = 16_384;

impl<L: BatchLog> GroupCommit<L> {
    pub(super) fn new(log: L) -> Result<Self> {
        let log = Arc::new(log);
        let batches = Arc::<AtomicU64>::default();
        let (requests, received) = channel();
        let (writer_log, writer_batches) = (Arc::clone(&log), Arc::clone(&batches));
        thread::Builder::new()
            .name("group-commit".into())
            .spawn(move || write_batches(writer_log.as_ref(), &received, &writer_batches))?;
        Ok(Self {
            log,
            requests,
            batches,
        })
    }
}

fn write_batches(log: &impl BatchLog, requests: &Receiver<Request>, batches: &AtomicU64) {
    let mut batch = Vec::new();
    while let Ok(first) = requests.recv() {
        batch.push(first);
        batch.extend(requests.try_iter().take(BATCH_ENTRIES_MAX - 1));
        log.append_batch(&batch).expect("append a batch");
        batches.fetch_add(1, Ordering::Relaxed);
        for request in batch.drain(..) {
            // Nobody listens any more once the measurement is over.
            let _ = request.done.send(request.appender);
        }
    }
}

impl<L: BatchLog> Appendable for GroupCommit<L> {
    fn append(&self, entry: &[u8], appender: usize, done: &Sender<usize>) -> Result<()> {
        let request = Request {
            entry: entry.into(),
            appender,
            done: done.clone(),
        };
        self.requests
            .send(request)
            .ok()
            .context("the writer is gone")
    }

    fn append_wait(&self, group: usize, entry: &[u8]) -> Result<()> {
        self.log.append_one(group, entry)
    }

    /// Only its own batches: a log's group commits cannot be seen from here.
    fn syncs(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }
}
