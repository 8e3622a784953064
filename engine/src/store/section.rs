//! What tables and blob files share: checked pieces of a file that is written once.

use std::path::Path;

use bytes::Bytes;

use crate::env::File;
use crate::{Error, Result};

/// The checksum of a piece, bound to its file by the salt and to its place by the offset.
pub(super) fn checksum(salt: u64, offset: u64, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&salt.to_le_bytes());
    crc.update(&offset.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

/// Reads a piece; a file that ends before is damaged. `what` names the kind of file in an error.
pub(super) fn read(
    what: &str,
    file: &dyn File,
    path: &Path,
    offset: u64,
    len: usize,
) -> Result<Bytes> {
    let mut bytes = vec![0; len];
    read_into(what, file, path, offset, &mut bytes)?;
    Ok(bytes.into())
}

/// Fills `out` with a piece, as [`read`] does.
pub(super) fn read_into(
    what: &str,
    file: &dyn File,
    path: &Path,
    offset: u64,
    out: &mut [u8],
) -> Result<()> {
    match file.read_exact_at(out, offset) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Error::corrupt(path, offset, "the file ends too early"))
        }
        Err(e) => {
            let context = format!("read {what} {} at {offset}", path.display());
            Err(Error::io(context, e))
        }
    }
}
