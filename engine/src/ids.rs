//! Identifiers: numbers that must never be swapped for one another.
//!
//! Each is a transparent newtype over the integer that stands on disk and on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }
    };
}

id! {
    /// A cluster, drawn at random when it is created; stands in every segment header.
    ClusterId(u64)
}
id! {
    /// A node. Never reused: a wiped node comes back under a new id.
    NodeId(u64)
}
id! {
    /// A Raft group. Group 0 always exists.
    GroupId(u32)
}
id! {
    /// A Raft term.
    Term(u64)
}
id! {
    /// The place of an entry in one group's Raft log, from 1.
    LogIndex(u64)
}
id! {
    /// One commit that changed a group's state; rows and messages share the count.
    Revision(u64)
}
id! {
    /// A keyspace inside a group; the prefix of its rows' keys.
    KeyspaceId(u32)
}
id! {
    /// A topic inside a group.
    TopicId(u32)
}
id! {
    /// A partition of a topic, from 0.
    PartitionId(u32)
}
id! {
    /// The place of a message in its partition, dense, from 0.
    Offset(u64)
}
id! {
    /// A client's session in a group; never reused.
    SessionId(u64)
}
id! {
    /// How often a node has started on its disk; grows by one with each start.
    Boot(u64)
}

/// Names one Raft log entry: the term it was written in and its index.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LogId {
    /// Term of the leader that wrote the entry.
    pub term: Term,
    /// The entry's place.
    pub index: LogIndex,
}

impl LogId {
    /// The entry at `index`, written in `term`.
    pub const fn new(term: u64, index: u64) -> Self {
        Self {
            term: Term(term),
            index: LogIndex(index),
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.index)
    }
}
