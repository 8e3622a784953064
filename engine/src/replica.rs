//! One Raft group's state on this node: open → apply* / read* → checkpoint → close.
//!
//! ```text
//!   log entries ──► apply (one at a time) ──► store · partitions · cache · state
//!                                               │ revision published
//!   get · scan · fetch · topic · watch  ◄───────┘ any thread, never waiting for apply
//!
//!   group-N/state-000001/{store,partitions}     the folder in use: the highest number
//!   group-N/incoming                            a checkpoint being received
//!   group-N/{damaged,quarantine-…}              see `repair`
//! ```
//!
//! Nothing here is synced on the request path: the log covers it. A *checkpoint* begins at an
//! entry's end (the memtable is frozen, partition buffers are written, the state is encoded) and
//! becomes durable in the background; after a crash the log is replayed from there.
//!
//! # Invariants
//! - Entries are applied in order, each once; the revision is published after its entry.
//! - What is read at a revision never changes, from the floor up to the published revision.
//! - After a fault every apply answers `Stopped`.
//!
//! # Not here
//! Whether an entry is committed and synced (see `engine-raft`, and [`crate::Engine`] alone).

mod changes;
mod checkpoints;
mod digests;
mod hash;
mod jobs;
mod memory;
mod note;
mod read;
mod repair;
mod rooms;
mod scrub;
mod versions;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::apply::{Applied, Apply};
use crate::cache::RowCache;
use crate::changes::Feed;
use crate::checkpoint::CheckpointView;
use crate::command::{KeyspaceOptions, Outcome, Payload};
use crate::disk::DiskWatch;
use crate::env::{Env, JobHandle};
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::{Point, hit};
use crate::ids::{Boot, GroupId, KeyspaceId, LogId, LogIndex, NodeId, Revision, TopicId};
use crate::options::ValidOptions;
use crate::query::ReplicaView;
use crate::queue::PartitionLengths;
use crate::state::State;
use crate::store::{BlockCache, NEVER_MS};

pub use hash::KeyspaceHash;
pub use repair::{Repair, Repaired};
pub use watch::Watch;

use digests::Digests;
use rooms::{Rooms, check_reaches, clean_folder};

/// What the groups of a node share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The doors to the world.
    pub env: Env,
    /// The cache of rows.
    pub rows: Arc<RowCache>,
    /// The cache of table blocks.
    pub blocks: Arc<BlockCache>,
    /// The watch over the disk.
    pub disk: DiskWatch,
    /// Sizes and budgets.
    pub options: ValidOptions,
}

impl Shared {
    /// Caches of the configured sizes.
    pub fn new(env: Env, options: ValidOptions) -> Self {
        let rows = Arc::new(RowCache::new(options.get().row_cache_bytes));
        let blocks = BlockCache::new(options.get().block_cache_bytes);
        let disk = DiskWatch::new(&env, &options);
        Self {
            env,
            rows,
            blocks,
            disk,
            options,
        }
    }
}

/// One group's state; a cheap handle.
#[derive(Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

type Listener<T> = Box<dyn Fn(T) + Send + Sync>;

/// Hears of the fault that stops a replica.
pub type FaultListener = Box<dyn Fn(&Error) + Send + Sync>;

struct Inner {
    shared: Shared,
    group: GroupId,
    dir: PathBuf,
    /// Changed only by apply and install, one at a time.
    writer: Mutex<Writer>,
    /// What readers hold: replaced as a whole by an installed checkpoint.
    rooms: RwLock<Arc<Rooms>>,
    catalog: RwLock<Arc<Catalog>>,
    /// The newest revision that readers may see.
    published: AtomicU64,
    floor: AtomicU64,
    /// The oldest revision whose changes are on record, if it is above the floor.
    changes_from: AtomicU64,
    now_ms: AtomicU64,
    boots: RwLock<BTreeMap<NodeId, Boot>>,
    /// Frozen and not yet durable, oldest first.
    freezing: Mutex<VecDeque<PartitionLengths>>,
    flushed: Condvar,
    /// Held by a step of a job, so that an install finds none at work.
    checkpointing: Mutex<()>,
    compacting: Mutex<()>,
    stopping: AtomicBool,
    stops_at_damage: AtomicBool,
    /// The disk had no room for a table since the last checkpoint; it is tried again.
    disk_refused: AtomicBool,
    fault: Mutex<Option<Error>>,
    /// The newest durable checkpoint.
    durable: Mutex<Option<CheckpointView>>,
    jobs: Mutex<Vec<JobHandle>>,
    /// The newest changes, for those who watch.
    feed: Feed,
    on_published: RwLock<Vec<Listener<Revision>>>,
    on_checkpoint: RwLock<Vec<Listener<LogId>>>,
    on_ready: RwLock<Vec<Listener<()>>>,
    on_fault: RwLock<Vec<FaultListener>>,
}

struct Writer {
    state: State,
    digests: Digests,
    /// Bytes applied since the last checkpoint began.
    uncovered_bytes: u64,
}

/// Names, for readers: replaced whenever one is added.
#[derive(Debug, Default)]
struct Catalog {
    keyspaces: BTreeMap<String, NamedKeyspace>,
    topics: BTreeMap<String, (TopicId, u32)>,
}

/// What readers know of a keyspace.
#[derive(Clone, Debug)]
struct NamedKeyspace {
    id: KeyspaceId,
    options: KeyspaceOptions,
    has_versions: bool,
}

impl Catalog {
    fn of(state: &State) -> Arc<Self> {
        Arc::new(Self {
            keyspaces: state
                .keyspaces
                .iter()
                .map(|(name, keyspace)| {
                    let named = NamedKeyspace {
                        id: keyspace.id,
                        options: keyspace.options.clone(),
                        has_versions: keyspace.has_versions,
                    };
                    (name.clone(), named)
                })
                .collect(),
            topics: state
                .topics
                .iter()
                .map(|(name, topic)| (name.clone(), (topic.id, topic.partitions)))
                .collect(),
        })
    }
}

impl Replica {
    /// Opens a group's folder, or makes it; the caller then applies the log from
    /// [`Replica::applied`] on. `purged` is what the log has forgotten: a checkpoint that ends
    /// before is refused, and no file is touched, for it may be the manifest that was shortened.
    ///
    /// # Errors
    /// `Corrupt` names the damaged file and offset; `Io` the failed operation.
    pub fn open(
        shared: &Shared,
        group: GroupId,
        dir: &Path,
        purged: Option<LogId>,
    ) -> Result<Self> {
        let rooms_dir = clean_folder(&shared.env, dir)?;
        check_reaches(&shared.env, dir, rooms_dir, purged)?;
        let (rooms, state) = Rooms::open(shared, group, dir, rooms_dir)?;
        let state_revision = state.revision;
        let inner = Arc::new(Inner {
            shared: shared.clone(),
            group,
            dir: dir.to_owned(),
            catalog: RwLock::new(Catalog::of(&state)),
            published: AtomicU64::new(state_revision.0),
            changes_from: AtomicU64::new(state.changes_from.0),
            floor: AtomicU64::new(state.floor.0),
            now_ms: AtomicU64::new(state.now_ms),
            boots: RwLock::new(state.boots.clone()),
            writer: Mutex::new(Writer {
                digests: Digests::of(&state),
                state,
                uncovered_bytes: 0,
            }),
            rooms: RwLock::new(Arc::new(rooms)),
            freezing: Mutex::default(),
            flushed: Condvar::new(),
            checkpointing: Mutex::default(),
            compacting: Mutex::default(),
            stopping: AtomicBool::new(false),
            stops_at_damage: AtomicBool::new(false),
            disk_refused: AtomicBool::new(false),
            fault: Mutex::default(),
            durable: Mutex::default(),
            jobs: Mutex::default(),
            feed: Feed::new(state_revision),
            on_published: RwLock::default(),
            on_checkpoint: RwLock::default(),
            on_ready: RwLock::default(),
            on_fault: RwLock::default(),
        });
        inner.note_durable()?;
        jobs::spawn(&inner);
        Ok(Self { inner })
    }

    /// Applies one entry of the log: the only way that state changes.
    ///
    /// Answers one outcome for each command of the entry. The caller applies every entry once,
    /// in order, after this node's own log has synced it.
    ///
    /// # Durability
    /// None of its own: the log holds the entry until a checkpoint covers it.
    ///
    /// # Errors
    /// A fault of this node, never of the request: the node must stop. The state may then hold
    /// part of the entry and is not used again.
    pub fn apply(&self, log_id: LogId, payload: &Payload) -> Result<Vec<Outcome>> {
        let inner = &*self.inner;
        self.check_fault()?;
        let mut writer = inner.writer.lock();
        let expected = writer
            .state
            .applied
            .map_or(1, |applied| applied.index.0 + 1);
        if log_id.index != LogIndex(expected) {
            let context = format!("apply entry {log_id}: entry {expected} is next");
            return Err(Error::new(ErrorKind::Invalid, context));
        }
        let rooms = inner.rooms.read().clone();
        let before = writer.state.revision;
        let rows = &inner.shared.rows;
        let Applied { outcomes, record } = Apply::new(
            inner.group,
            &mut writer.state,
            &*rooms.store,
            &rooms.partitions,
            rows,
        )
        .entry(log_id, payload)
        .map_err(|error| inner.poison(error))?;
        if outcomes.iter().any(Outcome::changes_names) {
            *inner.catalog.write() = Catalog::of(&writer.state);
        }
        inner.publish(&writer.state);
        let digest = writer.state.digest;
        writer.digests.note(log_id.index, digest);
        let bytes = payload_bytes(payload);
        if let Some(record) = record {
            inner.feed.feed(record, bytes);
        }
        writer.uncovered_bytes += bytes as u64;
        let options = inner.shared.options.get();
        if rooms.store.memtable_bytes() >= options.memtable_bytes
            || writer.uncovered_bytes >= options.checkpoint_bytes
        {
            match inner.freeze(&mut writer, &rooms) {
                // The entry is applied; a later one begins the checkpoint when there is room.
                Err(error) if error.kind() == ErrorKind::Full => {}
                frozen => frozen?,
            }
        }
        if rooms.partitions.is_full() {
            inner.shared.disk.note_refused();
        }
        let revision = writer.state.revision;
        drop(writer);
        if revision != before {
            tell(&inner.on_published, revision);
        }
        Ok(outcomes)
    }

    /// Whether an apply would not have to wait for a flush, nor take much memory that a full
    /// disk does not let it give back.
    pub fn ready(&self) -> bool {
        let rooms = self.inner.rooms.read().clone();
        let options = self.inner.shared.options.get();
        let refused = self.inner.disk_refused.load(Ordering::Acquire);
        let little = rooms.store.memtable_bytes() < 2 * options.memtable_bytes;
        !rooms.store.stalled() || (refused && little)
    }

    /// Calls back whenever a flush has made room.
    pub fn on_ready(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.inner
            .on_ready
            .write()
            .push(Box::new(move |()| listener()));
    }

    /// Calls back after each entry that changed something, with the published revision.
    pub fn on_published(&self, listener: Box<dyn Fn(Revision) + Send + Sync>) {
        self.inner.on_published.write().push(listener);
    }

    /// Calls back after each checkpoint has become durable. Listeners must not wait for the
    /// replica: they may run inside an apply that waits for a flush.
    pub fn on_checkpoint(&self, listener: Box<dyn Fn(LogId) + Send + Sync>) {
        self.inner.on_checkpoint.write().push(listener);
    }

    /// Calls back with the fault that stops this replica, at once if there is one already, before
    /// whoever met it is told. Listeners must not use the replica.
    pub fn on_fault(&self, listener: FaultListener) {
        let mut listeners = self.inner.on_fault.write();
        if let Some(fault) = &*self.inner.fault.lock() {
            listener(fault);
        }
        listeners.push(listener);
    }

    /// Whether a read that meets damage stops the replica, because its state can be had again from
    /// elsewhere. If not, as at the beginning, that read fails and all else goes on.
    pub fn stop_at_damage(&self, stop: bool) {
        self.inner.stops_at_damage.store(stop, Ordering::Release);
    }

    /// The last applied entry.
    pub fn applied(&self) -> Option<LogId> {
        self.inner.writer.lock().state.applied
    }

    /// The last applied membership, and the entry that set it.
    pub fn membership(&self) -> Option<(LogId, Bytes)> {
        self.inner.writer.lock().state.membership.clone()
    }

    /// The last announced start of each node.
    pub fn boots(&self) -> BTreeMap<NodeId, Boot> {
        self.inner.boots.read().clone()
    }

    /// The latest time seen in an entry, milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.inner.now_ms.load(Ordering::Acquire)
    }

    /// When a [`Tick`](crate::command::Command::Tick) will have something to do.
    pub fn next_due_ms(&self) -> Option<u64> {
        let writer = self.inner.writer.lock();
        let first_expiry_ms = writer.state.first_expiry_ms;
        let row = (first_expiry_ms != NEVER_MS).then_some(first_expiry_ms);
        let session = writer.state.sessions.next_due_ms();
        let counting = writer.state.is_counting().then_some(writer.state.now_ms);
        row.into_iter().chain(session).chain(counting).min()
    }

    /// Where the replica stands.
    pub fn view(&self) -> ReplicaView {
        let checkpoint = self.checkpoint().map(|checkpoint| checkpoint.log_id);
        let writer = self.inner.writer.lock();
        ReplicaView {
            applied: writer.state.applied,
            revision: writer.state.revision,
            floor: writer.state.floor,
            digest: writer.state.digest,
            checkpoint,
        }
    }

    /// The digest of the state right after an entry, which all replicas that have applied it agree
    /// on; `None` before the entry is applied, and once [`DIGESTS_KEPT`](crate::limits::DIGESTS_KEPT)
    /// more are, or for an entry before the checkpoint that the replica was opened with.
    pub fn digest_at(&self, index: LogIndex) -> Option<u64> {
        self.inner.writer.lock().digests.at(index)
    }

    /// The doors to the world that it was opened with.
    pub fn env(&self) -> &Env {
        &self.inner.shared.env
    }

    /// The fault that stopped this replica, if one did.
    pub fn fault(&self) -> Option<Error> {
        self.inner.fault.lock().as_ref().map(Error::again)
    }

    /// Stops the background jobs. What no checkpoint covers is replayed from the log.
    ///
    /// # Errors
    /// The fault that stopped the replica before.
    pub fn close(&self) -> Result<()> {
        self.inner.stop();
        match self.fault() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    fn check_fault(&self) -> Result<()> {
        match &*self.inner.fault.lock() {
            Some(fault) => {
                let context = format!("the replica has stopped: {fault}");
                Err(Error::new(ErrorKind::Stopped, context))
            }
            None => Ok(()),
        }
    }
}

impl Inner {
    /// Shows readers what an entry has changed beside names.
    fn publish(&self, state: &State) {
        if *self.boots.read() != state.boots {
            self.boots.write().clone_from(&state.boots);
        }
        self.now_ms.store(state.now_ms, Ordering::Release);
        self.changes_from
            .store(state.changes_from.0, Ordering::Release);
        self.floor.store(state.floor.0, Ordering::Release);
        self.published.store(state.revision.0, Ordering::Release);
    }

    /// Remembers what the newest durable checkpoint covers.
    fn note_durable(&self) -> Result<Option<LogId>> {
        let rooms = self.rooms.read().clone();
        if rooms.store.checkpoint().is_none() {
            return Ok(None);
        }
        let view = rooms.read_checkpoint(&self.shared.env)?.view().clone();
        let log_id = view.log_id;
        *self.durable.lock() = Some(view);
        Ok(Some(log_id))
    }

    /// Freezes the present state as a checkpoint; waits while too many are on their way, but
    /// not for a full disk: that is `Full`, and changes nothing.
    fn freeze(&self, writer: &mut Writer, rooms: &Rooms) -> Result<()> {
        if rooms.store.stalled() {
            // Compaction may be pausing: now it is waited for.
            self.wake_jobs();
            let refused = || self.disk_refused.load(Ordering::Acquire);
            self.wait_until(|_| !rooms.store.stalled() || refused())?;
        }
        if rooms.store.stalled() {
            let context = "begin a checkpoint: those before it wait for room on the disk";
            return Err(Error::new(ErrorKind::Full, context));
        }
        let lengths = match rooms.partitions.flush() {
            Err(error) if error.kind() == ErrorKind::Full => {
                self.shared.disk.note_refused();
                return Err(error);
            }
            flushed => flushed.map_err(|error| self.poison(error))?,
        };
        let state = writer.state.encode(&lengths);
        // In this order under one lock: the job takes the front of both queues together.
        let mut freezing = self.freezing.lock();
        freezing.push_back(lengths);
        rooms.store.freeze(state);
        hit(Point::CheckpointBegun);
        drop(freezing);
        writer.uncovered_bytes = 0;
        self.wake_jobs();
        Ok(())
    }

    fn wait_until(&self, done: impl Fn(&Self) -> bool) -> Result<()> {
        loop {
            if let Some(fault) = &*self.fault.lock() {
                return Err(fault.again());
            }
            if done(self) {
                return Ok(());
            }
            if self.stopping.load(Ordering::Acquire) {
                return Err(Error::new(ErrorKind::Stopped, "the replica is closed"));
            }
            if !self.shared.env.workers.help() {
                let mut freezing = self.freezing.lock();
                self.flushed
                    .wait_for(&mut freezing, Duration::from_millis(10));
            }
        }
    }

    fn poison(&self, cause: Error) -> Error {
        let error = match cause.kind() {
            // It has been told what to do already, or what was damaged.
            ErrorKind::Stopped | ErrorKind::Corrupt => cause,
            _ => Error::poisoning(format_args!("the state of group {}", self.group), cause),
        };
        tracing::error!(group = self.group.0, %error, "the replica stops");
        let again = error.again();
        let listeners = self.on_fault.read();
        let mut fault = self.fault.lock();
        if fault.is_none() {
            for listener in listeners.iter() {
                listener(&error);
            }
            *fault = Some(error);
        }
        drop(fault);
        self.flushed.notify_all();
        again
    }

    fn wake_jobs(&self) {
        for job in self.jobs.lock().iter() {
            job.wake();
        }
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let jobs = std::mem::take(&mut *self.jobs.lock());
        for job in jobs {
            job.wake();
            job.join();
        }
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("group", &self.inner.group)
            .finish_non_exhaustive()
    }
}

fn tell<T: Copy>(listeners: &RwLock<Vec<Listener<T>>>, what: T) {
    for listener in listeners.read().iter() {
        listener(what);
    }
}

fn payload_bytes(payload: &Payload) -> usize {
    match payload {
        Payload::Blank => 0,
        Payload::Membership(membership) => membership.len(),
        Payload::Batch(batch) => batch
            .commands
            .iter()
            .map(crate::command::Command::size_hint)
            .sum(),
    }
}
