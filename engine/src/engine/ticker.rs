//! Time that passes in an embedded engine: what is due is done within a tenth of a second.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::Inner;
use crate::command::Command;
use crate::env::{Job, JobHandle, Step};

/// How late something due may be noticed.
const TICK: Duration = Duration::from_millis(100);

/// Ends when it is dropped.
pub(super) struct Ticker {
    stopping: Arc<AtomicBool>,
    job: Mutex<Option<JobHandle>>,
}

struct Ticking {
    inner: Weak<Inner>,
    stopping: Arc<AtomicBool>,
}

impl Ticker {
    pub(super) fn start(inner: &Arc<Inner>) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let ticking = Ticking {
            inner: Arc::downgrade(inner),
            stopping: Arc::clone(&stopping),
        };
        let job = inner.env.workers.spawn("tick", Box::new(ticking));
        Self {
            stopping,
            job: Mutex::new(Some(job)),
        }
    }

    /// Once this returns, no tick is under way and none will be.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(job) = self.job.lock().take() {
            job.wake();
            job.join();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker").finish_non_exhaustive()
    }
}

impl Job for Ticking {
    fn step(&mut self) -> Step {
        let inner = match self.inner.upgrade() {
            Some(inner) if !self.stopping.load(Ordering::Acquire) => inner,
            _ => return Step::Done,
        };
        let due_ms = inner.replica.next_due_ms();
        if due_ms.is_none_or(|due_ms| due_ms > inner.env.clock.wall_ms()) {
            return Step::IdleFor(TICK);
        }
        match inner.execute(Command::Tick) {
            Ok(_) => Step::Again,
            Err(error) => {
                tracing::debug!(%error, "a tick was not done");
                Step::IdleFor(TICK)
            }
        }
    }
}
