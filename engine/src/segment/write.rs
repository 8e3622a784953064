//! What a group may do to its log.

use bytes::Bytes;

use super::frame::FRAME_OVERHEAD_BYTES;
use crate::Result;
use crate::ids::{LogId, LogIndex};

/// One entry of a group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its term and place.
    pub log_id: LogId,
    /// What it says; opaque here.
    pub body: Bytes,
}

/// One change to a group's log. Several in one append become durable in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The next entry: its index is one above the last.
    Entry(LogEntry),
    /// The vote of this node in this group; opaque here, at most 512 bytes.
    Vote(Bytes),
    /// Keeps entries up to and with this index; `LogIndex(0)` keeps none. What is purged
    /// stays purged.
    TruncateAfter(LogIndex),
    /// Forgets entries up to and with this one. Beyond the last entry it empties the log,
    /// which then goes on after it.
    Purge(LogId),
    /// A snapshot replaced the state: drops everything; the next entry follows this one.
    Reset(LogId),
}

/// Told once whether an append is durable.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

impl Write {
    /// What the write takes in a segment.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_OVERHEAD_BYTES
            + match self {
                Self::Entry(entry) => entry.body.len(),
                Self::Vote(vote) => vote.len(),
                Self::TruncateAfter(_) | Self::Purge(_) | Self::Reset(_) => 0,
            }
    }
}
