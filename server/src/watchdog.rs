//! How long the event loop was kept from its work.
//!
//! A task wants to run every few milliseconds and notes how late it was. Whatever blocks all of
//! the runtime's threads, as file I/O on them would, shows here; so does a process that was
//! frozen or was given no processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How often the task wants to run.
const INTERVAL: Duration = Duration::from_millis(10);

/// A longer stall is told in the trace, if it is the longest so far.
const TOLD_FROM: Duration = Duration::from_millis(50);

/// The longest stall since the start; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stalls {
    max_us: Arc<AtomicU64>,
}

impl Stalls {
    /// The longest stall, whole milliseconds.
    pub(crate) fn max_ms(&self) -> u64 {
        self.max_us.load(Ordering::Relaxed) / 1_000
    }

    /// Watches the runtime that it is called in, until the task is aborted.
    pub(crate) fn watch(&self) -> JoinHandle<()> {
        let stalls = self.clone();
        tokio::spawn(async move {
            loop {
                let due = Instant::now() + INTERVAL;
                sleep_until(due).await;
                stalls.note(due.elapsed());
            }
        })
    }

    fn note(&self, late: Duration) {
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let before_us = self.max_us.fetch_max(late_us, Ordering::Relaxed);
        if late_us > before_us && late >= TOLD_FROM {
            tracing::warn!(ms = late.as_millis(), "the event loop stood still");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than the watchdog may oversleep by itself.
    const BLOCKED: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_thread_that_is_blocked_is_noticed() {
        let stalls = Stalls::default();
        let watch = stalls.watch();
        // The watchdog has its first turn, and waits for its second.
        sleep_until(Instant::now() + INTERVAL).await;
        std::thread::sleep(BLOCKED);
        sleep_until(Instant::now() + 2 * INTERVAL).await;
        watch.abort();
        let (noticed, blocked) = (u128::from(stalls.max_ms()), BLOCKED.as_millis());
        assert!(noticed + 2 * INTERVAL.as_millis() >= blocked, "{noticed}");
    }
}
