//! A disk that counts what is written to it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::env::vfs::{DirEntry, File, OpenMode, Space, Vfs};

/// Passes everything on, and counts bytes and syncs.
#[derive(Debug)]
pub struct CountingVfs<V> {
    inner: V,
    counts: Arc<Counts>,
}

/// What was written so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Bytes given to the files of a folder `log`.
    pub log_bytes: AtomicU64,
    /// Bytes given to all other files.
    pub store_bytes: AtomicU64,
    /// Syncs of files and folders.
    pub syncs: AtomicU64,
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn File>,
    counts: Arc<Counts>,
    is_log: bool,
}

impl<V> CountingVfs<V> {
    /// Counts what is done to `inner`.
    pub fn new(inner: V) -> Self {
        Self {
            inner,
            counts: Arc::default(),
        }
    }

    /// The counts, which go on changing.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }
}

impl<V: Vfs> Vfs for CountingVfs<V> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let is_log = path.parent().is_some_and(|parent| parent.ends_with("log"));
        Ok(Arc::new(CountingFile {
            inner: self.inner.open(path, mode)?,
            counts: Arc::clone(&self.counts),
            is_log,
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.hard_link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn std::fmt::Debug + Send + Sync>> {
        self.inner.lock(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.inner.space(path)
    }
}

impl File for CountingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let count = if self.is_log {
            &self.counts.log_bytes
        } else {
            &self.counts.store_bytes
        };
        count.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.inner.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.inner.preallocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}
