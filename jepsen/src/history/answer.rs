//! What a successful operation was told.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a successful operation was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of a write: its commit's revision. Of a read: the revision of the write that made what was
    /// read. 0 if the client does not know.
    pub revision: u64,
    /// Of a written row: how often it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Of a read: the value; `None` if the row is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// Of a message: where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What was found by the kinds of operation that find more than one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// What an operation found; which variant depends on the kind of operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// By a scan: all rows by key.
    Rows(BTreeMap<String, FoundRow>),
    /// By a fetch: some messages, and where the partition ended at that time.
    Messages {
        /// In the order of the answer.
        messages: Vec<FoundMessage>,
        /// The first offset that no message had.
        end: u64,
    },
    /// By a transaction: one list for each of its reads.
    Lists(Vec<Vec<u64>>),
    /// By a look at the bank: all balances by account.
    Balances(BTreeMap<String, i64>),
    /// By a read of a set.
    Elements(Vec<u64>),
    /// By a read of a counter.
    Count(i64),
    /// By whoever took a lock.
    Token(u64),
    /// By a watcher: all changes of what it watches between two revisions.
    Watched {
        /// The first revision.
        from: u64,
        /// The last.
        upto: u64,
        /// In the order in which they were told.
        commits: Vec<FoundCommit>,
    },
    /// By a read of a set that ends.
    Ending {
        /// The revision that was read.
        at: u64,
        /// What was there; `None` if nothing was.
        incarnation: Option<Incarnation>,
    },
}

/// What one commit has changed of what is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundCommit {
    /// Its revision.
    pub revision: u64,
    /// In the order in which they were told.
    pub changes: Vec<FoundChange>,
}

/// A change of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundChange {
    /// The row.
    pub key: String,
    /// What was written; `None` if it was deleted.
    pub value: Option<String>,
    /// What stood there before, if that was asked for and something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// A set that ends, in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// The revision at which it came into being.
    pub created: u64,
    /// When it ends, in the cluster's time.
    pub ends_ms: u64,
    /// What time it was when it was read.
    pub now_ms: u64,
    /// What is in it.
    pub elements: Vec<u64>,
}

/// A row that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRow {
    /// Its value.
    pub value: String,
    /// How often it was written.
    pub version: u64,
}

/// A message that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundMessage {
    /// Where in its partition it stands.
    pub offset: u64,
    /// Its key.
    pub key: String,
    /// What its producer numbered it.
    pub sequence: u64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The partition.
    pub partition: u32,
    /// The offset there.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} offset {}", self.partition, self.offset)
    }
}
