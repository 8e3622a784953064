//! Scrubs of a node: everything on its disk is read and checked, now and then or when asked to.
//!
//! ```text
//! schedule ───┐            ┌► Log::scrub ─────┐             ┌► counted, remembered, traced
//! Node::scrub ┴─► one run ─┤                  ├─► finds ────┼► told to whoever follows the run
//!                          └► Replica::scrub ─┘             └► a state's: the replica stops, and
//!                                                              the next start repairs it
//! ```
//!
//! One run is at work at a time; who asks for another follows that one. A run is ended by the node's
//! end, or by whoever has asked for it and leaves.
//!
//! # Invariants
//! - A run reads at its pace: so many bytes a second, on a thread for such work.
//! - What a run has found is told, and durable in the record, before a replica stops for it.
//!
//! # Not here
//! What is checked (see `engine::scrub`); the repair (see `repair`).

mod record;
mod run;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::Damage;
use engine::env::Env;
use engine::ids::NodeId;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::blocking::blocking;
use crate::node::Inner;
use record::Record;
use run::Run;

/// How often the schedule looks at the clock at least, which may jump.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// When a node scrubs by itself, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPlan {
    /// The time between the end of a scrub and the beginning of the next; `None` for never.
    /// Default 7 days.
    pub every: Option<Duration>,
    /// Most bytes that a scrub reads in a second, on average; 0 is no limit. Default 16 MiB.
    pub bytes_per_second: u64,
}

impl Default for ScrubPlan {
    fn default() -> Self {
        Self {
            every: Some(Duration::from_hours(7 * 24)),
            bytes_per_second: 16 * 1024 * 1024,
        }
    }
}

impl ScrubPlan {
    /// No scrub but when asked to.
    pub fn never() -> Self {
        Self {
            every: None,
            ..Self::default()
        }
    }
}

/// How far the last scrub has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// What it is doing.
    pub state: ScrubState,
    /// Bytes read so far.
    pub read_bytes: u64,
    /// About how many there are.
    pub total_bytes: u64,
    /// The file that is being read; empty before the first.
    pub file: PathBuf,
    /// What it has found; at most
    /// [`SCRUB_FINDS_MAX`](engine::limits::SCRUB_FINDS_MAX) for the log and for each group.
    pub finds: Vec<Damage>,
    /// Damaged places that all scrubs of this disk have found, over all starts.
    pub errors_total: u64,
    /// When the last whole scrub ended, milliseconds since 1970, also before this start.
    pub finished_ms: Option<u64>,
}

/// What a scrub is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ScrubState {
    /// There was none since the node's start.
    #[default]
    Never,
    /// It reads.
    Running,
    /// It has read everything.
    Finished,
    /// It was ended before; says why.
    Ended(String),
}

/// A scrub that is followed. If it was begun for whoever holds this, it ends when this is dropped.
#[derive(Debug)]
pub struct Scrubbing {
    status: watch::Receiver<ScrubStatus>,
    begun: Option<Arc<Run>>,
}

impl Scrubbing {
    /// How far it has come; the receiver changes with it.
    pub fn status(&mut self) -> &mut watch::Receiver<ScrubStatus> {
        &mut self.status
    }

    /// Waits until it has ended; answers how.
    pub async fn done(mut self) -> ScrubStatus {
        let ended = |status: &ScrubStatus| status.state != ScrubState::Running;
        match self.status.wait_for(ended).await {
            Ok(status) => status.clone(),
            // The node is gone.
            Err(_) => ScrubStatus::default(),
        }
    }
}

impl Drop for Scrubbing {
    fn drop(&mut self) {
        if let Some(run) = &self.begun {
            run.end("whoever asked for it has left");
        }
    }
}

/// Where the status of one scrub is told.
type Told = watch::Sender<ScrubStatus>;

/// The scrubs of a node.
#[derive(Debug)]
pub(crate) struct Scrubs {
    plan: ScrubPlan,
    env: Env,
    dir: PathBuf,
    /// From when the first interval of this start counts, if an earlier one has remembered it.
    counted_from_ms: Option<u64>,
    /// Of the last scrub: each has its own, so that whoever follows one slowly hears its end.
    status: Mutex<Arc<Told>>,
    running: Mutex<Option<Arc<Run>>>,
}

impl Scrubs {
    /// Of the node in `dir`; reads what earlier starts have remembered.
    pub(crate) fn open(plan: ScrubPlan, env: &Env, dir: &Path) -> Self {
        let known = Record::read(env.vfs.as_ref(), dir);
        let record = known.unwrap_or_default();
        let status = ScrubStatus {
            errors_total: record.errors_total,
            finished_ms: record.finished_ms,
            ..ScrubStatus::default()
        };
        Self {
            plan,
            env: env.clone(),
            dir: dir.to_owned(),
            counted_from_ms: known.map(|record| record.counted_from_ms),
            status: Mutex::new(Arc::new(Told::new(status))),
            running: Mutex::default(),
        }
    }

    /// How far the last one has come.
    pub(crate) fn status(&self) -> ScrubStatus {
        self.told().borrow().clone()
    }

    /// The counters alone: damaged places, and when the last whole scrub ended.
    pub(crate) fn counters(&self) -> (u64, Option<u64>) {
        let told = self.told();
        let status = told.borrow();
        (status.errors_total, status.finished_ms)
    }

    fn told(&self) -> Arc<Told> {
        Arc::clone(&self.status.lock())
    }

    /// Makes what is known durable; a disk that does not take it only makes the next start forget.
    fn remember(&self, counted_from_ms: u64) {
        let (errors_total, finished_ms) = self.counters();
        let record = Record {
            counted_from_ms,
            finished_ms,
            errors_total,
        };
        if let Err(error) = record.write(self.env.vfs.as_ref(), &self.dir) {
            tracing::warn!(%error, "the record of scrubs was not written");
        }
    }
}

/// Begins a scrub, or follows the one at work.
pub(crate) fn scrub(inner: &Arc<Inner>, bytes_per_second: Option<u64>) -> Scrubbing {
    let scrubs = &inner.scrubs;
    let mut running = scrubs.running.lock();
    if running.is_some() {
        return Scrubbing {
            status: scrubs.told().subscribe(),
            begun: None,
        };
    }
    let rate = bytes_per_second.unwrap_or(scrubs.plan.bytes_per_second);
    let (errors_total, finished_ms) = scrubs.counters();
    let told = Arc::new(Told::new(ScrubStatus {
        state: ScrubState::Running,
        errors_total,
        finished_ms,
        ..ScrubStatus::default()
    }));
    *scrubs.status.lock() = Arc::clone(&told);
    let status = told.subscribe();
    let run = Arc::new(Run::new(Arc::clone(inner), rate, Arc::clone(&told)));
    *running = Some(Arc::clone(&run));
    drop(running);
    let begun = Some(Arc::clone(&run));
    let node = Arc::clone(inner);
    tokio::spawn(async move {
        let workers = Arc::clone(&node.shared.env.workers);
        let ended = blocking(workers.as_ref(), move || run.work()).await;
        if let Err(error) = ended {
            tracing::error!(%error, "a scrub did not end");
            node.scrubs.running.lock().take();
            told.send_modify(|status| {
                status.state = ScrubState::Ended("a bug ended it".to_owned());
            });
        }
    });
    Scrubbing { status, begun }
}

/// Begins a scrub whenever one is due.
pub(crate) async fn schedule(inner: Arc<Inner>) {
    let scrubs = &inner.scrubs;
    let Some(every) = scrubs.plan.every else {
        return;
    };
    let clock = Arc::clone(&scrubs.env.clock);
    let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    let mut from_ms = if let Some(from_ms) = scrubs.counted_from_ms {
        from_ms
    } else {
        let from_ms = first_from_ms(clock.wall_ms(), every_ms, inner.peers.identity.node);
        let node = Arc::clone(&inner);
        let remember = move || node.scrubs.remember(from_ms);
        let done = blocking(scrubs.env.workers.as_ref(), remember).await;
        if let Err(error) = done {
            tracing::error!(%error, "the first record of scrubs was not written");
        }
        from_ms
    };
    loop {
        let now_ms = clock.wall_ms();
        // A clock that has jumped back does not put the next one off for longer than the interval.
        from_ms = from_ms.min(now_ms);
        let due_ms = from_ms.saturating_add(every_ms);
        if now_ms < due_ms {
            sleep(Duration::from_millis(due_ms - now_ms).min(LOOK_AGAIN)).await;
            continue;
        }
        let ended = scrub(&inner, None).done().await;
        tracing::info!(
            state = ?ended.state, bytes = ended.read_bytes, finds = ended.finds.len(),
            "a scheduled scrub has ended"
        );
        from_ms = clock.wall_ms();
        // One that was ended is due again soon, but not at once.
        if ended.state != ScrubState::Finished {
            sleep(LOOK_AGAIN).await;
            from_ms = from_ms.saturating_sub(every_ms);
        }
    }
}

/// From when the first interval counts: up to half of one back, by the node's id, so that the nodes
/// of a cluster that started together do not scrub together.
fn first_from_ms(now_ms: u64, every_ms: u64, node: NodeId) -> u64 {
    now_ms.saturating_sub(every_ms / 16 * (node.0 % 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_start_together_scrub_at_different_times_and_within_the_interval() {
        let from: std::collections::BTreeSet<_> = (1..=5)
            .map(|node| first_from_ms(10_000, 1_600, NodeId(node)))
            .collect();
        assert_eq!(from.len(), 5);
        assert!(from.iter().all(|from| (9_200..=10_000).contains(from)));
    }
}
