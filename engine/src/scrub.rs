//! A scrub: everything that a node has on disk is read and checked while the node works, so that
//! rot is found while a whole copy is left elsewhere.
//!
//! ```text
//! Replica::scrub ─┐ the looks of `inspect`, over a disk ─► Overseer::may_read   waits, or ends it
//! Log::scrub ─────┘ that asks before it reads           └► Overseer::found      file, byte, what
//! ```
//!
//! # Invariants
//! - Nothing is changed, and no lock that a request needs is held while the disk is read.
//! - In memory at any time: one frame or block, a manifest, and [`SCRUB_FINDS_MAX`] places.
//! - What is told is damage of a file in use: one that is replaced or given back meanwhile is
//!   passed by.
//!
//! # Not here
//! When a scrub is due, how fast it reads and what follows from a find: see `engine-raft`.

mod paced;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::Vfs;
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::limits::SCRUB_FINDS_MAX;
use paced::PacedVfs;

/// Whoever runs a scrub: sets its pace, may end it, and hears what it finds.
pub trait Overseer: Debug + Send + Sync {
    /// Asked before each read of so many bytes of a file; waits as long as the pace demands.
    /// `false` ends the scrub.
    fn may_read(&self, path: &Path, bytes: u64) -> bool;

    /// A place whose bytes are not what was written; told once.
    fn found(&self, damage: &Damage);
}

/// One scrub at work.
#[derive(Debug)]
pub(crate) struct Scrub {
    overseer: Arc<dyn Overseer>,
    paced: Arc<PacedVfs>,
    told: BTreeSet<(PathBuf, u64)>,
}

impl Scrub {
    pub(crate) fn new(vfs: &Arc<dyn Vfs>, overseer: &Arc<dyn Overseer>) -> Self {
        Self {
            overseer: Arc::clone(overseer),
            paced: Arc::new(PacedVfs::new(vfs, overseer)),
            told: BTreeSet::new(),
        }
    }

    /// The disk, at the overseer's pace.
    pub(crate) fn disk(&self) -> Arc<dyn Vfs> {
        Arc::clone(&self.paced) as _
    }

    /// Tells a find, once for each place.
    pub(crate) fn found(&mut self, damage: &Damage) {
        let place = (damage.path.clone(), damage.offset);
        if self.told.len() < SCRUB_FINDS_MAX && self.told.insert(place) {
            self.overseer.found(damage);
        }
    }

    /// What a failed look at a file says: the scrub was ended, or the file cannot be read, which is
    /// a find, too.
    ///
    /// # Errors
    /// `Stopped` if the overseer has ended the scrub.
    pub(crate) fn unread(&self, path: &Path, error: Error) -> Result<Damage> {
        if self.paced.is_ended() {
            let context = "the scrub was ended before it had looked at everything";
            return Err(Error::new(ErrorKind::Stopped, context));
        }
        Ok(error.damage().cloned().unwrap_or_else(|| Damage {
            path: path.to_owned(),
            offset: 0,
            what: format!("it cannot be read: {error}"),
        }))
    }
}
