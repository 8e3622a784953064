//! A scrub of a group's state while the group works.
//!
//! Tables and blob files are pinned and never change. Partition files are read as far as the
//! checkpoint records them. The manifest is read while no job writes to it: it is short.

use std::path::Path;
use std::sync::Arc;

use super::Replica;
use super::rooms::{Rooms, rooms_name};
use crate::checkpoint::check::Check;
use crate::checkpoint::writer::{partitions_dir, store_dir};
use crate::error::{Damage, Error, Result};
use crate::inspect::{self, Seen, Severity};
use crate::queue::PartitionLengths;
use crate::scrub::{Overseer, Scrub};
use crate::state::State;
use crate::store::PinnedTables;
use crate::store::inspect::CURRENT;

impl Replica {
    /// Reads and checks every file of the state, at the pace of the overseer, who is told what is
    /// damaged. Long work, but never in the way of requests. What a checkpoint received meanwhile
    /// replaces is not looked at any more; the one received was checked when it came.
    ///
    /// # Errors
    /// `Stopped` if the overseer ended it. Damage and files that cannot be read are no errors.
    pub fn scrub(&self, overseer: &Arc<dyn Overseer>) -> Result<()> {
        let inner = &*self.inner;
        let rooms = inner.rooms.read().clone();
        let mut scrub = Scrub::new(&inner.shared.env.vfs, overseer);
        let dir = inner.dir.join(rooms_name(rooms.number));
        let store = store_dir(&dir);
        let pin = self.scrub_manifest(&rooms, &store, &mut scrub)?;
        let tables = pin.tables().iter().map(|table| &table.path);
        let blobs = pin.blob_files().iter().map(|file| &file.path);
        for path in tables.chain(blobs) {
            self.scrub_part(&rooms, path, &mut scrub, |check| check.file(path))?;
        }
        let partitions = partitions_dir(&dir);
        self.scrub_part(&rooms, &partitions, &mut scrub, |check| {
            check.partitions(&partitions)
        })
    }

    /// About how many bytes a scrub reads: each value in a blob file is read for its table, too.
    pub fn scrub_bytes(&self) -> u64 {
        let rooms = self.inner.rooms.read().clone();
        let pin = rooms.store.pin();
        let tables: u64 = pin.tables().iter().map(|table| table.len).sum();
        let blobs: u64 = pin.blob_files().iter().map(|file| file.len).sum();
        let lengths = recorded(&pin).map_or(0, |lengths| lengths.bytes());
        tables + 2 * blobs + lengths
    }

    /// What a scrub has found: where the state can be had again, the replica stops as it does at a
    /// read that meets the damage. Answers whether it does.
    pub fn stop_for(&self, damage: &Damage) -> bool {
        let Damage { path, offset, what } = damage;
        // Its error is that of the next read, which nobody waits for here.
        let _ = self.noticed::<()>(Err(Error::corrupt(path, *offset, what)));
        self.inner.fault.lock().is_some()
    }

    /// Looks at the manifest while nobody writes to it, and pins the tables that it names.
    fn scrub_manifest(
        &self,
        rooms: &Rooms,
        store: &Path,
        scrub: &mut Scrub,
    ) -> Result<PinnedTables> {
        // In the order of an install.
        let _checkpointing = self.inner.checkpointing.lock();
        let _compacting = self.inner.compacting.lock();
        let pin = rooms.store.pin();
        let mut found = Vec::new();
        let vfs = &self.inner.shared.env.vfs;
        let looked = inspect::manifest(vfs, store, &mut |seen| {
            // Every edit was synced, and none is being written: what is cut short is damage.
            if let Seen::Problem(problem) = seen
                && problem.severity != Severity::Harmless
            {
                found.push(Damage::from(problem));
            }
        });
        if let Err(error) = looked {
            found.push(scrub.unread(&store.join(CURRENT), error)?);
        }
        self.tell(rooms, &found, scrub);
        Ok(pin)
    }

    fn scrub_part(
        &self,
        rooms: &Rooms,
        path: &Path,
        scrub: &mut Scrub,
        look: impl FnOnce(&mut Check<'_>) -> Result<()>,
    ) -> Result<()> {
        let disk = scrub.disk();
        let mut hear = |damage: Damage| self.tell(rooms, &[damage], scrub);
        let looked = look(&mut Check::new(&disk, &mut hear));
        if let Err(error) = looked {
            let unread = scrub.unread(path, error)?;
            self.tell(rooms, &[unread], scrub);
        }
        Ok(())
    }

    /// Tells finds, unless an install has replaced the state: its files are removed then.
    fn tell(&self, rooms: &Rooms, found: &[Damage], scrub: &mut Scrub) {
        if self.inner.rooms.read().number == rooms.number {
            for damage in found {
                scrub.found(damage);
            }
        }
    }
}

/// The lengths of partition files that a checkpoint records.
fn recorded(pin: &PinnedTables) -> Option<PartitionLengths> {
    let (_, lengths) = State::decode(pin.checkpoint()?.clone()).ok()?;
    Some(lengths)
}
