//! The mark that says which checkpoint sled's folder holds, and that it was closed soundly.
//!
//! Written and synced as the very last act of an end, removed before anything else of the next
//! start: a crash in between leaves none.
//!
//! ```text
//! SLED-CLEAN = format:u32 digest:u64 revision:u64 crc:u32
//! ```

use std::path::Path;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::env::Env;
use crate::env::vfs::OpenMode;
use crate::ids::Revision;
use crate::{Error, Result};

const NAME: &str = "SLED-CLEAN";
const FORMAT: u32 = 1;
const MARK_BYTES: usize = 24;

/// A checkpoint, told from all others, and what sled holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    digest: u64,
    /// The last revision in sled. The Lsm may have dropped all rows of it, and then knows only a
    /// lower one, at which sled would still show what was deleted.
    pub(super) revision: Revision,
}

impl Mark {
    pub(super) fn new(checkpoint: Option<Bytes>, revision: Revision) -> Self {
        Self {
            digest: digest(checkpoint),
            revision,
        }
    }

    /// Whether sled was closed at this checkpoint.
    pub(super) fn is_at(&self, checkpoint: Option<Bytes>) -> bool {
        self.digest == digest(checkpoint)
    }

    fn encode(self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(MARK_BYTES);
        out.u32(FORMAT).u64(self.digest).u64(self.revision.0);
        let mut bytes = out.into_vec();
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(Bytes::copy_from_slice(bytes));
        let format = input.u32("format of the mark")?;
        let digest = input.u64("digest of the mark")?;
        let revision = Revision(input.u64("revision of the mark")?);
        let mark = Self { digest, revision };
        if format != FORMAT || mark.encode() != bytes {
            return Err(input.error("mark", "is not what was written"));
        }
        Ok(mark)
    }
}

fn digest(checkpoint: Option<Bytes>) -> u64 {
    let mut out = Encoder::new();
    out.option(checkpoint.as_ref(), |out, checkpoint| {
        out.bytes(checkpoint);
    });
    xxh3_64(&out.finish())
}

/// Reads the mark and removes it for good; `None` if there is no sound one.
pub(super) fn take(env: &Env, dir: &Path) -> Result<Option<Mark>> {
    let path = dir.join(NAME);
    let failed = |e| Error::io(format!("take {}", path.display()), e);
    if !env.vfs.exists(&path).map_err(failed)? {
        return Ok(None);
    }
    let file = env.vfs.open(&path, OpenMode::Read).map_err(failed)?;
    let mut bytes = [0; MARK_BYTES];
    let whole = file.len().map_err(failed)? == MARK_BYTES as u64;
    if whole {
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    }
    env.vfs.remove(&path).map_err(failed)?;
    env.vfs.sync_dir(dir).map_err(failed)?;
    Ok(Mark::decode(&bytes).ok().filter(|_| whole))
}

/// Writes the mark.
///
/// # Durability
/// It survives a power cut once this returned.
pub(super) fn write(env: &Env, dir: &Path, mark: Mark) -> Result<()> {
    let path = dir.join(NAME);
    let failed = |e| Error::io(format!("write {}", path.display()), e);
    let file = env.vfs.open(&path, OpenMode::CreateNew).map_err(failed)?;
    file.write_at(&mark.encode(), 0).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    env.vfs.sync_dir(dir).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_taken_once_and_a_damaged_one_counts_for_nothing() {
        let env = Env::memory();
        let dir = Path::new("/store");
        env.vfs.create_dir_all(dir).expect("a folder");
        let checkpoint = Some(Bytes::from_static(b"checkpoint"));
        let mark = Mark::new(checkpoint.clone(), Revision(7));
        assert!(mark.is_at(checkpoint) && !mark.is_at(None));
        write(&env, dir, mark).expect("a disk that works");
        assert_eq!(take(&env, dir).expect("a disk that works"), Some(mark));
        assert_eq!(take(&env, dir).expect("a disk that works"), None);
        for place in 0..MARK_BYTES {
            let mut bytes = mark.encode();
            bytes[place] ^= 1;
            assert!(Mark::decode(&bytes).is_err(), "byte {place}");
        }
        let path = dir.join(NAME);
        let file = env.vfs.open(&path, OpenMode::CreateNew).expect("no file");
        file.write_at(&mark.encode()[..9], 0).expect("room");
        assert_eq!(take(&env, dir).expect("a disk that works"), None);
    }
}
