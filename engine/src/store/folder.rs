//! The folder of a store, as long as it is the store's.
//!
//! Readers and pins may outlive the store, and the last of them removes a table that is no
//! longer needed. By then the folder may have been replaced by another one with files of the same
//! names: once the store is closed nothing is removed any more, and the next open tidies up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::pin::table_file_name;
use crate::env::Vfs;

/// Where a store's files are, and whether they may be removed.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) path: PathBuf,
    closed: Mutex<bool>,
}

impl Folder {
    pub(super) fn new(vfs: &Arc<dyn Vfs>, path: &Path) -> Arc<Self> {
        Arc::new(Self {
            vfs: Arc::clone(vfs),
            path: path.to_owned(),
            closed: Mutex::new(false),
        })
    }

    pub(super) fn table_path(&self, id: u64) -> PathBuf {
        self.path.join(table_file_name(id))
    }

    /// Removes a file that no manifest names. If that fails, or a crash undoes it, the next open
    /// removes it.
    pub(super) fn remove_orphan(&self, path: &Path) {
        let closed = self.closed.lock();
        if !*closed {
            let _ = self.vfs.remove(path);
        }
    }

    /// From now on nothing is removed; waits for a removal that is going on.
    pub(super) fn close(&self) {
        *self.closed.lock() = true;
    }
}
