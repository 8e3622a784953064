//! What sled holds beyond the newest durable checkpoint.
//!
//! sled takes every write at once, the Lsm makes them durable epoch by epoch: one for each
//! frozen memtable, and the active one. A clean end takes the epochs that are not durable back
//! out of sled, so that the next start finds in both the rows of one checkpoint.

use std::collections::VecDeque;

use ::sled::IVec;

use crate::ids::Revision;

/// More keys than this are not remembered: filling sled anew is cheaper than the memory.
const EPOCH_KEYS_MAX: usize = 1 << 18;

/// The epochs that are not durable yet.
#[derive(Debug)]
pub(super) struct Surplus {
    /// The last revision of the durable checkpoint.
    durable: Revision,
    /// Frozen ones, oldest first, each with its last revision.
    frozen: VecDeque<(Epoch, Revision)>,
    active: Epoch,
    tracked: bool,
}

/// Where the versions of an epoch stand; `None` once that is not known any more.
type Epoch = Option<Vec<IVec>>;

impl Surplus {
    /// Nothing beyond a checkpoint. What is not `tracked` is never taken back.
    pub(super) fn new(durable: Revision, tracked: bool) -> Self {
        Self {
            durable,
            frozen: VecDeque::new(),
            active: tracked.then(Vec::new),
            tracked,
        }
    }

    /// Remembers a version that is about to be written.
    pub(super) fn note(&mut self, revision: Revision, key: IVec) {
        let before = self.frozen.back().map_or(self.durable, |(_, last)| *last);
        if revision <= before {
            // It may replace a version of an earlier epoch, which cannot be brought back.
            self.active = None;
        }
        if let Some(keys) = &mut self.active {
            keys.push(key);
            if keys.len() > EPOCH_KEYS_MAX {
                self.active = None;
            }
        }
    }

    /// An epoch ends with a revision.
    pub(super) fn freeze(&mut self, last: Revision) {
        let next = self.tracked.then(Vec::new);
        let ended = std::mem::replace(&mut self.active, next);
        self.frozen.push_back((ended, last));
    }

    /// The oldest frozen epoch is durable.
    pub(super) fn flushed(&mut self) {
        if let Some((_, last)) = self.frozen.pop_front() {
            self.durable = last;
        }
    }

    /// The last revision of the durable checkpoint.
    pub(super) fn durable(&self) -> Revision {
        self.durable
    }

    /// Everything beyond the checkpoint; `None` if that is not known.
    pub(super) fn take(&mut self) -> Option<Vec<IVec>> {
        let frozen = std::mem::take(&mut self.frozen);
        let epochs = frozen.into_iter().map(|(epoch, _)| epoch);
        let epochs = epochs.chain([self.active.take()]);
        let epochs: Option<Vec<_>> = epochs.collect();
        Some(epochs?.into_iter().flatten().collect())
    }
}
