//! Where in a file some of its messages stand: enough to begin near any of them.

use std::collections::BTreeMap;

use super::file::HEADER_BYTES;
use crate::ids::Offset;

/// One note for about this many bytes of file.
const INTERVAL_BYTES: u64 = 16 * 1024;

/// A message's place in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: Offset,
    pub(super) position: u64,
}

/// Notes taken while appending and while reading; losing them costs time alone.
#[derive(Debug)]
pub(super) struct SparseIndex {
    base: Offset,
    places: BTreeMap<Offset, u64>,
    appended: Option<u64>,
}

impl SparseIndex {
    pub(super) fn new(base: Offset) -> Self {
        Self {
            base,
            places: BTreeMap::new(),
            appended: None,
        }
    }

    /// The nearest known place at or before `offset`.
    pub(super) fn before(&self, offset: Offset) -> Place {
        match self.places.range(..=offset).next_back() {
            Some((&offset, &position)) => Place { offset, position },
            None => Place {
                offset: self.base,
                position: HEADER_BYTES,
            },
        }
    }

    /// Notes messages just written, in order.
    pub(super) fn appended(&mut self, places: impl Iterator<Item = Place>) {
        for place in places {
            if is_due(self.appended, place.position) {
                self.appended = Some(place.position);
                self.places.insert(place.offset, place.position);
            }
        }
    }

    /// Notes messages found while reading on from `from`.
    pub(super) fn read(&mut self, places: Vec<Place>) {
        for place in places {
            self.places.insert(place.offset, place.position);
        }
    }

    /// Forgets all notes.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }
}

/// Whether a message at `position` should be noted after the one at `last`.
pub(super) fn is_due(last: Option<u64>, position: u64) -> bool {
    last.is_none_or(|last| position >= last + INTERVAL_BYTES)
}
