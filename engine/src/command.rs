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

pub use outcome::{OpResult, Outcome, Refusal};

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    },
    /// Makes a topic. An existing one is [`Refusal::TopicExists`].
    CreateTopic {
        /// Its name.
        name: String,
        /// How many partitions it has for now and ever.
        partitions: u32,
    },
    /// Lets time pass: expires idle sessions, a bounded number at a time.
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
    /// Whether the state may be larger afterwards. What is not may pass even on a full disk:
    /// it removes something, or is small, bounded, and needed in order to remove something.
    pub fn grows_state(&self) -> bool {
        match self {
            Self::Commit(commit) => commit
                .ops
                .iter()
                .any(|op| matches!(op, Op::Put { .. } | Op::Publish { .. })),
            Self::CreateKeyspace { .. } | Self::CreateTopic { .. } => true,
            // A client deletes within a session; their number is limited.
            Self::OpenSession
            | Self::CloseSession { .. }
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

/// One step of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a row.
    Put {
        /// Which.
        row: RowRef,
        /// Its new value.
        value: Bytes,
    },
    /// Removes a row; one that is not there is no error.
    Delete {
        /// Which.
        row: RowRef,
    },
    /// Removes every row of a keyspace from `start` up to, but without, `end`, in one step however
    /// many they are. Rows that later ops of the commit write in the range stay.
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
