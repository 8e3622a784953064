//! Room on the node's disk: measured by a job, told to everyone, kept for what must always fit.
//!
//! ```text
//!            warn %                        read-only %, or less than the reserve
//!   Healthy ───────► Warn ─────────────────────────► ReadOnly     each way back needs a little
//!      ▲              │ ▲                               │          more room than the way there
//!      └──────────────┘ └───────────────────────────────┘
//! ```
//!
//! In `ReadOnly` what makes the state grow is refused *before* it enters the log; deletes and
//! reads go on. The log refuses by itself while it could not prepare its next segment, and a
//! write that the disk refused counts as `ReadOnly` for a few measurements, whatever the
//! figures say: a quota or a lack of inodes is not among them.
//!
//! # Invariants
//! - A refusal changes nothing, so it is certain; nothing is poisoned by it.
//! - `ReadOnly` begins while a checkpoint, a log segment and the next compaction of each group
//!   still fit (the *reserve*); so deletes can give room back.
//! - No compaction begins that would leave no room for a checkpoint and a log segment.
//!
//! # Not here
//! What a full disk does to a write that has begun: see `segment`, `store` and `queue`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::command::Command;
use crate::env::vfs::Space;
use crate::env::{Env, Job, JobHandle, Step, Vfs};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::GroupId;
use crate::options::ValidOptions;
use crate::segment::Log;

/// How often the disk is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// A state is left only at this many percent below the mark at which it begins: a disk that
/// stands at the mark must not make the node change its mind with every file.
const HYSTERESIS_PERCENT: u8 = 2;

/// For so many measurements a write that the disk refused counts. Whoever was refused tries
/// again every second, so a disk that is still full renews it.
const REFUSED_ROUNDS: u32 = 3;

/// How much may still be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskState {
    /// There is room.
    #[default]
    Healthy,
    /// Everything works; somebody should make room.
    Warn,
    /// What makes the state grow is refused; reads and deletes go on.
    ReadOnly,
}

impl std::fmt::Display for DiskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Warn => "warn",
            Self::ReadOnly => "read-only",
        })
    }
}

/// The disk as it was last measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStatus {
    /// How much may still be written.
    pub state: DiskState,
    /// All bytes of the file system.
    pub total_bytes: u64,
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Below this many free bytes the node is read-only, whatever the percentage.
    pub reserve_bytes: u64,
    /// Whether the disk refused a write or the log's next segment lately.
    pub refused: bool,
}

/// The watch over a node's disk; clones are the same watch.
#[derive(Clone, Debug)]
pub struct DiskWatch {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    vfs: Arc<dyn Vfs>,
    marks: Marks,
    /// What is watched, once it is.
    watched: OnceLock<Watched>,
    measured: Mutex<Measured>,
    job: Mutex<Option<JobHandle>>,
}

#[derive(Debug)]
struct Watched {
    dir: PathBuf,
    log: Log,
}

/// Where the states begin.
#[derive(Clone, Copy, Debug)]
struct Marks {
    warn_percent: u8,
    read_only_percent: u8,
    /// For a checkpoint and a log segment.
    reserve_bytes: u64,
}

#[derive(Debug, Default)]
struct Measured {
    space: Option<Space>,
    state: DiskState,
    refused_rounds: u32,
    /// What the next compaction of each group takes, until it is done.
    compactions: BTreeMap<GroupId, u64>,
    stopping: bool,
}

impl DiskWatch {
    /// A watch that has not begun: it finds the disk healthy.
    pub fn new(env: &Env, options: &ValidOptions) -> Self {
        let get = options.get();
        Self {
            inner: Arc::new(Inner {
                vfs: Arc::clone(&env.vfs),
                marks: Marks {
                    warn_percent: get.disk_warn_percent,
                    read_only_percent: get.disk_read_only_percent,
                    reserve_bytes: options.disk_reserve_bytes(),
                },
                watched: OnceLock::new(),
                measured: Mutex::default(),
                job: Mutex::default(),
            }),
        }
    }

    /// Measures the disk below `dir` now, and from now on regularly until
    /// [`DiskWatch::stop`]. A second call does nothing.
    pub fn start(&self, env: &Env, dir: &Path, log: &Log) {
        let watched = Watched {
            dir: dir.to_owned(),
            log: log.clone(),
        };
        if self.inner.watched.set(watched).is_err() {
            return;
        }
        self.inner.measure();
        let job = Measure(Arc::downgrade(&self.inner));
        *self.inner.job.lock() = Some(env.workers.spawn("disk-watch", Box::new(job)));
    }

    /// Ends the regular measuring; the last state stays.
    pub fn stop(&self) {
        self.inner.measured.lock().stopping = true;
        let job = self.inner.job.lock().take();
        if let Some(job) = job {
            job.wake();
            job.join();
        }
    }

    /// The disk as it was last measured.
    pub fn status(&self) -> DiskStatus {
        let measured = self.inner.measured.lock();
        let space = measured.space.unwrap_or(Space {
            total_bytes: 0,
            free_bytes: 0,
        });
        let log = self.inner.watched.get().map(|watched| &watched.log);
        let log_is_short = log.is_some_and(Log::is_short);
        DiskStatus {
            state: if log_is_short {
                DiskState::ReadOnly
            } else {
                measured.state
            },
            total_bytes: space.total_bytes,
            free_bytes: space.free_bytes,
            reserve_bytes: self.inner.marks.with(&measured.compactions).reserve_bytes,
            refused: log_is_short || measured.refused_rounds > 0,
        }
    }

    /// Lets a command on its way into the log, or refuses it there.
    ///
    /// # Errors
    /// `Full` if the disk is read-only and the command would make the state grow: nothing was
    /// changed, and the text says what to do.
    pub fn admit(&self, command: &Command) -> Result<()> {
        if command.grows_state() {
            self.check()
        } else {
            Ok(())
        }
    }

    /// `Full`, with what to do, if the disk is read-only.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> Result<()> {
        let status = self.status();
        if status.state < DiskState::ReadOnly {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Full, self.inner.explain(status)))
    }

    /// Measures out of turn: much was written.
    pub fn measure(&self) {
        self.inner.measure();
    }

    /// Keeps room for the next compaction of a group, until another figure is told; `false` if it
    /// must not begin now, as it would take the room of a checkpoint and a log segment.
    pub fn keep_for_compaction(&self, group: GroupId, bytes: u64) -> bool {
        let space = (bytes > 0).then(|| self.inner.look()).flatten();
        let mut measured = self.inner.measured.lock();
        measured.compactions.insert(group, bytes);
        measured.space = space.or(measured.space);
        let needed = self.inner.marks.reserve_bytes.saturating_add(bytes);
        bytes == 0 || space.is_none_or(|space| space.free_bytes >= needed)
    }

    /// The disk refused a write: the node is read-only until it no longer does.
    pub fn note_refused(&self) {
        let known = {
            let mut measured = self.inner.measured.lock();
            measured.refused_rounds = REFUSED_ROUNDS;
            measured.state == DiskState::ReadOnly
        };
        if !known {
            let space = self.inner.look();
            let mut measured = self.inner.measured.lock();
            measured.space = space.or(measured.space);
            self.inner.change(&mut measured, DiskState::ReadOnly);
        }
    }
}

impl Inner {
    /// Asks the disk for its figures; without a lock, as a disk may take its time.
    fn look(&self) -> Option<Space> {
        let watched = self.watched.get()?;
        let space = self.vfs.space(&watched.dir);
        // The last figures stay: a disk that cannot be asked shows soon enough.
        space
            .inspect_err(|error| tracing::warn!(%error, "measure the room on the disk"))
            .ok()
    }

    /// One regular measurement more since a write was refused.
    fn pass_round(&self) {
        let mut measured = self.measured.lock();
        measured.refused_rounds = measured.refused_rounds.saturating_sub(1);
    }

    fn measure(&self) {
        let space = self.look();
        let mut measured = self.measured.lock();
        measured.space = space.or(measured.space);
        let state = match measured.space {
            _ if measured.refused_rounds > 0 => DiskState::ReadOnly,
            Some(space) => {
                let marks = self.marks.with(&measured.compactions);
                marks.judge(measured.state, space)
            }
            None => DiskState::Healthy,
        };
        self.change(&mut measured, state);
    }

    /// Takes note of a state, and tells the operator once if it is a new one.
    fn change(&self, measured: &mut Measured, state: DiskState) {
        if state == measured.state {
            return;
        }
        measured.state = state;
        let space = measured.space;
        let free_bytes = space.map(|space| space.free_bytes);
        let total_bytes = space.map(|space| space.total_bytes);
        let reserve_bytes = self.marks.with(&measured.compactions).reserve_bytes;
        match state {
            DiskState::Healthy => {
                tracing::info!(free_bytes, total_bytes, "the disk has room again");
            }
            DiskState::Warn => tracing::warn!(
                free_bytes,
                total_bytes,
                reserve_bytes,
                "the disk fills up: enlarge it, or free space on it, before writes are refused"
            ),
            DiskState::ReadOnly => tracing::error!(
                free_bytes,
                total_bytes,
                reserve_bytes,
                "the disk is full: writes are refused, reads and deletes go on; enlarge it, or \
                 free space on it, but never by deleting the node's files"
            ),
        }
    }

    fn explain(&self, status: DiskStatus) -> String {
        let mib = |bytes: u64| bytes / (1024 * 1024);
        let dir = self.watched.get().map(|watched| watched.dir.display());
        let dir = dir.map_or_else(String::new, |dir| format!(" below {dir}"));
        let why = if status.refused {
            "it refused a write".to_owned()
        } else {
            format!(
                "writes end at {} % used or {} MiB free",
                self.marks.read_only_percent,
                mib(status.reserve_bytes)
            )
        };
        format!(
            "the disk{dir} is full: {} of {} MiB are free, {why}; enlarge it or free space on it; \
             reads and deletes go on, and writes once there is room",
            mib(status.free_bytes),
            mib(status.total_bytes)
        )
    }
}

impl Marks {
    /// The same with room for compactions.
    fn with(self, compactions: &BTreeMap<GroupId, u64>) -> Self {
        let kept = compactions
            .values()
            .fold(0, |a, b| u64::saturating_add(a, *b));
        Self {
            reserve_bytes: self.reserve_bytes.saturating_add(kept),
            ..self
        }
    }

    /// The state that a measurement means, coming from `before`.
    fn judge(&self, before: DiskState, space: Space) -> DiskState {
        let reached = |state: DiskState, percent: u8, reserve_bytes: u64| {
            let (percent, reserve_bytes) = if before >= state {
                let percent = percent.saturating_sub(HYSTERESIS_PERCENT);
                (percent, reserve_bytes.saturating_add(reserve_bytes / 8))
            } else {
                (percent, reserve_bytes)
            };
            let total = u128::from(space.total_bytes);
            let used = total.saturating_sub(u128::from(space.free_bytes));
            used * 100 >= total * u128::from(percent) || space.free_bytes < reserve_bytes
        };
        if reached(
            DiskState::ReadOnly,
            self.read_only_percent,
            self.reserve_bytes,
        ) {
            DiskState::ReadOnly
        } else if reached(
            DiskState::Warn,
            self.warn_percent,
            self.reserve_bytes.saturating_mul(2),
        ) {
            DiskState::Warn
        } else {
            DiskState::Healthy
        }
    }
}

/// Measures again and again.
struct Measure(Weak<Inner>);

impl Job for Measure {
    fn step(&mut self) -> Step {
        match self.0.upgrade() {
            Some(inner) if !inner.measured.lock().stopping => {
                inner.pass_round();
                inner.measure();
                Step::IdleFor(MEASURE_EVERY)
            }
            _ => Step::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        warn_percent: 80,
        read_only_percent: 95,
        reserve_bytes: 8,
    };

    /// Walks through disks of 1,000 bytes with so many free.
    fn walk(free: impl IntoIterator<Item = u64>) -> Vec<DiskState> {
        let mut state = DiskState::Healthy;
        let judged = free.into_iter().map(|free_bytes| {
            let space = Space {
                total_bytes: 1_000,
                free_bytes,
            };
            state = MARKS.judge(state, space);
            state
        });
        judged.collect()
    }

    #[test]
    fn states_begin_at_their_marks_and_end_a_little_below() {
        use DiskState::{Healthy, ReadOnly, Warn};
        assert_eq!(walk([201, 200, 219, 221]), [Healthy, Warn, Warn, Healthy]);
        assert_eq!(walk([51, 50, 69, 71]), [Warn, ReadOnly, ReadOnly, Warn]);
        assert_eq!(walk([0, 1_000]), [ReadOnly, Healthy]);
    }

    #[test]
    fn the_reserve_counts_whatever_the_percentage() {
        let marks = Marks {
            warn_percent: 100,
            read_only_percent: 100,
            reserve_bytes: 160,
        };
        let judge = |before, free_bytes| {
            let space = Space {
                total_bytes: 1_000,
                free_bytes,
            };
            marks.judge(before, space)
        };
        assert_eq!(judge(DiskState::Healthy, 320), DiskState::Healthy);
        assert_eq!(judge(DiskState::Healthy, 319), DiskState::Warn);
        assert_eq!(judge(DiskState::Healthy, 160), DiskState::Warn);
        assert_eq!(judge(DiskState::Healthy, 159), DiskState::ReadOnly);
        assert_eq!(judge(DiskState::ReadOnly, 179), DiskState::ReadOnly);
        assert_eq!(judge(DiskState::ReadOnly, 180), DiskState::Warn);
    }
}
