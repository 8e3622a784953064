//! Ordered, multi-version rows: our own log-structured store, one for each group.
//!
//! A write goes to the active memtable and is durable only when a later [`Store::flush`] has
//! returned: the Raft log is the one write-ahead log, and replays what came after the newest
//! durable checkpoint.
//!
//! ```text
//! write → active memtable ─freeze→ frozen memtables ─flush→ L0 tables ─compact→ L1 … L6
//!
//! folder = CURRENT  MANIFEST-generation  id.table*  id.blob*
//! ```
//!
//! Everything is kept in one order: user key ascending, revision descending, so that a row's
//! newest version comes first. A read at a revision takes the newest version not above it.
//!
//! # Invariants
//! - Revisions of writes never go back; so of two versions of a row the newer one is never
//!   deeper (memtables, then L0 from new to old, then L1, L2, …).
//! - Tables of one level below L0 share no user key.
//! - The tables of the manifest hold exactly the rows of its checkpoint.
//! - A table file is never changed once the manifest names it, and its id is never used again.
//! - A file is removed only when no reader, pin or manifest needs it.
//!
//! # Life of a flush
//! 1. Table files are written and synced; their names are synced.
//! 2. One manifest edit with the tables and the checkpoint is written and synced.
//! 3. The frozen memtable leaves the read path in the same moment as the tables enter it.
//!
//! # Not here
//! What rows mean, which revisions may still be read, when to freeze: see the replica. Caching
//! of rows: see [`cache`](crate::cache).

mod key;
mod options;
mod row;

mod lsm;
mod recovery;
mod version;

mod blob;
mod deleted;
mod heads;
mod iter;
mod memtable;
mod table;

mod block_cache;
mod buffers;
mod cleaning;
mod compaction;
mod folder;
mod manifest;
mod pin;
mod section;

pub(crate) mod inspect;
mod kind;
#[cfg(feature = "sled")]
mod sled;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use bytes::Bytes;

use crate::Result;
use crate::ids::Revision;

pub use blob::blob_file_name;
pub use block_cache::BlockCache;
pub use compaction::STEP_BYTES as COMPACTION_STEP_BYTES;
pub use deleted::DeletedRange;
pub(crate) use deleted::{decode_deleted, encode_deleted};
pub use key::KeyRange;
pub use kind::{StoreKind, open};
pub use lsm::Lsm;
pub use options::{Compression, LevelStats, StoreOptions, StoreStats};
pub use pin::{InstalledTable, PinnedBlobFile, PinnedTable, PinnedTables, table_file_name};
pub use row::{BorrowedRow, NEVER_MS, NewRow, Row, RowKind, RowMeta, RowWrite};
#[cfg(feature = "sled")]
pub use sled::SledStore;

/// Rows in key order, streamed: each item is the full store key and the row.
///
/// After an error the iterator ends.
pub trait RowIter: Iterator<Item = Result<(Bytes, Row)>> + Send {
    /// Shows the next row where it lies, for whoever keeps nothing of it: cheaper than `next`, as
    /// no memory is shared. `false`, and nothing is shown, once there are no more.
    ///
    /// # Errors
    /// Those that the iterator would yield.
    fn show_next(&mut self, see: &mut dyn FnMut(&[u8], BorrowedRow<'_>)) -> Result<bool> {
        show(self.next(), see)
    }
}

/// Shows what an iterator has yielded.
fn show(
    item: Option<Result<(Bytes, Row)>>,
    see: &mut dyn FnMut(&[u8], BorrowedRow<'_>),
) -> Result<bool> {
    let Some((key, row)) = item.transpose()? else {
        return Ok(false);
    };
    see(&key, row.borrowed());
    Ok(true)
}

/// An ordered, multi-version map from store keys to rows.
///
/// One thread writes and freezes; any thread reads; background jobs flush and compact.
pub trait Store: Debug + Send + Sync {
    /// Empties ranges and writes rows at a revision, which must not be below that of an earlier
    /// write. A deleted range hides what was written below the revision, however much that is;
    /// rows of the same revision stay. Of two writes of one key at one revision the later wins.
    ///
    /// # Durability
    /// None until a [`Store::flush`] of the memtable returned.
    ///
    /// # Errors
    /// `Invalid` for a revision that goes back or a row of more than 1 GiB, before anything is
    /// written; `Stopped` once the store is poisoned.
    fn write(&self, revision: Revision, writes: &[RowWrite], deleted: &[KeyRange]) -> Result<()>;

    /// The newest version of a row not above `at`; `None` if it is absent there.
    ///
    /// The value shares the memory of a block: whoever keeps it for long copies it.
    ///
    /// # Errors
    /// `Io`, or `Corrupt` with the table's file and the offset of the damaged block.
    fn get(&self, key: &[u8], at: Revision) -> Result<Option<Row>>;

    /// The rows of a range as they stood at `at`, in key order or against it.
    ///
    /// Later writes, flushes and compactions do not change what the iterator yields. It holds
    /// at most some blocks in memory, and keeps the tables it reads alive until dropped.
    ///
    /// # Errors
    /// As [`Store::get`], here or from the iterator.
    fn scan(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>>;

    /// The same rows without their values, which are not read where the store can do without: for
    /// counting, and for whoever wants keys alone.
    ///
    /// # Errors
    /// As [`Store::scan`], but for damage in values that stand apart from their keys.
    fn scan_keys(&self, range: KeyRange, at: Revision, reverse: bool) -> Result<Box<dyn RowIter>>;

    /// Bytes in the active memtable: keys, values and an estimate of their overhead.
    fn memtable_bytes(&self) -> usize;

    /// Bytes in all memtables: the active one and those that wait for their flush.
    fn unflushed_bytes(&self) -> usize;

    /// Whether as many frozen memtables wait for a flush, or as many tables for a compaction, as
    /// there may be: the writer should wait before it freezes another memtable.
    fn stalled(&self) -> bool;

    /// Freezes the active memtable together with the checkpoint that describes the state it
    /// completes; later writes go to a new one. Called between two writes, even if nothing was
    /// written: the checkpoint itself is what the flush must store.
    fn freeze(&self, checkpoint: Bytes);

    /// Makes the oldest frozen memtable and its checkpoint durable; `false` if there is none.
    ///
    /// # Durability
    /// Once this returned `true`, [`Store::checkpoint`] and the rows below it survive a crash.
    ///
    /// # Errors
    /// `Full` or `Io` if a table could not be written: nothing was changed, try again. A failed
    /// write of the manifest poisons the store: every later write and flush answers `Stopped`.
    fn flush(&self) -> Result<bool>;

    /// The newest durable checkpoint.
    fn checkpoint(&self) -> Option<Bytes>;

    /// Room that the next compaction takes on the disk until it is done and gives its inputs back:
    /// of the one that is due, or of that of L0, which will be. `None` while one is under way.
    fn compaction_bytes(&self, floor: Revision) -> Option<u64>;

    /// Does one bounded piece of compaction; `false` if there is nothing to do. Versions that
    /// cannot be seen at any revision from `floor` up are dropped on the way.
    ///
    /// # Errors
    /// As [`Store::flush`], and `Corrupt` if a table is damaged.
    fn compact_step(&self, floor: Revision) -> Result<bool>;

    /// Asks for a compaction of all that is written now, however small: later steps of
    /// [`Store::compact_step`] merge what is in tables into one level, so that nothing below the
    /// floor is left.
    fn compact_whole(&self);

    /// Asks for a merge of L0 into L1 although it is not due, so that reads have fewer tables to
    /// look into: later steps do it. `false`, and nothing is asked for, if it is not worth what it
    /// writes: at most six times the bytes in L0.
    fn compact_l0(&self) -> bool;

    /// The newest durable checkpoint and its table files, which stay until the pin is dropped.
    fn pin(&self) -> PinnedTables;

    /// Figures for operators and tests.
    fn stats(&self) -> StoreStats;

    /// Ends the store: waits for a flush or a step of compaction that is going on, then refuses
    /// all but reads, and removes no file any more, so that the folder may be replaced while
    /// readers and pins still hold its files.
    fn close(&self);
}
