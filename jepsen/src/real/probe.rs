//! Whether this machine lets us do what nemeses need, found out by doing it once.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::disk::Disk;
use super::kernel::PowerCut;
use super::nemesis::clock;
use super::net::Host;

/// A network namespace with a tap.
pub fn net() -> Result<()> {
    Host::new(1).map(drop)
}

/// A file system in a file, whose power is cut.
pub fn disks(place: &Path) -> Result<()> {
    let folder = TempDir::with_prefix_in("engine-jepsen-", place).context("make a folder")?;
    let disk = Disk::new(folder.path().join("image"), folder.path().join("disk"))?;
    disk.cut(PowerCut::Sudden)?;
    disk.unmount()?;
    disk.mount()
}

/// A time namespace.
pub fn clocks() -> Result<()> {
    let words = clock::wrapper(1);
    let (program, words) = words.split_first().context("a wrapper has words")?;
    let output = Command::new(program).args(words).arg("true").output();
    let output = output.context("run unshare")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    Ok(())
}
