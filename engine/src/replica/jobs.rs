//! Background work of a replica: making checkpoints durable, and compaction.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Inner, tell};
use crate::env::{Job, Step};
use crate::error::{Error, ErrorKind};
use crate::failpoint::{Point, hit};
use crate::ids::Revision;
use crate::store::{COMPACTION_STEP_BYTES, Store};

/// How long a job waits before it tries again to write to a full disk.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// How long nothing is flushed before tables are merged for the sake of reads alone.
const QUIET: Duration = Duration::from_secs(5);

pub(super) fn spawn(inner: &Arc<Inner>) {
    let workers = &inner.shared.env.workers;
    let group = inner.group;
    let checkpoint = Checkpoint(Arc::downgrade(inner));
    let compaction = Compaction {
        inner: Arc::downgrade(inner),
        flushes: None,
        is_quiet: false,
    };
    *inner.jobs.lock() = vec![
        workers.spawn(&format!("checkpoint-{group}"), Box::new(checkpoint)),
        workers.spawn(&format!("compact-{group}"), Box::new(compaction)),
    ];
}

/// Makes frozen states durable, oldest first.
struct Checkpoint(Weak<Inner>);

/// Merges tables and drops versions that nobody can read any more.
struct Compaction {
    inner: Weak<Inner>,
    /// How many flushes there had been when it last ran out of work.
    flushes: Option<u64>,
    /// Nobody wanted anything since, for [`QUIET`].
    is_quiet: bool,
}

impl Job for Checkpoint {
    fn step(&mut self) -> Step {
        let Some(inner) = running(&self.0) else {
            return Step::Done;
        };
        let guard = inner.checkpointing.lock();
        let rooms = inner.rooms.read().clone();
        let Some(lengths) = inner.freezing.lock().front().cloned() else {
            return Step::Idle;
        };
        let durable = rooms
            .partitions
            .sync(&lengths)
            .and_then(|()| {
                hit(Point::CheckpointMessagesSynced);
                rooms.store.flush()
            })
            .and_then(|_| inner.note_durable());
        let applied = match durable {
            Ok(applied) => applied,
            Err(error) => return failed(&inner, error),
        };
        hit(Point::CheckpointDurable);
        inner.freezing.lock().pop_front();
        inner.shared.disk.measure();
        inner.disk_refused.store(false, Ordering::Release);
        drop(guard);
        inner.flushed.notify_all();
        inner.wake_jobs();
        tell(&inner.on_ready, ());
        if let Some(applied) = applied {
            tell(&inner.on_checkpoint, applied);
        }
        Step::Again
    }
}

impl Job for Compaction {
    fn rested(&mut self) {
        self.is_quiet = true;
    }

    fn is_patient(&self) -> bool {
        true
    }

    fn step(&mut self) -> Step {
        let Some(inner) = running(&self.inner) else {
            return Step::Done;
        };
        let _guard = inner.compacting.lock();
        let group = inner.group;
        let rooms = inner.rooms.read().clone();
        let floor = Revision(inner.floor.load(Ordering::Acquire));
        let stalled = rooms.store.stalled();
        if let Some(bytes) = rooms.store.compaction_bytes(floor)
            && !inner.shared.disk.keep_for_compaction(group, bytes)
        {
            return no_room(&inner, bytes, stalled);
        }
        match rooms.store.compact_step(floor) {
            Ok(true) if stalled => {
                inner.flushed.notify_all();
                tell(&inner.on_ready, ());
                Step::Again
            }
            Ok(true) => pause(inner.shared.options.get().compaction_bytes_per_second),
            Ok(false) => self.rest(rooms.store.as_ref()),
            Err(error) => failed(&inner, error),
        }
    }
}

impl Compaction {
    /// Nothing is due. While data keeps coming, waiting makes merges cheaper; once it does not,
    /// waiting only makes reads slower.
    fn rest(&mut self, store: &dyn Store) -> Step {
        let flushes = Some(store.stats().flushes);
        let is_quiet = std::mem::take(&mut self.is_quiet);
        if self.flushes != flushes || !is_quiet {
            self.flushes = flushes;
            return Step::IdleFor(QUIET);
        }
        if store.compact_l0() {
            Step::Again
        } else {
            Step::Idle
        }
    }
}

/// A compaction that does not begin. Only if writers wait for it must they be told: until then
/// the room is theirs.
fn no_room(inner: &Inner, bytes: u64, stalled: bool) -> Step {
    let group = inner.group.0;
    tracing::debug!(
        group,
        bytes,
        "no room on the disk for a compaction; trying again"
    );
    if stalled {
        inner.shared.disk.note_refused();
        inner.disk_refused.store(true, Ordering::Release);
        inner.flushed.notify_all();
    }
    Step::IdleFor(FULL_RETRY)
}

/// Keeps compaction below a number of bytes a second; 0 is no limit.
fn pause(bytes_per_second: u64) -> Step {
    match (COMPACTION_STEP_BYTES as u64 * 1_000).checked_div(bytes_per_second) {
        None | Some(0) => Step::Again,
        Some(milliseconds) => Step::IdleFor(Duration::from_millis(milliseconds)),
    }
}

fn running(inner: &Weak<Inner>) -> Option<Arc<Inner>> {
    inner
        .upgrade()
        .filter(|inner| !inner.stopping.load(Ordering::Acquire) && inner.fault.lock().is_none())
}

fn failed(inner: &Inner, error: Error) -> Step {
    if error.kind() == ErrorKind::Full {
        tracing::debug!(group = inner.group.0, %error, "no room on the disk; trying again");
        inner.shared.disk.note_refused();
        inner.disk_refused.store(true, Ordering::Release);
        inner.flushed.notify_all();
        return Step::IdleFor(FULL_RETRY);
    }
    inner.poison(error);
    Step::Done
}
