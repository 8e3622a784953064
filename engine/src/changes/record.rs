//! The record of an entry: for each of its commits, who asked and what changed.

use bytes::Bytes;

use crate::ids::{LogId, Offset, PartitionId, Revision, SessionId};
use crate::store::{KeyRange, NewRow};

/// What a commit, a row or a message costs beside its bytes, about.
const PART_BYTES: usize = 96;

/// Why a revision came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A client's commit: its session and its number there, if it has one.
    Commit(Option<(SessionId, u64)>),
    /// Rows whose end had come were removed.
    RowsEnded,
    /// A keyspace was made.
    KeyspaceCreated(String),
    /// A keyspace's options were changed.
    KeyspaceAltered(String),
    /// A keyspace was dropped with all its rows.
    KeyspaceDropped(String),
    /// A topic was made.
    TopicCreated(String),
}

/// What one entry of the log has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryRecord {
    pub(crate) log_id: LogId,
    /// The state's time, milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// In the order of their revisions; never none.
    pub(crate) commits: Vec<CommitRecord>,
}

/// What one commit has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitRecord {
    pub(crate) revision: Revision,
    pub(crate) cause: Cause,
    /// Ranges first, then rows in the order of the ops.
    pub(crate) rows: Vec<RowRecord>,
    pub(crate) queued: Vec<QueuedChange>,
}

/// A change of rows, by their store keys. Timers, members and the like are not told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowRecord {
    /// A row was written; what, stands in memory only.
    Put(Bytes, Option<NewRow>),
    /// A row was deleted.
    Deleted(Bytes),
    /// A row's end had come.
    Ended(Bytes),
    /// A range was emptied.
    RangeDeleted(KeyRange),
}

/// A change beside rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueuedChange {
    /// A message was appended.
    Message {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: PartitionId,
        /// The message's place there.
        offset: Offset,
    },
    /// A consumer group went on.
    Offset {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: PartitionId,
        /// The group.
        consumer_group: String,
        /// The next offset that it wants.
        next: Offset,
    },
}

impl RowRecord {
    /// The row's key, or where the range begins.
    pub(crate) fn key(&self) -> &Bytes {
        match self {
            Self::Put(key, _) | Self::Deleted(key) | Self::Ended(key) => key,
            Self::RangeDeleted(range) => &range.start,
        }
    }
}

impl EntryRecord {
    /// The revision of its last commit.
    pub(crate) fn last_revision(&self) -> Revision {
        self.commits
            .last()
            .map_or(Revision(0), |commit| commit.revision)
    }

    /// About how many bytes it keeps from being freed.
    pub(crate) fn bytes(&self) -> usize {
        let of_row = |row: &RowRecord| {
            let value = match row {
                RowRecord::Put(_, Some(new)) => new.value.len(),
                _ => 0,
            };
            row.key().len() + value + PART_BYTES
        };
        let commits = self.commits.iter();
        let of_commit = commits.map(|commit| {
            let rows = commit.rows.iter().map(of_row).sum::<usize>();
            PART_BYTES + rows + commit.queued.len() * PART_BYTES
        });
        of_commit.sum()
    }

    /// The commits from a revision on.
    pub(crate) fn commits_from(&self, revision: Revision) -> &[CommitRecord] {
        let before = self
            .commits
            .partition_point(|commit| commit.revision < revision);
        &self.commits[before..]
    }
}
