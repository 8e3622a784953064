//! A disk as it was before one call: where a power cut can be tried, again and again.

use std::sync::Arc;

use parking_lot::Mutex;

use super::SimVfs;
use super::disk::Disk;
use super::tree::Tree;

/// A copy of a disk just before one of its calls; it shares what later calls do not change.
#[derive(Clone)]
pub struct Moment {
    io_count: u64,
    tree: Tree,
}

/// What one power cut left.
pub struct Crashed {
    /// A disk of its own, with the power back.
    pub disk: SimVfs,
    /// What was kept and what was lost, as a number: two power cuts at one moment with the same
    /// losses left the same disk.
    pub losses: u64,
}

impl Moment {
    pub(super) fn new(io_count: u64, tree: &Tree) -> Self {
        let tree = tree.clone();
        Self { io_count, tree }
    }

    /// How many calls had reached the disk by then.
    pub fn io_count(&self) -> u64 {
        self.io_count
    }

    /// Two moments of one recording with the same version have the same disk.
    pub fn version(&self) -> u64 {
        self.tree.version()
    }

    /// Cuts the power at this moment and brings it back; `seed` decides what survived.
    ///
    /// What the next call would have done in part is not lost on anybody: all that half a call
    /// can leave, a power cut before it or before the one after it can leave too.
    pub fn crashed(&self, seed: u64) -> Crashed {
        let disk = self.killed(seed);
        let losses = disk.disk.lock().power_on().hash;
        Crashed { disk, losses }
    }

    /// Ends the process at this moment, on a disk of its own that stays powered: nothing is lost,
    /// nothing becomes durable. `seed` decides about later power cuts.
    pub fn killed(&self, seed: u64) -> SimVfs {
        let mut tree = self.tree.clone();
        tree.forget_handles();
        SimVfs {
            disk: Arc::new(Mutex::new(Disk::with_tree(tree, seed))),
        }
    }
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment")
            .field("io_count", &self.io_count)
            .finish_non_exhaustive()
    }
}
