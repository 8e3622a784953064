//! A disk for reading alone, which asks an overseer before each read.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Overseer;
use crate::env::vfs::{DirEntry, OpenMode, Space};
use crate::env::{File, Vfs};

/// See the module.
#[derive(Debug)]
pub(super) struct PacedVfs {
    vfs: Arc<dyn Vfs>,
    overseer: Arc<dyn Overseer>,
    ended: Arc<AtomicBool>,
}

impl PacedVfs {
    pub(super) fn new(vfs: &Arc<dyn Vfs>, overseer: &Arc<dyn Overseer>) -> Self {
        Self {
            vfs: Arc::clone(vfs),
            overseer: Arc::clone(overseer),
            ended: Arc::default(),
        }
    }

    /// Whether the overseer has refused a read.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct PacedFile {
    path: PathBuf,
    file: Arc<dyn File>,
    overseer: Arc<dyn Overseer>,
    ended: Arc<AtomicBool>,
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a scrub changes nothing")
}

impl Vfs for PacedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode != OpenMode::Read {
            return Err(refused());
        }
        Ok(Arc::new(PacedFile {
            path: path.to_owned(),
            file: self.vfs.open(path, mode)?,
            overseer: Arc::clone(&self.overseer),
            ended: Arc::clone(&self.ended),
        }))
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn hard_link(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.vfs.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.vfs.exists(path)
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        Err(refused())
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.vfs.space(path)
    }
}

impl File for PacedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        // The flag first: after one refusal nothing more is asked.
        let goes_on = !self.ended.load(Ordering::Acquire)
            && self.overseer.may_read(&self.path, buf.len() as u64);
        if !goes_on {
            self.ended.store(true, Ordering::Release);
            return Err(io::Error::other("the scrub was ended"));
        }
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(refused())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn preallocate(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
