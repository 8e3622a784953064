//! The embedded engine: one durable node inside a process, without a network.
//!
//! It is the same log, the same `apply` and the same files as a cluster's node; only the order
//! of commands is its own. Commits that wait together share one log entry and one `fdatasync`.
//!
//! ```text
//! execute ──► queue ──► one caller takes all ──► log (fdatasync) ──► Replica::apply ──► answers
//! ```
//!
//! # Invariants
//! - Nothing is applied before the log has synced it; nothing is answered before it is applied.
//! - One process at a time: the folder is locked.

#[cfg(test)]
mod crash_tests;

mod ticker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::command::{Batch, Command, Commit, Outcome, Payload};
use crate::disk::{DiskStatus, DiskWatch};
use crate::env::Env;
use crate::env::vfs::{OpenMode, create_dir_durable};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ClusterId, GroupId, LogId, LogIndex};
use crate::limits::{COMMIT_BYTES_MAX, COMMIT_OPS_MAX, ENTRY_BYTES_MAX, ENTRY_COMMANDS_MAX};
use crate::options::{Options, ValidOptions};
use crate::replica::{Replica, Shared};
use crate::segment::{Log, LogEntry, LogStats, Write};

use ticker::Ticker;

/// The one group and the one term of an embedded engine.
const GROUP: GroupId = GroupId(0);
const TERM: u64 = 1;

const IDENTITY: &str = "embedded.id";

/// How many log bytes are read at once when the log is replayed.
const REPLAY_BYTES: usize = 4 * 1024 * 1024;

/// A durable engine in this process.
///
/// Reads are on [`Engine::replica`]; every write is a [`Command`].
///
/// # Durability
/// A commit is answered once the log has synced it (`fdatasync`): it survives a crash of the
/// process and a power cut. Commits that wait together share one sync. Reads see applied commits
/// only, so nothing that is read can be lost. Tables, checkpoints and partition files are synced in
/// the background; after a crash the log brings them up to date.
///
/// ```
/// use engine::command::{Commit, Op, RowRef};
/// use engine::{Engine, Options};
///
/// # fn main() -> engine::Result<()> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let folder = folder.path();
/// let engine = Engine::open(folder, Options::default())?;
/// let row = RowRef { keyspace: "default".into(), key: "greeting".into() };
/// engine.commit(Commit {
///     ops: vec![Op::put(row.clone(), "hello".into())],
///     ..Commit::default()
/// })?;
/// let answer = engine.replica().get(&row, None)?;
/// assert_eq!(answer.row.expect("it was just written").value, "hello");
/// engine.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    /// Ends before the rest.
    ticker: Option<Arc<Ticker>>,
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    log: Log,
    disk: DiskWatch,
    replica: Replica,
    queue: Mutex<Queue>,
    answered: Condvar,
    _lock: Box<dyn fmt::Debug + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether some caller is writing an entry for everybody.
    busy: bool,
}

struct Waiting {
    command: Command,
    answer: Arc<Mutex<Option<Result<Outcome>>>>,
}

impl Engine {
    /// Opens a folder, or makes it, and replays what the last checkpoint does not cover.
    ///
    /// # Errors
    /// `Locked` if another process uses the folder; `Corrupt` names the damaged file and
    /// offset; `Invalid` names the option that is wrong.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let mut engine = Self::open_in(Env::os(), path.as_ref(), options)?;
        engine.ticker = Some(Arc::new(Ticker::start(&engine.inner)));
        Ok(engine)
    }

    /// The same in a given world: a test's disk, clock and workers. There, time passes for rows and
    /// sessions only by commands, of which [`Command::Tick`] is one.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_in(env: Env, path: &Path, options: Options) -> Result<Self> {
        Self::open_validated(env, path, options.validate()?)
    }

    fn open_validated(env: Env, path: &Path, options: ValidOptions) -> Result<Self> {
        let failed = |source| Error::io(format!("open {}", path.display()), source);
        create_dir_durable(env.vfs.as_ref(), path).map_err(failed)?;
        let lock = env.vfs.lock(&path.join("LOCK")).map_err(|source| {
            let context = format!("{} is in use by another process", path.display());
            Error::with_source(ErrorKind::Locked, context, source)
        })?;
        let cluster = identity(&env, path)?;
        let log = Log::open(&env, &path.join("log"), cluster, options.log())?;
        let shared = Shared::new(env.clone(), options);
        shared.disk.start(&env, path, &log);
        let replica = Replica::open(&shared, GROUP, &group_dir(path), log.group(GROUP).purged)?;
        check_follows(&log, &replica, path)?;
        replay(&log, &replica)?;
        let purging = log.clone();
        replica.on_checkpoint(Box::new(move |log_id| {
            let done = Box::new(|result: Result<()>| {
                if let Err(error) = result {
                    tracing::warn!(%error, "purge the log");
                }
            });
            purging.append(GROUP, vec![Write::Purge(log_id)], done);
        }));
        let inner = Inner {
            env,
            log,
            disk: shared.disk,
            replica,
            queue: Mutex::default(),
            answered: Condvar::new(),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
            ticker: None,
        })
    }

    /// Does a commit: all its ops if all its guards hold, or nothing.
    ///
    /// # Durability
    /// Once this returns, the commit survives a crash of the process and a power cut.
    ///
    /// # Errors
    /// `Invalid` for a commit over the limits. `Full` while the disk has no room: nothing was
    /// changed, reads and what only deletes go on, and so do writes once there is room. `Io` or
    /// `Stopped` from the disk: whether the commit happened is then known only after a restart.
    /// What the state refuses is an [`Outcome::Refused`].
    pub fn commit(&self, commit: Commit) -> Result<Outcome> {
        self.execute(Command::Commit(commit))
    }

    /// Does any command.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    pub fn execute(&self, command: Command) -> Result<Outcome> {
        self.inner.execute(command)
    }

    /// The state, for reads.
    pub fn replica(&self) -> &Replica {
        &self.inner.replica
    }

    /// The room on the disk, and what follows from it.
    pub fn disk(&self) -> DiskStatus {
        self.inner.disk.status()
    }

    /// What the log has done since the engine was opened.
    pub fn log_stats(&self) -> LogStats {
        self.inner.log.stats()
    }

    /// Stops the background work and closes the log. Dropping an engine does the same.
    ///
    /// # Errors
    /// The fault that stopped the engine before.
    pub fn close(&self) -> Result<()> {
        if let Some(ticker) = &self.ticker {
            ticker.stop();
        }
        self.inner.close()
    }
}

impl Inner {
    fn execute(&self, command: Command) -> Result<Outcome> {
        let size = command.size_hint();
        if size > COMMIT_BYTES_MAX {
            let context = format!("the command has {size} bytes; the most is {COMMIT_BYTES_MAX}");
            return Err(Error::new(ErrorKind::Invalid, context));
        }
        let steps = command.weight();
        if steps > COMMIT_OPS_MAX {
            let context = format!("the commit has {steps} steps; the most is {COMMIT_OPS_MAX}");
            return Err(Error::new(ErrorKind::Invalid, context));
        }
        self.disk.admit(&command)?;
        let answer = Arc::new(Mutex::new(None));
        let mut queue = self.queue.lock();
        queue.waiting.push(Waiting {
            command,
            answer: answer.clone(),
        });
        loop {
            if let Some(answer) = answer.lock().take() {
                return answer;
            }
            if queue.busy {
                self.answered
                    .wait_for(&mut queue, Duration::from_millis(10));
                continue;
            }
            let batch = queue.take_batch();
            queue.busy = true;
            drop(queue);
            self.write(batch);
            queue = self.queue.lock();
            queue.busy = false;
            self.answered.notify_all();
        }
    }

    fn close(&self) -> Result<()> {
        self.disk.stop();
        let closed = self.replica.close();
        closed.and(self.log.close())
    }

    /// Makes one log entry of a batch, applies it and answers everyone in it.
    fn write(&self, batch: Vec<Waiting>) {
        let (commands, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.command, waiting.answer))
            .unzip();
        match self.decide(commands) {
            Ok(outcomes) => {
                for (answer, outcome) in answers.iter().zip(outcomes) {
                    *answer.lock() = Some(Ok(outcome));
                }
            }
            Err(error) => {
                for answer in &answers {
                    *answer.lock() = Some(Err(error.again()));
                }
            }
        }
    }

    fn decide(&self, commands: Vec<Command>) -> Result<Vec<Outcome>> {
        let index = self
            .replica
            .applied()
            .map_or(1, |applied| applied.index.0 + 1);
        let log_id = LogId::new(TERM, index);
        let now_ms = self.env.clock.wall_ms();
        let payload = Payload::Batch(Batch { now_ms, commands });
        let entry = LogEntry {
            log_id,
            body: payload.encode(),
        };
        let appended = self.log.append_wait(GROUP, vec![Write::Entry(entry)]);
        if let Err(error) = appended {
            if error.kind() == ErrorKind::Full {
                self.make_room();
            }
            return Err(error);
        }
        self.replica.apply(log_id, &payload)
    }

    /// The log has no room even for a delete: behind a checkpoint its segments can be used again.
    fn make_room(&self) {
        let view = self.replica.view();
        if view.applied == view.checkpoint {
            return;
        }
        if let Err(error) = self.replica.begin_checkpoint() {
            tracing::debug!(%error, "begin a checkpoint for room in the log");
        }
    }
}

impl Queue {
    fn take_batch(&mut self) -> Vec<Waiting> {
        let mut bytes = 0;
        let fits = self
            .waiting
            .iter()
            .take(ENTRY_COMMANDS_MAX)
            .take_while(|waiting| {
                let first = bytes == 0;
                bytes += waiting.command.size_hint();
                first || bytes <= ENTRY_BYTES_MAX
            });
        let count = fits.count();
        self.waiting.drain(..count).collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "close the engine");
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("replica", &self.inner.replica)
            .finish_non_exhaustive()
    }
}

/// The folder's own id, drawn when it is made.
fn identity(env: &Env, path: &Path) -> Result<ClusterId> {
    let file_path: PathBuf = path.join(IDENTITY);
    let failed = |source| Error::io(format!("open {}", file_path.display()), source);
    if env.vfs.exists(&file_path).map_err(failed)? {
        let file = env.vfs.open(&file_path, OpenMode::Read).map_err(failed)?;
        let mut bytes = [0; 12];
        let len = file.len().map_err(failed)?;
        if len != bytes.len() as u64 {
            let what = format!("{} bytes were written", bytes.len());
            return Err(Error::corrupt(&file_path, len, what));
        }
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        let (id, crc) = bytes.split_at(8);
        if crc != crc32fast::hash(id).to_le_bytes() {
            return Err(Error::corrupt(&file_path, 0, "the checksum does not match"));
        }
        let mut input = crate::codec::Decoder::new(Bytes::copy_from_slice(id));
        return Ok(ClusterId(input.u64("cluster")?));
    }
    let cluster = ClusterId(env.rng.next_u64());
    let id = cluster.0.to_le_bytes();
    let temporary = path.join("embedded.id.new");
    if env.vfs.exists(&temporary).map_err(failed)? {
        env.vfs.remove(&temporary).map_err(failed)?;
    }
    let file = env
        .vfs
        .open(&temporary, OpenMode::CreateNew)
        .map_err(failed)?;
    file.write_at(&id, 0).map_err(failed)?;
    file.write_at(&crc32fast::hash(&id).to_le_bytes(), 8)
        .map_err(failed)?;
    file.sync_data().map_err(failed)?;
    env.vfs.rename(&temporary, &file_path).map_err(failed)?;
    env.vfs.sync_dir(path).map_err(failed)?;
    Ok(cluster)
}

/// The log must go on where the checkpoint ends: entries are purged only after a checkpoint of
/// them is durable.
fn check_follows(log: &Log, replica: &Replica, path: &Path) -> Result<()> {
    let purged = log.group(GROUP).purged.map_or(0, |purged| purged.index.0);
    let applied = replica.applied().map_or(0, |applied| applied.index.0);
    if applied < purged {
        let what = format!(
            "its checkpoint is of entry {applied}, but the log has forgotten all up to {purged}"
        );
        return Err(Error::corrupt(&group_dir(path), 0, what));
    }
    Ok(())
}

fn group_dir(path: &Path) -> PathBuf {
    path.join(format!("group-{GROUP}"))
}

fn replay(log: &Log, replica: &Replica) -> Result<()> {
    let Some(last) = log.group(GROUP).last else {
        return Ok(());
    };
    loop {
        let next = replica.applied().map_or(1, |applied| applied.index.0 + 1);
        if next > last.index.0 {
            return Ok(());
        }
        let until = LogIndex(last.index.0 + 1);
        for entry in log.read(GROUP, LogIndex(next), until, REPLAY_BYTES)? {
            replica.apply(entry.log_id, &Payload::decode(entry.body)?)?;
        }
    }
}
