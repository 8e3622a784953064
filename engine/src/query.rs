//! Everything that can be asked of a replica. A query changes nothing and leaves no trace.
//!
//! Reads without a revision see the newest published one; reads at a revision work from the
//! compaction floor up to the newest, and are otherwise [`OutOfRange`](crate::ErrorKind).

mod watch;

use bytes::Bytes;

use crate::apply::members_of;
use crate::command::{KeyspaceOptions, RowRef};
use crate::ids::{LogId, Offset, PartitionId, Revision};
use crate::store::{NEVER_MS, Row, RowKind};

pub use crate::changes::{Cause, QueuedChange};
pub use watch::{
    Change, ChangesPage, CommitView, Keys, RowDiff, WatchEvent, WatchPage, WatchPosition,
    WatchRequest, WatchedCommit,
};

/// A row as it stood at the revision that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowView {
    /// The key inside its keyspace.
    pub key: Bytes,
    /// The value; empty in a scan for keys only.
    pub value: Bytes,
    /// When the row last came into being.
    pub create_revision: Revision,
    /// When it was last written.
    pub mod_revision: Revision,
    /// How often it was written since it came into being; 1 for a new row.
    pub version: u64,
    /// When it ends, milliseconds since 1970; `None` if it does not.
    pub expires_at_ms: Option<u64>,
    /// What it is. The value of a set or hash is empty: ask for its members.
    pub kind: RowKind,
    /// How many members a set has, or fields a hash; 0 for a plain value.
    pub members: u64,
}

impl RowView {
    /// A row as the store has it.
    pub(crate) fn of(key: Bytes, row: Row) -> Self {
        let meta = row.meta;
        let members = members_of(&row);
        let (value, members) = match meta.kind {
            RowKind::Bytes => (row.value, 0),
            RowKind::Set | RowKind::Hash => (Bytes::new(), members),
        };
        Self {
            key,
            value,
            create_revision: meta.create_revision,
            mod_revision: row.mod_revision,
            version: meta.version,
            expires_at_ms: (meta.expires_at_ms != NEVER_MS).then_some(meta.expires_at_ms),
            kind: meta.kind,
            members,
        }
    }
}

/// A keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceView {
    /// Its name.
    pub name: String,
    /// How it treats its rows.
    pub options: KeyspaceOptions,
    /// What it holds, if it has a quota.
    pub usage: Option<UsageView>,
}

/// What a keyspace with a quota holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageView {
    /// Rows, with those that have ended and were not removed yet.
    pub rows: u64,
    /// Bytes of keys and values, versions included.
    pub bytes: u64,
    /// All is counted, and the quota holds. A keyspace that had rows before it had a quota is counted
    /// first.
    pub complete: bool,
}

/// Which versions of a row, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionsRequest {
    /// The row; it may have been deleted.
    pub row: RowRef,
    /// Only those that were written before this revision: a page's cursor.
    pub before: Option<Revision>,
    /// Most versions; capped at `limits::PAGE_ITEMS_MAX`, which 0 asks for.
    pub limit: usize,
}

/// A version of a row: what it was from one write to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionView {
    /// When it was written.
    pub revision: Revision,
    /// The row did not exist from then on: it was deleted, or, if `expires_at_ms` is there, it ended.
    pub is_delete_marker: bool,
    /// How often the row had been written since it came into being; 0 of a delete marker.
    pub version: u64,
    /// When the row had come into being.
    pub create_revision: Revision,
    /// When it would have ended, or did, milliseconds since 1970; `None` for never.
    pub expires_at_ms: Option<u64>,
    /// The value; empty of a delete marker.
    pub value: Bytes,
}

/// A page of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionsPage {
    /// Whether the keyspace keeps versions, or did. If not, these are those of the row's present life
    /// that were written within the history that is still readable.
    pub kept: bool,
    /// The newest first.
    pub versions: Vec<VersionView>,
    /// Whether versions follow; the last one's revision is the next page's `before`.
    pub more: bool,
    /// The revision that was read.
    pub revision: Revision,
    /// The cluster's time at which it was read, milliseconds since 1970.
    pub now_ms: u64,
}

/// One version of a row, or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionAnswer {
    /// `None` if none that is kept was written then; a delete marker is a version, too.
    pub version: Option<VersionView>,
    /// The revision that was read.
    pub revision: Revision,
    /// The cluster's time at which it was read, milliseconds since 1970.
    pub now_ms: u64,
}

/// Which members of a set, or fields of a hash, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersRequest {
    /// The set or hash.
    pub row: RowRef,
    /// Only those behind this one: a page's cursor.
    pub after: Option<Bytes>,
    /// Read at this revision.
    pub at: Option<Revision>,
    /// Most members; capped at `limits::PAGE_ITEMS_MAX`, which 0 asks for.
    pub limit: usize,
}

/// A page of members or fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersPage {
    /// What the row is; `None` if it is not there.
    pub kind: Option<RowKind>,
    /// In byte order; the value of a set's member is empty.
    pub members: Vec<(Bytes, Bytes)>,
    /// Whether members follow; the last one is the next page's `after`.
    pub more: bool,
    /// The revision that was read; pass it on as `at` for a consistent walk.
    pub revision: Revision,
    /// The cluster's time at which it was read, milliseconds since 1970: what has ended by then is not
    /// shown.
    pub now_ms: u64,
}

/// Which rows of a keyspace, in key order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ScanRequest {
    /// The keyspace's name.
    pub keyspace: String,
    /// Only keys that begin with this; empty for all.
    pub prefix: Bytes,
    /// Only keys after this one (before it, in a reverse scan): a page's cursor.
    pub after: Option<Bytes>,
    /// Read at this revision.
    pub at: Option<Revision>,
    /// From the last key to the first.
    pub reverse: bool,
    /// Leave values out.
    pub keys_only: bool,
    /// Most rows; capped at `limits::PAGE_ITEMS_MAX`, which 0 asks for.
    pub limit: usize,
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPage {
    /// In key order.
    pub rows: Vec<RowView>,
    /// Whether rows follow; the last row's key is the next page's `after`.
    pub more: bool,
    /// The revision that was read; pass it on as `at` for a consistent walk.
    pub revision: Revision,
    /// The cluster's time at which it was read, milliseconds since 1970: what has ended by then is not
    /// shown.
    pub now_ms: u64,
}

/// One row, or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetAnswer {
    /// `None` if the key is absent.
    pub row: Option<RowView>,
    /// The revision that was read.
    pub revision: Revision,
    /// The cluster's time at which it was read, milliseconds since 1970: what has ended by then is not
    /// shown.
    pub now_ms: u64,
}

/// Several rows, or their absence, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAnswer {
    /// In the order in which they were asked for; fewer if a page has no room for more.
    pub rows: Vec<Option<RowView>>,
    /// The revision that was read.
    pub revision: Revision,
    /// The cluster's time at which it was read, milliseconds since 1970: what has ended by then is not
    /// shown.
    pub now_ms: u64,
}

/// Which messages of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: PartitionId,
    /// The first offset wanted.
    pub from: Offset,
    /// Most messages; capped at `limits::PAGE_ITEMS_MAX`, which 0 asks for.
    pub limit: usize,
}

/// A message as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the partition.
    pub offset: Offset,
    /// The commit that appended it.
    pub revision: Revision,
    /// The commit's time, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// What the producer wrote.
    pub body: crate::command::NewMessage,
}

/// Messages in offset order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchAnswer {
    /// Possibly none, if `from` is the end.
    pub messages: Vec<Message>,
    /// The partition's end: the offset that the next message will have.
    pub end: Offset,
}

/// A topic, its partitions and its consumer groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// Its name.
    pub name: String,
    /// One for each partition, in order.
    pub partitions: Vec<PartitionView>,
    /// One for each consumer group that committed an offset, by name.
    pub consumer_groups: Vec<ConsumerGroupView>,
}

/// One partition's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// The oldest offset kept.
    pub start: Offset,
    /// The offset that the next message will have.
    pub end: Offset,
}

/// How far one consumer group has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupView {
    /// Its name.
    pub name: String,
    /// The next offset to read in each partition; `None` where it committed nothing.
    pub next: Vec<Option<Offset>>,
}

/// What a replica holds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Rows that are in no table yet.
    pub memtables: Budgeted,
    /// The cache of rows, which all groups of a node share.
    pub row_cache: Budgeted,
    /// The cache of table blocks, which all groups of a node share.
    pub block_cache: Budgeted,
}

/// Bytes in use, beside those that are meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgeted {
    /// Held now.
    pub bytes: usize,
    /// Held at most; memtables exceed it by an entry, and twice while the disk is full.
    pub budget: usize,
}

/// Where a replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// The last applied entry.
    pub applied: Option<LogId>,
    /// The newest published revision.
    pub revision: Revision,
    /// The oldest readable revision.
    pub floor: Revision,
    /// A hash over all applied entries and outcomes; equal on replicas at one `applied`.
    pub digest: u64,
    /// The entry that the newest checkpoint covers.
    pub checkpoint: Option<LogId>,
}
