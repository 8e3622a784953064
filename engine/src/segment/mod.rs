//! The Raft log of a node: what was promised, in the order it was promised.
//!
//! A [`Log`] is a folder of segments shared by all Raft groups of the node. One job writes
//! it: whoever waits is served by the same fdatasync (*group commit*), so more groups never
//! mean more syncs. Entries, votes, truncations and purges stand in one stream.
//!
//! # Bytes, format version 1
//! All numbers are little-endian. `<seq as 16 hex digits>.seg`, numbered without a gap:
//!
//! ```text
//! 0       header, first copy         magic "ENGSEG\r\n" · version u16 = 1 · cluster u64 · seq u64 ·
//! 4096    header, second copy        salt u64 · key u32 (0 = not encrypted) · crc32 u32   = 42 bytes
//! 8192    Head frame, then frames    …then whatever stood there before
//!
//! frame   0  len u32        length of the body
//!         4  kind u8        1 Entry  2 Vote  3 TruncateAfter  4 Purge  5 Reset  6 Mark  7 Head
//!         5  group u32
//!         9  term u64       Entry, Purge, Reset; else 0
//!        17  index u64      Entry, TruncateAfter, Purge, Reset; else 0
//!        25  mark           segment u64, offset u32: the log was durable up to here when
//!                           this frame was written
//!        37  body           len bytes: Entry and Vote opaque, Head as below, else empty
//!    37+len  crc32 u32      over salt u64, seq u64, offset of the frame u32, bytes 0..37+len
//!
//! Head    previous           segment u64, offset u32: where the segment before ended (0, 0: none)
//!         count u32          groups that follow, ascending
//!         group u32 · vote option(bytes) · purged option(term u64, index u64) · last index u64
//! ```
//!
//! `option` is a byte 0 or 1 and the value; `bytes` is a `u32` length and the bytes; crc32 is
//! CRC-32/IEEE. The checksum covers the salt, drawn at random for each use of a file, the
//! sequence number and the place, so a stale frame in a recycled file never parses.
//!
//! # Life of a segment
//! 1. *Prepared*: reserved in full under `<seq>.tmp`, both headers written and synced, renamed,
//!    folder synced. This happens ahead of need; a purged segment is used again where possible.
//! 2. *Current*: the first group commit in it begins with the Head frame, whose `previous`
//!    closes the segment before for good.
//! 3. *Sealed*: never changed any more (on open, the unused rest of the last one is cut off).
//! 4. *Dropped*: oldest first, once no group needs an entry in it and the purges that say so
//!    are durable. Votes and bounds of all groups stand in the newest Head.
//!
//! # Torn tail or damage
//! The durable mark of a group commit travels in the frames of the next one; quiet and close
//! write it alone. The first place where no frame parses is the end of the log if no valid
//! frame after it carries a mark beyond it; otherwise acknowledged bytes are damaged, and
//! opening answers [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) with file and offset.
//! Nothing is deleted then. After a good end the last group commit is written once more and
//! synced (it may have been in the page cache alone), and a new segment begins, so what was torn
//! is neither written over nor read again.
//!
//! What this cannot tell: damage in the very last group commit before its mark was written
//! (at most `idle_mark_after` of quiet, or a crash) looks like a torn tail.
//!
//! # Invariants
//! - `mark <= synced <= written`; only a group commit moves the second.
//! - Per group, indexes are consecutive: `purged + 1 ..= last`, with no hole.
//! - No lock is held while the disk works or a callback runs.
//! - After a failed write or sync nothing is written any more: the log is *poisoned*.
//!
//! # Assumptions about the medium
//! A 512-byte sector is written whole or not at all.
//!
//! # Not here
//! What a body means; which entries Raft still needs (see `engine-raft`).

mod log;
mod options;
mod write;

mod front;
mod index;
mod plan;
mod tail;

mod window;
mod writer;
mod written;

mod open;
mod recovery;

mod scrub;

pub(crate) mod inspect;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

mod file;
mod folder;
mod frame;

#[cfg(test)]
mod tests;

pub use log::{GroupLog, Log};
pub use options::{LogOptions, LogStats};
pub use write::{Done, LogEntry, Write};
