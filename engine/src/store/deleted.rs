//! Deleted ranges: what hides many rows for the price of one.
//!
//! A range deleted at a revision hides every version of its keys below that revision; what is
//! written at the revision itself stays. Ranges are cut where they overlap, so that one look
//! at the cut below a key tells all revisions at which the key was deleted.
//!
//! # Invariants
//! - Cuts stand in key order; from one cut to the next the same revisions apply, in ascending
//!   order.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::key::KeyRange;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::Revision;

/// What a cut costs beside its key: a part of a tree node, a vector's header.
const CUT_OVERHEAD_BYTES: usize = 64;

/// A range and the revision at which it was emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedRange {
    /// The keys.
    pub range: KeyRange,
    /// Versions below this revision are hidden.
    pub revision: Revision,
}

impl DeletedRange {
    pub(super) fn put(&self, out: &mut Encoder) {
        out.bytes(&self.range.start);
        out.option(self.range.end.as_ref(), |out, end| {
            out.bytes(end);
        });
        out.u64(self.revision.0);
    }

    pub(super) fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        let range = KeyRange {
            start: input.bytes("start of a deleted range")?,
            end: input.option("end of a deleted range", |input| {
                input.bytes("end of a deleted range")
            })?,
        };
        if range.is_empty() {
            return Err(input.error("deleted range", "ends before it begins"));
        }
        let revision = Revision(input.u64("revision of a deleted range")?);
        Ok(Self { range, revision })
    }
}

/// Deleted ranges as they travel with a checkpoint.
pub(crate) fn encode_deleted(ranges: &[DeletedRange]) -> Bytes {
    let mut out = Encoder::new();
    out.count(ranges.len());
    for range in ranges {
        range.put(&mut out);
    }
    out.finish()
}

/// Reads what [`encode_deleted`] wrote.
pub(crate) fn decode_deleted(bytes: Bytes) -> Result<Vec<DeletedRange>, DecodeError> {
    let mut input = Decoder::new(bytes);
    let ranges = input.list("deleted ranges", DeletedRange::get)?;
    input.end("deleted ranges")?;
    Ok(ranges)
}

/// Deleted ranges, searchable by key.
#[derive(Clone, Debug, Default)]
pub(super) struct DeletedRanges {
    ranges: Vec<DeletedRange>,
    /// From each key on, up to the next: when it was deleted.
    cuts: BTreeMap<Bytes, Vec<Revision>>,
    bytes: usize,
}

impl DeletedRanges {
    /// Ranges in any order.
    pub(super) fn new(ranges: impl IntoIterator<Item = DeletedRange>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_by_key(|deleted| deleted.revision);
        let mut all = Self::default();
        for deleted in ranges {
            all.insert(deleted);
        }
        all
    }

    /// Adds a range; its revision is not below that of any range before.
    pub(super) fn insert(&mut self, deleted: DeletedRange) {
        let DeletedRange { range, revision } = &deleted;
        if range.is_empty() {
            return;
        }
        self.cut(&range.start);
        if let Some(end) = &range.end {
            self.cut(end);
        }
        let end = range.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let inside = self
            .cuts
            .range_mut::<Bytes, _>((Bound::Included(&range.start), end));
        for (_, revisions) in inside {
            if revisions.last() != Some(revision) {
                revisions.push(*revision);
                self.bytes += size_of::<Revision>();
            }
        }
        self.bytes += range.start.len() + range.end.as_ref().map_or(0, Bytes::len);
        self.bytes += size_of::<DeletedRange>();
        self.ranges.push(deleted);
    }

    /// The latest revision up to `at` at which a key was deleted: what is older is hidden.
    /// Revision 0 hides nothing.
    pub(super) fn hidden_below(&self, key: &[u8], at: Revision) -> Revision {
        let below = (Bound::Unbounded, Bound::Included(key));
        let Some((_, revisions)) = self.cuts.range::<[u8], _>(below).next_back() else {
            return Revision(0);
        };
        let after = revisions.partition_point(|revision| *revision <= at);
        after
            .checked_sub(1)
            .map_or(Revision(0), |last| revisions[last])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges as they were deleted.
    pub(super) fn ranges(&self) -> &[DeletedRange] {
        &self.ranges
    }

    /// Bytes held, by estimate.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes a cut at a key, if there is none.
    fn cut(&mut self, at: &Bytes) {
        if self.cuts.contains_key(at) {
            return;
        }
        let below = (Bound::Unbounded, Bound::Included(at));
        let before = self.cuts.range::<Bytes, _>(below).next_back();
        let revisions = before.map_or_else(Vec::new, |(_, revisions)| revisions.clone());
        self.bytes += CUT_OVERHEAD_BYTES + at.len() + revisions.len() * size_of::<Revision>();
        self.cuts.insert(Bytes::copy_from_slice(at), revisions);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deleted(start: u8, end: Option<u8>, revision: u64) -> DeletedRange {
        DeletedRange {
            range: KeyRange {
                start: Bytes::copy_from_slice(&[start]),
                end: end.map(|end| Bytes::copy_from_slice(&[end])),
            },
            revision: Revision(revision),
        }
    }

    #[test]
    fn a_stored_range_is_read_back_and_an_empty_one_is_refused() {
        for range in [deleted(1, Some(9), 7), deleted(1, None, 7)] {
            let mut out = Encoder::new();
            range.put(&mut out);
            let mut input = Decoder::new(out.finish());
            assert_eq!(DeletedRange::get(&mut input), Ok(range));
        }
        let mut out = Encoder::new();
        deleted(9, Some(9), 7).put(&mut out);
        assert!(DeletedRange::get(&mut Decoder::new(out.finish())).is_err());
    }

    proptest! {
        #[test]
        fn the_latest_range_over_a_key_hides_it(
            ranges in prop::collection::vec((any::<u8>(), any::<Option<u8>>(), 0u64..3), 0..40),
        ) {
            let mut revision = 0;
            let mut all = DeletedRanges::default();
            let ranges: Vec<_> = ranges
                .into_iter()
                .map(|(start, end, step)| {
                    revision += step;
                    deleted(start, end, revision)
                })
                .collect();
            for range in ranges.clone() {
                all.insert(range);
            }
            for key in 0..=u8::MAX {
                for at in 0..=revision {
                    let expected = ranges
                        .iter()
                        .filter(|range| range.revision.0 <= at && range.range.contains(&[key]))
                        .map(|range| range.revision)
                        .max();
                    let found = all.hidden_below(&[key], Revision(at));
                    prop_assert_eq!(found, expected.unwrap_or(Revision(0)));
                }
            }
        }
    }
}
