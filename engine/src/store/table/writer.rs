//! Writes a table: versions in order, then what finds and checks them.

use std::sync::Arc;

use bytes::Bytes;

use super::block::BlockBuilder;
use super::codec::Compressor;
use super::filter::FilterBuilder;
use super::footer::{Footer, VERSION};
use super::index::{BlockSpan, IndexBuilder};
use super::properties::Properties;
use crate::codec::Encoder;
use crate::env::File;
use crate::env::vfs::OpenMode;
use crate::failpoint::{Point, hit};
use crate::ids::Revision;
use crate::planted::{Planted, on};
use crate::store::blob::{BlobUse, BlobWriter};
use crate::store::folder::{Folder, UnpublishedFile};
use crate::store::key::Place;
use crate::store::options::StoreOptions;
use crate::store::row::{RowParts, ValueParts};
use crate::store::section::checksum;
use crate::{Error, Result};

/// Bytes gathered before they are handed to the file.
const WRITE_BYTES: usize = 256 << 10;

/// A table that is being written; its file is removed again if it is dropped unfinished.
#[derive(Debug)]
pub(in crate::store) struct TableWriter {
    file: Arc<dyn File>,
    unpublished: UnpublishedFile,
    id: u64,
    salt: u64,
    blob_bytes: usize,
    block_bytes: usize,
    compressor: Compressor,
    out: Vec<u8>,
    written: u64,
    block: BlockBuilder,
    last_block: Option<BlockSpan>,
    index: IndexBuilder,
    filter: FilterBuilder,
    smallest: Bytes,
    last_key: Vec<u8>,
    last_revision: Revision,
    entries: u64,
    revision_min: Revision,
    revision_max: Revision,
    cleaned: Revision,
    blob: Option<BlobWriter>,
    blobs: Vec<BlobUse>,
}

/// A finished and synced table file, and its blob file, that no manifest names yet: they are
/// removed if this is dropped before [`WrittenTable::publish`].
#[derive(Debug)]
pub(in crate::store) struct WrittenTable {
    pub(in crate::store) id: u64,
    pub(in crate::store) len: u64,
    pub(in crate::store) properties: Properties,
    unpublished: UnpublishedFile,
    unpublished_blob: Option<UnpublishedFile>,
}

impl TableWriter {
    /// Creates the file. Ranges deleted up to `cleaned` hide nothing of what will be added.
    pub(in crate::store) fn create(
        folder: &Arc<Folder>,
        id: u64,
        salt: u64,
        options: &StoreOptions,
        cleaned: Revision,
    ) -> Result<Self> {
        let block_bytes = options.block_bytes;
        let path = folder.table_path(id);
        let file = folder
            .vfs
            .open(&path, OpenMode::CreateNew)
            .map_err(|e| Error::io(format!("create table {}", path.display()), e))?;
        Ok(Self {
            file,
            unpublished: UnpublishedFile::new(folder, path),
            id,
            salt,
            blob_bytes: options.blob_bytes.max(1),
            block_bytes,
            compressor: Compressor::new(options.compression),
            out: Vec::with_capacity(WRITE_BYTES + 2 * block_bytes),
            written: 0,
            block: BlockBuilder::default(),
            last_block: None,
            index: IndexBuilder::default(),
            filter: FilterBuilder::default(),
            smallest: Bytes::new(),
            last_key: Vec::new(),
            last_revision: Revision(0),
            entries: 0,
            revision_min: Revision(u64::MAX),
            revision_max: Revision(0),
            cleaned,
            blob: None,
            blobs: Vec::new(),
        })
    }

    /// Appends a version; places must grow.
    pub(in crate::store) fn add(
        &mut self,
        place: Place<'_>,
        row: Option<RowParts<'_>>,
    ) -> Result<()> {
        let last = Place {
            key: &self.last_key,
            revision: self.last_revision,
        };
        assert!(
            self.entries == 0 || last < place,
            "versions come in order and only once"
        );
        let row = row.map(|row| self.separate(row)).transpose()?;
        let entry_bytes = place.key.len() + row.map_or(0, |row| row.value.inline_len());
        if !self.block.is_empty() && self.block.len() + entry_bytes > self.block_bytes {
            self.end_block()?;
        }
        if let Some(span) = self.last_block.take_if(|_| self.block.is_empty()) {
            let last = Place {
                key: &self.last_key,
                revision: self.last_revision,
            };
            self.index.add(last, Some(place), span);
        }
        self.block.add(place, row);
        self.filter.add(place.key);
        if self.entries == 0 {
            self.smallest = Bytes::copy_from_slice(place.key);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(place.key);
        self.last_revision = place.revision;
        self.entries += 1;
        self.revision_min = self.revision_min.min(place.revision);
        self.revision_max = self.revision_max.max(place.revision);
        Ok(())
    }

    /// Bytes of data so far.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.written + self.out.len() as u64 + self.block.len() as u64
    }

    /// Writes the rest, and syncs the file. Its name is the caller's to sync.
    pub(in crate::store) fn finish(mut self) -> Result<WrittenTable> {
        assert!(self.entries > 0, "a table holds something");
        self.end_block()?;
        if let Some(span) = self.last_block {
            let last = Place {
                key: &self.last_key,
                revision: self.last_revision,
            };
            self.index.add(last, None, span);
        }
        let blob = self.blob.take().map(BlobWriter::finish).transpose()?;
        if let Some((bytes, _)) = &blob {
            self.blob_use(self.id).file_bytes = *bytes;
        }
        let properties = Properties {
            smallest: std::mem::take(&mut self.smallest),
            largest: Bytes::copy_from_slice(&self.last_key),
            entries: self.entries,
            revision_min: self.revision_min,
            revision_max: self.revision_max,
            cleaned: self.cleaned,
            blobs: std::mem::take(&mut self.blobs),
        };
        let index = std::mem::take(&mut self.index).finish();
        let filter = self.filter.finish();
        let mut encoded = Encoder::new();
        properties.encode(&mut encoded);
        let footer = Footer {
            index: self.section(&index, &[]),
            filter: self.section(&filter, &[]),
            properties: self.section(&encoded.into_vec(), &[]),
            id: self.id,
            salt: self.salt,
            version: VERSION,
        };
        self.out.extend_from_slice(&footer.encode());
        self.write_out()?;
        hit(Point::TableWritten);
        let synced = if on(Planted::TableNotSynced) {
            Ok(())
        } else {
            self.file.sync_data()
        };
        synced.map_err(|e| {
            Error::io(
                format!("sync table {}", self.unpublished.path().display()),
                e,
            )
        })?;
        hit(Point::TableSynced);
        Ok(WrittenTable {
            id: self.id,
            len: self.written,
            properties,
            unpublished: self.unpublished,
            unpublished_blob: blob.map(|(_, file)| file),
        })
    }

    /// Puts a long value into the blob file, and notes which blob files are used.
    fn separate<'a>(&mut self, row: RowParts<'a>) -> Result<RowParts<'a>> {
        let value = match row.value {
            ValueParts::Inline(value) if value.len() >= self.blob_bytes => {
                let blob = match &mut self.blob {
                    Some(blob) => blob,
                    empty => empty.insert(BlobWriter::create(
                        self.unpublished.folder(),
                        self.id,
                        self.salt,
                    )?),
                };
                let at = blob.add(value)?;
                ValueParts::Blob { at, file_bytes: 0 }
            }
            value => value,
        };
        if let ValueParts::Blob { at, file_bytes } = value {
            let used = self.blob_use(at.file);
            used.file_bytes = file_bytes;
            used.used_bytes += at.record_bytes();
        }
        Ok(RowParts { value, ..row })
    }

    fn blob_use(&mut self, file: u64) -> &mut BlobUse {
        let place = self.blobs.iter().position(|used| used.file == file);
        let place = place.unwrap_or_else(|| {
            self.blobs.push(BlobUse {
                file,
                file_bytes: 0,
                used_bytes: 0,
            });
            self.blobs.len() - 1
        });
        &mut self.blobs[place]
    }

    fn end_block(&mut self) -> Result<()> {
        let mut block = std::mem::take(&mut self.block);
        let mut compressor = std::mem::take(&mut self.compressor);
        let (stored, codec) = compressor.pack(block.finish());
        self.last_block = Some(self.section(stored, &[codec]));
        block.clear();
        self.block = block;
        self.compressor = compressor;
        if self.out.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    /// Appends a body, in two parts, and its checksum.
    fn section(&mut self, body: &[u8], tail: &[u8]) -> BlockSpan {
        let start = self.out.len();
        let offset = self.written + start as u64;
        self.out.extend_from_slice(body);
        self.out.extend_from_slice(tail);
        let crc = checksum(self.salt, offset, &self.out[start..]);
        self.out.extend_from_slice(&crc.to_le_bytes());
        BlockSpan {
            offset,
            len: u32::try_from(self.out.len() - start)
                .expect("rows and tables end far below 4 GiB"),
        }
    }

    fn write_out(&mut self) -> Result<()> {
        self.file.write_at(&self.out, self.written).map_err(|e| {
            Error::io(
                format!("write table {}", self.unpublished.path().display()),
                e,
            )
        })?;
        self.written += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }
}

impl WrittenTable {
    /// The manifest names the file now, or may do so: it stays.
    pub(in crate::store) fn publish(&mut self) {
        self.unpublished.publish();
        if let Some(blob) = &mut self.unpublished_blob {
            blob.publish();
        }
    }
}
