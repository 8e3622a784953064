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
use crate::store::{KeyRange, Row, RowIter};

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
    keys_only: bool,
    from: Bound<Vec<u8>>,
    until: Bound<Vec<u8>>,
    versions: ::sled::Iter,
    /// A version of the key that the scan has dealt with last.
    done: Option<IVec>,
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
            keys_only: false,
            from,
            until,
            done: None,
            passed: 0,
            ended: range.is_empty(),
        }
    }

    /// The same rows without their values. In sled those stand beside their keys: they are read,
    /// and dropped.
    pub(super) fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    fn next_forward(&mut self) -> Result<Option<(Bytes, Row)>> {
        while let Some(item) = self.versions.next() {
            let (stored, row) = item.map_err(failed("read sled"))?;
            let version = VersionKey::new(&stored)?;
            if version.revision > self.at {
                let visible = version.at(self.at);
                self.pass(|scan| scan.from = Bound::Included(visible));
            } else if self.is_done(version) {
                let oldest = version.at(Revision(0));
                self.pass(|scan| scan.from = Bound::Excluded(oldest));
            } else {
                self.passed = 0;
                let row = read(version.revision, &row)?;
                let key = version.key()?;
                self.done = Some(stored);
                if let Some(row) = row {
                    return Ok(Some((key, row)));
                }
            }
        }
        Ok(None)
    }

    fn next_reverse(&mut self) -> Result<Option<(Bytes, Row)>> {
        while let Some(item) = self.versions.next_back() {
            let (stored, _) = item.map_err(failed("read sled"))?;
            let version = VersionKey::new(&stored)?;
            if self.is_done(version) {
                let newest = version.at(Revision(u64::MAX));
                self.pass(|scan| scan.until = Bound::Excluded(newest));
                continue;
            }
            self.passed = 0;
            // The oldest version comes first. The visible one is looked up at once: kept until
            // the walk meets it, an older version might outlive the tombstone that hides it.
            let key = version.key()?;
            self.done = Some(stored);
            if let Some(row) = self.tree.get(&key, self.at)? {
                return Ok(Some((key, row)));
            }
        }
        Ok(None)
    }

    /// Whether a version is of the key that the scan has dealt with last.
    fn is_done(&self, version: VersionKey<'_>) -> bool {
        self.done
            .as_ref()
            .is_some_and(|done| version.is_beside(done))
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
        let mut item = if self.reverse {
            self.next_reverse()
        } else {
            self.next_forward()
        };
        self.ended = !matches!(item, Ok(Some(_)));
        if self.keys_only
            && let Ok(Some((_, row))) = &mut item
        {
            row.value = Bytes::new();
        }
        item.transpose()
    }
}

impl RowIter for Scan {}

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
