//! A group's whole state at one log id: what a crash falls back to, and what a peer is sent.
//!
//! On disk a checkpoint is one edit of the store's manifest: it names the tables, and its bytes
//! hold the rest (`state`: log id, names, sessions, digest, and the length of every partition
//! file). To send one, the tables are pinned and every partition file is cut at its recorded
//! length, so that the node goes on working meanwhile; nothing is ever whole in memory but the
//! state's own bytes.
//!
//! ```text
//! chunk = body crc:u32                       crc-32 of body
//! body  = 1 files:list<file>                 first: everything that follows
//!       | 2 file:u32 offset:u64 data         the next piece of a file, in order
//!       | 3                                  last
//! file  = 1 len:u64                          the state's bytes
//!       | 2 table:u64 level:u32 len:u64      a table
//!       | 3 topic:u32 partition:u32 base:u64 len:u64    a partition file
//!       | 4 blob:u64 len:u64               a blob file that tables name
//!       | 5 len:u64                        deleted ranges that hide rows of the tables: a list
//! ```
//!
//! # Invariants
//! - Files are sent whole, in the order of the list; the receiver checks every length.
//! - An incomplete copy is never opened: its folder gets its name only when all is synced.

pub(crate) mod check;
mod chunk;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod reader;
pub(crate) mod writer;

use bytes::Bytes;

pub use reader::CheckpointReader;
pub use writer::CheckpointWriter;

use crate::ids::LogId;

/// What a checkpoint covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointView {
    /// The last entry it holds.
    pub log_id: LogId,
    /// The membership at that entry, and the entry that set it.
    pub membership: Option<(LogId, Bytes)>,
    /// How many bytes it takes to send.
    pub bytes: u64,
}
