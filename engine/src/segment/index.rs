//! Where each entry of a group stands: 24 bytes in memory per entry.

use std::collections::VecDeque;

use crate::ids::{LogId, LogIndex, Term};

/// Largest index of an entry: counting on from it never overflows.
pub(super) const INDEX_MAX: LogIndex = LogIndex(u64::MAX / 2);

/// Where a synced frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Sequence number of the segment.
    pub(super) segment: u64,
    /// Byte of the frame in its file; never 0.
    pub(super) offset: u32,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    term: Term,
    /// The segment once the entry is synced, until then the number of the write.
    segment_or_number: u64,
    /// Byte of the frame; 0 until the entry is synced.
    offset: u32,
    body_bytes: u32,
}

impl Slot {
    /// Where the entry stands; `None` until it is synced.
    pub(super) fn place(&self) -> Option<Place> {
        (self.offset != 0).then_some(Place {
            segment: self.segment_or_number,
            offset: self.offset,
        })
    }

    pub(super) fn body_bytes(&self) -> u32 {
        self.body_bytes
    }

    pub(super) fn term(&self) -> Term {
        self.term
    }
}

/// The entries of one group that are not purged.
///
/// `first == purged + 1`, except while a log is replayed whose oldest segments are gone: then
/// entries between may be missing until a later purge is read.
#[derive(Debug)]
pub(super) struct GroupIndex {
    purged: Option<LogId>,
    first: u64,
    slots: VecDeque<Slot>,
    body_bytes: u64,
}

impl Default for GroupIndex {
    fn default() -> Self {
        Self::starting_at(None, LogIndex(0))
    }
}

impl GroupIndex {
    /// Bounds known, entries not: how the oldest segment's Head describes a group.
    pub(super) fn starting_at(purged: Option<LogId>, last: LogIndex) -> Self {
        Self {
            purged,
            first: last.0 + 1,
            slots: VecDeque::new(),
            body_bytes: 0,
        }
    }

    pub(super) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// Index of the last entry, or of the purged one.
    pub(super) fn last_index(&self) -> LogIndex {
        LogIndex(self.next() - 1)
    }

    /// The last entry, or the purged one.
    pub(super) fn last(&self) -> Option<LogId> {
        self.slots
            .back()
            .map(|slot| LogId {
                term: slot.term,
                index: self.last_index(),
            })
            .or(self.purged)
    }

    pub(super) fn log_id_at(&self, index: LogIndex) -> Option<LogId> {
        if let Some(purged) = self.purged.filter(|purged| purged.index == index) {
            return Some(purged);
        }
        self.slot(index).map(|slot| LogId {
            term: slot.term,
            index,
        })
    }

    /// Bytes of the bodies.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    pub(super) fn slot(&self, index: LogIndex) -> Option<&Slot> {
        let at = usize::try_from(index.0.checked_sub(self.first)?).ok()?;
        self.slots.get(at)
    }

    /// Slots from `from` on, or from the first one that is there.
    pub(super) fn slots_from(&self, from: LogIndex) -> impl Iterator<Item = (LogIndex, &Slot)> {
        let skipped = from.0.saturating_sub(self.first);
        let at = usize::try_from(skipped).map_or(self.slots.len(), |at| at.min(self.slots.len()));
        (self.first + at as u64..)
            .map(LogIndex)
            .zip(self.slots.range(at..))
    }

    /// Indexes that should be there and are not, both ends included.
    pub(super) fn hole(&self) -> Option<(u64, u64)> {
        let expected = self.purged.map_or(0, |purged| purged.index.0) + 1;
        (expected < self.first).then_some((expected, self.first - 1))
    }

    /// Adds an entry that the write `number` will bring to disk.
    pub(super) fn push(&mut self, term: Term, body_bytes: u32, number: u64) {
        self.push_slot(Slot {
            term,
            segment_or_number: number,
            offset: 0,
            body_bytes,
        });
    }

    /// Adds an entry that was read from disk.
    pub(super) fn push_placed(&mut self, term: Term, body_bytes: u32, place: Place) {
        self.push_slot(Slot {
            term,
            segment_or_number: place.segment,
            offset: place.offset,
            body_bytes,
        });
    }

    /// Notes where the write `number` put the entry `index`; `false` if it was dropped since.
    pub(super) fn settle(&mut self, index: LogIndex, number: u64, place: Place) -> bool {
        let Some(slot) = index
            .0
            .checked_sub(self.first)
            .and_then(|at| self.slots.get_mut(usize::try_from(at).ok()?))
        else {
            return false;
        };
        if slot.offset != 0 || slot.segment_or_number != number {
            return false;
        }
        slot.segment_or_number = place.segment;
        slot.offset = place.offset;
        true
    }

    /// Keeps entries up to and with `index`; what is purged stays so.
    pub(super) fn truncate_after(&mut self, index: LogIndex) {
        let keep_until = index.max(self.purged.map_or(LogIndex(0), |purged| purged.index));
        while self.last_index() > keep_until {
            match self.slots.pop_back() {
                Some(slot) => self.body_bytes -= u64::from(slot.body_bytes),
                None => self.first = keep_until.0 + 1,
            }
        }
    }

    /// Forgets entries up to and with `id`.
    pub(super) fn purge(&mut self, id: LogId) {
        if self.purged.is_some_and(|purged| purged.index >= id.index) {
            return;
        }
        while self.first <= id.index.0 {
            match self.slots.pop_front() {
                Some(slot) => {
                    self.body_bytes -= u64::from(slot.body_bytes);
                    self.first += 1;
                }
                None => self.first = id.index.0 + 1,
            }
        }
        self.purged = Some(id);
    }

    /// Drops everything; the next entry follows `id`.
    pub(super) fn reset(&mut self, id: LogId) {
        *self = Self::starting_at(Some(id), id.index);
    }

    fn push_slot(&mut self, slot: Slot) {
        self.body_bytes += u64::from(slot.body_bytes);
        self.slots.push_back(slot);
    }

    fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }
}
