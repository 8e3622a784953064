//! What a node remembers of its scrubs over restarts.
//!
//! ```text
//! scrub.json = {"format":1,"counted_from_ms":…,"finished_ms":…,"errors_total":…,"crc":…}
//! ```
//!
//! `crc` is the CRC-32 of the numbers before it, each in eight bytes, little-endian, 0 for a
//! `finished_ms` that is not there. Nothing depends on the record but when the next scrub begins: one
//! that cannot be read is made anew.

use std::io;
use std::path::Path;

use engine::env::Vfs;
use engine::env::vfs::{OpenMode, replace_durable};
use serde::{Deserialize, Serialize};

const FILE: &str = "scrub.json";
const FORMAT: u32 = 1;

/// More bytes than any record has.
const BYTES_MAX: u64 = 4096;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// From when the present interval counts: the end of the last scrub, or the first start.
    pub(super) counted_from_ms: u64,
    /// When the last whole scrub ended.
    pub(super) finished_ms: Option<u64>,
    /// Damaged places found by all scrubs.
    pub(super) errors_total: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    counted_from_ms: u64,
    finished_ms: Option<u64>,
    errors_total: u64,
    crc: u32,
}

impl Record {
    /// Reads the record of a node's folder; `None` if there is none that can be read.
    pub(super) fn read(vfs: &dyn Vfs, dir: &Path) -> Option<Self> {
        let file = vfs.open(&dir.join(FILE), OpenMode::Read).ok()?;
        let len = file.len().ok()?.min(BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let stored: Stored = serde_json::from_slice(&bytes).ok()?;
        let record = Self {
            counted_from_ms: stored.counted_from_ms,
            finished_ms: stored.finished_ms,
            errors_total: stored.errors_total,
        };
        let is_whole = stored.format == FORMAT && stored.crc == record.crc();
        is_whole.then_some(record)
    }

    /// Makes it durable, whole or not at all.
    pub(super) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
        let stored = Stored {
            format: FORMAT,
            counted_from_ms: self.counted_from_ms,
            finished_ms: self.finished_ms,
            errors_total: self.errors_total,
            crc: self.crc(),
        };
        let bytes = serde_json::to_vec(&stored).map_err(io::Error::other)?;
        replace_durable(vfs, &dir.join(FILE), &bytes)
    }

    fn crc(&self) -> u32 {
        let numbers = [
            u64::from(FORMAT),
            self.counted_from_ms,
            self.finished_ms.unwrap_or(0),
            self.errors_total,
        ];
        crc32fast::hash(&numbers.map(u64::to_le_bytes).concat())
    }
}

#[cfg(test)]
mod tests {
    use engine::env::Env;

    use super::*;

    #[test]
    fn a_record_comes_back_and_a_flipped_byte_of_it_is_no_record() {
        let env = Env::memory();
        let (vfs, dir) = (env.vfs.as_ref(), Path::new("/node"));
        vfs.create_dir_all(dir).expect("a folder in memory");
        assert_eq!(Record::read(vfs, dir), None);
        let record = Record {
            counted_from_ms: 1_234,
            finished_ms: Some(1_200),
            errors_total: 3,
        };
        record.write(vfs, dir).expect("the disk works");
        assert_eq!(Record::read(vfs, dir), Some(record));
        let file = vfs.open(&dir.join(FILE), OpenMode::ReadWrite);
        let file = file.expect("it is there");
        for at in 0..file.len().expect("a length") {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("its byte");
            file.write_at(&[byte[0] ^ 1], at).expect("it is changed");
            let read = Record::read(vfs, dir);
            assert!(read.is_none(), "byte {at}: {read:?}");
            file.write_at(&byte, at).expect("it is changed back");
        }
    }
}
