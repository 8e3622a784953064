//! A bounded number of open files, the least recently used closed first.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::file::PartitionFile;
use super::lengths::PartitionRef;
use crate::env::vfs::OpenMode;
use crate::env::{File, Vfs};
use crate::ids::Offset;
use crate::{Error, Result};

type Key = (PartitionRef, Offset);

/// Open handles of one group's partition files.
pub(super) struct OpenFiles {
    vfs: Arc<dyn Vfs>,
    handles: Mutex<LruCache<Key, Handle>>,
    max: NonZeroUsize,
}

struct Handle {
    file: Arc<dyn File>,
    of: Arc<PartitionFile>,
}

impl OpenFiles {
    pub(super) fn new(vfs: Arc<dyn Vfs>, max: usize) -> Self {
        Self {
            vfs,
            handles: Mutex::new(LruCache::unbounded()),
            max: NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// The open file, opened if need be; for writing too unless it is sealed.
    pub(super) fn get(&self, of: &Arc<PartitionFile>) -> Result<Arc<dyn File>> {
        if let Some(handle) = self.handles.lock().get(&key(of)) {
            return Ok(Arc::clone(&handle.file));
        }
        self.open(
            of,
            if of.is_sealed() {
                OpenMode::Read
            } else {
                OpenMode::ReadWrite
            },
        )
    }

    /// Creates the file.
    pub(super) fn create(&self, of: &Arc<PartitionFile>) -> Result<Arc<dyn File>> {
        self.open(of, OpenMode::CreateNew)
    }

    /// Drops the handle of a file that is going to be removed.
    pub(super) fn forget(&self, of: &PartitionFile) {
        self.handles.lock().pop(&key(of));
    }

    fn open(&self, of: &Arc<PartitionFile>, mode: OpenMode) -> Result<Arc<dyn File>> {
        let file = self
            .vfs
            .open(&of.path, mode)
            .map_err(|error| Error::io(format!("open {}", of.path.display()), error))?;
        let handle = Handle {
            file: Arc::clone(&file),
            of: Arc::clone(of),
        };
        let evicted = {
            let mut handles = self.handles.lock();
            handles.put(key(of), handle);
            if handles.len() > self.max.get() {
                handles.pop_lru()
            } else {
                None
            }
        };
        if let Some((_, evicted)) = evicted
            && evicted.of.is_sealed()
        {
            // A sealed file's notes are remade when it is read again; the newest file keeps its
            // own, because every consumer at the head needs them.
            evicted.of.index.lock().clear();
        }
        Ok(file)
    }
}

fn key(of: &PartitionFile) -> Key {
    (of.header.at, of.header.base)
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFiles").finish_non_exhaustive()
    }
}
