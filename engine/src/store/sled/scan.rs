//! Rows of a range as they stood at a revision, from iterators that see several moments.
//!
//! sled's iterator meets each page as it is when it comes there. That does no harm: newer
//! versions are passed by, and the version that is visible at the scan's revision stays, because
//! a scan is known to [`Scans`] until it is dropped, and what it may need is not swept.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use ::sled::IVec;
use bytes::Bytes;
use parking_lot::Mutex;

use super::tree::{Tree, failed, read};
use super::version_key::{self, VersionKey};
use crate::Result;
use crate::ids::Revision;
use crate::store::{KeyRange, Row};

/// Versions of one key passed one by one, before a new search takes the rest in one leap.
const STEPS_MAX: usize = 8;

/// The revisions at which somebody scans, and how many do.
#[derive(Debug, Default)]
pub(super) struct Scans {
    running: Mutex<BTreeMap<Revision, usize>>,
}

impl Scans {
    /// The lowest revision at which somebody scans.
    pub(super) fn lowest(&self) -> Option<Revision> {
        self.running.lock().keys().next().copied()
    }
}

/// A running scan.
pub(super) struct Scan {
    tree: Arc<Tree>,
    scans: Arc<Scans>,
    at: Revision,
    reverse: bool,
    from: Bound<Vec<u8>>,
    until: Bound<Vec<u8>>,
    versions: ::sled::Iter,
    /// Forward: the last version of the key that is done. Reverse: the newest visible version
    /// so far of the key that is under way.
    last: Option<(IVec, IVec)>,
    /// Versions passed in a row.
    passed: usize,
    ended: bool,
}

impl Scan {
    pub(super) fn new(
        tree: &Arc<Tree>,
        scans: &Arc<Scans>,
        range: &KeyRange,
        at: Revision,
        reverse: bool,
    ) -> Self {
        // Known before the first look, so that nothing it needs goes from here on.
        *scans.running.lock().entry(at).or_default() += 1;
        let (from, until) = version_key::bounds(range);
        let from = Bound::Included(from);
        let until = until.map_or(Bound::Unbounded, Bound::Excluded);
        Self {
            versions: tree.versions(from.clone(), until.clone()),
            tree: Arc::clone(tree),
            scans: Arc::clone(scans),
            at,
            reverse,
            from,
            until,
            last: None,
            passed: 0,
            ended: range.is_empty(),
        }
    }

    fn next_forward(&mut self) -> Result<Option<(Bytes, Row)>> {
        while let Some(item) = self.versions.next() {
            let (stored, row) = item.map_err(failed("read sled"))?;
            let version = VersionKey::new(&stored)?;
            if version.revision > self.at {
                let visible = version.at(self.at);
                self.pass(|scan| scan.from = Bound::Included(visible));
                continue;
            }
            if let Some((last, _)) = &self.last
                && VersionKey::new(last)?.stored_key == version.stored_key
            {
                let oldest = version.at(Revision(0));
                self.pass(|scan| scan.from = Bound::Excluded(oldest));
                continue;
            }
            self.passed = 0;
            let found = read(version.revision, &row)?;
            let found = found.map(|row| Ok((version.key()?, row)));
            self.last = Some((stored, row));
            if let Some(found) = found {
                return found.map(Some);
            }
        }
        Ok(None)
    }

    fn next_reverse(&mut self) -> Result<Option<(Bytes, Row)>> {
        while let Some(item) = self.versions.next_back() {
            let (stored, row) = item.map_err(failed("read sled"))?;
            let version = VersionKey::new(&stored)?;
            if version.revision > self.at {
                let newest = version.at(Revision(u64::MAX));
                self.pass(|scan| scan.until = Bound::Excluded(newest));
                continue;
            }
            self.passed = 0;
            let done = match &self.last {
                Some((last, _)) => VersionKey::new(last)?.stored_key != version.stored_key,
                None => false,
            };
            let before = self.last.replace((stored, row));
            if done && let Some(found) = before.map(visible).transpose()?.flatten() {
                return Ok(Some(found));
            }
        }
        Ok(self.last.take().map(visible).transpose()?.flatten())
    }

    /// Leaves a version behind; after some of them, searches from where `narrow` sets a bound.
    fn pass(&mut self, narrow: impl FnOnce(&mut Self)) {
        self.passed += 1;
        if self.passed < STEPS_MAX {
            return;
        }
        self.passed = 0;
        narrow(self);
        self.versions = self.tree.versions(self.from.clone(), self.until.clone());
    }
}

impl Iterator for Scan {
    type Item = Result<(Bytes, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = if self.reverse {
            self.next_reverse()
        } else {
            self.next_forward()
        };
        self.ended = !matches!(item, Ok(Some(_)));
        item.transpose()
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        let mut running = self.scans.running.lock();
        if let Some(count) = running.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.at);
            }
        }
    }
}

/// A stored version as a scan yields it; `None` for a tombstone.
fn visible((stored, row): (IVec, IVec)) -> Result<Option<(Bytes, Row)>> {
    let version = VersionKey::new(&stored)?;
    let row = read(version.revision, &row)?;
    row.map(|row| Ok((version.key()?, row))).transpose()
}
