//! Reads a table.
//!
//! The index and the filter stay in memory; blocks come through the node's block cache, and
//! are checked whenever they come from the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::CRC_BYTES;
use super::block::{BlobFiles, Block, Interval};
use super::codec::unpack;
use super::filter::Filter;
use super::footer::{FOOTER_BYTES, Footer, VERSION, VERSION_1};
use super::index::{BlockSpan, Index};
use super::properties::Properties;
use crate::codec::{DecodeError, Decoder};
use crate::env::File;
use crate::env::vfs::OpenMode;
use crate::failpoint::{Point, hit};
use crate::ids::Revision;
use crate::store::blob::BlobFile;
use crate::store::block_cache::{BlockCache, BlockKey};
use crate::store::buffers::Buffers;
use crate::store::folder::Folder;
use crate::store::iter::Direction;
use crate::store::key::Place;
use crate::store::row::{Found, RowParts, StoredRow};
use crate::store::section::{self, checksum};
use crate::{Error, ErrorKind, Result};

/// Bytes read at once by a cursor that will not come back.
const AHEAD_BYTES: u64 = 256 << 10;

/// An open table file. Whoever holds it may read it; once it is obsolete, the last one to let
/// go removes the file.
#[derive(Debug)]
pub(in crate::store) struct Table {
    pub(in crate::store) id: u64,
    pub(in crate::store) len: u64,
    pub(in crate::store) path: PathBuf,
    pub(in crate::store) properties: Properties,
    folder: Arc<Folder>,
    file: Arc<dyn File>,
    salt: u64,
    version: u32,
    blob_files: BlobFiles,
    index: Index,
    filter: Filter,
    blocks: Arc<BlockCache>,
    cached_as: u64,
    obsolete: AtomicBool,
}

/// What becomes of blocks that were read from the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Fill {
    /// They are kept in the block cache.
    Cache,
    /// They are read in long runs and forgotten: compaction must not wash out the cache.
    Ahead,
}

impl Table {
    /// Opens a file, and checks all of it but the data blocks.
    ///
    /// # Errors
    /// `Corrupt` with the file and the offset of what is wrong; `Unsupported` for a newer format.
    pub(in crate::store) fn open(
        folder: &Arc<Folder>,
        id: u64,
        len: u64,
        blocks: &Arc<BlockCache>,
    ) -> Result<Self> {
        let path = folder.table_path(id);
        let failed = |e| match e {
            e if std::io::Error::kind(&e) == std::io::ErrorKind::NotFound => {
                Error::corrupt(&path, 0, "the file is missing")
            }
            e => Error::io(format!("open table {}", path.display()), e),
        };
        let file = folder.vfs.open(&path, OpenMode::Read).map_err(failed)?;
        let found = file.len().map_err(failed)?;
        let footer_at = len.checked_sub(FOOTER_BYTES as u64);
        let Some(footer_at) = footer_at.filter(|_| found == len) else {
            let problem = format!("{len} bytes were written");
            return Err(Error::corrupt(&path, found, problem));
        };
        let bytes = read(file.as_ref(), &path, footer_at, FOOTER_BYTES)?;
        let footer = Footer::decode(bytes, len).map_err(|e| damaged(&path, footer_at, &e))?;
        if !(VERSION_1..=VERSION).contains(&footer.version) {
            let message = format!("{} has format {}", path.display(), footer.version);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if footer.id != id {
            let problem = format!("this is table {}", footer.id);
            return Err(Error::corrupt(&path, footer_at, problem));
        }
        let section = |at: BlockSpan| read_section(file.as_ref(), &path, footer.salt, at);
        let index = Index::decode(section(footer.index)?, footer.index.offset)
            .map_err(|e| damaged(&path, footer.index.offset, &e))?;
        let filter = Filter::new(section(footer.filter)?)
            .ok_or_else(|| Error::corrupt(&path, footer.filter.offset, "this is no filter"))?;
        let mut input = Decoder::new(section(footer.properties)?);
        let properties = Properties::decode(&mut input, footer.version == VERSION_1)
            .and_then(|properties| input.end("properties").map(|()| properties))
            .map_err(|e| damaged(&path, footer.properties.offset, &e))?;
        let used = properties.blobs.iter();
        let blob_files: Vec<_> = used
            .map(|used| folder.blob_file(*used))
            .collect::<Result<_>>()?;
        blocks.add_resident(index.bytes() + filter.bytes());
        Ok(Self {
            id,
            len,
            properties,
            folder: Arc::clone(folder),
            salt: footer.salt,
            version: footer.version,
            blob_files: (!blob_files.is_empty()).then(|| Arc::new(blob_files)),
            index,
            filter,
            cached_as: blocks.file(),
            blocks: Arc::clone(blocks),
            obsolete: AtomicBool::new(false),
            path,
            file,
        })
    }

    /// The newest version of a key not above `at`. `hash` is the key's, by
    /// [`hash_key`](super::hash_key).
    pub(in crate::store) fn get(
        &self,
        key: &[u8],
        at: Revision,
        hash: u64,
    ) -> Result<Option<Found>> {
        if self.properties.revision_min > at || !self.filter.may_contain(hash) {
            return Ok(None);
        }
        let target = Place { key, revision: at };
        let number = self.index.find(target);
        let Some(span) = self.index.span(number) else {
            return Ok(None);
        };
        let block = self.block(span, Fill::Cache)?;
        // If the target lies between this block's last version and its separator, the next block
        // begins with a key behind the separator's: it cannot hold the target's key either.
        block.get(target).map_err(|e| self.damaged(span, &e))
    }

    /// The blob files that the table names.
    pub(in crate::store) fn blob_files(&self) -> &[Arc<BlobFile>] {
        self.blob_files.as_ref().map_or(&[], |files| files)
    }

    /// Bytes of memory that the open table holds.
    pub(in crate::store) fn resident_bytes(&self) -> usize {
        self.index.bytes() + self.filter.bytes()
    }

    /// No manifest names the file any more: the last holder removes it.
    pub(in crate::store) fn set_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// Reads a block, from the cache if it is there.
    fn block(&self, span: BlockSpan, fill: Fill) -> Result<Block> {
        let key = BlockKey {
            file: self.cached_as,
            offset: span.offset,
        };
        if fill == Fill::Cache
            && let Some(bytes) = self.blocks.get(key)
        {
            return Block::new(bytes, &self.blob_files).map_err(|e| self.damaged(span, &e));
        }
        let mut section = self.blocks.buffers().take(span.len as usize);
        let file = self.file.as_ref();
        section::read_into("table", file, &self.path, span.offset, section.as_mut())?;
        let body = check_section(&self.path, self.salt, span, section.freeze())?;
        let bytes = self.unpack(body).map_err(|e| self.damaged(span, &e))?;
        let block =
            Block::new(bytes.clone(), &self.blob_files).map_err(|e| self.damaged(span, &e))?;
        if fill == Fill::Cache {
            self.blocks.insert(key, bytes);
        }
        Ok(block)
    }

    fn unpack(&self, body: Bytes) -> Result<Bytes, DecodeError> {
        unpack_block(self.version, body, self.blocks.buffers())
    }

    fn damaged(&self, span: BlockSpan, error: &DecodeError) -> Error {
        damaged(&self.path, span.offset, error)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.blocks.remove_resident(self.resident_bytes());
        if *self.obsolete.get_mut() {
            self.folder.remove_orphan(&self.path);
            hit(Point::TableRemoved);
        }
    }
}

/// Walks the versions of a table in order or against it.
pub(in crate::store) struct TableCursor {
    table: Arc<Table>,
    direction: Direction,
    fill: Fill,
    ahead: Ahead,
    block_number: usize,
    block: Block,
    interval_number: usize,
    interval: Interval,
    position: Option<usize>,
}

/// A run of blocks read at once.
#[derive(Default)]
struct Ahead {
    offset: u64,
    bytes: Bytes,
}

impl TableCursor {
    pub(in crate::store) fn new(table: Arc<Table>, direction: Direction, fill: Fill) -> Self {
        Self {
            table,
            direction,
            fill,
            ahead: Ahead::default(),
            block_number: 0,
            block: Block::default(),
            interval_number: 0,
            interval: Interval::default(),
            position: None,
        }
    }

    /// Forward: to the first version at or behind `to`. Reverse: to the last one before it.
    pub(in crate::store) fn seek(&mut self, to: Place<'_>) -> Result<()> {
        let found = self.table.index.find(to);
        let number = match self.direction {
            Direction::Forward => found,
            Direction::Reverse => found.min(self.table.index.len() - 1),
        };
        if !self.load_block(number)? {
            return Ok(());
        }
        let interval = self.block.interval_of(to).map_err(|e| self.damaged(&e))?;
        self.load_interval(interval)?;
        let before = self.interval.before(to);
        match self.direction {
            Direction::Forward if before == self.interval.len() => self.next_interval(),
            Direction::Forward => {
                self.position = Some(before);
                Ok(())
            }
            Direction::Reverse if before == 0 => self.previous_interval(),
            Direction::Reverse => {
                self.position = Some(before - 1);
                Ok(())
            }
        }
    }

    /// Reverse: to the last version of the table.
    pub(in crate::store) fn seek_to_last(&mut self) -> Result<()> {
        if self.load_block(self.table.index.len() - 1)? {
            self.load_interval(self.block.intervals() - 1)?;
            self.position = Some(self.interval.len() - 1);
        }
        Ok(())
    }

    #[inline]
    pub(in crate::store) fn place(&self) -> Option<Place<'_>> {
        self.interval.place(self.position?)
    }

    #[inline]
    pub(in crate::store) fn key(&self) -> Option<Bytes> {
        self.interval.key(self.position?)
    }

    #[inline]
    pub(in crate::store) fn row(&self) -> Option<StoredRow> {
        self.interval.row(self.position?, &self.block)
    }

    #[inline]
    pub(in crate::store) fn parts(&self) -> Option<RowParts<'_>> {
        self.interval.parts(self.position?, &self.block)
    }

    #[inline]
    pub(in crate::store) fn advance(&mut self) -> Result<()> {
        let Some(position) = self.position else {
            return Ok(());
        };
        match self.direction {
            Direction::Forward if position + 1 == self.interval.len() => self.next_interval(),
            Direction::Forward => {
                self.position = Some(position + 1);
                Ok(())
            }
            Direction::Reverse if position == 0 => self.previous_interval(),
            Direction::Reverse => {
                self.position = Some(position - 1);
                Ok(())
            }
        }
    }

    fn next_interval(&mut self) -> Result<()> {
        if self.interval_number + 1 < self.block.intervals() {
            self.load_interval(self.interval_number + 1)?;
        } else if self.load_block(self.block_number + 1)? {
            self.load_interval(0)?;
        } else {
            return Ok(());
        }
        self.position = Some(0);
        Ok(())
    }

    fn previous_interval(&mut self) -> Result<()> {
        if self.interval_number > 0 {
            self.load_interval(self.interval_number - 1)?;
        } else if self.block_number > 0 && self.load_block(self.block_number - 1)? {
            self.load_interval(self.block.intervals() - 1)?;
        } else {
            self.position = None;
            return Ok(());
        }
        self.position = Some(self.interval.len() - 1);
        Ok(())
    }

    /// Loads a block; `false`, and the end, if the table has no such block.
    fn load_block(&mut self, number: usize) -> Result<bool> {
        self.position = None;
        let Some(span) = self.table.index.span(number) else {
            return Ok(false);
        };
        self.block = match self.fill {
            Fill::Cache => self.table.block(span, Fill::Cache)?,
            Fill::Ahead => self.block_ahead(number, span)?,
        };
        self.block_number = number;
        Ok(true)
    }

    fn load_interval(&mut self, number: usize) -> Result<()> {
        self.block
            .read_interval(number, &mut self.interval)
            .map_err(|e| self.damaged(&e))?;
        self.interval_number = number;
        Ok(())
    }

    /// Takes a block out of the run read before, or reads the next run.
    fn block_ahead(&mut self, number: usize, span: BlockSpan) -> Result<Block> {
        let table = &self.table;
        if span.offset < self.ahead.offset
            || span.end() > self.ahead.offset + self.ahead.bytes.len() as u64
        {
            let mut end = span.end();
            for next in (number + 1..).map_while(|number| table.index.span(number)) {
                if next.end() - span.offset > AHEAD_BYTES {
                    break;
                }
                end = next.end();
            }
            let len = usize::try_from(end - span.offset).map_err(|_| {
                Error::corrupt(&table.path, span.offset, "a block larger than memory")
            })?;
            self.ahead = Ahead {
                offset: span.offset,
                bytes: read(table.file.as_ref(), &table.path, span.offset, len)?,
            };
        }
        let start = usize::try_from(span.offset - self.ahead.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(span.len as usize);
        let section = match self.ahead.bytes.get(start..end) {
            Some(_) => self.ahead.bytes.slice(start..end),
            None => Bytes::new(),
        };
        let body = check_section(&table.path, table.salt, span, section)?;
        table
            .unpack(body)
            .and_then(|body| Block::new(body, &table.blob_files))
            .map_err(|e| table.damaged(span, &e))
    }

    fn damaged(&self, error: &DecodeError) -> Error {
        damaged(&self.table.path, self.block_offset(), error)
    }

    /// The error for something wrong with the block that the cursor stands in.
    pub(in crate::store) fn damaged_here(&self, problem: &str) -> Error {
        Error::corrupt(&self.table.path, self.block_offset(), problem)
    }

    fn block_offset(&self) -> u64 {
        let span = self.table.index.span(self.block_number);
        span.map_or(0, |span| span.offset)
    }
}

/// The block of a section's body, in a table of this version.
pub(super) fn unpack_block(
    version: u32,
    body: Bytes,
    buffers: &Arc<Buffers>,
) -> Result<Bytes, DecodeError> {
    if version == VERSION_1 {
        return Ok(body);
    }
    unpack(&body, buffers)
}

/// Reads a section's body, and checks it.
pub(super) fn read_section(
    file: &dyn File,
    path: &Path,
    salt: u64,
    at: BlockSpan,
) -> Result<Bytes> {
    let bytes = read(file, path, at.offset, at.len as usize)?;
    check_section(path, salt, at, bytes)
}

fn check_section(path: &Path, salt: u64, at: BlockSpan, section: Bytes) -> Result<Bytes> {
    let intact = section
        .split_last_chunk::<CRC_BYTES>()
        .is_some_and(|(body, crc)| checksum(salt, at.offset, body) == u32::from_le_bytes(*crc));
    if !intact {
        return Err(Error::corrupt(path, at.offset, "the checksum is wrong"));
    }
    Ok(section.slice(..section.len() - CRC_BYTES))
}

pub(super) fn read(file: &dyn File, path: &Path, offset: u64, len: usize) -> Result<Bytes> {
    section::read("table", file, path, offset, len)
}

pub(super) fn damaged(path: &Path, offset: u64, error: &DecodeError) -> Error {
    Error::corrupt(path, offset, error)
}
