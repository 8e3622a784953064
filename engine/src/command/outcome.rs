//! What a command answers.

use std::fmt;

use crate::ids::{KeyspaceId, Offset, PartitionId, Revision, SessionId, TopicId};
use crate::query::RowView;
use crate::store::RowKind;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The commit took effect at `revision`, each op with its result, in order. A commit that
    /// changed nothing (only deletes of absent rows) answers the revision before it.
    Committed {
        /// The group's revision after the commit.
        revision: Revision,
        /// One result for each op.
        results: Vec<OpResult>,
    },
    /// The state said no; nothing changed.
    Refused(Refusal),
    /// A session is open.
    SessionOpened {
        /// Its id.
        session: SessionId,
    },
    /// A keyspace was made.
    KeyspaceCreated {
        /// Its id.
        keyspace: KeyspaceId,
        /// The revision that made it.
        revision: Revision,
    },
    /// A keyspace treats its rows in another way.
    KeyspaceAltered {
        /// The revision from which on it does.
        revision: Revision,
    },
    /// A keyspace and all its rows are gone.
    KeyspaceDropped {
        /// The revision that removed it.
        revision: Revision,
    },
    /// A topic was made.
    TopicCreated {
        /// Its id.
        topic: TopicId,
        /// The revision that made it.
        revision: Revision,
    },
    /// Done; nothing more to say.
    Done,
}

impl Outcome {
    /// Whether names, or what they stand for, are others than before.
    pub(crate) fn changes_names(&self) -> bool {
        match self {
            Self::KeyspaceCreated { .. }
            | Self::KeyspaceAltered { .. }
            | Self::KeyspaceDropped { .. }
            | Self::TopicCreated { .. } => true,
            Self::Committed { .. } | Self::Refused(_) | Self::SessionOpened { .. } | Self::Done => {
                false
            }
        }
    }
}

/// The answer to one op of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// A row was read.
    Read {
        /// As the ops before have left it; `None` if it is absent.
        row: Option<RowView>,
    },
    /// A row was written; how often it was written since it was last absent.
    Put {
        /// 1 for a new row.
        version: u64,
    },
    /// A number was changed, or left as it was.
    Number {
        /// What it is now.
        value: i64,
    },
    /// Bytes were added.
    Appended {
        /// How long the value is now.
        len: u64,
    },
    /// A row's end was said anew, or the row was not there.
    Expires {
        /// Whether it was there.
        existed: bool,
    },
    /// Members of a set, or fields of a hash, were written or removed.
    Members {
        /// How many came or went; a field that had another value before is neither.
        changed: u64,
        /// How many there are now.
        count: u64,
    },
    /// A row was removed, or was not there.
    Deleted {
        /// Whether it was there.
        existed: bool,
    },
    /// A row was written with a value that it had before.
    Restored {
        /// When that value was written.
        from: Revision,
        /// How often the row was written since it was last absent.
        version: u64,
    },
    /// A range of rows is empty; how many there were is not counted.
    RangeDeleted,
    /// A message was appended.
    Published {
        /// Where.
        partition: PartitionId,
        /// At which offset.
        offset: Offset,
    },
    /// A group's progress was recorded.
    OffsetCommitted,
}

/// What a quota is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// The count of rows.
    Rows,
    /// Bytes of keys and values.
    Bytes,
}

impl Quota {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Rows => 1,
            Self::Bytes => 2,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Rows),
            2 => Some(Self::Bytes),
            _ => None,
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
        })
    }
}

/// Why the state said no. The same on every replica.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A guard did not hold.
    #[error("guard {guard} does not hold{}", match actual { Some(r) => format!(": the row is at revision {r}"), None => ": the row is absent".to_owned() })]
    GuardFailed {
        /// Its place in the commit, from 0.
        guard: u32,
        /// When the row was last changed; `None` if it is absent.
        actual: Option<Revision>,
    },
    /// No keyspace has this name.
    #[error("keyspace {name:?} does not exist")]
    UnknownKeyspace {
        /// The name asked for.
        name: String,
    },
    /// A keyspace has this name already.
    #[error("keyspace {name:?} exists already")]
    KeyspaceExists {
        /// The name asked for.
        name: String,
    },
    /// No topic has this name.
    #[error("topic {name:?} does not exist")]
    UnknownTopic {
        /// The name asked for.
        name: String,
    },
    /// A topic has this name already.
    #[error("topic {name:?} exists already, with {partitions} partitions")]
    TopicExists {
        /// The name asked for.
        name: String,
        /// How many partitions the existing one has.
        partitions: u32,
    },
    /// The topic has fewer partitions.
    #[error("topic {topic:?} has partitions 0 to {}, not {partition}", partitions - 1)]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: PartitionId,
        /// How many it has.
        partitions: u32,
    },
    /// A committed offset would lie beyond the partition's end.
    #[error("offset {next} lies beyond the end {end} of the partition")]
    OffsetBeyondEnd {
        /// The offset asked for.
        next: Offset,
        /// The partition's end.
        end: Offset,
    },
    /// The session is unknown: never opened, closed, or idle for too long.
    #[error("session {session} does not exist or has expired")]
    SessionExpired {
        /// The session asked for.
        session: SessionId,
    },
    /// The request's outcome was already acknowledged and forgotten; it is not done again.
    #[error("request {number} is older than the session remembers")]
    RequestExpired {
        /// The request's number.
        number: u64,
    },
    /// The session remembers too many unacknowledged requests.
    #[error("the session holds {max} unacknowledged requests, the most it may")]
    SessionFull {
        /// `limits::SESSION_REQUESTS_MAX`.
        max: u64,
    },
    /// The row is something else than the op works on.
    #[error("the row is a {found}, not a {wanted}")]
    WrongKind {
        /// What it is.
        found: RowKind,
        /// What the op works on.
        wanted: RowKind,
    },
    /// A number is to be changed, and the row holds something else.
    #[error("the row's value is no decimal number of 64 bits")]
    NotANumber,
    /// The number would no longer fit.
    #[error("the sum lies outside of what 64 bits hold: the number is {value}")]
    NumberOverflow {
        /// What it is.
        value: i64,
    },
    /// A row was to be restored, and it is there.
    #[error(
        "the row is there since revision {revision}: only one that was deleted, or has ended, can be undeleted"
    )]
    RowExists {
        /// When it was last written.
        revision: Revision,
    },
    /// A row was to be restored of which no version is kept.
    #[error("no version of the row is kept: there is nothing to restore")]
    NothingToRestore,
    /// A version was asked for that is not kept.
    #[error("no kept version of the row was written at revision {revision}: list those that are")]
    UnknownVersion {
        /// When it should have been written.
        revision: Revision,
    },
    /// The keyspace keeps no versions, and never did.
    #[error("keyspace {name:?} keeps no versions: make it versioned before they are needed")]
    NotVersioned {
        /// The keyspace.
        name: String,
    },
    /// A set or hash was to be changed in a keyspace that holds plain values only.
    #[error(
        "keyspace {name:?} is versioned or has a quota and holds plain values only: use another keyspace for sets and hashes"
    )]
    PlainValuesOnly {
        /// The keyspace.
        name: String,
    },
    /// The commit would make a keyspace larger than its quota.
    #[error("keyspace {name:?} may hold {max} {quota}, its quota, and would hold {wanted}")]
    QuotaReached {
        /// The keyspace.
        name: String,
        /// What it may hold no more of.
        quota: Quota,
        /// The quota.
        max: u64,
        /// What it would hold after the commit.
        wanted: u64,
    },
    /// A row was to end at a time that has passed.
    #[error("the row would have ended at {at_ms}, and it is {now_ms} now")]
    ExpiryInThePast {
        /// When it would have ended.
        at_ms: u64,
        /// The entry's time.
        now_ms: u64,
    },
    /// A named limit of the group is reached.
    #[error("the group holds {max} {what}, the most it may")]
    LimitReached {
        /// What there are too many of.
        what: String,
        /// How many there may be.
        max: u64,
    },
    /// A node announced a start that is not after the last known one: an old disk came back.
    #[error("boot {announced} of the node is not after boot {known}: its disk is an old copy")]
    StaleBoot {
        /// What it announced.
        announced: u64,
        /// What the cluster knows.
        known: u64,
    },
    /// A floor above the present revision or below the present floor.
    #[error("the floor must lie between {floor} and {revision}")]
    FloorOutOfRange {
        /// The present floor.
        floor: Revision,
        /// The present revision.
        revision: Revision,
    },
    /// The command breaks a rule that the wire check should have caught.
    #[error("the command is invalid: {reason}")]
    Invalid {
        /// Which rule.
        reason: String,
    },
}
