//! A look at a table: every section, every block, every version.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::block::{BlobFiles, Block, Interval};
use super::filter::{Filter, hash_key};
use super::footer::{FOOTER_BYTES, Footer, VERSION, VERSION_1};
use super::index::{BlockSpan, Index};
use super::properties::Properties;
use super::reader::{damaged, read, read_section, unpack_block};
use crate::codec::Decoder;
use crate::env::vfs::OpenMode;
use crate::env::{File, Vfs};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::ids::Revision;
use crate::inspect::{Problem, Seen, Severity};
use crate::store::folder::Folder;
use crate::store::key::Place;
use crate::store::pin::table_file_name;
use crate::store::row::{RowMeta, StoredRow, StoredValue};

/// What a look at a table meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableItem {
    /// What the footer and the properties say; comes first.
    Table(TableView),
    /// A block begins.
    Block(BlockView),
    /// A version in it.
    Version(VersionView),
}

/// What the end of a table says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableView {
    /// The file.
    pub path: PathBuf,
    /// Its id.
    pub id: u64,
    /// Its format.
    pub version: u32,
    /// Drawn at random when it was written.
    pub salt: u64,
    /// Length of the file.
    pub bytes: u64,
    /// The sections behind the blocks.
    pub sections: Vec<SectionView>,
    /// How many blocks the index names, if it can be read.
    pub blocks: Option<usize>,
    /// First and last user key, if the properties can be read.
    pub keys: Option<(Bytes, Bytes)>,
    /// How many versions there are to be.
    pub entries: Option<u64>,
    /// Lowest and highest revision.
    pub revisions: Option<(Revision, Revision)>,
    /// Ids of the blob files that hold large values.
    pub blob_files: Vec<u64>,
}

/// Where a section stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SectionView {
    /// Which.
    pub name: &'static str,
    /// Where it begins.
    pub offset: u64,
    /// Its length, with the checksum.
    pub bytes: u32,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockView {
    /// Its number, from 0.
    pub number: usize,
    /// Where it begins.
    pub offset: u64,
    /// Its length, with the checksum.
    pub bytes: u32,
    /// How many versions it holds.
    pub entries: u64,
    /// The user key of the first.
    pub first: Bytes,
}

/// One version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionView {
    /// Where its block begins.
    pub block: u64,
    /// The user key: the keyspace's id in four big-endian bytes, then the row's key.
    pub key: Bytes,
    /// Its revision.
    pub revision: Revision,
    /// What was written; `None` for a tombstone.
    pub row: Option<RowView>,
}

/// A version that is no tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowView {
    /// When the row came into being, how often it was written since, what it is, when it ends.
    pub meta: RowMeta,
    /// The blob file that holds the value, if it is not beside its key.
    pub blob_file: Option<u64>,
    /// The value; `None` if it is damaged.
    pub value: Option<Bytes>,
}

/// Looks at one table file, all its blocks and versions.
///
/// # Errors
/// `Io` if the file cannot be read, `Unsupported` for that of a newer build. Damage is no error:
/// it is seen.
pub fn table(vfs: &Arc<dyn Vfs>, path: &Path, seen: &mut dyn FnMut(Seen<TableItem>)) -> Result<()> {
    let failed = |e| Error::io(format!("open table {}", path.display()), e);
    let file = vfs.open(path, OpenMode::Read).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    let mut look = Look {
        path,
        file: file.as_ref(),
        seen,
        version: VERSION,
        salt: 0,
        blob_files: None,
        filter: None,
        found: Found::default(),
    };
    let Some(footer) = look.footer(len)? else {
        return Ok(());
    };
    look.version = footer.version;
    look.salt = footer.salt;
    let index = look.section(footer.index, |at, body| {
        Index::decode(body, at.offset).map_err(|e| damaged(path, at.offset, &e))
    })?;
    look.filter = look.section(footer.filter, |at, body| {
        let what = "this is no filter";
        Filter::new(body).ok_or_else(|| Error::corrupt(path, at.offset, what))
    })?;
    let properties = look.section(footer.properties, |at, body| {
        let mut input = Decoder::new(body);
        Properties::decode(&mut input, footer.version == VERSION_1)
            .and_then(|properties| input.end("properties").map(|()| properties))
            .map_err(|e| damaged(path, at.offset, &e))
    })?;
    look.tell(&footer, len, index.as_ref(), properties.as_ref());
    if let Some(properties) = &properties {
        let parent = path.parent().unwrap_or(Path::new(""));
        look.open_blobs(&Folder::new(vfs, parent), properties)?;
    }
    let Some(index) = index else {
        return Ok(());
    };
    let mut whole = true;
    for (number, span) in (0..index.len()).filter_map(|block| Some((block, index.span(block)?))) {
        whole &= look.block(number, span)?;
    }
    if let Some(properties) = properties.filter(|_| whole) {
        look.compare(&properties, footer.properties.offset);
    }
    Ok(())
}

struct Look<'a> {
    path: &'a Path,
    file: &'a dyn File,
    seen: &'a mut dyn FnMut(Seen<TableItem>),
    version: u32,
    salt: u64,
    blob_files: BlobFiles,
    filter: Option<Filter>,
    found: Found,
}

/// What the blocks so far hold.
#[derive(Default)]
struct Found {
    first: Option<Bytes>,
    last: Option<(Bytes, Revision)>,
    entries: u64,
    revisions: Option<(Revision, Revision)>,
}

impl Look<'_> {
    fn footer(&mut self, len: u64) -> Result<Option<Footer>> {
        let Some(at) = len.checked_sub(FOOTER_BYTES as u64) else {
            self.damage(len, "the file ends within its footer");
            return Ok(None);
        };
        let bytes = read(self.file, self.path, at, FOOTER_BYTES)?;
        let footer = match Footer::decode(bytes, len) {
            Ok(footer) => footer,
            Err(error) => {
                self.damage(at, error);
                return Ok(None);
            }
        };
        if !(VERSION_1..=VERSION).contains(&footer.version) {
            let message = format!("{} has format {}", self.path.display(), footer.version);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let named = table_file_name(footer.id);
        if self
            .path
            .file_name()
            .is_none_or(|name| name != named.as_str())
        {
            self.damage(at, format!("this is table {}", footer.id));
        }
        Ok(Some(footer))
    }

    /// Reads and decodes a section; `None` if it is damaged.
    fn section<T>(
        &mut self,
        at: BlockSpan,
        decode: impl FnOnce(BlockSpan, Bytes) -> Result<T>,
    ) -> Result<Option<T>> {
        let body = read_section(self.file, self.path, self.salt, at);
        match body.and_then(|body| decode(at, body)) {
            Ok(decoded) => Ok(Some(decoded)),
            Err(error) => {
                (self.seen)(Seen::Problem(Problem::of(error)?));
                Ok(None)
            }
        }
    }

    fn tell(
        &mut self,
        footer: &Footer,
        len: u64,
        index: Option<&Index>,
        properties: Option<&Properties>,
    ) {
        let section = |name, span: BlockSpan| SectionView {
            name,
            offset: span.offset,
            bytes: span.len,
        };
        (self.seen)(Seen::Item(TableItem::Table(TableView {
            path: self.path.to_owned(),
            id: footer.id,
            version: footer.version,
            salt: footer.salt,
            bytes: len,
            sections: vec![
                section("index", footer.index),
                section("filter", footer.filter),
                section("properties", footer.properties),
            ],
            blocks: index.map(Index::len),
            keys: properties.map(|found| (found.smallest.clone(), found.largest.clone())),
            entries: properties.map(|found| found.entries),
            revisions: properties.map(|found| (found.revision_min, found.revision_max)),
            blob_files: properties
                .map(|found| found.blobs.iter().map(|used| used.file).collect())
                .unwrap_or_default(),
        })));
    }

    /// Opens the blob files that are there, and tells which are not.
    fn open_blobs(&mut self, folder: &Arc<Folder>, properties: &Properties) -> Result<()> {
        let mut files = Vec::new();
        for used in &properties.blobs {
            match folder.blob_file(*used) {
                Ok(file) => files.push(file),
                Err(error) => (self.seen)(Seen::Problem(Problem::of(error)?)),
            }
        }
        self.blob_files = Some(Arc::new(files));
        Ok(())
    }

    /// Looks at a block; `false` if not all of it could be read.
    fn block(&mut self, number: usize, span: BlockSpan) -> Result<bool> {
        let (path, version, blobs) = (self.path, self.version, self.blob_files.clone());
        let block = self.section(span, |at, body| {
            unpack_block(version, body, &Arc::default())
                .and_then(|bytes| Block::new(bytes, &blobs))
                .map_err(|e| damaged(path, at.offset, &e))
        })?;
        let Some(block) = block else {
            return Ok(false);
        };
        let mut versions = Vec::new();
        let mut interval = Interval::default();
        let mut whole = true;
        for run in 0..block.intervals() {
            if let Err(error) = block.read_interval(run, &mut interval) {
                self.damage(span.offset, error);
                whole = false;
                continue;
            }
            for entry in 0..interval.len() {
                if let Some(place) = interval.place(entry) {
                    let key = Bytes::copy_from_slice(place.key);
                    versions.push((key, place.revision, interval.row(entry, &block)));
                }
            }
        }
        (self.seen)(Seen::Item(TableItem::Block(BlockView {
            number,
            offset: span.offset,
            bytes: span.len,
            entries: versions.len() as u64,
            first: versions
                .first()
                .map(|(key, ..)| key.clone())
                .unwrap_or_default(),
        })));
        for (key, revision, row) in versions {
            let row = row.map(|row| self.row(row)).transpose()?;
            self.version(VersionView {
                block: span.offset,
                key,
                revision,
                row,
            });
        }
        Ok(whole)
    }

    /// Reads a value that stands in a blob file, too.
    fn row(&mut self, row: StoredRow) -> Result<RowView> {
        let (blob_file, value) = match row.value {
            StoredValue::Inline(value) => (None, Some(value)),
            StoredValue::Blob(blob) => {
                let value = match blob.read() {
                    Ok(value) => Some(value),
                    Err(error) => {
                        (self.seen)(Seen::Problem(Problem::of(error)?));
                        None
                    }
                };
                (Some(blob.at.file), value)
            }
        };
        Ok(RowView {
            meta: row.meta,
            blob_file,
            value,
        })
    }

    fn version(&mut self, version: VersionView) {
        let place = Place {
            key: &version.key,
            revision: version.revision,
        };
        let ordered = self.found.last.as_ref().is_none_or(|(key, revision)| {
            let last = Place {
                key,
                revision: *revision,
            };
            last < place
        });
        if !ordered {
            self.damage(version.block, "its versions are not in order");
        }
        let hash = hash_key(&version.key);
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.may_contain(hash))
        {
            self.damage(
                version.block,
                "the filter does not know a key that it holds",
            );
        }
        let revision = version.revision;
        self.found.entries += 1;
        self.found.first.get_or_insert_with(|| version.key.clone());
        self.found.last = Some((version.key.clone(), revision));
        self.found.revisions = Some(match self.found.revisions {
            None => (revision, revision),
            Some((low, high)) => (low.min(revision), high.max(revision)),
        });
        (self.seen)(Seen::Item(TableItem::Version(version)));
    }

    /// Whether the properties say what the blocks hold.
    fn compare(&mut self, properties: &Properties, offset: u64) {
        let Properties {
            smallest,
            largest,
            entries,
            revision_min,
            revision_max,
            ..
        } = properties;
        let found = &self.found;
        let keys = found.first.as_ref() == Some(smallest)
            && found.last.as_ref().map(|(key, _)| key) == Some(largest);
        let revisions = found.revisions == Some((*revision_min, *revision_max));
        if !keys || !revisions || found.entries != *entries {
            self.damage(offset, "the properties are not those of the blocks");
        }
    }

    fn damage(&mut self, offset: u64, what: impl ToString) {
        let damage = Damage {
            path: self.path.to_owned(),
            offset,
            what: what.to_string(),
        };
        (self.seen)(Seen::Problem(Problem::new(Severity::Damage, damage)));
    }
}
