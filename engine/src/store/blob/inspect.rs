//! A look at a blob file: every value in it, and the bytes that are none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::{BlobFile, BlobRef, FRAMING_BYTES, HEADER_BYTES, VERSION, blob_file_name};
use crate::env::Vfs;
use crate::env::vfs::OpenMode;
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::inspect::{Problem, Seen, Severity};
use crate::limits::COMMIT_BYTES_MAX;
use crate::store::folder::Folder;
use crate::store::manifest::inspect::named_blob_files;
use crate::store::section::read;

/// How much of a value is shown.
const BEGINNING_BYTES: usize = 64;

/// Bytes in which the next record is looked for at once.
const SEARCH_BYTES: u64 = 1 << 20;

/// What a look at a blob file meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobItem {
    /// The file.
    File(BlobFileView),
    /// A value in it.
    Value(BlobValueView),
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlobFileView {
    /// The file.
    pub path: PathBuf,
    /// Its id.
    pub id: u64,
    /// Its format.
    pub version: u32,
    /// What its checksums cover besides the values.
    pub salt: u64,
    /// Length of the file.
    pub bytes: u64,
    /// How long it was when a table named it, if the manifest beside it tells.
    pub recorded_bytes: Option<u64>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobValueView {
    /// Byte of its record in the file.
    pub offset: u64,
    /// Length of the value.
    pub bytes: u32,
    /// Its first bytes.
    pub beginning: Bytes,
}

/// Looks at one blob file, all its values. Which of them are still of use only the tables know.
///
/// # Errors
/// `Io` if the file cannot be read, `Unsupported` for that of a newer build, `Invalid` for a file
/// that is not named like one. Damage is no error: it is seen.
pub fn blob(vfs: &Arc<dyn Vfs>, path: &Path, seen: &mut dyn FnMut(Seen<BlobItem>)) -> Result<()> {
    let failed = |e| Error::io(format!("open blob file {}", path.display()), e);
    let len = vfs
        .open(path, OpenMode::Read)
        .and_then(|file| file.len())
        .map_err(failed)?;
    let Some(id) = id_in(path) else {
        let what = format!("{} is not named like a blob file", path.display());
        return Err(Error::new(ErrorKind::Invalid, what));
    };
    let parent = path.parent().unwrap_or(Path::new(""));
    let file = match BlobFile::open(&Folder::new(vfs, parent), id, len) {
        Ok(file) => file,
        Err(error) => {
            seen(Seen::Problem(Problem::of(error)?));
            return Ok(());
        }
    };
    let named = named_blob_files(vfs, parent);
    let recorded = named.as_ref().and_then(|named| named.get(&id).copied());
    seen(Seen::Item(BlobItem::File(BlobFileView {
        path: file.path.clone(),
        id,
        version: VERSION,
        salt: file.salt,
        bytes: len,
        recorded_bytes: recorded,
    })));
    let mut look = Look {
        file: &file,
        until: recorded.unwrap_or(len).min(len),
        // Only a file that no table names may have been cut short by a crash.
        torn: match (&named, recorded) {
            (Some(_), None) => Severity::TornTail,
            _ => Severity::Damage,
        },
        seen,
    };
    look.compare(named.is_some(), recorded);
    look.values()
}

/// The id in a file's name.
fn id_in(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let id = u64::from_str_radix(name.strip_suffix(".blob")?, 16).ok()?;
    (blob_file_name(id) == name).then_some(id)
}

struct Look<'a> {
    file: &'a BlobFile,
    /// What follows does not count.
    until: u64,
    /// What a last record is that is not whole.
    torn: Severity,
    seen: &'a mut dyn FnMut(Seen<BlobItem>),
}

impl Look<'_> {
    /// Whether the file is as long as its tables say.
    fn compare(&mut self, manifest_found: bool, recorded: Option<u64>) {
        let len = self.file.len;
        match recorded {
            None if manifest_found => {
                let what = "the manifest does not name this file: a node removes it";
                self.problem(Severity::Harmless, 0, what);
            }
            Some(recorded) if recorded != len => {
                let what = format!("{recorded} bytes were written");
                self.problem(Severity::Damage, len, what);
            }
            _ => {}
        }
    }

    fn values(&mut self) -> Result<()> {
        let mut offset = HEADER_BYTES as u64;
        while offset < self.until {
            match self.value(offset) {
                Ok((at, value)) => {
                    let beginning = &value[..value.len().min(BEGINNING_BYTES)];
                    (self.seen)(Seen::Item(BlobItem::Value(BlobValueView {
                        offset,
                        bytes: at.len,
                        beginning: Bytes::copy_from_slice(beginning),
                    })));
                    offset += at.record_bytes();
                }
                Err(error) => {
                    let problem = Problem::of(error)?;
                    let next = self.next_record(offset)?;
                    let severity = next.map_or(self.torn, |_| Severity::Damage);
                    (self.seen)(Seen::Problem(Problem {
                        severity,
                        ..problem
                    }));
                    let Some(next) = next else {
                        return Ok(());
                    };
                    offset = next;
                }
            }
        }
        Ok(())
    }

    /// The value whose record begins here.
    fn value(&self, offset: u64) -> Result<(BlobRef, Bytes)> {
        let BlobFile { file, path, .. } = self.file;
        let len = read("blob file", file.as_ref(), path, offset, 4)?;
        let len = len.first_chunk().map_or(0, |len| u32::from_le_bytes(*len));
        let at = BlobRef {
            file: self.file.id,
            offset,
            len,
        };
        Ok((at, self.file.value(at)?))
    }

    /// Where the next whole record begins, behind one that is damaged.
    fn next_record(&self, damaged: u64) -> Result<Option<u64>> {
        let BlobFile { file, path, .. } = self.file;
        let mut from = damaged + 1;
        while from + FRAMING_BYTES as u64 <= self.until {
            let len = (self.until - from).min(SEARCH_BYTES);
            let len_here = usize::try_from(len).unwrap_or(usize::MAX);
            let bytes = read("blob file", file.as_ref(), path, from, len_here)?;
            for (at, len) in (from..).zip(bytes.windows(4)) {
                let len = len.first_chunk().map_or(0, |len| u32::from_le_bytes(*len));
                // Few places pass that are no record: values of a node are no longer.
                let fits = at + u64::from(len) + FRAMING_BYTES as u64 <= self.until;
                if !fits || len as usize > COMMIT_BYTES_MAX {
                    continue;
                }
                match self.value(at) {
                    Ok(_) => return Ok(Some(at)),
                    Err(error) => drop(Problem::of(error)?),
                }
            }
            from += len - 3;
        }
        Ok(None)
    }

    fn problem(&mut self, severity: Severity, offset: u64, what: impl ToString) {
        let damage = Damage {
            path: self.file.path.clone(),
            offset,
            what: what.to_string(),
        };
        (self.seen)(Seen::Problem(Problem::new(severity, damage)));
    }
}

#[cfg(test)]
mod tests;
