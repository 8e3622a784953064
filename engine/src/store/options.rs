//! What may be tuned, and what can be measured.

use serde::{Deserialize, Serialize};

/// How data blocks are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they are.
    None,
    /// By LZ4, where that saves an eighth.
    #[default]
    Lz4,
}

/// Sizes of one store. They shape files yet to be written; existing ones stay readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// How large the active memtable should grow before it is frozen; the caller freezes.
    pub memtable_bytes: usize,
    /// Where a table below L0 ends; one row's versions are never split, so it may be longer.
    pub table_bytes: u64,
    /// Where a data block ends; a longer row has a block for itself.
    pub block_bytes: usize,
    /// How blocks of new tables are stored.
    pub compression: Compression,
    /// Values from this size on go into a blob file beside their table, bytes.
    pub blob_bytes: usize,
    /// How large L1 may grow; each deeper level ten times as large.
    pub level_base_bytes: u64,
    /// How many L0 tables make a compaction.
    pub l0_tables: usize,
    /// How many L0 tables may wait for a compaction before writers wait too.
    pub l0_stall_tables: usize,
    /// How many frozen memtables may wait for their flush.
    pub frozen_max: usize,
}

impl StoreOptions {
    pub(super) const BLOCK_BYTES_DEFAULT: usize = 8 << 10;
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            memtable_bytes: 16 << 20,
            table_bytes: 16 << 20,
            block_bytes: Self::BLOCK_BYTES_DEFAULT,
            compression: Compression::default(),
            blob_bytes: 4 << 10,
            level_base_bytes: 256 << 20,
            l0_tables: 12,
            l0_stall_tables: 28,
            frozen_max: 2,
        }
    }
}

/// Figures of one store since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes in the active memtable.
    pub memtable_bytes: usize,
    /// Frozen memtables that wait for their flush.
    pub frozen: usize,
    /// Bytes in frozen memtables.
    pub frozen_bytes: usize,
    /// L0 and the levels below it.
    pub levels: Vec<LevelStats>,
    /// Deleted ranges that still hide something in tables.
    pub deleted_ranges: usize,
    /// Blob files.
    pub blob_files: usize,
    /// Bytes of blob files, whether still of use or not.
    pub blob_bytes: u64,
    /// Bytes of block indexes and filters in memory.
    pub resident_bytes: u64,
    /// Finished flushes.
    pub flushes: u64,
    /// Finished compactions.
    pub compactions: u64,
    /// Bytes of table files written by flushes.
    pub flushed_bytes: u64,
    /// Bytes of table files written by compactions.
    pub compacted_bytes: u64,
    /// Versions and tombstones that compactions dropped.
    pub dropped_versions: u64,
}

/// One level's share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelStats {
    /// How many tables it has.
    pub tables: usize,
    /// Their bytes on disk.
    pub bytes: u64,
    /// The versions in them, tombstones included.
    pub entries: u64,
}
