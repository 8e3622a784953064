//! The folder of a store, as long as it is the store's.
//!
//! Readers and pins may outlive the store, and the last of them removes a table that is no
//! longer needed. By then the folder may have been replaced by another one with files of the same
//! names: once the store is closed nothing is removed any more, and the next open tidies up. Nor
//! is anything removed before the store is open: an open that fails changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::blob::{BlobFile, BlobUse};
use super::pin::table_file_name;
use crate::env::Vfs;
use crate::{Error, Result};

/// Where a store's files are, and whether they may be removed.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) path: PathBuf,
    /// Whether the files are surely this store's to remove.
    owned: Mutex<bool>,
    blob_files: Mutex<BTreeMap<u64, Weak<BlobFile>>>,
}

impl Folder {
    pub(super) fn new(vfs: &Arc<dyn Vfs>, path: &Path) -> Arc<Self> {
        Arc::new(Self {
            vfs: Arc::clone(vfs),
            path: path.to_owned(),
            owned: Mutex::new(false),
            blob_files: Mutex::default(),
        })
    }

    pub(super) fn table_path(&self, id: u64) -> PathBuf {
        self.path.join(table_file_name(id))
    }

    /// A blob file, opened once for all the tables that name it.
    pub(super) fn blob_file(self: &Arc<Self>, named: BlobUse) -> Result<Arc<BlobFile>> {
        let mut open = self.blob_files.lock();
        if let Some(file) = open.get(&named.file).and_then(Weak::upgrade) {
            if file.len != named.file_bytes {
                let problem = format!("a table says {} bytes", named.file_bytes);
                return Err(Error::corrupt(&file.path, file.len, problem));
            }
            return Ok(file);
        }
        open.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(BlobFile::open(self, named.file, named.file_bytes)?);
        open.insert(named.file, Arc::downgrade(&file));
        Ok(file)
    }

    /// Removes a file that no manifest names. If that fails, or a crash undoes it, the next open
    /// removes it.
    pub(super) fn remove_orphan(&self, path: &Path) {
        let owned = self.owned.lock();
        if *owned {
            let _ = self.vfs.remove(path);
        }
    }

    /// The store is open: what it needs no more is removed.
    pub(super) fn open(&self) {
        *self.owned.lock() = true;
    }

    /// From now on nothing is removed; waits for a removal that is going on.
    pub(super) fn close(&self) {
        *self.owned.lock() = false;
    }
}

/// A new file that no manifest names yet: removed if this is dropped before
/// [`UnpublishedFile::publish`].
#[derive(Debug)]
pub(super) struct UnpublishedFile {
    folder: Arc<Folder>,
    path: PathBuf,
    keep: bool,
}

impl UnpublishedFile {
    pub(super) fn new(folder: &Arc<Folder>, path: PathBuf) -> Self {
        Self {
            folder: Arc::clone(folder),
            path,
            keep: false,
        }
    }

    pub(super) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest names the file now, or may do so: it stays.
    pub(super) fn publish(&mut self) {
        self.keep = true;
    }
}

impl Drop for UnpublishedFile {
    fn drop(&mut self) {
        if !self.keep {
            self.folder.remove_orphan(&self.path);
        }
    }
}
