//! The disk, with its promises spelled out.
//!
//! # Durability
//! - Bytes survive a power cut once [`File::sync_data`] returned after they were written.
//! - A name (created, renamed, linked or removed) survives once [`Vfs::sync_dir`] on its folder
//!   returned.
//! - Unsynced writes may survive in any subset, in any order, torn at any 512-byte sector.
//! - After a failed sync nothing is known of the unsynced bytes: the file must not be trusted
//!   again without reading it back. Nobody retries a failed sync.
//!
//! Paths are always full paths from the engine's folder; nothing depends on a working folder.

mod folder;
pub mod mem;
pub mod os;
mod path;
pub mod sim;

#[cfg(test)]
mod conformance;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use folder::{create_dir_durable, replace_durable};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Existing file, reading only.
    Read,
    /// Existing file, reading and writing.
    ReadWrite,
    /// New file, reading and writing; fails with `AlreadyExists` if it is there.
    CreateNew,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name inside its folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_dir: bool,
}

/// Room on the disk that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All bytes of the file system.
    pub total_bytes: u64,
    /// Bytes that can still be written.
    pub free_bytes: u64,
}

/// A folder of files.
pub trait Vfs: Debug + Send + Sync {
    /// Opens or creates a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Creates a folder and its parents; no error if it is there. Each new name is durable
    /// only after [`Vfs::sync_dir`] on its parent.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and all below it; no error if it is not there.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Renames a file or folder, replacing a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Whether a file or folder has this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Takes the exclusive lock on a file (created if missing) until the guard is dropped or
    /// the process ends; `WouldBlock` if another process or guard holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>>;

    /// Room on the disk below a path.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Whether paths name the same files to the operating system, so that a library that opens
    /// its own files may be given them.
    fn is_system(&self) -> bool {
        false
    }
}

/// An open file; shared by all that read and write it.
pub trait File: Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf` at `offset`, growing the file as needed.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all written bytes and the file's length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts or grows (with zeroes) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves room for `len` bytes from the start, and makes the file that long, with zeroes.
    fn preallocate(&self, len: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads exactly `buf.len()` bytes at `offset`, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_at(buf, offset)? == buf.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}
