//! Table files that are kept while somebody copies them, and files that arrive as a copy.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::deleted::DeletedRange;
use super::manifest::sync_dir;
use super::recovery;
use super::table::Table;
use super::version::Version;
use crate::env::Env;
use crate::{Error, ErrorKind, Result};

/// The name of a table's file inside the store's folder.
pub fn table_file_name(id: u64) -> String {
    format!("{id:016x}.table")
}

/// Whether a name is that of a table's file.
pub(super) fn is_table_file(name: &str) -> bool {
    name.strip_suffix(".table").is_some()
}

/// A durable checkpoint and its table files. The files stay, whatever is compacted, until this
/// is dropped; after a crash, those that the store no longer needs are removed by its next open.
pub struct PinnedTables {
    checkpoint: Option<Bytes>,
    tables: Vec<PinnedTable>,
    blob_files: Vec<PinnedBlobFile>,
    deleted: Vec<DeletedRange>,
    held: Vec<Arc<Table>>,
}

/// A pinned file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedTable {
    /// The table's id; it names the file, wherever it is copied.
    pub id: u64,
    /// The level at which the table stands.
    pub level: u32,
    /// The file's length in bytes.
    pub len: u64,
    /// The file.
    pub path: PathBuf,
}

/// A pinned file of large values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedBlobFile {
    /// The file's id; it names the file, wherever it is copied.
    pub id: u64,
    /// The file's length in bytes.
    pub len: u64,
    /// The file.
    pub path: PathBuf,
}

/// A table file to be taken over by [`Lsm::install`](super::Lsm::install); it is in the folder
/// already, under [`table_file_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstalledTable {
    /// The id that the table had in the store it comes from.
    pub id: u64,
    /// The level at which it stood.
    pub level: u32,
    /// The file's length in bytes.
    pub len: u64,
}

impl PinnedTables {
    pub(super) fn new(version: &Version) -> Self {
        let tables = version.levels.tables().map(|(level, table)| PinnedTable {
            id: table.id,
            level: u32::try_from(level).expect("there are seven levels"),
            len: table.len,
            path: table.path.clone(),
        });
        Self {
            checkpoint: version.checkpoint.clone(),
            tables: tables.collect(),
            blob_files: blob_files(version).into_values().collect(),
            deleted: version.deleted.ranges().to_vec(),
            held: version
                .levels
                .tables()
                .map(|(_, table)| Arc::clone(table))
                .collect(),
        }
    }

    /// The checkpoint that the files complete; `None` if there never was one.
    pub fn checkpoint(&self) -> Option<&Bytes> {
        self.checkpoint.as_ref()
    }

    /// The blob files that the tables name.
    pub fn blob_files(&self) -> &[PinnedBlobFile] {
        &self.blob_files
    }

    /// The deleted ranges that hide something in the tables.
    pub fn deleted(&self) -> &[DeletedRange] {
        &self.deleted
    }

    /// Makes a store of its own in `dir`, which must not be there yet: the same files under second
    /// names, and a manifest. It can be opened like the store it comes from, and shares the disk
    /// space with it. Durable when this returns.
    ///
    /// # Errors
    /// `NotFound` if there is no checkpoint yet; `Io` or `Full`, after which `dir` is in pieces.
    pub fn link_to(&self, env: &Env, dir: &Path) -> Result<()> {
        let failed = |e| Error::io(format!("make checkpoint {}", dir.display()), e);
        let Some(checkpoint) = self.checkpoint.clone() else {
            return Err(Error::new(
                ErrorKind::NotFound,
                "there is no checkpoint yet",
            ));
        };
        env.vfs.create_dir_all(dir).map_err(failed)?;
        let tables = self.tables.iter().map(|table| &table.path);
        for path in tables.chain(self.blob_files.iter().map(|file| &file.path)) {
            let name = path.file_name().expect("the path of a file");
            env.vfs.hard_link(path, &dir.join(name)).map_err(failed)?;
        }
        let tables: Vec<_> = self.tables.iter().map(PinnedTable::installed).collect();
        recovery::install(env, dir, &tables, &self.deleted, checkpoint)?;
        match dir.parent() {
            Some(parent) => sync_dir(&env.vfs, parent),
            None => Ok(()),
        }
    }

    /// The files, level by level.
    pub fn tables(&self) -> &[PinnedTable] {
        &self.tables
    }
}

fn blob_files(version: &Version) -> BTreeMap<u64, PinnedBlobFile> {
    let tables = version.levels.tables();
    let files = tables.flat_map(|(_, table)| table.blob_files());
    files
        .map(|file| {
            let pinned = PinnedBlobFile {
                id: file.id,
                len: file.len,
                path: file.path.clone(),
            };
            (file.id, pinned)
        })
        .collect()
}

impl PinnedTable {
    /// The same table as the receiver of its file installs it.
    pub fn installed(&self) -> InstalledTable {
        InstalledTable {
            id: self.id,
            level: self.level,
            len: self.len,
        }
    }
}

impl fmt::Debug for PinnedTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedTables")
            .field("tables", &self.tables)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
