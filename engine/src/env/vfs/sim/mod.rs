//! A disk that keeps its promises to the letter and nothing beyond.
//!
//! Everything is in memory and decided by a seed. The power can be cut at any call:
//!
//! 1. [`SimVfs::crash_at`] names the call. It takes place not at all, in part or whole, and
//!    fails either way; a write is torn at sectors of 512 bytes.
//! 2. Every later call fails with [`PowerIsOff`].
//! 3. [`SimVfs::power_on`] decides what the medium holds: all that was synced, and of the rest
//!    some sectors and some names, in no order. Locks are gone, and handles opened before
//!    never work again.
//!
//! Whoever wants to see every power cut need not run a story once for each: a disk that
//! [records](SimVfs::record) keeps a [`Moment`] before each call, of which any number of
//! [crashed disks](Moment::crashed) can be made, each with other losses.
//!
//! # Invariants
//! - The same seed and the same calls give the same disk, byte for byte.
//!
//! # Not here
//! Syncs that claim to have worked and have not: no software survives a medium that lies.

mod content;
mod disk;
mod file;
mod handle;
mod moment;
mod survival;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::disk::{Disk, Extent, Fault};
use self::handle::{Handle, LockGuard};
pub use self::moment::{Crashed, Moment};
use super::path::names;
use super::{DirEntry, File, OpenMode, Space, Vfs};

/// Room of a disk whose capacity nobody set.
const CAPACITY_BYTES_DEFAULT: u64 = 1 << 50;

/// A simulated disk; clones are the same disk.
#[derive(Clone)]
pub struct SimVfs {
    disk: Arc<Mutex<Disk>>,
}

/// Why every call fails while the power is off, and on handles older than the last power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the power is off")]
pub struct PowerIsOff;

/// The calls of a disk, for whoever wants to know which one an injected fault hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Call {
    Open,
    Create,
    CreateDirAll,
    Remove,
    RemoveDirAll,
    Rename,
    HardLink,
    SyncDir,
    List,
    Exists,
    Lock,
    Space,
    Read,
    Write,
    Sync,
    SetLen,
    Preallocate,
    Len,
}

/// What an injected fault hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which call.
    pub call: Call,
    /// On what; a file goes by the name under which it was opened.
    pub path: PathBuf,
}

impl PowerIsOff {
    /// Whether an error, or what caused it, is a power cut.
    pub fn is_cause_of(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            // An I/O error names the causes of what it wraps, not what it wraps.
            cause = match error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        false
    }
}

impl SimVfs {
    /// An empty disk; its root folder exists and the power is on.
    pub fn new(seed: u64) -> Self {
        Self {
            disk: Arc::new(Mutex::new(Disk::new(seed))),
        }
    }

    /// How many calls reached the disk in its life, reads included; those refused because the
    /// power was off do not count.
    pub fn io_count(&self) -> u64 {
        self.disk.lock().io_count
    }

    /// Cuts the power during call number `n` of the disk's life: the next one, if `n` is past.
    pub fn crash_at(&self, n: u64) {
        self.disk.lock().crash_at = Some(n);
    }

    /// Cuts the power between two calls.
    pub fn power_off(&self) {
        self.disk.lock().power_off();
    }

    /// Whether calls are answered.
    pub fn is_powered(&self) -> bool {
        self.disk.lock().powered
    }

    /// Decides what survived and brings the disk back; cuts the power before if it is on.
    pub fn power_on(&self) {
        let _losses = self.disk.lock().power_on();
    }

    /// Keeps a [`Moment`] before each call from now on, forgetting earlier ones.
    pub fn record(&self) {
        self.disk.lock().recording = Some(Vec::new());
    }

    /// Ends a recording: all its moments, the last of which is now.
    pub fn recorded(&self) -> Vec<Moment> {
        let now = self.moment();
        let mut moments = self.disk.lock().recording.take().unwrap_or_default();
        moments.push(now);
        moments
    }

    /// The disk as it is now.
    pub fn moment(&self) -> Moment {
        let disk = self.disk.lock();
        Moment::new(disk.io_count, &disk.tree)
    }

    /// Makes the next sync of a file fail. What it should have made durable can still be read,
    /// but no later sync writes it: it is lost with the next power cut.
    pub fn fail_sync_once(&self) {
        self.disk.lock().next_sync_fails = true;
    }

    /// Makes every write and change of length fail, until [`SimVfs::allow_writes`]; some
    /// sectors of a failed write may have changed.
    pub fn fail_writes(&self, kind: ErrorKind) {
        self.disk.lock().write_failure = Some(kind);
    }

    /// Ends [`SimVfs::fail_writes`].
    pub fn allow_writes(&self) {
        self.disk.lock().write_failure = None;
    }

    /// Makes call number `n` of the disk's life fail, once, and do nothing: the next one, if `n`
    /// is past.
    pub fn fail_call(&self, n: u64, kind: ErrorKind) {
        let mut disk = self.disk.lock();
        disk.fault = Some(Fault { at: n, kind });
        disk.hit = None;
    }

    /// What the fault of [`SimVfs::fail_call`] hit, once it has.
    pub fn hit(&self) -> Option<Hit> {
        self.disk.lock().hit.clone()
    }

    /// Fills the disk at call number `n` of its life, as somebody else's files would: from then
    /// on no file grows and none is created, until [`SimVfs::make_room`].
    pub fn fill_at(&self, n: u64) {
        self.disk.lock().fill_at = Some(n);
    }

    /// Whether the disk was filled, and still is.
    pub fn is_filled(&self) -> bool {
        self.disk.lock().filled
    }

    /// Ends [`SimVfs::fill_at`] and [`SimVfs::set_capacity`].
    pub fn make_room(&self) {
        let mut disk = self.disk.lock();
        disk.filled = false;
        disk.capacity_bytes = CAPACITY_BYTES_DEFAULT;
    }

    /// Sets the room for the bytes of all files together. Growth beyond it fails with
    /// `StorageFull`, after writing what fits.
    pub fn set_capacity(&self, bytes: u64) {
        self.disk.lock().capacity_bytes = bytes;
    }

    /// Damages a file at rest: changes one bit, chosen by the seed, of the byte at `offset`.
    ///
    /// # Errors
    /// `NotFound` if there is no such file, `UnexpectedEof` if it ends before.
    pub fn flip_bit(&self, path: &Path, offset: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let mask = 1 << disk.rng.below(8);
        let id = disk.tree.find_file(&names(path)?)?;
        if disk.tree.file_mut(id)?.flip(offset, mask) {
            Ok(())
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }

    fn call<T>(
        &self,
        call: Call,
        path: &Path,
        work: impl FnOnce(&mut Disk, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.lock().call(call, path, work)
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let call = match mode {
            OpenMode::CreateNew => Call::Create,
            OpenMode::Read | OpenMode::ReadWrite => Call::Open,
        };
        let (id, cycle) = self.call(call, path, |disk, _| {
            let path = names(path)?;
            let id = match mode {
                OpenMode::CreateNew => disk.tree.create_file(&path)?,
                OpenMode::Read | OpenMode::ReadWrite => disk.tree.find_file(&path)?,
            };
            disk.tree.hold(id);
            Ok((id, disk.cycle))
        })?;
        let (disk, writable) = (Arc::clone(&self.disk), mode != OpenMode::Read);
        Ok(Arc::new(Handle {
            disk,
            id,
            path: path.to_owned(),
            cycle,
            writable,
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(Call::CreateDirAll, path, |disk, extent| {
            let path = names(path)?;
            let limit = match extent {
                Extent::Whole => path.len(),
                Extent::Part => disk.rng.index(path.len() + 1),
            };
            disk.tree.create_dirs(&path, limit)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, path, |disk, _| {
            disk.tree.remove_file(&names(path)?)
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(Call::RemoveDirAll, path, |disk, extent| {
            let mut below = disk.tree.names_below(&names(path)?)?;
            if extent == Extent::Part {
                below.truncate(disk.rng.index(below.len() + 1));
            }
            for (dir, name) in below {
                disk.tree.remove_name(dir, name);
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename, from, |disk, _| {
            disk.tree.rename(&names(from)?, &names(to)?)
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::HardLink, from, |disk, _| {
            disk.tree.hard_link(&names(from)?, &names(to)?)
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, path, |disk, extent| {
            let part = (extent == Extent::Part).then_some(&disk.rng);
            disk.tree.sync_dir(&names(path)?, part)
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.call(Call::List, path, |disk, _| disk.tree.list(&names(path)?))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.call(Call::Exists, path, |disk, _| {
            match disk.tree.find(&names(path)?) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let (id, cycle) = self.call(Call::Lock, path, |disk, _| {
            let path = names(path)?;
            let id = match disk.tree.find_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    disk.tree.create_file(&path)?
                }
                found => found?,
            };
            if !disk.locks.insert(id) {
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok((id, disk.cycle))
        })?;
        Ok(Box::new(LockGuard {
            disk: Arc::clone(&self.disk),
            id,
            cycle,
        }))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.call(Call::Space, path, |disk, _| {
            Ok(Space {
                total_bytes: disk.capacity_bytes,
                free_bytes: disk.free_bytes(),
            })
        })
    }
}

impl Debug for SimVfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let disk = self.disk.lock();
        f.debug_struct("SimVfs")
            .field("powered", &disk.powered)
            .field("io_count", &disk.io_count)
            .finish_non_exhaustive()
    }
}

fn power_is_off() -> io::Error {
    io::Error::other(PowerIsOff)
}
