//! Sorted tables: files of versions, written once, read by many.
//!
//! ```text
//! table   = block* index filter properties footer(68 B)
//! section = body crc:u32              each block, the index, the filter, the properties
//! footer  = index filter properties (each offset:u64 len:u32)
//!           id:u64 salt:u64 version:u32 magic[8] crc:u32
//! ```
//!
//! A data block is stored with its codec: see `codec`.
//!
//! A section's checksum covers the table's random salt and the section's offset before the
//! body, so that neither another table's block nor a block from elsewhere in this one passes.
//!
//! # Invariants
//! - Every byte of the file is under some checksum, and no byte is used before it was checked.
//! - Places grow strictly through the file; a key's versions are all in one table of a level.

mod block;
mod codec;
mod filter;
mod footer;
mod index;
mod properties;
mod reader;
mod writer;

pub(super) mod inspect;

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

pub(super) use filter::hash_key;
pub(super) use properties::Properties;
pub(super) use reader::{Fill, Table, TableCursor};
pub(super) use writer::{TableWriter, WrittenTable};

/// Bytes of a checksum behind a section's body.
const CRC_BYTES: usize = 4;
