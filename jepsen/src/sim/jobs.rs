//! What stands for a node's threads: its jobs are stepped one at a time, with pauses.
//!
//! A pause before a step is what a disk or a busy machine would take. What a job does in a step
//! is done at once; power cuts within a step are the disk's (`SimVfs::crash_at`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::env::rng::SeededRng;
use engine::env::workers::SteppedWorkers;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// How fast a node's jobs are.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The longest pause before each step, while the disk is slow; 0 if it is not.
    slow_ms: AtomicU64,
}

/// Of a hundred steps, so many begin without a pause.
const AT_ONCE_PERCENT: u64 = 70;
/// The longest other pause, milliseconds.
const PAUSE_MS_MAX: u64 = 4;
/// Steps in a row without a pause: a job that is never idle must not stop the world.
const STEPS_AT_ONCE_MAX: u32 = 64;

impl Pace {
    /// From now on each step takes up to so long; 0 ends it.
    pub(super) fn slow(&self, ms: u64) {
        self.slow_ms.store(ms, Ordering::Relaxed);
    }

    fn pause(&self, rng: &SeededRng) -> Duration {
        let ms = match self.slow_ms.load(Ordering::Relaxed) {
            0 if rng.chance(AT_ONCE_PERCENT) => 0,
            0 => rng.below(PAUSE_MS_MAX + 1),
            slow => rng.below(slow + 1),
        };
        Duration::from_millis(ms)
    }
}

/// Steps the jobs of `workers` for as long as it is polled.
pub(super) async fn drive(workers: SteppedWorkers, pace: Arc<Pace>, rng: SeededRng) {
    let ready = Arc::new(Notify::new());
    let told = Arc::clone(&ready);
    workers.on_ready(Box::new(move || told.notify_one()));
    let mut at = Instant::now();
    let mut at_once = 0;
    loop {
        let pause = pace.pause(&rng);
        if !pause.is_zero() || at_once >= STEPS_AT_ONCE_MAX {
            sleep(pause.max(Duration::from_millis(1))).await;
            at_once = 0;
        }
        let now = Instant::now();
        workers.advance(now - at);
        at = now;
        if workers.step_ready() {
            at_once += 1;
            continue;
        }
        match workers.next_due() {
            // A millisecond at least: the clock has no smaller steps.
            Some(due) => {
                let due = sleep(due.max(Duration::from_millis(1)));
                tokio::select! {
                    biased;
                    () = ready.notified() => {}
                    () = due => {}
                }
            }
            None => ready.notified().await,
        }
    }
}
