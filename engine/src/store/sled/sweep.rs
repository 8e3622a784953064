//! Dropping versions that nobody can read any more.
//!
//! A pass walks the whole tree, some versions in each step. It begins when the floor has risen
//! and a quarter as many versions were written as the last pass left: so each write pays for a
//! bounded share of a pass, and the tree is never much larger than what must be kept.

use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use ::sled::IVec;
use parking_lot::Mutex;

use super::tree::{Tree, failed};
use super::version_key::VersionKey;
use crate::Result;
use crate::ids::Revision;
use crate::store::COMPACTION_STEP_BYTES;

/// A pass is due when for this many versions that the last one kept one was written.
const KEPT_PER_WRITTEN: u64 = 4;

/// Passes, one after another.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Versions since the last pass began; apart, so that a writer waits for no step.
    written: AtomicU64,
    passes: Mutex<Passes>,
}

/// The pass that is under way, and what is known of the last.
#[derive(Debug, Default)]
struct Passes {
    pass: Option<Pass>,
    floor: Revision,
    kept: u64,
}

#[derive(Debug, Default)]
struct Pass {
    floor: Revision,
    /// The last version met.
    last: Option<IVec>,
    /// Whether the key of `last` has had its newest version at or below the floor.
    floor_passed: bool,
    /// That version, if it is a tombstone: it goes when what it hides has gone.
    tombstone: Option<IVec>,
    kept: u64,
}

impl Sweep {
    /// Counts a version that was written.
    pub(super) fn note_written(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// Does a piece of a pass; `false` if there is nothing to do.
    pub(super) fn step(&self, tree: &Tree, floor: Revision) -> Result<bool> {
        let mut passes = self.passes.lock();
        let mut pass = if let Some(pass) = passes.pass.take() {
            pass
        } else {
            let written = self.written.load(Ordering::Relaxed);
            if floor <= passes.floor || written * KEPT_PER_WRITTEN <= passes.kept {
                return Ok(false);
            }
            self.written.store(0, Ordering::Relaxed);
            passes.floor = floor;
            Pass {
                floor,
                ..Pass::default()
            }
        };
        if pass.step(tree)? {
            passes.kept = pass.kept;
        } else {
            passes.pass = Some(pass);
        }
        Ok(true)
    }
}

impl Pass {
    /// Goes on for some bytes; `true` at the end of the tree.
    fn step(&mut self, tree: &Tree) -> Result<bool> {
        let (mut hidden, mut tombstones) = (Vec::new(), Vec::new());
        let from = match &self.last {
            Some(last) => Bound::Excluded(last.to_vec()),
            None => Bound::Unbounded,
        };
        let mut bytes = 0;
        let mut ended = true;
        for item in tree.versions(from, Bound::Unbounded) {
            let (stored, row) = item.map_err(failed("read sled"))?;
            bytes += stored.len() + row.len();
            let version = VersionKey::new(&stored)?;
            let last = self.last.as_ref();
            if !last.is_some_and(|last| version.is_beside(last)) {
                self.floor_passed = false;
                tombstones.extend(self.tombstone.take());
            }
            if self.floor_passed {
                hidden.push(stored.clone());
            } else {
                self.floor_passed = version.revision <= self.floor;
                if self.floor_passed && row.is_empty() {
                    self.tombstone = Some(stored.clone());
                } else {
                    self.kept += 1;
                }
            }
            self.last = Some(stored);
            if bytes >= COMPACTION_STEP_BYTES {
                ended = false;
                break;
            }
        }
        if ended {
            tombstones.extend(self.tombstone.take());
        }
        // In this order, so that no reader meets what a tombstone has hidden.
        tree.remove_all(hidden)?;
        tree.remove_all(tombstones)?;
        Ok(ended)
    }
}
