//! What a client asks for: one variant for each kind of operation that some checker understands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "snake_case")]
pub enum Act {
    /// Writes a row, whatever it held.
    Put {
        /// The row.
        key: String,
        /// Unique for the key.
        value: String,
    },
    /// Replaces a shared row's value, if it is still the expected one.
    Cas {
        /// The row.
        key: String,
        /// `None` if the row must be absent.
        expected: Option<String>,
        /// Unique for the key.
        value: String,
    },
    /// Deletes a row.
    Delete {
        /// The row.
        key: String,
    },
    /// Reads a row, linearizably.
    Read {
        /// The row.
        key: String,
    },
    /// Reads a row through a cache that may answer without asking the owner of the row.
    CachedRead {
        /// The row.
        key: String,
    },
    /// Reads a row as some node has it; the promises of a session alone hold.
    LocalRead {
        /// The row.
        key: String,
    },
    /// Reads every row, linearizably, while nobody writes.
    Scan,
    /// Appends a message.
    Produce {
        /// Its key, which only this process uses.
        key: String,
        /// Grows by one with each message of the key.
        sequence: u64,
    },
    /// Writes a row and appends a message in one commit.
    Commit {
        /// The row, written once.
        row: String,
        /// The message's key.
        key: String,
        /// The message's sequence; the row's value too.
        sequence: u64,
    },
    /// Reads the messages of a partition.
    Fetch {
        /// The partition.
        partition: u32,
        /// The first offset that is asked for.
        offset: u64,
        /// The node that answers from its own files; `None` if any may.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<u64>,
    },
    /// A member of a consumer group has dealt with a message.
    Handle {
        /// The consumer group; only one process at a time is its member.
        consumer_group: String,
        /// The partition.
        partition: u32,
        /// The message's offset.
        offset: u64,
    },
    /// Records for a consumer group how far it has come in all partitions.
    CommitOffsets {
        /// The consumer group.
        consumer_group: String,
    },
    /// A member of a consumer group asks where to go on; the answer's place tells.
    Resume {
        /// The consumer group.
        consumer_group: String,
        /// The partition.
        partition: u32,
    },
    /// Appends to lists and reads lists, in one transaction.
    Txn {
        /// In the order in which they take effect.
        steps: Vec<Step>,
    },
    /// Opens all accounts of the bank, before anything else is done with them.
    Open {
        /// By account.
        balances: BTreeMap<String, i64>,
    },
    /// Moves money between two accounts, in one commit.
    Transfer {
        /// Loses the amount.
        from: String,
        /// Gains the amount.
        to: String,
        /// More than 0.
        amount: i64,
    },
    /// Reads all accounts, at one revision.
    Balances,
    /// Adds an element to a set.
    Add {
        /// The set.
        set: String,
        /// Unique for the set.
        element: u64,
    },
    /// Reads a set.
    Elements {
        /// The set.
        set: String,
    },
    /// Adds to a counter.
    Increment {
        /// The counter.
        counter: String,
        /// How much; may be negative.
        by: i64,
    },
    /// Reads a counter.
    Count {
        /// The counter.
        counter: String,
    },
    /// Adds an element to a set that ends some time after its first.
    Join {
        /// The set.
        set: String,
        /// Unique for the set.
        element: u64,
    },
    /// Reads a set that ends.
    Ending {
        /// The set.
        set: String,
        /// How long it lives.
        ttl_ms: u64,
    },
    /// Changes rows that are watched, in one commit.
    Change {
        /// By key; `None` deletes. At least one value, and each is unique.
        rows: BTreeMap<String, Option<String>>,
    },
    /// Is told what changed from a revision up to another.
    Watch {
        /// The row; `None` for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// What stood there before is shown, too.
        #[serde(default)]
        previous: bool,
        /// The first revision; `None` for those from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u64>,
    },
    /// Takes a lock; the answer's token is higher than any that the lock gave before.
    Acquire {
        /// The lock.
        lock: String,
        /// Whether the lock is lost again when its lease runs out.
        #[serde(default)]
        leased: bool,
    },
    /// Gives a lock back.
    Release {
        /// The lock.
        lock: String,
        /// What the holder got when it took the lock.
        token: u64,
    },
    /// Writes to what a lock protects; a token below one already used is refused there.
    Use {
        /// The lock.
        lock: String,
        /// What the writer got when it took the lock.
        token: u64,
    },
    /// Something was broken on purpose.
    Fault {
        /// What.
        name: String,
    },
    /// Nothing is broken any more.
    Heal,
}

/// One step of a transaction over lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Appends an element.
    Append {
        /// The list.
        list: String,
        /// Unique for the list.
        element: u64,
    },
    /// Reads the whole list.
    Read {
        /// The list.
        list: String,
    },
}

impl Act {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Put { .. }
            | Self::Cas { .. }
            | Self::Delete { .. }
            | Self::Produce { .. }
            | Self::Commit { .. }
            | Self::CommitOffsets { .. }
            | Self::Open { .. }
            | Self::Transfer { .. }
            | Self::Add { .. }
            | Self::Increment { .. }
            | Self::Join { .. }
            | Self::Change { .. }
            | Self::Acquire { .. }
            | Self::Release { .. }
            | Self::Use { .. } => true,
            Self::Txn { steps } => steps.iter().any(|step| matches!(step, Step::Append { .. })),
            Self::Read { .. }
            | Self::CachedRead { .. }
            | Self::LocalRead { .. }
            | Self::Scan
            | Self::Fetch { .. }
            | Self::Handle { .. }
            | Self::Resume { .. }
            | Self::Balances
            | Self::Elements { .. }
            | Self::Count { .. }
            | Self::Ending { .. }
            | Self::Watch { .. }
            | Self::Fault { .. }
            | Self::Heal => false,
        }
    }

    /// Whether it is the nemesis that acts, and no client.
    pub fn is_nemesis(&self) -> bool {
        matches!(self, Self::Fault { .. } | Self::Heal)
    }

    /// The message that it appends: key and sequence.
    pub fn message(&self) -> Option<(&str, u64)> {
        match self {
            Self::Produce { key, sequence } | Self::Commit { key, sequence, .. } => {
                Some((key, *sequence))
            }
            _ => None,
        }
    }
}
