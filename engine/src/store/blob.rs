//! Blob files: large values beside their table, so that compaction need not copy them.
//!
//! ```text
//! file   = header record*         header = magic[8] version:u32 id:u64 salt:u64 crc:u32
//! record = len:u32 value[len] crc:u32                  crc over salt, offset, len, value
//! ```
//!
//! The table that wrote a blob file, and every table that compaction makes of it, names the file
//! in its properties and each value by its offset. Whoever rewrites a table may drop values or
//! take them along; a file that no table names is removed with the last reader.
//!
//! # Invariants
//! - A blob file is synced before a manifest names a table that names it, and never changed.
//! - Every byte but those between records of a torn write is under a checksum.

pub(super) mod inspect;

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::folder::{Folder, UnpublishedFile};
use super::section::{checksum, read};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::env::File;
use crate::env::vfs::OpenMode;
use crate::failpoint::{Point, hit};
use crate::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"ENGBLOBS";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 8 + 8 + 4;

/// Length before a value, checksum behind it.
const FRAMING_BYTES: usize = 4 + 4;

/// Values gathered before they are handed to the file.
const WRITE_BYTES: usize = 256 << 10;

/// The name of a blob file inside the store's folder.
pub fn blob_file_name(id: u64) -> String {
    format!("{id:016x}.blob")
}

/// Whether a name is that of a blob file.
pub(super) fn is_blob_file(name: &str) -> bool {
    name.strip_suffix(".blob").is_some()
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlobRef {
    pub(super) file: u64,
    /// Of the record.
    pub(super) offset: u64,
    /// Of the value.
    pub(super) len: u32,
}

impl BlobRef {
    /// Bytes that the record takes in its file.
    pub(super) fn record_bytes(self) -> u64 {
        u64::from(self.len) + FRAMING_BYTES as u64
    }
}

/// What a table needs of one blob file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlobUse {
    pub(super) file: u64,
    /// How long the whole file is.
    pub(super) file_bytes: u64,
    /// Bytes of records that the table refers to.
    pub(super) used_bytes: u64,
}

impl BlobUse {
    pub(super) fn put(self, out: &mut Encoder) {
        out.u64(self.file).u64(self.file_bytes).u64(self.used_bytes);
    }

    pub(super) fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            file: input.u64("blob file")?,
            file_bytes: input.u64("bytes of a blob file")?,
            used_bytes: input.u64("used bytes of a blob file")?,
        })
    }
}

/// An open blob file; the last holder removes it, unless its store ended before.
#[derive(Debug)]
pub(super) struct BlobFile {
    pub(super) id: u64,
    pub(super) len: u64,
    pub(super) path: PathBuf,
    folder: Arc<Folder>,
    file: Arc<dyn File>,
    salt: u64,
}

/// A value that is still in its file.
#[derive(Clone, Debug)]
pub(super) struct BlobValue {
    pub(super) file: Arc<BlobFile>,
    pub(super) at: BlobRef,
}

impl BlobFile {
    /// Opens a file and checks its header; [`Folder::blob_file`] does so once for all tables.
    pub(super) fn open(folder: &Arc<Folder>, id: u64, len: u64) -> Result<Self> {
        let path = folder.path.join(blob_file_name(id));
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => Error::corrupt(&path, 0, "the file is missing"),
            _ => Error::io(format!("open blob file {}", path.display()), e),
        };
        let file = folder.vfs.open(&path, OpenMode::Read).map_err(failed)?;
        let found = file.len().map_err(failed)?;
        if found != len {
            let problem = format!("{len} bytes were written");
            return Err(Error::corrupt(&path, found, problem));
        }
        let bytes = read("blob file", file.as_ref(), &path, 0, HEADER_BYTES)?;
        let salt = decode_header(bytes, id).map_err(|e| Error::corrupt(&path, 0, e))?;
        let Some(salt) = salt else {
            let message = format!("{} has an unknown format", path.display());
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        Ok(Self {
            id,
            len,
            folder: Arc::clone(folder),
            file,
            salt,
            path,
        })
    }

    /// Reads a value, and checks it.
    fn value(&self, at: BlobRef) -> Result<Bytes> {
        let BlobFile { file, path, .. } = self;
        let damaged = |problem| Error::corrupt(path, at.offset, problem);
        // Before room is made for it: the length is another file's word.
        if at.offset.saturating_add(at.record_bytes()) > self.len {
            return Err(damaged("the file ends before the value does"));
        }
        let len = at.len as usize;
        let record = read(
            "blob file",
            file.as_ref(),
            path,
            at.offset,
            len + FRAMING_BYTES,
        )?;
        let Some((body, crc)) = record.split_last_chunk::<4>() else {
            return Err(damaged("the record ends too early"));
        };
        if checksum(self.salt, at.offset, body) != u32::from_le_bytes(*crc) {
            return Err(damaged("the checksum is wrong"));
        }
        if body.first_chunk() != Some(&at.len.to_le_bytes()) {
            return Err(damaged("the value has another length"));
        }
        Ok(record.slice(4..4 + len))
    }
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        self.folder.remove_orphan(&self.path);
    }
}

impl BlobValue {
    /// Reads the value, and checks it.
    pub(super) fn read(&self) -> Result<Bytes> {
        self.file.value(self.at)
    }
}

/// A blob file that is being written; removed again if it is dropped unfinished.
#[derive(Debug)]
pub(super) struct BlobWriter {
    file: Arc<dyn File>,
    unpublished: UnpublishedFile,
    id: u64,
    salt: u64,
    out: Vec<u8>,
    written: u64,
}

impl BlobWriter {
    pub(super) fn create(folder: &Arc<Folder>, id: u64, salt: u64) -> Result<Self> {
        let path = folder.path.join(blob_file_name(id));
        let file = folder
            .vfs
            .open(&path, OpenMode::CreateNew)
            .map_err(|e| Error::io(format!("create blob file {}", path.display()), e))?;
        Ok(Self {
            file,
            unpublished: UnpublishedFile::new(folder, path),
            id,
            salt,
            out: encode_header(id, salt),
            written: 0,
        })
    }

    /// Appends a value.
    pub(super) fn add(&mut self, value: &[u8]) -> Result<BlobRef> {
        let offset = self.written + self.out.len() as u64;
        let len = u32::try_from(value.len()).expect("rows end far below 4 GiB: see `write`");
        put_record(&mut self.out, self.salt, offset, len, value);
        if self.out.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        Ok(BlobRef {
            file: self.id,
            offset,
            len,
        })
    }

    /// Writes the rest and syncs the file; its length, and the file to be published or removed.
    pub(super) fn finish(mut self) -> Result<(u64, UnpublishedFile)> {
        self.write_out()?;
        hit(Point::BlobsWritten);
        let path = self.unpublished.path();
        self.file
            .sync_data()
            .map_err(|e| Error::io(format!("sync blob file {}", path.display()), e))?;
        Ok((self.written, self.unpublished))
    }

    fn write_out(&mut self) -> Result<()> {
        let path = self.unpublished.path();
        self.file
            .write_at(&self.out, self.written)
            .map_err(|e| Error::io(format!("write blob file {}", path.display()), e))?;
        self.written += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }
}

fn put_record(out: &mut Vec<u8>, salt: u64, offset: u64, len: u32, value: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(value);
    let crc = checksum(salt, offset, &out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

fn encode_header(id: u64, salt: u64) -> Vec<u8> {
    let mut header = Encoder::with_capacity(HEADER_BYTES);
    header.raw(MAGIC).u32(VERSION).u64(id).u64(salt);
    let mut out = header.into_vec();
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// The salt of a file; `None` if its format is not ours.
fn decode_header(bytes: Bytes, id: u64) -> Result<Option<u64>, DecodeError> {
    let mut input = Decoder::new(bytes.clone());
    if input.raw("magic", MAGIC.len())? != MAGIC[..] {
        return Err(input.error("magic", "this is no blob file"));
    }
    let version = input.u32("version")?;
    let found = input.u64("id")?;
    let salt = input.u64("salt")?;
    let body = bytes.get(..HEADER_BYTES - 4).unwrap_or_default();
    if input.u32("checksum")? != crc32fast::hash(body) {
        return Err(input.error("checksum", "does not match"));
    }
    if found != id {
        return Err(input.error("id", "this is another file"));
    }
    Ok((version == VERSION).then_some(salt))
}
