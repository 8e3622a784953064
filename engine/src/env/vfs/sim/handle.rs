//! An open file, or a lock, on a simulated disk; worthless after the next power cut.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, Extent};
use super::tree::InodeId;
use super::{Call, power_is_off};
use crate::env::vfs::File;

pub(super) struct Handle {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) id: InodeId,
    /// The name under which it was opened.
    pub(super) path: PathBuf,
    pub(super) cycle: u64,
    pub(super) writable: bool,
}

impl Handle {
    fn call<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut Disk, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.disk.lock();
        if disk.cycle != self.cycle {
            return Err(power_is_off());
        }
        disk.call(call, &self.path, work)
    }

    fn change<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut Disk, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        self.call(call, |disk, extent| {
            if self.writable {
                work(disk, extent)
            } else {
                Err(ErrorKind::PermissionDenied.into())
            }
        })
    }
}

impl File for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(Call::Read, |disk, _| {
            Ok(disk.tree.file(self.id)?.read_at(buf, offset))
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.change(Call::Write, |disk, extent| {
            disk.write(self.id, buf, offset, extent)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(Call::Sync, |disk, extent| disk.sync(self.id, extent))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Call::SetLen, |disk, _| disk.set_len(self.id, len))
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.change(Call::Preallocate, |disk, _| {
            if disk.tree.file(self.id)?.len() < len {
                disk.set_len(self.id, len)
            } else {
                Ok(())
            }
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.call(Call::Len, |disk, _| Ok(disk.tree.file(self.id)?.len()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.cycle == self.cycle {
            disk.tree.release(self.id);
        }
    }
}

impl Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimFile")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

pub(super) struct LockGuard {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) id: InodeId,
    pub(super) cycle: u64,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.cycle == self.cycle {
            disk.locks.remove(&self.id);
        }
    }
}

impl Debug for LockGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimLock")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
