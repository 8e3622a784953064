//! Why a request was not answered: every way there is, before it becomes a status.

use engine::command::{OpResult, Outcome, Refusal};
use engine::ids::{GroupId, Offset, PartitionId, Revision};
use tonic::Status;

use crate::wire::Invalid;

/// What stands between a request and its answer.
#[derive(Debug)]
pub(crate) enum Error {
    /// The request was never acceptable.
    Invalid(Invalid),
    /// The state said no, on all replicas alike.
    Refused(Refusal),
    /// What a read names does not exist.
    Absent(Absent),
    /// A read asked for the past that is gone or the future.
    OutOfRange(Range),
    /// A watcher has not read for too long; it is told where to go on.
    WatcherTooSlow(Revision),
    /// This node has too much to do.
    Overloaded(&'static str),
    /// This node's state is damaged and not yet replaced.
    Repairing,
    /// The caller's time is over; what was begun goes on.
    DeadlinePassed,
    /// Replication could not do it.
    Raft(engine_raft::Error),
    /// Reading from this node's disk failed.
    Engine(engine::Error),
    /// What the leader answered to a request that went on to it.
    Relayed(Status),
    /// The leader could not be asked.
    LeaderUnreachable(String),
    /// The leader was asked and its answer was lost on the way.
    RelayLost(Status),
    /// Something that cannot be happened.
    Bug(String),
}

/// What does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// No Raft group has this number.
    Group(GroupId),
    /// No keyspace has this name.
    Keyspace(String),
    /// No topic has this name.
    Topic(String),
    /// The topic has fewer partitions.
    Partition(String, PartitionId),
}

/// What lies outside of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// Older than the floor.
    RevisionCompacted {
        /// What was asked for.
        asked: Revision,
        /// The oldest readable.
        floor: Revision,
        /// Where a walk over pages goes on, at a newer revision.
        cursor: Option<String>,
    },
    /// Newer than the newest.
    RevisionInFuture {
        /// What was asked for.
        asked: Revision,
        /// The newest on this node.
        newest: Revision,
    },
    /// Below the oldest message kept or beyond the end.
    Offset {
        /// What was asked for.
        asked: Offset,
        /// The oldest kept.
        start: Offset,
        /// The offset that the next message will have.
        end: Offset,
    },
}

impl Error {
    /// An outcome that does not answer the command: a refusal, or a bug.
    pub(crate) fn unexpected(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Refused(refusal) => Self::Refused(refusal),
            other => Self::Bug(format!("the outcome {other:?} does not answer the command")),
        }
    }

    /// Results that do not answer the ops.
    pub(crate) fn mismatch(results: &[OpResult]) -> Self {
        Self::Bug(format!("the results {results:?} do not answer the ops"))
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<engine_raft::Error> for Error {
    fn from(error: engine_raft::Error) -> Self {
        Self::Raft(error)
    }
}
