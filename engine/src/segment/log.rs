//! The handle of a node's log.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::front::{IfFull, Phase, Shared};
use super::open;
use super::options::{LogOptions, LogStats};
use super::plan::Plan;
use super::write::{Done, LogEntry, Write};
use crate::env::{Env, JobHandle, Step, Workers};
use crate::ids::{ClusterId, GroupId, LogId, LogIndex};
use crate::{Error, Result};

/// The Raft log of a node, shared by all its groups. Clones are the same log.
///
/// When the last clone is dropped without [`Log::close`], the log stops as in a crash: what is
/// queued is answered [`Stopped`](crate::ErrorKind::Stopped) and not written.
#[derive(Clone, Debug)]
pub struct Log {
    pub(super) handle: Arc<Handle>,
}

/// What is known of one group's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupLog {
    /// The last vote appended.
    pub vote: Option<Bytes>,
    /// Everything up to this entry is forgotten.
    pub purged: Option<LogId>,
    /// The last entry, or the purged one.
    pub last: Option<LogId>,
    /// Everything up to here is synced.
    pub synced: LogIndex,
    /// Bytes of the entries that are not purged.
    pub bytes: u64,
}

impl Log {
    /// Opens the log in `dir`, or creates it. The caller holds the engine's lock on the folder.
    ///
    /// Reads every segment, ends the last one where its last good frame ends, and begins a new
    /// one. When this returns, everything that was found is durable.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt), with file and offset, when bytes that were
    /// acknowledged are damaged or missing: nothing is deleted.
    /// [`Invalid`](crate::ErrorKind::Invalid) for the log of another cluster,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for one of a newer format.
    pub fn open(env: &Env, dir: &Path, cluster: ClusterId, options: LogOptions) -> Result<Self> {
        options.check()?;
        let (shared, writer) = open::open(env, dir, cluster, &options)?;
        let job = env.workers.spawn("log-writer", Box::new(writer));
        Ok(Self {
            handle: Arc::new(Handle {
                shared,
                job,
                workers: Arc::clone(&env.workers),
            }),
        })
    }

    /// Queues writes of one group; never waits. Entries can be read when this returns.
    ///
    /// `done` runs once, without locks: from the writer's job after the fdatasync of the group
    /// commit that holds the last of `writes`, in the order of appends; or at once, with an
    /// error, if the append is refused as a whole. It must not wait for other appends.
    ///
    /// # Errors
    /// Through `done`: [`Invalid`](crate::ErrorKind::Invalid) for an entry that does not follow
    /// the last one or is too long, [`Full`](crate::ErrorKind::Full) while the disk has no room
    /// for another segment (nothing was changed; try again), and
    /// [`Stopped`](crate::ErrorKind::Stopped) after a failure or close. When a write or sync
    /// fails, everything that waits is answered with that failure and the log is poisoned. What
    /// was accepted and needs a segment that the disk refuses waits until it gets one.
    ///
    /// # Durability
    /// After `done(Ok)` the writes, and all before them, survive a power cut. Without it, any
    /// beginning of the list may have survived.
    pub fn append(&self, group: GroupId, writes: Vec<Write>, done: Done) {
        self.queue_and_wake(group, writes, IfFull::Refuse, done);
    }

    /// Queues writes that cannot be taken back, as [`Log::append`] does, but is never refused
    /// for want of room: they wait in memory until there is some. The caller bounds how much
    /// that is, by asking [`Log::is_short`] or [`Log::check_room`] before it promises anything.
    pub fn append_patiently(&self, group: GroupId, writes: Vec<Write>, done: Done) {
        self.queue_and_wake(group, writes, IfFull::Wait, done);
    }

    /// Whether entries of so many bytes would be accepted now.
    ///
    /// # Errors
    /// `Full` if not.
    pub fn check_room(&self, bytes: usize) -> Result<()> {
        let checked = self.handle.shared.front.lock().check_entries(bytes);
        if checked.is_err() {
            self.handle.job.wake();
        }
        checked
    }

    /// Whether the disk refused the next segment. It is asked again by and by; what still fits
    /// into the segments at hand is accepted meanwhile.
    pub fn is_short(&self) -> bool {
        self.handle.shared.short.load(Ordering::Acquire)
    }

    fn queue_and_wake(&self, group: GroupId, writes: Vec<Write>, if_full: IfFull, done: Done) {
        if self.queue(group, writes, if_full, done) {
            self.handle.job.wake();
        }
    }

    /// Queues writes; whether the writer must be told.
    fn queue(&self, group: GroupId, writes: Vec<Write>, if_full: IfFull, done: Done) -> bool {
        let mut front = self.handle.shared.front.lock();
        let (wake, refused) = match front.check(group, &writes, if_full) {
            Ok(()) => (front.push(group, writes, done), None),
            Err(error) => (front.room.wanted, Some((done, error))),
        };
        drop(front);
        if let Some((done, error)) = refused {
            done(Err(error));
        }
        wake
    }

    /// Appends and waits until it is durable; see [`Log::append`]. While nobody else writes, the
    /// group commit is done on the caller's thread, and what it calls back for others runs there.
    pub fn append_wait(&self, group: GroupId, writes: Vec<Write>) -> Result<()> {
        let answer: Arc<(Mutex<Option<Result<()>>>, Condvar)> = Arc::default();
        let told = Arc::clone(&answer);
        let done = move |result| {
            *told.0.lock() = Some(result);
            told.1.notify_all();
        };
        if self.queue(group, writes, IfFull::Refuse, Box::new(done)) {
            self.write_here(|| answer.0.lock().is_some());
        }
        loop {
            if let Some(result) = answer.0.lock().take() {
                return result;
            }
            if !self.handle.workers.help() {
                let mut result = answer.0.lock();
                if result.is_none() {
                    answer.1.wait_for(&mut result, HELP_AGAIN_AFTER);
                }
            }
        }
    }

    /// Steps the writer until `answered`, unless somebody else does.
    fn write_here(&self, answered: impl Fn() -> bool) {
        let job = &self.handle.job;
        while !answered() {
            if job.step_here() != Some(Step::Again) {
                return job.wake();
            }
        }
        // The last step may have left something to do: usually it is only to go to sleep.
        let is_empty = self.handle.shared.front.lock().queue.is_empty();
        if !is_empty || job.step_here() == Some(Step::Again) {
            job.wake();
        }
    }

    /// What is known of a group, appends that are not synced included.
    pub fn group(&self, group: GroupId) -> GroupLog {
        let front = self.handle.shared.front.lock();
        let Some(index) = front.index(group) else {
            return GroupLog::default();
        };
        GroupLog {
            vote: front.vote(group),
            purged: index.purged(),
            last: index.last(),
            synced: front.synced(group),
            bytes: index.body_bytes(),
        }
    }

    /// Entries of a group in `from..until`, in order and without a gap, beginning with the
    /// first one that is not purged; at most `bytes_max` bytes of bodies, but at least one
    /// entry if there is any.
    ///
    /// Recent entries come from memory, older ones from disk with their checksums checked.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt), with file and offset, or
    /// [`Io`](crate::ErrorKind::Io).
    pub fn read(
        &self,
        group: GroupId,
        from: LogIndex,
        until: LogIndex,
        bytes_max: usize,
    ) -> Result<Vec<LogEntry>> {
        loop {
            let range = from..until;
            let plan = Plan::make(&self.handle.shared.front.lock(), group, range, bytes_max);
            match plan.fetch() {
                Ok(entries) => return Ok(entries),
                // A purge may have given the segment a new life meanwhile.
                Err(_) if !plan.stands(&self.handle.shared.front.lock()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The id of the entry at `index`; also answers for the purged one.
    pub fn log_id_at(&self, group: GroupId, index: LogIndex) -> Option<LogId> {
        let front = self.handle.shared.front.lock();
        front.index(group)?.log_id_at(index)
    }

    /// Everything of the group up to here is synced.
    pub fn synced(&self, group: GroupId) -> LogIndex {
        self.handle.shared.front.lock().synced(group)
    }

    /// Calls `f` from the writer's job, without locks, whenever the group is synced further.
    pub fn on_synced(&self, group: GroupId, f: Box<dyn Fn(LogIndex) + Send + Sync>) {
        self.handle.shared.front.lock().watch(group, Arc::from(f));
    }

    /// For each group, how many segments lie between the newest one and the one that holds its
    /// oldest entry. A group with a large number keeps the log from shrinking.
    pub fn oldest_needed(&self) -> Vec<(GroupId, u64)> {
        let front = self.handle.shared.front.lock();
        let newest = front.segments.last_key_value().map_or(0, |(seq, _)| *seq);
        front
            .indexes()
            .map(|(group, index)| {
                let oldest = index.slots_from(LogIndex(0)).next();
                let segment = oldest.and_then(|(_, slot)| slot.place());
                let behind = segment.map_or(0, |place| newest.saturating_sub(place.segment));
                (group, behind)
            })
            .collect()
    }

    /// Bytes appended and not yet synced.
    pub fn pending_bytes(&self) -> usize {
        self.handle.shared.front.lock().pending_bytes
    }

    /// Counts since the log was opened.
    pub fn stats(&self) -> LogStats {
        let front = self.handle.shared.front.lock();
        LogStats {
            segments: front.segments.len() as u64,
            ..front.stats
        }
    }

    /// The failure that stopped the log for good.
    pub fn poisoned(&self) -> Option<Error> {
        match &self.handle.shared.front.lock().phase {
            Phase::Poisoned(error) => Some(error.again()),
            _ => None,
        }
    }

    /// Writes what is queued and the durable mark, syncs, and stops the writer. Further calls
    /// do nothing. Not to be called from `done` or an `on_synced` callback.
    ///
    /// # Errors
    /// The failure that poisoned the log, before or now.
    pub fn close(&self) -> Result<()> {
        {
            let mut front = self.handle.shared.front.lock();
            if matches!(front.phase, Phase::Open) {
                front.phase = Phase::Closing;
            }
        }
        self.handle.job.wake();
        self.handle.job.join();
        self.poisoned().map_or(Ok(()), Err)
    }
}

/// How long a waiter sleeps before it offers its help again; it is woken earlier.
const HELP_AGAIN_AFTER: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    job: JobHandle,
    workers: Arc<dyn Workers>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        {
            let mut front = self.shared.front.lock();
            if matches!(front.phase, Phase::Open) {
                front.phase = Phase::Abandoned;
            }
        }
        self.job.wake();
    }
}
