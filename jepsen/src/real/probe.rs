//! Whether this machine lets us do what nemeses need, found out by doing it once.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::disk::Disk;
use super::kernel::PowerCut;
use super::nemesis::{clock, skew};
use super::net::Host;

const DAY_SECONDS: i64 = 86_400;

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
    run_under(&clock::wrapper(1), &["true"]).map(drop)
}

/// A wall clock of its own for a process.
pub fn wall_clocks(place: &Path) -> Result<()> {
    let folder = TempDir::with_prefix_in("engine-jepsen-", place).context("make a folder")?;
    let file = folder.path().join("wall");
    skew::set(&file, 10 * DAY_SECONDS)?;
    let said = run_under(&skew::wrapper(&file)?, &["date", "+%s"])?;
    let shown: u64 = said.trim().parse().context("read a clock")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let moved = shown > now + 9 * DAY_SECONDS.unsigned_abs();
    ensure!(moved, "libfaketime does not move the clock of a process");
    Ok(())
}

/// Runs a program by another one; answers what it said.
fn run_under(wrapper: &[OsString], words: &[&str]) -> Result<String> {
    let (program, more) = wrapper.split_first().context("a wrapper has words")?;
    let output = Command::new(program).args(more).args(words).output();
    let output = output.with_context(|| format!("run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
