//! Who wants to be woken by which keys.
//!
//! Interests in single keys and in prefixes are found by looking the key up, those in other
//! ranges one by one: ten thousand watched keys cost a commit a few comparisons.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::record::{EntryRecord, RowRecord};
use crate::ids::Revision;
use crate::store::KeyRange;

/// Called whenever something of interest has happened. It must not wait.
pub(crate) type Wake = Box<dyn Fn() + Send + Sync>;

/// Nothing has happened.
const QUIET: u64 = u64::MAX;

/// Which store keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Key(Bytes),
    Prefix(Bytes),
    Range(KeyRange),
}

impl Interest {
    fn range(&self) -> KeyRange {
        match self {
            Self::Key(key) => {
                let mut end = Vec::with_capacity(key.len() + 1);
                end.extend_from_slice(key);
                end.push(0);
                KeyRange {
                    start: key.clone(),
                    end: Some(end.into()),
                }
            }
            Self::Prefix(prefix) => KeyRange::prefix(prefix.clone()),
            Self::Range(range) => range.clone(),
        }
    }
}

/// One who is woken.
pub(crate) struct Subscribed {
    interest: Interest,
    /// The same as a range.
    range: KeyRange,
    /// The first revision of interest since it was last asked.
    from: AtomicU64,
    wake: Wake,
}

impl Subscribed {
    pub(super) fn new(interest: Interest, wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            range: interest.range(),
            interest,
            from: AtomicU64::new(QUIET),
            wake,
        })
    }

    /// Which store keys it is about.
    pub(crate) fn range(&self) -> &KeyRange {
        &self.range
    }

    /// Wakes, unless that was done and not heard yet.
    pub(super) fn mark(&self, revision: Revision) {
        if self.from.fetch_min(revision.0, Ordering::AcqRel) == QUIET {
            (self.wake)();
        }
    }

    /// The first revision of interest since it was last asked, if there is any.
    pub(super) fn take(&self) -> Option<Revision> {
        let from = self.from.swap(QUIET, Ordering::AcqRel);
        (from != QUIET).then_some(Revision(from))
    }
}

/// All who are woken.
#[derive(Default)]
pub(super) struct Interests {
    keys: BTreeMap<Bytes, Vec<Arc<Subscribed>>>,
    /// By the prefixes' lengths first.
    prefixes: BTreeMap<usize, BTreeMap<Bytes, Vec<Arc<Subscribed>>>>,
    ranges: Vec<Arc<Subscribed>>,
}

impl Interests {
    pub(super) fn add(&mut self, subscribed: Arc<Subscribed>) {
        match &subscribed.interest {
            Interest::Key(key) => self.keys.entry(key.clone()).or_default(),
            Interest::Prefix(prefix) => {
                let of_length = self.prefixes.entry(prefix.len()).or_default();
                of_length.entry(prefix.clone()).or_default()
            }
            Interest::Range(_) => &mut self.ranges,
        }
        .push(subscribed);
    }

    pub(super) fn remove(&mut self, subscribed: &Arc<Subscribed>) {
        match &subscribed.interest {
            Interest::Key(key) => remove_from(&mut self.keys, key, subscribed),
            Interest::Prefix(prefix) => {
                if let Some(of_length) = self.prefixes.get_mut(&prefix.len()) {
                    remove_from(of_length, prefix, subscribed);
                    if of_length.is_empty() {
                        self.prefixes.remove(&prefix.len());
                    }
                }
            }
            Interest::Range(_) => self.ranges.retain(|other| !Arc::ptr_eq(other, subscribed)),
        }
    }

    /// Wakes those whom an entry concerns.
    pub(super) fn mark(&self, entry: &EntryRecord) {
        for commit in &entry.commits {
            for row in &commit.rows {
                match row {
                    RowRecord::Put(key, _) | RowRecord::Deleted(key) | RowRecord::Ended(key) => {
                        self.mark_key(key, commit.revision);
                    }
                    RowRecord::RangeDeleted(range) => self.mark_range(range, commit.revision),
                }
            }
        }
    }

    /// Wakes everybody.
    pub(super) fn mark_all(&self, revision: Revision) {
        self.mark_range(&KeyRange::all(), revision);
    }

    fn mark_key(&self, key: &Bytes, revision: Revision) {
        mark_each(self.keys.get(key), revision);
        for (length, of_length) in self.prefixes.range(..=key.len()) {
            mark_each(of_length.get(&key[..*length]), revision);
        }
        for subscribed in &self.ranges {
            if subscribed.range.contains(key) {
                subscribed.mark(revision);
            }
        }
    }

    fn mark_range(&self, range: &KeyRange, revision: Revision) {
        let keys = self.keys.values();
        let prefixes = self.prefixes.values().flat_map(BTreeMap::values);
        let ranges = std::iter::once(&self.ranges);
        for subscribed in keys.chain(prefixes).chain(ranges).flatten() {
            if subscribed.range.overlap(range).is_some() {
                subscribed.mark(revision);
            }
        }
    }
}

fn mark_each(subscribed: Option<&Vec<Arc<Subscribed>>>, revision: Revision) {
    for subscribed in subscribed.into_iter().flatten() {
        subscribed.mark(revision);
    }
}

fn remove_from(
    all: &mut BTreeMap<Bytes, Vec<Arc<Subscribed>>>,
    key: &Bytes,
    subscribed: &Arc<Subscribed>,
) {
    if let Some(here) = all.get_mut(key) {
        here.retain(|other| !Arc::ptr_eq(other, subscribed));
        if here.is_empty() {
            all.remove(key);
        }
    }
}
