//! Bytes that rot in a node's state while it is down: it repairs itself from a peer.
//!
//! One node at a time, and none while another may be gone for good: whom nobody can repair would
//! wait for ever. Damage that nobody reads stays; then nothing else rots in this world.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::env::Vfs;
use engine::env::vfs::OpenMode;
use engine::env::vfs::sim::SimVfs;

use super::super::fault::Who;
use super::{End, Machine, World};

/// The folder of the group's state, and what is in it.
const GROUP: &str = "/node/group-0";
const STATE: &str = "state-";
const NOTE: &str = "damaged";
const QUARANTINE: &str = "quarantine-";
const MEMBERS: &str = "members.json";

/// Bits that flip at most.
const FLIPS_MAX: u64 = 8;

impl World {
    pub(super) fn rot(&mut self, id: u64, down_ms: u64) {
        let Some(index) = self.find(Who::Node(id)).filter(|at| self.may_rot(*at)) else {
            return;
        };
        self.kill(index, down_ms);
        let machine = Arc::clone(&self.machines[index]);
        let disk = machine.disk();
        let (Ok(()), Ok(Some(file))) = (tidy(&disk), self.choose(&disk)) else {
            return;
        };
        let flips = 1 + self.rng.below(FLIPS_MAX);
        let rotted = (0..flips).filter(|_| {
            let len = disk.open(&file, OpenMode::Read).and_then(|file| file.len());
            let at = self.rng.below(len.unwrap_or(0).max(1));
            disk.flip_bit(&file, at).is_ok()
        });
        if rotted.count() > 0 {
            tracing::info!(node = id, file = %file.display(), "rot");
            self.trace
                .note("rot", &machine.name, file.to_string_lossy().as_bytes());
            self.figures.rotted += 1;
            machine.set_rotten();
            self.progress.tell_of_rot();
        }
    }

    /// Whether every other node is what it was, and this one knows whom to ask.
    fn may_rot(&self, index: usize) -> bool {
        let machine = &self.machines[index];
        let replaced = |end: &End| matches!(end, End::OldDisk(..));
        let known = Path::new(GROUP).join(MEMBERS);
        let members = self.members();
        let old = |other: &Arc<Machine>| other.is_old() && members.contains(&other.id);
        machine.node().is_some()
            && members.contains(&machine.id)
            && machine.disk().exists(&known).unwrap_or(false)
            && !self.due.values().any(replaced)
            && !self.machines.iter().any(old)
            && !self.has_rotten_node()
    }

    /// Whether damage is still where a node may meet it.
    pub(super) fn has_rotten_node(&self) -> bool {
        let mut rotten = self.machines.iter().filter(|machine| machine.has_rotted());
        rotten.any(|machine| !is_repaired(&machine.disk()).unwrap_or(false))
    }

    /// A file of the newest state.
    fn choose(&self, disk: &SimVfs) -> io::Result<Option<PathBuf>> {
        let group = Path::new(GROUP);
        let folders = disk.list(group)?;
        let states = folders.iter().filter(|entry| entry.name.starts_with(STATE));
        let Some(newest) = states.map(|entry| &entry.name).max() else {
            return Ok(None);
        };
        let mut files = Vec::new();
        list(disk, &group.join(newest), &mut files)?;
        let chosen = files.get(self.rng.index(files.len().max(1)));
        Ok(chosen.cloned())
    }
}

/// Removes an older quarantine, as an operator would who has looked at it.
fn tidy(disk: &SimVfs) -> io::Result<()> {
    for entry in disk.list(Path::new(GROUP))? {
        let path = Path::new(GROUP).join(&entry.name);
        if !entry.name.starts_with(QUARANTINE) {
            continue;
        }
        if entry.is_dir {
            disk.remove_dir_all(&path)?;
        } else {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

/// Whether the last damage was met and put aside.
fn is_repaired(disk: &SimVfs) -> io::Result<bool> {
    let entries = disk.list(Path::new(GROUP))?;
    let has = |start: &str| entries.iter().any(|entry| entry.name.starts_with(start));
    Ok(has(QUARANTINE) && !has(NOTE))
}

fn list(disk: &SimVfs, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in disk.list(folder)? {
        let path = folder.join(entry.name);
        if entry.is_dir {
            list(disk, &path, files)?;
        } else if disk.open(&path, OpenMode::Read)?.len()? > 0 {
            files.push(path);
        }
    }
    Ok(())
}
