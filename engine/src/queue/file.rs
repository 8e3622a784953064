//! One partition file: its name, its header, reading it forward.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::index::{Place, SparseIndex, is_due};
use super::lengths::{FileLength, PartitionRef};
use super::page::Page;
use super::record::{Damage, Frame, take_frame};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::env::File;
use crate::ids::{GroupId, Offset, PartitionId, TopicId};
use crate::{Error, ErrorKind, Result};

/// The header of every file, whatever its version.
pub(super) const HEADER_BYTES: u64 = 42;

const MAGIC: &[u8; 8] = b"ENGQPART";
const VERSION: u16 = 1;

/// Read at once, unless a single frame is longer.
const READ_BYTES: u64 = 64 * 1024;

/// A file of a partition, for copying it elsewhere: its first `bytes` never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// Whose file it is.
    pub at: PartitionRef,
    /// The offset of its first message.
    pub base: Offset,
    /// How many bytes of it belong to the copy.
    pub bytes: u64,
    /// Where it is; [`file_path`] says where it goes in another folder.
    pub path: PathBuf,
}

/// Where the file of a partition lies below a queue's folder.
pub fn file_path(dir: &Path, at: PartitionRef, base: Offset) -> PathBuf {
    folder_path(dir, at).join(file_name(base))
}

pub(super) fn folder_path(dir: &Path, at: PartitionRef) -> PathBuf {
    dir.join(format!("{}-{}", at.topic, at.partition))
}

pub(super) fn file_name(base: Offset) -> String {
    format!("{:020}.part", base.0)
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) group: GroupId,
    pub(super) at: PartitionRef,
    pub(super) base: Offset,
    pub(super) salt: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.raw(MAGIC)
            .u16(VERSION)
            .u32(self.group.0)
            .u32(self.at.topic.0)
            .u32(self.at.partition.0)
            .u64(self.base.0)
            .u64(self.salt);
        let mut bytes = out.into_vec();
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the file at `path`.
    pub(super) fn read(path: &Path, file: &dyn File) -> Result<Self> {
        let bytes = read_at(path, file, 0, HEADER_BYTES)?;
        let (version, header) =
            Self::decode(bytes).map_err(|damage| Error::corrupt(path, 0, damage))?;
        if version > VERSION {
            let context = format!("open {}: its version is {version}", path.display());
            return Err(Error::new(ErrorKind::Unsupported, context));
        }
        Ok(header)
    }

    pub(super) fn decode(bytes: Bytes) -> Result<(u16, Self), DecodeError> {
        let mut input = Decoder::new(bytes.clone());
        if input.raw("magic", MAGIC.len())? != MAGIC[..] {
            return Err(input.error("magic", "this is no partition file"));
        }
        let version = input.u16("version")?;
        let header = Self {
            group: GroupId(input.u32("group")?),
            at: PartitionRef {
                topic: TopicId(input.u32("topic")?),
                partition: PartitionId(input.u32("partition")?),
            },
            base: Offset(input.u64("base offset")?),
            salt: input.u64("salt")?,
        };
        let covered = bytes.len() - input.remaining();
        if input.u32("header checksum")? != crc32fast::hash(&bytes.slice(..covered)) {
            return Err(input.error("header checksum", "the checksum does not match"));
        }
        if version == 0 {
            return Err(input.error("version", "no version is 0"));
        }
        Ok((version, header))
    }
}

/// A file of a partition that is in use.
#[derive(Debug)]
pub(super) struct PartitionFile {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    sealed: AtomicBool,
    pub(super) index: Mutex<SparseIndex>,
}

impl PartitionFile {
    /// A file that is yet to be created.
    pub(super) fn new(dir: &Path, header: Header) -> Self {
        Self {
            path: file_path(dir, header.at, header.base),
            header,
            sealed: AtomicBool::new(false),
            index: Mutex::new(SparseIndex::new(header.base)),
        }
    }

    /// An existing file, cut to its recorded length by the caller if it is longer.
    pub(super) fn recover(
        path: PathBuf,
        file: &dyn File,
        group: GroupId,
        at: PartitionRef,
        recorded: FileLength,
    ) -> Result<Self> {
        let header = Header::read(&path, file)?;
        let expected = Header {
            group,
            at,
            base: recorded.base,
            salt: header.salt,
        };
        if header != expected {
            let what = format!("the header is that of another file: {header:?}");
            return Err(Error::corrupt(&path, 0, what));
        }
        Ok(Self {
            path,
            header,
            sealed: AtomicBool::new(false),
            index: Mutex::new(SparseIndex::new(recorded.base)),
        })
    }

    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Offers the messages `next..until`, which the first `written` bytes of the file hold, until
    /// the page is full; `next` moves on.
    pub(super) fn read(
        &self,
        file: &dyn File,
        written: u64,
        next: &mut Offset,
        until: Offset,
        page: &mut Page,
    ) -> Result<()> {
        let start = self.index.lock().before(*next);
        let mut walk = Walk {
            file: self,
            place: start,
            noted: start.position,
            notes: Vec::new(),
        };
        let mut need = 0;
        let mut outcome = Ok(());
        while walk.place.offset < until && !page.is_full() && outcome.is_ok() {
            let left = written.saturating_sub(walk.place.position);
            outcome = if left == 0 || need > left {
                Err(self.damage(walk.place.position, Damage::End))
            } else {
                read_at(
                    &self.path,
                    file,
                    walk.place.position,
                    left.min(READ_BYTES.max(need)),
                )
                .and_then(|bytes| walk.frames(bytes, next, until, page))
                .map(|short| need = short as u64)
            };
        }
        self.index.lock().read(walk.notes);
        outcome
    }

    /// Offers the messages `next..until` of bytes that are to stand at `position` and begin with
    /// the message at `next`, and are not in the file yet.
    pub(super) fn read_memory(
        &self,
        bytes: Bytes,
        position: u64,
        next: &mut Offset,
        until: Offset,
        page: &mut Page,
    ) -> Result<()> {
        let mut walk = Walk {
            file: self,
            place: Place {
                offset: *next,
                position,
            },
            noted: position,
            notes: Vec::new(),
        };
        walk.frames(bytes, next, until, page).map(|_| ())
    }

    fn damage(&self, position: u64, damage: Damage) -> Error {
        Error::corrupt(&self.path, position, damage)
    }
}

/// Frame by frame through a file.
struct Walk<'a> {
    file: &'a PartitionFile,
    place: Place,
    noted: u64,
    notes: Vec<Place>,
}

impl Walk<'_> {
    /// Walks the frames in `bytes`; answers how many bytes the first frame that is not whole
    /// needs, or 0.
    fn frames(
        &mut self,
        mut bytes: Bytes,
        next: &mut Offset,
        until: Offset,
        page: &mut Page,
    ) -> Result<usize> {
        while self.place.offset < until && !page.is_full() {
            let Place { offset, position } = self.place;
            let frame = take_frame(&bytes, self.file.header.salt, position, offset)
                .map_err(|damage| self.file.damage(position, damage))?;
            match frame {
                Frame::Short { need } => return Ok(need),
                Frame::Whole { message, bytes: n } => {
                    if is_due(Some(self.noted), position) {
                        self.noted = position;
                        self.notes.push(self.place);
                    }
                    self.place = Place {
                        offset: Offset(offset.0 + 1),
                        position: position + n as u64,
                    };
                    let _ = bytes.split_to(n);
                    if offset == *next {
                        *next = self.place.offset;
                        page.offer(message, n);
                    }
                }
            }
        }
        Ok(0)
    }
}

pub(super) fn read_at(path: &Path, file: &dyn File, position: u64, len: u64) -> Result<Bytes> {
    let len = usize::try_from(len).expect("a read is at most one frame long");
    let mut bytes = vec![0; len];
    match file.read_exact_at(&mut bytes, position) {
        Ok(()) => Ok(Bytes::from(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Error::corrupt(path, position, "the file ends too early"))
        }
        Err(error) => Err(Error::io(format!("read {}", path.display()), error)),
    }
}
