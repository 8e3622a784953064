//! What may be tuned on a log, and what it tells of itself.

use std::time::Duration;

use super::file::FRAMES_AT;
use super::frame::FRAME_OVERHEAD_BYTES;
use crate::limits::FRAME_BODY_BYTES_MAX;
use crate::{Error, ErrorKind, Result};

/// How a [`Log`](super::Log) uses disk and memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Size of a segment file; 64 MiB. At least 16 KiB. An entry may fill just under
    /// half, and never more than 16 MiB.
    pub segment_bytes: u32,
    /// Most bytes written by one group commit, give or take one frame; 4 MiB.
    pub group_commit_bytes_max: usize,
    /// How long the log must be quiet before its durable mark is written alone; 100 ms.
    pub idle_mark_after: Duration,
    /// Recent entries kept in memory; 8 MiB. Entries that are not synced are always kept.
    pub tail_bytes: usize,
    /// Segments prepared ahead of need; 1.
    pub spare_segments: usize,
    /// Free space that preparing a segment leaves on the disk: with a checkpoint in it, segments
    /// can be dropped; 0.
    pub keep_free_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            group_commit_bytes_max: 4 * 1024 * 1024,
            idle_mark_after: Duration::from_millis(100),
            tail_bytes: 8 * 1024 * 1024,
            spare_segments: 1,
            keep_free_bytes: 0,
        }
    }
}

/// Smallest segment that makes sense: both headers and as much again for frames.
const SEGMENT_BYTES_MIN: u32 = 2 * FRAMES_AT;

/// Longest encoded vote: it stands in the Head of every segment.
pub(super) const VOTE_BYTES_MAX: usize = 512;

/// What a group takes in a Head, at most.
const HEAD_GROUP_BYTES_MAX: usize = 34 + VOTE_BYTES_MAX;

impl LogOptions {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<()> {
        if self.segment_bytes < SEGMENT_BYTES_MIN {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "segment_bytes is {}, less than {SEGMENT_BYTES_MIN}",
                    self.segment_bytes
                ),
            ));
        }
        Ok(())
    }

    /// Longest body of an entry. Half of a segment is left to the Head, so that a frame that
    /// was accepted always fits into a fresh segment.
    pub(super) fn body_bytes_max(&self) -> usize {
        self.half_bytes().min(FRAME_BODY_BYTES_MAX)
    }

    /// Most groups in one log: their state must fit into a Head.
    pub(super) fn groups_max(&self) -> usize {
        (self.half_bytes().min(FRAME_BODY_BYTES_MAX) - 16) / HEAD_GROUP_BYTES_MAX
    }

    /// Room in a segment that entries leave to votes and purges while the disk is full.
    pub(super) fn reserve_bytes(&self) -> usize {
        (self.segment_bytes as usize / 16).min(64 * 1024)
    }

    fn half_bytes(&self) -> usize {
        (self.segment_bytes - FRAMES_AT) as usize / 2 - 2 * FRAME_OVERHEAD_BYTES
    }
}

/// Counts since the log was opened, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Appends whose frames are synced.
    pub appends: u64,
    /// Frames synced.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Group commits: fdatasyncs that somebody waited for.
    pub group_commits: u64,
    /// Marks synced alone, in quiet or on close.
    pub marks: u64,
    /// Segments that hold frames now.
    pub segments: u64,
    /// Purged segments that were used again.
    pub recycled: u64,
}
