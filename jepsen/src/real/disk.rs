//! A machine's disk: an ext4 file system of its own in a file, whose power can be cut.
//!
//! A power cut is the kernel's own: what its page cache and journal have not written is gone, and
//! mounting it again replays the journal. The file that holds it all may lie in memory: what is
//! lost is decided above it.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::kernel::{self, PowerCut};

/// Room for some segments, tables, checkpoints and the reserve that a node keeps.
const BYTES: u64 = 320 << 20;
/// Somebody else's file, that takes the room.
const BALLAST: &str = "ballast";

/// A machine's disk.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
}

impl Disk {
    /// A new one, mounted.
    pub fn new(image: PathBuf, mounted_at: PathBuf) -> Result<Self> {
        let disk = Self { image, mounted_at };
        fs::create_dir_all(&disk.mounted_at).context("make a folder to mount on")?;
        let file = File::create(&disk.image).context("make a disk's file")?;
        file.set_len(BYTES).context("give a disk its size")?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1"])
            .arg(&disk.image))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where the node's data lies; the node makes it.
    pub fn data(&self) -> PathBuf {
        self.mounted_at.join("data")
    }

    /// Mounts it, which replays its journal.
    pub fn mount(&self) -> Result<()> {
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop"])
            .args([&self.image, &self.mounted_at]))
    }

    /// Unmounts it; nobody may have a file of it open.
    pub fn unmount(&self) -> Result<()> {
        run(Command::new("umount").arg(&self.mounted_at))
    }

    /// Cuts the power.
    pub fn cut(&self, how: PowerCut) -> Result<()> {
        let folder = File::open(&self.mounted_at).context("open a mounted disk")?;
        kernel::shut_down(&folder, how).context("cut the power of a disk")
    }

    /// Takes all room but `left` bytes.
    pub fn fill(&self, left: u64) -> Result<()> {
        let path = self.mounted_at.join(BALLAST);
        let ballast = File::create(path).context("make a ballast file")?;
        let room = statvfs(&self.mounted_at).context("ask a disk for its room")?;
        let mut piece = (room.f_bavail * room.f_frsize).saturating_sub(left);
        let mut len = 0;
        // What is free in all may not be free for one file: the rest is taken in smaller pieces.
        while piece >= 4096 {
            match fallocate(ballast.as_fd(), FallocateFlags::empty(), len, piece) {
                Ok(()) => len += piece,
                Err(_) => piece /= 2,
            }
            if left > 0 && len > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub fn empty(&self) -> Result<()> {
        match fs::remove_file(self.mounted_at.join(BALLAST)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("remove a ballast file")
            }
            _ => Ok(()),
        }
    }

    /// Lets nothing through to the disk until [`thaw`](Self::thaw), as one that hangs.
    pub fn freeze(mounted_at: &Path) -> Result<()> {
        run(Command::new("fsfreeze").arg("-f").arg(mounted_at))
    }

    /// Lets what was held up go on.
    pub fn thaw(mounted_at: &Path) -> Result<()> {
        run(Command::new("fsfreeze").arg("-u").arg(mounted_at))
    }

    /// Where it is mounted.
    pub fn mounted_at(&self) -> &Path {
        &self.mounted_at
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At the end a process may still be on its way out.
        let _gone = run(Command::new("umount").arg("-l").arg(&self.mounted_at));
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
