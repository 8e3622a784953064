//! How each command changes the state: the one `match` on [`Command`], one `match` on [`Op`].
//!
//! Everything here is a function of the state, the entry and nothing else: no clock, no chance,
//! no order of a hash map. An `Err` is a fault of this node (its disk), never an answer; what
//! the state refuses is an [`Outcome::Refused`], equal on every replica.
//!
//! # Invariants
//! - A refused commit has changed nothing; a commit is written to the store in one batch.
//! - The row cache is invalidated before the revision becomes visible.

mod admin;
mod changes;
mod commit;
mod draft;
mod expiry;
mod guard;
pub(crate) mod keys;
mod queued;
mod quota;
mod typed;
mod versions;

pub(crate) use typed::members_of;
pub(crate) use versions::is_marker;

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::cache::RowCache;
use crate::changes::{Cause, CommitRecord, EntryRecord};
use crate::command::{Batch, Command, Outcome, Payload};
use crate::error::Result;
use crate::ids::{GroupId, LogId, Revision};
use crate::limits::HISTORY_REVISIONS;
use crate::queue::Partitions;
use crate::state::State;
use crate::store::Store;

/// The rooms that an apply writes to.
pub(crate) struct Apply<'a> {
    pub(crate) group: GroupId,
    pub(crate) state: &'a mut State,
    pub(crate) store: &'a dyn Store,
    pub(crate) partitions: &'a Partitions,
    pub(crate) rows: &'a RowCache,
    digest: Xxh3,
    /// What the entry has changed so far.
    commits: Vec<CommitRecord>,
}

/// What became of an entry.
pub(crate) struct Applied {
    /// One for each command.
    pub(crate) outcomes: Vec<Outcome>,
    /// What it has changed, if it has changed anything.
    pub(crate) record: Option<EntryRecord>,
}

impl<'a> Apply<'a> {
    /// Prepares for one entry.
    pub(crate) fn new(
        group: GroupId,
        state: &'a mut State,
        store: &'a dyn Store,
        partitions: &'a Partitions,
        rows: &'a RowCache,
    ) -> Self {
        let digest = Xxh3::with_seed(state.digest);
        Self {
            group,
            state,
            store,
            partitions,
            rows,
            digest,
            commits: Vec::new(),
        }
    }

    /// Applies one entry.
    pub(crate) fn entry(mut self, log_id: LogId, payload: &Payload) -> Result<Applied> {
        self.digest.update(&log_id.term.0.to_le_bytes());
        self.digest.update(&log_id.index.0.to_le_bytes());
        let outcomes = match payload {
            Payload::Blank => Vec::new(),
            Payload::Membership(membership) => {
                self.digest.update(membership);
                self.state.membership = Some((log_id, membership.clone()));
                Vec::new()
            }
            Payload::Batch(batch) => self.batch(batch)?,
        };
        let kept_from = self.state.revision.0.saturating_sub(HISTORY_REVISIONS);
        self.state.floor = self.state.floor.max(Revision(kept_from));
        let record = self.write_record(log_id)?;
        self.state.applied = Some(log_id);
        self.state.digest = self.digest.digest();
        Ok(Applied { outcomes, record })
    }

    fn batch(&mut self, batch: &Batch) -> Result<Vec<Outcome>> {
        self.state.now_ms = self.state.now_ms.max(batch.now_ms);
        let mut outcomes = Vec::with_capacity(batch.commands.len());
        for command in &batch.commands {
            let outcome = self.command(command)?;
            self.digest.update(&outcome.encode());
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn command(&mut self, command: &Command) -> Result<Outcome> {
        match command {
            Command::Commit(commit) => self.commit(commit),
            Command::OpenSession => Ok(self.open_session()),
            Command::CloseSession { session } => Ok(self.close_session(*session)),
            Command::CreateKeyspace { name, options } => Ok(self.create_keyspace(name, options)),
            Command::AlterKeyspace { name, options } => Ok(self.alter_keyspace(name, options)),
            Command::DropKeyspace { name } => self.drop_keyspace(name),
            Command::CreateTopic { name, partitions } => Ok(self.create_topic(name, *partitions)),
            Command::Tick => self.tick(),
            Command::NodeStarted { node, boot } => Ok(self.node_started(*node, *boot)),
            Command::RaiseFloor { revision } => Ok(self.raise_floor(*revision)),
        }
    }

    /// The next revision, at which no row changes; it becomes visible with its entry.
    fn advance(&mut self, cause: Cause) -> Revision {
        let revision = Revision(self.state.revision.0 + 1);
        self.record(revision, cause, Vec::new(), Vec::new());
        self.state.revision = revision;
        revision
    }

    fn note_change(&mut self, key: &[u8], value: Option<&Bytes>) {
        self.digest.update(key);
        if let Some(value) = value {
            self.digest.update(value);
        }
    }
}
