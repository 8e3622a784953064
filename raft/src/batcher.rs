//! Commands that wait at the leader together travel as one entry.
//!
//! ```text
//! propose ─► queue ─► one entry: as many as fit ─► openraft ─► outcomes, one for each
//!                      │ at most IN_FLIGHT_MAX entries; while they travel, the queue grows
//! ```
//!
//! The more wait, the more travel together, and nobody waits for company: a command that comes
//! alone leaves alone. An entry is encoded once; the same bytes go to disk, peers and apply.
//!
//! # Invariants
//! - Bytes from the queue to the answer are at most `WAITING_BYTES_MAX`, else `Overloaded`.
//! - Every command is answered: with its outcome, or with the error of its entry.
//! - Nothing waits behind entries that nobody confirms: a leader without a majority refuses it.
//! - A command whose caller has left before it was in the log is not written any more: what a
//!   client has given up comes before what it sends later, or never.
//! - A command whose caller has left before it was in the log is not written any more: what a
//!   client was refused in time comes before all that it sends later, or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use engine::command::{Batch, Command, Outcome};
use engine::limits::{ENTRY_BYTES_MAX, ENTRY_COMMANDS_MAX};
use engine::segment::Log;
use openraft::errors::{ClientWriteError, ForwardReason, RaftError};
use openraft::raft::ClientWriteResponse;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::error::{Error, Result};
use crate::group::{Group, fatal};
use crate::state_machine::now_ms;
use crate::types::{Proposal, TypeConfig};

/// Entries on their way at once: replication, disk and apply overlap, and more would only
/// make each entry smaller.
const IN_FLIGHT_MAX: usize = 4;

/// Most bytes of commands that wait for their outcome.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes in the log that are not yet synced; beyond, the disk is too slow for more.
const UNSYNCED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Most commands that wait; each is a small structure besides its bytes.
const WAITING_COMMANDS_MAX: usize = 256 * 1024;

/// How long to wait for a heartbeat's answers to renew a leader's lease.
const LEASE_CHECK: Duration = Duration::from_millis(20);

type Written = std::result::Result<ClientWriteResponse<TypeConfig>, WriteError>;
type WriteError = RaftError<TypeConfig, ClientWriteError<TypeConfig>>;

/// Where commands are handed in.
#[derive(Debug)]
pub(crate) struct Batcher {
    queue: mpsc::Sender<Waiting>,
    waiting_bytes: Arc<AtomicUsize>,
    log: Log,
}

/// Where they are taken out.
#[derive(Debug)]
pub(crate) struct Queue {
    queue: mpsc::Receiver<Waiting>,
    in_flight: Arc<Semaphore>,
}

#[derive(Debug)]
struct Waiting {
    command: Command,
    answer: oneshot::Sender<Result<Outcome>>,
    held: Held,
}

/// Commands that travel together, and who waits for each.
#[derive(Debug, Default)]
struct Entry {
    batch: Batch,
    answers: Vec<(oneshot::Sender<Result<Outcome>>, Held)>,
}

/// Bytes that count until their command is answered.
#[derive(Debug)]
struct Held {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Batcher {
    pub(crate) fn new(log: Log) -> (Self, Queue) {
        let (sender, receiver) = mpsc::channel(WAITING_COMMANDS_MAX);
        let batcher = Self {
            queue: sender,
            waiting_bytes: Arc::default(),
            log,
        };
        let queue = Queue {
            queue: receiver,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        };
        (batcher, queue)
    }

    /// Whether the log has room for everything that waits here, and so many bytes besides.
    ///
    /// # Errors
    /// `Full` if not.
    pub(crate) fn check_room(&self, bytes: usize) -> engine::Result<()> {
        let waiting = self.waiting_bytes.load(Ordering::Relaxed);
        self.log.check_room(waiting + bytes)
    }

    /// Hands in a command and waits for its outcome.
    pub(crate) async fn propose(&self, command: Command) -> Result<Outcome> {
        let held = self.hold(command.size_hint())?;
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting {
            command,
            answer,
            held,
        };
        self.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
        })?;
        outcome.await.unwrap_or(Err(Error::ShuttingDown))
    }

    fn hold(&self, bytes: usize) -> Result<Held> {
        let all = Arc::clone(&self.waiting_bytes);
        let before = all.fetch_add(bytes, Ordering::Relaxed);
        let held = Held { bytes, all };
        if before + bytes > WAITING_BYTES_MAX || self.log.pending_bytes() > UNSYNCED_BYTES_MAX {
            return Err(Error::Overloaded);
        }
        Ok(held)
    }
}

impl Queue {
    /// Makes entries of what waits, until the group stops.
    pub(crate) async fn run(mut self, group: Arc<Group>) {
        let mut next = None;
        loop {
            let Some(permit) = self.place(&group, &mut next).await else {
                return;
            };
            let Some(entry) = self.take(&mut next).await else {
                return;
            };
            let group = Arc::clone(&group);
            let mut written = Box::pin(async move {
                let _permit = permit;
                write(&group, entry).await;
            });
            // The first poll hands the entry to openraft, so that entries keep their order.
            if futures::poll!(&mut written).is_pending() {
                tokio::spawn(written);
            }
        }
    }

    /// A place for one more entry. While there is none for want of a majority, what waits is
    /// refused: it is in no log yet.
    async fn place(
        &mut self,
        group: &Group,
        next: &mut Option<Waiting>,
    ) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = Arc::clone(&self.in_flight).acquire_owned();
            match timeout(group.timings.election_max, place).await {
                Ok(place) => return place.ok(),
                Err(_) if group.has_majority() => {}
                Err(_) => {
                    while let Some(waiting) = next.take().or_else(|| self.queue.try_recv().ok()) {
                        let refused = Error::NotLeader { leader: None };
                        waiting.answer.send(Err(refused)).ok();
                    }
                }
            }
        }
    }

    /// As many waiting commands as one entry takes, at least one.
    async fn take(&mut self, next: &mut Option<Waiting>) -> Option<Entry> {
        let first = match next.take() {
            Some(first) => first,
            None => self.queue.recv().await?,
        };
        let mut bytes = first.held.bytes;
        let mut entry = Entry::default();
        entry.push(first);
        while entry.answers.len() < ENTRY_COMMANDS_MAX {
            let Ok(waiting) = self.queue.try_recv() else {
                break;
            };
            bytes += waiting.held.bytes;
            if bytes > ENTRY_BYTES_MAX {
                *next = Some(waiting);
                break;
            }
            entry.push(waiting);
        }
        Some(entry)
    }
}

impl Entry {
    fn push(&mut self, waiting: Waiting) {
        self.batch.commands.push(waiting.command);
        self.answers.push((waiting.answer, waiting.held));
    }

    /// Lets go of the commands that nobody waits for; answers whether any are left.
    fn is_wanted(&mut self) -> bool {
        if self.answers.iter().any(|(answer, _)| answer.is_closed()) {
            let commands = self.batch.commands.drain(..);
            let both = commands.zip(self.answers.drain(..));
            let wanted = both.filter(|(_, (answer, _))| !answer.is_closed());
            (self.batch.commands, self.answers) = wanted.collect();
        }
        !self.answers.is_empty()
    }

    fn answer(self, group: &Group, written: Written) {
        let count = self.answers.len() as u64;
        let mut outcomes = match written {
            Ok(written) => {
                let counters = &group.counters;
                counters.commands.fetch_add(count, Ordering::Relaxed);
                counters.entries.fetch_add(1, Ordering::Relaxed);
                Ok(written.data.0.into_iter())
            }
            Err(error) => Err(error),
        };
        for (answer, _held) in self.answers {
            let outcome = match &mut outcomes {
                Ok(outcomes) => outcomes
                    .next()
                    .ok_or_else(|| Error::Fatal("an entry answered too few outcomes".to_owned())),
                Err(error) => Err(refused(error)),
            };
            // A caller that has left wants no answer.
            answer.send(outcome).ok();
        }
    }
}

/// Writes an entry; again while this leader is not sure enough of its office to accept it.
async fn write(group: &Group, mut entry: Entry) {
    let until = Instant::now() + group.timings.election_max;
    while entry.is_wanted() {
        entry.batch.now_ms = now_ms(&group.env, &group.view);
        let proposal = Proposal(entry.batch.encode());
        let written = group.raft.client_write(proposal).await;
        // Refused before the entry was in the log: to try again is no second time.
        let unsure = matches!(
            &written,
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))
                if forward.reason == ForwardReason::LeaseExpired
        );
        if !unsure || !group.leads() || Instant::now() >= until {
            return entry.answer(group, written);
        }
        sleep(LEASE_CHECK).await;
    }
}

/// Why an entry was not written.
pub(crate) fn refused(error: &WriteError) -> Error {
    match error {
        // openraft says this only before the entry is in the leader's log.
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => Error::NotLeader {
            leader: forward.leader_id.zip(forward.leader_node.clone()),
        },
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => Error::NoQuorum,
        RaftError::APIError(other) => Error::Invalid(other.to_string()),
        RaftError::Fatal(error) => fatal(error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::pin::pin;

    use engine::env::Env;
    use engine::ids::ClusterId;
    use engine::segment::LogOptions;

    use super::*;

    fn command(name: &str) -> Command {
        Command::DropKeyspace {
            name: name.to_owned(),
        }
    }

    #[tokio::test]
    async fn what_its_caller_has_given_up_is_not_written() {
        let log = Log::open(
            &Env::memory(),
            Path::new("/log"),
            ClusterId(1),
            LogOptions::default(),
        );
        let (batcher, mut queue) = Batcher::new(log.expect("a new log"));
        let mut first = pin!(batcher.propose(command("first")));
        let mut given_up = Box::pin(batcher.propose(command("given up")));
        let mut last = Box::pin(batcher.propose(command("last")));
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut given_up).is_pending());
        assert!(futures::poll!(&mut last).is_pending());
        let bytes = batcher.waiting_bytes.load(Ordering::Relaxed);

        drop(given_up);
        let mut entry = queue.take(&mut None).await.expect("the queue is open");
        assert!(entry.is_wanted());
        let expected = [command("first"), command("last")];
        assert_eq!(entry.batch.commands, expected);
        assert!(batcher.waiting_bytes.load(Ordering::Relaxed) < bytes);

        // Given up while the entry waits for another try.
        drop(last);
        assert!(entry.is_wanted());
        assert_eq!(entry.batch.commands, expected[..1]);
        let (answer, _) = entry.answers.pop().expect("one is left");
        answer.send(Err(Error::Overloaded)).expect("it is awaited");
        assert!(matches!(first.await, Err(Error::Overloaded)));
        assert!(!entry.is_wanted());
    }
}
