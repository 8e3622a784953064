//! What an operator may tune on one node: sizes and budgets.
//!
//! [`Options`] is what people write; [`ValidOptions`] is what the inside accepts. Limits on
//! which all nodes must agree stand in [`crate::limits`] instead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::FRAME_BODY_BYTES_MAX;
use crate::queue::QueueOptions;
use crate::segment::LogOptions;
use crate::store::{Compression, StoreKind, StoreOptions};

/// Sizes and budgets of one node. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The store: `lsm` or `sled`; the second only in builds with the feature `sled`.
    /// Default `lsm`.
    pub store: StoreKind,
    /// Size of one Raft log segment, bytes. Default 64 MiB; at least 17 MiB, at most 1 GiB.
    pub log_segment_bytes: u32,
    /// Recent log entries kept in memory, bytes. Default 8 MiB.
    pub log_tail_bytes: usize,
    /// After this much quiet the log syncs its durable mark, milliseconds. Default 100.
    pub log_idle_mark_ms: u64,
    /// Applied bytes after which a checkpoint begins even if few rows changed. Default 64 MiB.
    pub checkpoint_bytes: u64,
    /// Rows kept in memory before they are written as a table, bytes. Default 16 MiB; up to three
    /// times as much while writes come faster than they are written.
    pub memtable_bytes: usize,
    /// Size at which a table below L0 is cut, bytes. Default 16 MiB.
    pub table_bytes: u64,
    /// Size of the first sorted level, bytes; each further one is ten times larger.
    /// Default 256 MiB.
    pub level_base_bytes: u64,
    /// How blocks of new tables are stored: `lz4` or `none`. Default `lz4`.
    pub compression: Compression,
    /// Values from this size on are kept out of tables, in blob files, bytes. Default 4 KiB; at
    /// least 1 KiB.
    pub blob_threshold_bytes: usize,
    /// Most bytes of rows that compaction of one group merges in a second, while writers need not
    /// wait for it. Default 64 MiB; 0 for no limit.
    pub compaction_bytes_per_second: u64,
    /// Cache of table blocks, shared by all groups, bytes. Default 32 MiB; 0 turns it off.
    pub block_cache_bytes: usize,
    /// Cache of rows, shared by all groups, bytes. Default 32 MiB; 0 turns it off.
    pub row_cache_bytes: usize,
    /// Size at which a partition file is sealed, bytes. Default 64 MiB.
    pub partition_file_bytes: u64,
    /// Used share of the disk from which the node warns, percent. Default 80; 1 to
    /// `disk_read_only_percent`.
    pub disk_warn_percent: u8,
    /// Used share of the disk from which the node refuses what makes its state grow, percent.
    /// Default 95; at most 100. It also does so below [`ValidOptions::disk_reserve_bytes`].
    pub disk_read_only_percent: u8,
    /// Lets segments be smaller than the largest entry. Only a simulator that writes no large
    /// entry may ask for it, so it has no name in files.
    #[serde(skip)]
    pub small_segments: bool,
}

impl Default for Options {
    fn default() -> Self {
        const MIB: u32 = 1024 * 1024;
        Self {
            store: StoreKind::default(),
            log_segment_bytes: 64 * MIB,
            log_tail_bytes: 8 * MIB as usize,
            log_idle_mark_ms: 100,
            checkpoint_bytes: u64::from(64 * MIB),
            memtable_bytes: 16 * MIB as usize,
            table_bytes: u64::from(16 * MIB),
            level_base_bytes: u64::from(256 * MIB),
            compression: Compression::default(),
            blob_threshold_bytes: 4 * 1024,
            compaction_bytes_per_second: u64::from(64 * MIB),
            block_cache_bytes: 32 * MIB as usize,
            row_cache_bytes: 32 * MIB as usize,
            partition_file_bytes: u64::from(64 * MIB),
            disk_warn_percent: 80,
            disk_read_only_percent: 95,
            small_segments: false,
        }
    }
}

impl Options {
    /// Checks every relation once.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] names the option and what it must be.
    pub fn validate(self) -> Result<ValidOptions> {
        let invalid = |what: &str| Err(Error::new(ErrorKind::Invalid, what));
        self.store.check()?;
        let largest_frame = u32::try_from(FRAME_BODY_BYTES_MAX).expect("a constant of 16 MiB");
        let too_small = !self.small_segments && self.log_segment_bytes < largest_frame + (1 << 20);
        if too_small || self.log_segment_bytes > 1 << 30 {
            return invalid("log_segment_bytes must lie between 17 MiB and 1 GiB");
        }
        if self.memtable_bytes < 4096 {
            return invalid("memtable_bytes must be at least 4096");
        }
        if self.table_bytes < 4096 || self.level_base_bytes < self.table_bytes {
            return invalid("table_bytes must be at least 4096 and at most level_base_bytes");
        }
        if self.checkpoint_bytes < 4096 {
            return invalid("checkpoint_bytes must be at least 4096");
        }
        if self.blob_threshold_bytes < 1024 {
            return invalid("blob_threshold_bytes must be at least 1024");
        }
        if self.partition_file_bytes < 4096 {
            return invalid("partition_file_bytes must be at least 4096");
        }
        if !(1..=100).contains(&self.disk_read_only_percent) {
            return invalid("disk_read_only_percent must lie between 1 and 100");
        }
        if !(1..=self.disk_read_only_percent).contains(&self.disk_warn_percent) {
            return invalid("disk_warn_percent must lie between 1 and disk_read_only_percent");
        }
        Ok(ValidOptions(self))
    }
}

/// Options whose relations hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidOptions(Options);

impl ValidOptions {
    /// The values.
    pub fn get(&self) -> &Options {
        &self.0
    }

    /// Free bytes that are kept for one checkpoint and one log segment.
    ///
    /// A checkpoint writes at most what was applied since the one before, which is about
    /// `checkpoint_bytes`.
    pub fn disk_reserve_bytes(&self) -> u64 {
        let segment = u64::from(self.0.log_segment_bytes);
        self.0.checkpoint_bytes.saturating_add(segment)
    }

    /// Sizes below what makes sense, for tests in which a few commits must fill every file.
    #[cfg(test)]
    pub(crate) fn unchecked(options: Options) -> Self {
        Self(options)
    }

    /// The log's part.
    pub fn log(&self) -> LogOptions {
        LogOptions {
            segment_bytes: self.0.log_segment_bytes,
            tail_bytes: self.0.log_tail_bytes,
            idle_mark_after: Duration::from_millis(self.0.log_idle_mark_ms),
            keep_free_bytes: self.0.checkpoint_bytes,
            ..LogOptions::default()
        }
    }

    /// The store's part.
    pub fn store(&self) -> StoreOptions {
        StoreOptions {
            memtable_bytes: self.0.memtable_bytes,
            table_bytes: self.0.table_bytes,
            level_base_bytes: self.0.level_base_bytes,
            compression: self.0.compression,
            blob_bytes: self.0.blob_threshold_bytes,
            ..StoreOptions::default()
        }
    }

    /// The queue's part.
    pub fn queue(&self) -> QueueOptions {
        QueueOptions {
            file_bytes: self.0.partition_file_bytes,
            ..QueueOptions::default()
        }
    }
}
