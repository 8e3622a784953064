//! What has changed: watched by key, prefix or range, or told of every commit.

use bytes::Bytes;

use super::RowView;
use crate::changes::{Cause, QueuedChange};
use crate::ids::{KeyspaceId, LogId, Revision};

/// Which keys of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One.
    One(Bytes),
    /// All that begin with this; empty for the whole keyspace.
    Prefix(Bytes),
    /// From the first, up to and without the second; without an end if there is none.
    Range(Bytes, Option<Bytes>),
}

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// The keyspace's name.
    pub keyspace: String,
    /// Which of its rows.
    pub keys: Keys,
    /// Leave out rows that were written.
    pub no_puts: bool,
    /// Leave out rows that were deleted or have ended, and ranges.
    pub no_deletes: bool,
    /// Show what was there before.
    pub previous: bool,
    /// Leave values out.
    pub keys_only: bool,
}

/// How far a watcher has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchPosition {
    /// The next revision to look at.
    pub revision: Revision,
    /// How many of its changes were looked at already.
    pub done: usize,
}

impl WatchPosition {
    /// Before everything that happened at a revision.
    pub fn at(revision: Revision) -> Self {
        Self { revision, done: 0 }
    }
}

/// What happened from a position on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchPage {
    /// Commits that changed what is watched, in the order of their revisions.
    pub commits: Vec<WatchedCommit>,
    /// Where to go on. All that is watched has been told of up to here.
    pub next: WatchPosition,
    /// Whether there may be more already.
    pub more: bool,
}

/// What one commit changed of what is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedCommit {
    /// Its revision: all its events happened at once.
    pub revision: Revision,
    /// Its time, milliseconds since 1970.
    pub at_ms: u64,
    /// Each row at most once; ranges come before the rows that were written into them.
    pub events: Vec<WatchEvent>,
    /// Whether these were the last events of the commit: a large one comes in parts.
    pub complete: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub change: Change,
    /// What was there before, if that was asked for and something was.
    pub previous: Option<RowView>,
}

/// What happened to a row or to a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was written; a set or hash shows how many members it has since.
    Put(RowView),
    /// It was deleted by a commit.
    Deleted(Bytes),
    /// Its end had come.
    Ended(Bytes),
    /// All rows from the first key up to the second were deleted, as far as they are watched.
    RangeDeleted(Bytes, Option<Bytes>),
    /// The keyspace was dropped with all its rows: nothing more will happen.
    KeyspaceDropped,
}

/// What every commit of a group changed, whatever the keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesPage {
    /// In the order of their revisions, without gaps.
    pub commits: Vec<CommitView>,
    /// The first revision behind them.
    pub next: Revision,
    /// Whether there are more already.
    pub more: bool,
}

/// One revision: who, when, and what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitView {
    /// The revision.
    pub revision: Revision,
    /// Its entry of the Raft log.
    pub log_id: LogId,
    /// Its time, milliseconds since 1970.
    pub at_ms: u64,
    /// Who caused it.
    pub cause: Cause,
    /// Changes of rows; at most `limits::WATCH_EVENTS_MAX` are shown.
    pub rows: Vec<RowDiff>,
    /// How many changes of rows there were.
    pub row_count: usize,
    /// Messages and offsets.
    pub queued: Vec<QueuedChange>,
}

/// One change of a row, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowDiff {
    /// The number of the keyspace.
    pub keyspace_id: KeyspaceId,
    /// Its name; `None` if it was dropped since.
    pub keyspace: Option<String>,
    /// What happened.
    pub event: WatchEvent,
}
