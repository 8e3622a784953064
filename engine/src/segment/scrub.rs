//! A scrub of the log while it is written: the look at segments, told apart from what changes
//! meanwhile.
//!
//! Only what was synced when the look began is judged, and only in segments that are still in use:
//! one that was given back in the meantime begins a new life.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Log;
use super::folder::number;
use super::index::Place;
use super::inspect::segments;
use crate::env::Vfs;
use crate::error::Result;
use crate::inspect::{Problem, Seen, Severity};
use crate::scrub::{Overseer, Scrub};

/// How often segments may be given back while they are opened, before that is a find.
const TRIES_MAX: usize = 8;

impl Log {
    /// Reads and checks every frame that is synced, at the pace of the overseer, who is told what
    /// is damaged. `vfs` is the disk that the log was opened on.
    ///
    /// # Errors
    /// `Stopped` if the overseer ended it. Damage and files that cannot be read are no errors.
    pub fn scrub(&self, vfs: &Arc<dyn Vfs>, overseer: &Arc<dyn Overseer>) -> Result<()> {
        let mut scrub = Scrub::new(vfs, overseer);
        let disk = scrub.disk();
        for _ in 0..TRIES_MAX {
            let (paths, synced) = self.in_use();
            let looked = segments(&disk, &paths, false, &mut |seen| {
                if let Seen::Problem(problem) = seen
                    && self.is_damage(&problem, synced)
                {
                    scrub.found(&problem.into());
                }
            });
            let (Err(error), Some(first)) = (looked, paths.first()) else {
                return Ok(());
            };
            let unread = scrub.unread(first, error)?;
            if self.in_use().0.first() == Some(first) {
                scrub.found(&unread);
                return Ok(());
            }
        }
        Ok(())
    }

    /// About how many bytes a scrub reads.
    pub fn scrub_bytes(&self) -> u64 {
        let front = self.handle.shared.front.lock();
        let segments = front.segments.values();
        segments.map(|segment| u64::from(segment.len())).sum()
    }

    /// The segments in use, and up to where they are synced.
    pub(super) fn in_use(&self) -> (Vec<PathBuf>, Place) {
        let front = self.handle.shared.front.lock();
        let paths = front.segments.values();
        let paths = paths.map(|segment| segment.path().to_owned()).collect();
        (paths, front.synced_place())
    }

    /// Whether a problem is one of bytes that were synced before the look, and are still needed.
    fn is_damage(&self, problem: &Problem, synced: Place) -> bool {
        let Some(segment) = segment_of(&problem.path) else {
            return true;
        };
        let before = (segment, problem.offset) < (synced.segment, u64::from(synced.offset));
        // A segment that is missing, or whose headers are damaged, is told at byte 0.
        let begins = problem.offset == 0 && segment <= synced.segment;
        let counts = problem.severity != Severity::Harmless && (before || begins);
        let front = self.handle.shared.front.lock();
        counts && front.segments.contains_key(&segment)
    }
}

/// The number of a segment's file.
fn segment_of(path: &Path) -> Option<u64> {
    number(path.file_name()?.to_str()?, ".seg")
}
