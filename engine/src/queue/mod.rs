//! Topics as partition files: messages in the order in which apply appended them.
//!
//! [`Partitions`] holds all partitions of one group. A message gets the next dense offset of its
//! partition and stands in a buffer, later in a file. Nothing is synced on the request path: the
//! Raft log covers every message until a checkpoint has synced the files up to recorded
//! [`PartitionLengths`]; after a restart the files are cut to those lengths and the log is replayed.
//!
//! ```text
//! path    = <dir>/<topic>-<partition>/<base offset, 20 decimal digits>.part
//! file    = header frame*
//! header  = magic:"ENGQPART" version:u16 group:u32 topic:u32 partition:u32 base:u64 salt:u64 crc:u32
//! frame   = len:u32 crc:u32 body[len]
//! body    = offset:u64 revision:u64 timestamp_ms:u64 message
//! message = key:option<bytes> value:bytes headers:list<(str, bytes)>
//!
//! header crc = crc32(the 38 bytes before it)      frame crc = crc32(salt:u64 position:u64 body)
//! lengths    = list<topic:u32 partition:u32 start:u64 end:u64 files:list<base:u64 bytes:u64>>
//! ```
//!
//! Numbers are little-endian; `bytes`, `str`, `option` and `list` are those of
//! [`codec`](crate::codec). `position` is where the frame begins in its file, and `salt` is drawn
//! when the file is created: neither a moved frame nor one of an earlier file passes for another.
//! The header has the same layout in every version.
//!
//! # Invariants
//! - `start <= end`; the messages of a partition have the offsets `start..end`, without gaps.
//! - Revisions never fall from one offset to the next.
//! - A file below the newest of its partition is sealed: never written again. A prefix of any file
//!   never changes, unless `open` cuts what no checkpoint recorded.
//! - A file outgrows `file_bytes` only if its single message does.
//! - Messages not written yet take at most `buffer_bytes` in a partition, and all together
//!   `buffers_bytes_max`, each and one message more.
//! - After a failed write or sync every later change answers `Stopped`; reads go on.
//!
//! # Order of locks
//! 1. A partition's writer (apply holds it through a write). 2. Its state (never held during file
//!    operations; the only one that a reader shares with apply). 3. The sync under way. 4. Indexes,
//!    handles, unsynced files.
//!
//! # Not here
//! Names of topics, committed offsets, who may read what (see `apply`); what a checkpoint is.

mod partitions;

mod lengths;
mod partition;
mod record;

mod file;
mod index;
mod open_files;
mod page;
mod unsynced;

pub(crate) mod inspect;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;

pub use file::{FileRef, file_path};
pub use lengths::{FileLength, PartitionLength, PartitionLengths, PartitionRef};
pub use partitions::{Partitions, QueueOptions};
pub use record::StoredMessage;
