//! Everything that can ever change state, on one page; and what each change answers.
//!
//! A Raft entry's payload is a [`Payload`]: nothing, a membership, or a [`Batch`] of commands
//! with the time its leader stamped on it. `Replica::apply` is the only reader. Refusals are
//! results: the same on every replica, remembered by the session, replayed on retry.
//!
//! ```text
//! payload = kind:u8 body            0 blank · 1 membership bytes · 2 now_ms:u64 list<command>
//! command = kind:u8 body            see `Command`; ops and guards likewise
//! ```
//!
//! # Not here
//! How a command is applied (`apply`); how requests arrive (`engine-server`).

mod encoding;
mod outcome;

use bytes::Bytes;

pub use outcome::{OpResult, Outcome, Quota, Refusal};

use crate::ids::{Boot, NodeId, Offset, PartitionId, Revision, SessionId};

/// What one entry of the Raft log carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: a new leader's first entry.
    Blank,
    /// Raft's membership, opaque here; kept in the state so that a checkpoint carries it.
    Membership(Bytes),
    /// Commands in order, with one time.
    Batch(Batch),
}

/// Commands that were waiting at the leader together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The leader's time, milliseconds since 1970; state keeps the maximum it has seen.
    pub now_ms: u64,
    /// In the order they are applied; later ones see the earlier ones' effects.
    pub commands: Vec<Command>,
}

/// One change of state. The list is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Rows, messages and offsets in one atomic step, if all guards hold.
    Commit(Commit),
    /// Opens a session for exactly-once requests.
    OpenSession,
    /// Forgets a session and its remembered outcomes.
    CloseSession {
        /// The session; an unknown one is no error.
        session: SessionId,
    },
    /// Makes a keyspace. An existing one is [`Refusal::KeyspaceExists`].
    CreateKeyspace {
        /// Its name.
        name: String,
        /// How it treats its rows.
        options: KeyspaceOptions,
    },
    /// Changes how a keyspace treats its rows from now on; those that are there keep their ends.
    AlterKeyspace {
        /// Its name.
        name: String,
        /// How it treats its rows.
        options: KeyspaceOptions,
    },
    /// Removes a keyspace with all its rows; not the default one.
    DropKeyspace {
        /// Its name.
        name: String,
    },
    /// Makes a topic. An existing one is [`Refusal::TopicExists`].
    CreateTopic {
        /// Its name.
        name: String,
        /// How many partitions it has for now and ever.
        partitions: u32,
    },
    /// Lets time pass: forgets idle sessions and removes rows that have ended, a bounded number
    /// at a time.
    Tick,
    /// A node announces a start on its disk.
    NodeStarted {
        /// Which node.
        node: NodeId,
        /// Its count of starts, one more than before.
        boot: Boot,
    },
    /// Gives up reads below a revision, so that compaction may drop old versions.
    RaiseFloor {
        /// The oldest revision that stays readable.
        revision: Revision,
    },
}

impl Command {
    /// How much work it is: guards, ops, and members and fields of sets and hashes.
    pub fn weight(&self) -> usize {
        match self {
            Self::Commit(commit) => {
                commit.guards.len() + commit.ops.iter().map(Op::weight).sum::<usize>()
            }
            _ => 1,
        }
    }

    /// Whether the state may be larger afterwards. What is not may pass even on a full disk:
    /// it removes something, or is small, bounded, and needed in order to remove something.
    pub fn grows_state(&self) -> bool {
        match self {
            Self::Commit(commit) => commit.ops.iter().any(Op::grows_state),
            Self::CreateKeyspace { .. } | Self::AlterKeyspace { .. } | Self::CreateTopic { .. } => {
                true
            }
            // A client deletes within a session; their number is limited.
            Self::OpenSession
            | Self::CloseSession { .. }
            | Self::DropKeyspace { .. }
            | Self::Tick
            | Self::NodeStarted { .. }
            | Self::RaiseFloor { .. } => false,
        }
    }
}

/// One atomic step of data.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Commit {
    /// Who asks and how often; `None` means at most once, without memory.
    pub request: Option<Request>,
    /// All must hold, or nothing happens.
    pub guards: Vec<Guard>,
    /// Done in order, all or none. No key and no group offset may stand twice.
    pub ops: Vec<Op>,
}

/// Makes a commit exactly-once: a repeated number answers the first outcome again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// From `Outcome::SessionOpened`.
    pub session: SessionId,
    /// Counted by the client from 1, never reused.
    pub number: u64,
    /// The client holds the answers of all requests below this number: they may be forgotten.
    pub acked_below: u64,
}

/// A condition on the state before the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The row is there.
    Exists(RowRef),
    /// The row is not there.
    Absent(RowRef),
    /// The row was last changed at exactly this revision.
    RevisionIs(RowRef, Revision),
    /// The row holds exactly this value.
    ValueIs(RowRef, Bytes),
}

/// Names a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRef {
    /// The keyspace's name.
    pub keyspace: String,
    /// The key inside it.
    pub key: Bytes,
}

/// How a keyspace treats its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceOptions {
    /// When rows end whose writers do not say it, in milliseconds after they are written;
    /// `None` for never. 1 to [`limits::TTL_MS_MAX`](crate::limits::TTL_MS_MAX).
    pub default_ttl_ms: Option<u64>,
    /// Every version that a write replaces is kept, and a delete leaves a marker behind, until the
    /// keyspace is dropped. Such a keyspace holds plain values only. What was kept stays when
    /// the option is taken away.
    pub versioned: bool,
    /// Most rows that it holds; `None` for no quota. Rows that have ended count until a tick has
    /// removed them. A keyspace with a quota holds plain values only.
    pub rows_max: Option<u64>,
    /// Most bytes of keys and values that it holds, versions included; `None` for no quota.
    pub bytes_max: Option<u64>,
    /// Its rows are kept out of the row cache, for those of others: for rows that are seldom read
    /// twice.
    pub uncached: bool,
}

impl KeyspaceOptions {
    /// Whether rows and bytes are counted.
    pub fn has_quota(&self) -> bool {
        self.rows_max.is_some() || self.bytes_max.is_some()
    }

    /// Whether it holds neither sets nor hashes.
    pub fn plain_values_only(&self) -> bool {
        self.versioned || self.has_quota()
    }
}

/// When a row ends: it is hidden from then on, and removed soon after.
///
/// Time is that of the entry: the leader's clock, which never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// A put follows the keyspace's default; an op that changes a value keeps the end it has, and
    /// gives a new row the default.
    #[default]
    Default,
    /// Never, whatever the keyspace says.
    Never,
    /// Keeps the end of a row that is there; a new one follows the keyspace's default.
    Keep,
    /// So many milliseconds from now.
    After(u64),
    /// At this time, milliseconds since 1970; one that has passed is refused.
    At(u64),
    /// So many milliseconds from now if the row is new; one that is there keeps its end. What a
    /// window of a rate limit needs.
    IfNew(u64),
}

/// How a number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberChange {
    /// By so much; an absent row counts as 0.
    Add(i64),
    /// To this number if it is larger, or if the row is absent.
    Max(i64),
    /// To this number if it is smaller, or if the row is absent.
    Min(i64),
}

/// One step of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a row, whatever it was before.
    Put {
        /// Which.
        row: RowRef,
        /// Its new value.
        value: Bytes,
        /// When it ends.
        expiry: Expiry,
    },
    /// Changes a number that a row holds as decimal digits, as a put may have written it.
    Number {
        /// Which.
        row: RowRef,
        /// How.
        change: NumberChange,
        /// When the row ends.
        expiry: Expiry,
    },
    /// Adds bytes to the end of a row's value; an absent row counts as empty.
    Append {
        /// Which.
        row: RowRef,
        /// What is added.
        suffix: Bytes,
        /// When the row ends.
        expiry: Expiry,
    },
    /// Reads a row as the ops before it have left it; it may stand beside an op that changes the row.
    Read {
        /// Which.
        row: RowRef,
    },
    /// Says anew when a row ends; one that is not there is no error.
    Expire {
        /// Which.
        row: RowRef,
        /// When it ends.
        expiry: Expiry,
    },
    /// Adds members to a set, which comes into being with its first.
    SetAdd {
        /// Which.
        row: RowRef,
        /// In any order; one that stands twice counts once.
        members: Vec<Bytes>,
        /// When the set ends, with all its members.
        expiry: Expiry,
    },
    /// Removes members from a set, which goes with its last.
    SetRemove {
        /// Which.
        row: RowRef,
        /// Members that are not there are no error.
        members: Vec<Bytes>,
    },
    /// Writes fields of a hash, which comes into being with its first.
    HashSet {
        /// Which.
        row: RowRef,
        /// Fields and values; of two for one field the later counts.
        fields: Vec<(Bytes, Bytes)>,
        /// When the hash ends, with all its fields.
        expiry: Expiry,
    },
    /// Removes fields of a hash, which goes with its last.
    HashRemove {
        /// Which.
        row: RowRef,
        /// Fields that are not there are no error.
        fields: Vec<Bytes>,
    },
    /// Removes a row; one that is not there is no error.
    Delete {
        /// Which.
        row: RowRef,
    },
    /// Writes a row anew that was deleted or has ended in a versioned keyspace: with the newest value
    /// that was kept, and the end that its keyspace says.
    Undelete {
        /// Which; one that is there is refused.
        row: RowRef,
    },
    /// Writes a row with the value that it had once, and the end that its keyspace says. That
    /// version must be kept, or, in a keyspace that never was versioned, still readable.
    Revert {
        /// Which; it may have been deleted since.
        row: RowRef,
        /// When that value was written: the version's own revision, not a later one.
        to: Revision,
    },
    /// Removes every row of a keyspace from `start` up to, but without, `end`, in one step however
    /// many they are; in a versioned keyspace as many as one commit can keep. Rows that later ops of
    /// the commit write in the range stay.
    DeleteRange {
        /// The keyspace's name.
        keyspace: String,
        /// The first key; empty for the first of the keyspace.
        start: Bytes,
        /// The first key behind the range; `None` for the end of the keyspace.
        end: Option<Bytes>,
    },
    /// Appends a message to a topic.
    Publish {
        /// The topic's name.
        topic: String,
        /// Where to; `None` means by key, or in turn for a message without a key.
        partition: Option<PartitionId>,
        /// What is appended.
        message: NewMessage,
    },
    /// Records how far a consumer group has processed a partition.
    CommitOffset {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionId,
        /// The consumer group's name; made on first use.
        consumer_group: String,
        /// The next offset to read: one more than the last processed.
        next: Offset,
    },
}

impl Op {
    /// Writes a row that ends as its keyspace says.
    pub fn put(row: RowRef, value: Bytes) -> Self {
        Self::Put {
            row,
            value,
            expiry: Expiry::Default,
        }
    }

    /// Whether there may be more to store afterwards.
    fn grows_state(&self) -> bool {
        match self {
            Self::Put { .. }
            | Self::Number { .. }
            | Self::Append { .. }
            | Self::SetAdd { .. }
            | Self::HashSet { .. }
            | Self::Undelete { .. }
            | Self::Revert { .. }
            | Self::Publish { .. } => true,
            Self::Delete { .. }
            | Self::DeleteRange { .. }
            | Self::Expire { .. }
            | Self::SetRemove { .. }
            | Self::HashRemove { .. }
            | Self::Read { .. }
            | Self::CommitOffset { .. } => false,
        }
    }

    /// How much work it is: members and fields are rows of their own.
    pub fn weight(&self) -> usize {
        match self {
            Self::SetAdd { members, .. } | Self::SetRemove { members, .. } => members.len().max(1),
            Self::HashSet { fields, .. } => fields.len().max(1),
            Self::HashRemove { fields, .. } => fields.len().max(1),
            Self::Put { .. }
            | Self::Number { .. }
            | Self::Append { .. }
            | Self::Expire { .. }
            | Self::Delete { .. }
            | Self::Undelete { .. }
            | Self::Revert { .. }
            | Self::DeleteRange { .. }
            | Self::Publish { .. }
            | Self::Read { .. }
            | Self::CommitOffset { .. } => 1,
        }
    }
}

/// A message as its producer wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NewMessage {
    /// Messages with one key stay in one partition, in order.
    pub key: Option<Bytes>,
    /// The payload.
    pub value: Bytes,
    /// Kept verbatim and in order, duplicates included.
    pub headers: Vec<(String, Bytes)>,
}
