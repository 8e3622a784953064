//! The handle of a node's log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::file::SegmentFile;
use super::frame::{FRAME_OVERHEAD_BYTES, Kind};
use super::front::{Phase, Shared};
use super::index::Place;
use super::options::{LogOptions, LogStats};
use super::write::{Done, LogEntry, Write};
use super::writer;
use crate::env::{Env, JobHandle, Workers};
use crate::ids::{ClusterId, GroupId, LogId, LogIndex};
use crate::{Error, Result};

/// The Raft log of a node, shared by all its groups. Clones are the same log.
///
/// When the last clone is dropped without [`Log::close`], the log stops as in a crash: what is
/// queued is answered [`Stopped`](crate::ErrorKind::Stopped) and not written.
#[derive(Clone, Debug)]
pub struct Log {
    handle: Arc<Handle>,
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
        let (shared, writer) = writer::open(env, dir, cluster, &options)?;
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
    /// fails, everything that waits is answered with that failure and the log is poisoned; so
    /// it is, with `Full`, when what was accepted already needs a segment that the disk refuses.
    ///
    /// # Durability
    /// After `done(Ok)` the writes, and all before them, survive a power cut. Without it, any
    /// beginning of the list may have survived.
    pub fn append(&self, group: GroupId, writes: Vec<Write>, done: Done) {
        let mut front = self.handle.shared.front.lock();
        let (wake, refused) = match front.check(group, &writes) {
            Ok(()) => (front.push(group, writes, done), None),
            Err(error) => (front.room.wanted, Some((done, error))),
        };
        drop(front);
        if wake {
            self.handle.job.wake();
        }
        if let Some((done, error)) = refused {
            done(Err(error));
        }
    }

    /// Appends and waits until it is durable; see [`Log::append`].
    pub fn append_wait(&self, group: GroupId, writes: Vec<Write>) -> Result<()> {
        let answer: Arc<(Mutex<Option<Result<()>>>, Condvar)> = Arc::default();
        let told = Arc::clone(&answer);
        self.append(
            group,
            writes,
            Box::new(move |result| {
                *told.0.lock() = Some(result);
                told.1.notify_all();
            }),
        );
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
            let plan = self.plan(group, from, until, bytes_max);
            match plan.fetch(group) {
                Ok(entries) => return Ok(entries),
                // A purge may have given the segment a new life meanwhile.
                Err(_) if !self.stands(group, &plan) => {}
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

    fn plan(&self, group: GroupId, from: LogIndex, until: LogIndex, bytes_max: usize) -> Plan {
        let front = self.handle.shared.front.lock();
        let mut plan = Plan::default();
        let Some(index) = front.index(group) else {
            return plan;
        };
        let in_memory = front.tail().first(group);
        let mut bytes = 0;
        for (at, slot) in index.slots_from(from).take_while(|(at, _)| *at < until) {
            if in_memory.is_some_and(|first| first <= at) {
                break;
            }
            bytes += slot.body_bytes() as usize;
            if bytes > bytes_max && !plan.on_disk.is_empty() {
                return plan;
            }
            let place = slot
                .place()
                .expect("the tail keeps every entry that is not synced");
            let file = front
                .segments
                .get(&place.segment)
                .expect("a segment outlives the entries in it");
            plan.on_disk.push(Located {
                log_id: LogId {
                    term: slot.term(),
                    index: at,
                },
                body_bytes: slot.body_bytes(),
                place,
                file: Arc::clone(file),
            });
        }
        let Some(in_memory) = in_memory else {
            return plan;
        };
        let recent = front.tail().entries_from(group, from.max(in_memory));
        for entry in recent.take_while(|entry| entry.log_id.index < until) {
            bytes += entry.body.len();
            if bytes > bytes_max && !(plan.on_disk.is_empty() && plan.recent.is_empty()) {
                break;
            }
            plan.recent.push(entry.clone());
        }
        plan
    }

    /// Whether all that the plan reads from disk is still where it was.
    fn stands(&self, group: GroupId, plan: &Plan) -> bool {
        let front = self.handle.shared.front.lock();
        let index = front.index(group);
        plan.on_disk.iter().all(|located| {
            index
                .and_then(|index| index.slot(located.log_id.index)?.place())
                .is_some_and(|place| place == located.place)
        })
    }
}

/// How long a waiter sleeps before it offers its help again; it is woken earlier.
const HELP_AGAIN_AFTER: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
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

/// What a read found under the lock; the disk is read without it.
#[derive(Default)]
struct Plan {
    on_disk: Vec<Located>,
    /// They follow those on disk.
    recent: Vec<LogEntry>,
}

struct Located {
    log_id: LogId,
    body_bytes: u32,
    place: Place,
    file: Arc<SegmentFile>,
}

impl Located {
    /// Where the frame ends in its file.
    fn end(&self) -> u64 {
        u64::from(self.place.offset) + u64::from(self.body_bytes) + FRAME_OVERHEAD_BYTES as u64
    }
}

/// Frames that lie this close together are read in one go.
const GAP_BYTES_MAX: u64 = 4 * 1024;

/// Most bytes read in one go, one large frame excepted.
const STRETCH_BYTES_MAX: u64 = 1024 * 1024;

impl Plan {
    fn fetch(&self, group: GroupId) -> Result<Vec<LogEntry>> {
        let mut entries = Vec::with_capacity(self.on_disk.len() + self.recent.len());
        for run in self.on_disk.chunk_by(|a, b| {
            let start = u64::from(b.place.offset);
            a.place.segment == b.place.segment
                && start >= a.end()
                && start - a.end() <= GAP_BYTES_MAX
        }) {
            let mut rest = run;
            while let Some(first) = rest.first() {
                let start = u64::from(first.place.offset);
                let fitting = rest.partition_point(|l| l.end() - start <= STRETCH_BYTES_MAX);
                let (now, later) = rest.split_at(fitting.max(1));
                fetch_stretch(group, now, &mut entries)?;
                rest = later;
            }
        }
        entries.extend(self.recent.iter().cloned());
        Ok(entries)
    }
}

/// Reads frames that lie close together in one file.
fn fetch_stretch(group: GroupId, located: &[Located], out: &mut Vec<LogEntry>) -> Result<()> {
    let (Some(first), Some(last)) = (located.first(), located.last()) else {
        return Ok(());
    };
    let file = &first.file;
    let end = u32::try_from(last.end())
        .map_err(|_| file.corrupt(last.place.offset, "the frame ends beyond 4 GiB"))?;
    let stretch = file.read_stretch(first.place.offset, end)?;
    for entry in located {
        let offset = entry.place.offset;
        let (head, body) = stretch.frame(offset)?;
        if head.kind != Kind::Entry || head.group != group || head.log_id != entry.log_id {
            let found = head.log_id;
            return Err(file.corrupt(
                offset,
                format!(
                    "entry {} was written here, {found} stands here",
                    entry.log_id
                ),
            ));
        }
        out.push(LogEntry {
            log_id: entry.log_id,
            body,
        });
    }
    Ok(())
}
