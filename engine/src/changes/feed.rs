//! The newest records in memory, with their values, and those who wait for the next.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::interests::Interests;
use super::{EntryRecord, Interest, Subscribed, Wake};
use crate::ids::Revision;
use crate::limits::FEED_BYTES_MAX;
use crate::planted::{Planted, on};

/// The newest records of a group.
pub(crate) struct Feed {
    inner: Mutex<Inner>,
}

struct Inner {
    /// The entries that changed something, and how many bytes each keeps from being freed.
    entries: VecDeque<(Arc<EntryRecord>, usize)>,
    bytes: usize,
    /// All that has changed from this revision on stands in `entries`.
    from: Revision,
    /// The last revision that was fed.
    head: Revision,
    interests: Interests,
}

/// What the feed holds from a revision on.
pub(crate) enum Recent {
    /// These entries, and none behind them up to the head unless there were too many.
    Entries {
        entries: Vec<Arc<EntryRecord>>,
        head: Revision,
    },
    /// It has forgotten them.
    Forgotten,
}

impl Feed {
    /// A feed of nothing yet, for a state at `head`.
    pub(crate) fn new(head: Revision) -> Self {
        Self {
            inner: Mutex::new(Inner {
                entries: VecDeque::new(),
                bytes: 0,
                from: Revision(head.0.saturating_add(1)),
                head,
                interests: Interests::default(),
            }),
        }
    }

    /// Takes an entry's record once its revision is published. Values may share the memory of the
    /// whole entry, which has so many bytes.
    pub(crate) fn feed(&self, record: EntryRecord, entry_bytes: usize) {
        let bytes = record.bytes().max(entry_bytes);
        let mut inner = self.inner.lock();
        inner.head = record.last_revision();
        inner.interests.mark(&record);
        inner.entries.push_back((Arc::new(record), bytes));
        inner.bytes += bytes;
        while inner.bytes > FEED_BYTES_MAX
            && let Some((forgotten, bytes)) = inner.entries.pop_front()
        {
            inner.bytes -= bytes;
            inner.from = Revision(forgotten.last_revision().0 + 1);
        }
    }

    /// The state has become another one, at `head`: everybody looks on the disk.
    pub(crate) fn jump(&self, head: Revision) {
        let mut inner = self.inner.lock();
        inner.entries.clear();
        inner.bytes = 0;
        inner.interests.mark_all(inner.head);
        inner.from = Revision(head.0.saturating_add(1));
        inner.head = head;
    }

    /// At most `most` entries from a revision on, which may be the next one.
    pub(crate) fn recent(&self, from: Revision, most: usize) -> Recent {
        let inner = self.inner.lock();
        if from < inner.from && !on(Planted::SkippedHistory) {
            return Recent::Forgotten;
        }
        let before = inner
            .entries
            .partition_point(|(entry, _)| entry.last_revision() < from);
        let newer = inner.entries.range(before..);
        Recent::Entries {
            entries: newer.take(most).map(|(entry, _)| entry.clone()).collect(),
            head: inner.head,
        }
    }

    /// Wakes whoever it is, from now on, whenever something of interest was fed.
    pub(crate) fn subscribe(&self, interest: Interest, wake: Wake) -> Arc<Subscribed> {
        let subscribed = Subscribed::new(interest, wake);
        self.inner.lock().interests.add(subscribed.clone());
        subscribed
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, subscribed: &Arc<Subscribed>) {
        self.inner.lock().interests.remove(subscribed);
    }

    /// The first revision of interest since this was last asked, or the head if there was none:
    /// then nothing up to it concerns who asks.
    pub(crate) fn news(&self, subscribed: &Subscribed) -> Result<Revision, Revision> {
        let inner = self.inner.lock();
        subscribed.take().ok_or(inner.head)
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}
