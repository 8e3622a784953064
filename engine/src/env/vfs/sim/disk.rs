//! The state behind a simulated disk: power, faults, locks and the tree of names.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::moment::Moment;
use super::survival::Losses;
use super::tree::{InodeId, Tree};
use super::{Call, Hit, power_is_off};
use crate::env::rng::SeededRng;

/// Keeps these choices apart from those that others draw from the same seed.
const FAULTS: u64 = 0x4449_534B;

pub(super) struct Disk {
    pub(super) rng: SeededRng,
    pub(super) tree: Tree,
    pub(super) locks: BTreeSet<InodeId>,
    pub(super) capacity_bytes: u64,
    /// Set once, and taken by the next sync of a file.
    pub(super) next_sync_fails: bool,
    /// Set until taken back: what writes fail with.
    pub(super) write_failure: Option<ErrorKind>,
    /// Grows with each power cut; handles and locks belong to one.
    pub(super) cycle: u64,
    pub(super) io_count: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) fill_at: Option<u64>,
    /// Nothing can grow, and no file can be created.
    pub(super) filled: bool,
    pub(super) fault: Option<Fault>,
    /// What the last injected fault hit.
    pub(super) hit: Option<Hit>,
    pub(super) powered: bool,
    /// The disk before each call since the recording began.
    pub(super) recording: Option<Vec<Moment>>,
}

/// A call that is to fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) at: u64,
    pub(super) kind: ErrorKind,
}

/// How much of a call takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// The power goes while it runs.
    Part,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self::with_tree(Tree::new(), seed)
    }

    pub(super) fn with_tree(tree: Tree, seed: u64) -> Self {
        Self {
            rng: SeededRng::new(seed ^ FAULTS),
            tree,
            locks: BTreeSet::new(),
            capacity_bytes: super::CAPACITY_BYTES_DEFAULT,
            next_sync_fails: false,
            write_failure: None,
            cycle: 0,
            io_count: 0,
            crash_at: None,
            fill_at: None,
            filled: false,
            fault: None,
            hit: None,
            powered: true,
            recording: None,
        }
    }

    /// Runs one call: counts it, and cuts the power in it if its number has come.
    ///
    /// `work` answers plain values only: a handle or guard dropped here would wait for the
    /// lock on the disk, which the caller holds.
    pub(super) fn call<T>(
        &mut self,
        call: Call,
        path: &Path,
        work: impl FnOnce(&mut Self, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.powered {
            return Err(power_is_off());
        }
        if let Some(recording) = &mut self.recording {
            recording.push(Moment::new(self.io_count, &self.tree));
        }
        self.io_count += 1;
        if let Some(fault) = self.fault.take_if(|fault| self.io_count >= fault.at) {
            let path = path.to_owned();
            self.hit = Some(Hit { call, path });
            if call == Call::Sync {
                self.next_sync_fails = true;
                drop(work(self, Extent::Whole));
            }
            return Err(fault.kind.into());
        }
        if self.fill_at.is_some_and(|at| self.io_count >= at) {
            self.fill_at = None;
            self.capacity_bytes = self.tree.used_bytes();
            self.filled = true;
        }
        if self.filled && matches!(call, Call::Create | Call::HardLink) {
            return Err(ErrorKind::StorageFull.into());
        }
        if self.crash_at.is_none_or(|at| self.io_count < at) {
            return work(self, Extent::Whole);
        }
        self.power_off();
        // What the call would have answered nobody learns.
        match self.rng.below(3) {
            0 => {}
            1 => drop(work(self, Extent::Part)),
            _ => drop(work(self, Extent::Whole)),
        }
        Err(power_is_off())
    }

    pub(super) fn power_off(&mut self) {
        self.powered = false;
        self.crash_at = None;
    }

    pub(super) fn power_on(&mut self) -> Losses {
        self.crash_at = None;
        self.cycle += 1;
        self.locks.clear();
        self.next_sync_fails = false;
        self.powered = true;
        self.tree.lose_power(&self.rng)
    }

    /// Writes what the room and the injected faults allow.
    pub(super) fn write(
        &mut self,
        id: InodeId,
        bytes: &[u8],
        offset: u64,
        extent: Extent,
    ) -> io::Result<()> {
        let end = offset
            .checked_add(bytes.len() as u64)
            .ok_or(ErrorKind::FileTooLarge)?;
        let failure = self.write_failure;
        if failure.is_some() || extent == Extent::Part {
            // Some of it may have reached the file before the failure.
            self.tree.file_mut(id)?.write_torn(bytes, offset, &self.rng);
            return failure.map_or(Ok(()), |kind| Err(kind.into()));
        }
        let end_max = self.file_bytes_max(id)?;
        let file = self.tree.file_mut(id)?;
        if end <= end_max || bytes.is_empty() {
            file.write_at(bytes, offset);
            return Ok(());
        }
        let fits = usize::try_from(end_max.saturating_sub(offset)).unwrap_or(usize::MAX);
        file.write_at(bytes.get(..fits).unwrap_or(bytes), offset);
        Err(ErrorKind::StorageFull.into())
    }

    pub(super) fn set_len(&mut self, id: InodeId, len: u64) -> io::Result<()> {
        if let Some(kind) = self.write_failure {
            return Err(kind.into());
        }
        if len > self.file_bytes_max(id)? {
            return Err(ErrorKind::StorageFull.into());
        }
        self.tree.file_mut(id)?.set_len(len);
        Ok(())
    }

    pub(super) fn sync(&mut self, id: InodeId, extent: Extent) -> io::Result<()> {
        let fails = std::mem::take(&mut self.next_sync_fails);
        let file = self.tree.file_mut(id)?;
        if fails {
            file.fail_sync();
            return Err(rustix::io::Errno::IO.into());
        }
        match extent {
            Extent::Whole => file.sync(),
            Extent::Part => file.sync_part(&self.rng),
        }
        Ok(())
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.tree.used_bytes())
    }

    /// The length up to which a file can grow; never less than it has.
    fn file_bytes_max(&self, id: InodeId) -> io::Result<u64> {
        let len = self.tree.file(id)?.len();
        if self.capacity_bytes == super::CAPACITY_BYTES_DEFAULT {
            // Nobody limited the room: save the counting.
            return Ok(super::CAPACITY_BYTES_DEFAULT.max(len));
        }
        Ok(len.saturating_add(self.free_bytes()))
    }
}
