//! Closed-loop clients: each has one request open, and sends the next when it is answered.
//!
//! ```text
//! start ──► warm up (not counted) ──► count ──► stop; requests still open are not counted
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::workload::Worker;

const WARMING_UP: u8 = 0;
const COUNTING: u8 = 1;
const STOPPED: u8 = 2;
/// A client whose requests fail must not keep a core busy with that.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    phase: Arc<AtomicU8>,
    clients: JoinSet<Counted>,
}

/// What one client saw.
#[derive(Debug, Default)]
struct Counted {
    latencies: Vec<Duration>,
    errors: u64,
    first_error: Option<String>,
}

/// What all clients saw together.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Answered requests.
    pub operations: u64,
    /// Failed requests.
    pub errors: u64,
    /// One of the failures.
    pub first_error: Option<String>,
    /// Latencies of the answered requests, in nanoseconds.
    pub latencies: Histogram<u64>,
}

impl Load {
    /// Starts so many clients, spread evenly over the workers.
    pub fn start(workers: &[Arc<Worker>], clients: usize) -> Self {
        let phase = Arc::new(AtomicU8::new(WARMING_UP));
        let mut tasks = JoinSet::new();
        for worker in workers.iter().cycle().take(clients) {
            tasks.spawn(client(Arc::clone(worker), Arc::clone(&phase)));
        }
        Self {
            phase,
            clients: tasks,
        }
    }

    /// From now on requests count.
    pub fn count(&self) {
        self.phase.store(COUNTING, Ordering::Release);
    }

    /// From now on they count no longer, and no new ones are sent.
    pub fn stop(&self) {
        self.phase.store(STOPPED, Ordering::Release);
    }

    /// Waits for the requests that are open after [`stop`](Self::stop).
    pub async fn finish(mut self) -> Result<Outcome> {
        let mut outcome = Outcome {
            operations: 0,
            errors: 0,
            first_error: None,
            latencies: Histogram::new(3).context("make a histogram of three digits")?,
        };
        while let Some(counted) = self.clients.join_next().await {
            let counted = counted.context("a client panicked")?;
            outcome.errors += counted.errors;
            outcome.first_error = outcome.first_error.or(counted.first_error);
            for latency in counted.latencies {
                outcome.operations += 1;
                let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
                // Not `saturating_record`: that one does not let the histogram grow.
                let recorded = outcome.latencies.record(nanoseconds);
                recorded.context("record a latency")?;
            }
        }
        Ok(outcome)
    }
}

async fn client(worker: Arc<Worker>, phase: Arc<AtomicU8>) -> Counted {
    let mut counted = Counted::default();
    loop {
        let sent = Instant::now();
        let answer = worker.work().await;
        let latency = sent.elapsed();
        let phase = phase.load(Ordering::Acquire);
        if phase == STOPPED {
            return counted;
        }
        match answer {
            Ok(()) if phase == COUNTING => counted.latencies.push(latency),
            Ok(()) => {}
            Err(error) => {
                counted.errors += 1;
                counted.first_error.get_or_insert(format!("{error:#}"));
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}
