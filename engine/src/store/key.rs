//! Keys and their order.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::ids::Revision;

/// Store keys from `start` up to, but without, `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key of the range.
    pub start: Bytes,
    /// The first key behind the range; `None` for no end.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self {
            start: Bytes::new(),
            end: None,
        }
    }

    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: Bytes) -> Self {
        let kept = prefix
            .iter()
            .rposition(|byte| *byte != u8::MAX)
            .map_or(0, |last| last + 1);
        let mut end = prefix[..kept].to_vec();
        let end = end.last_mut().map(|last| *last += 1).map(|()| end.into());
        Self { start: prefix, end }
    }

    /// Whether a key lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start <= key && !self.ends_before(key)
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        self.ends_before(&self.start)
    }

    /// The keys that both ranges hold, if there are any.
    pub fn overlap(&self, other: &Self) -> Option<Self> {
        let end = match (&self.end, &other.end) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        let start = self.start.clone().max(other.start.clone());
        let both = Self { start, end };
        (!both.is_empty()).then_some(both)
    }

    /// Whether a key lies behind the range.
    pub(super) fn ends_before(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|end| end <= key)
    }

    /// The same keys in ranges that share none, in order.
    pub(crate) fn merged(ranges: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut ranges: Vec<Self> = ranges.into_iter().collect();
        ranges.sort_by(|one, other| one.start.cmp(&other.start));
        ranges.dedup_by(|next, range| {
            let both = range.union(next);
            both.map(|both| *range = both).is_some()
        });
        ranges
    }

    /// The keys that either range holds, if they share some.
    fn union(&self, other: &Self) -> Option<Self> {
        self.overlap(other)?;
        let ends = self.end.as_ref().zip(other.end.as_ref());
        Some(Self {
            start: self.start.clone().min(other.start.clone()),
            end: ends.map(|(a, b)| a.max(b).clone()),
        })
    }

    /// Whether the range and the keys from `smallest` to `largest` may share a key.
    pub(super) fn meets(&self, smallest: &[u8], largest: &[u8]) -> bool {
        self.start <= largest && !self.ends_before(smallest)
    }
}

/// Where one version of one row stands in the order of the store: keys ascending, and the
/// newest version of a key first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) key: &'a [u8],
    pub(super) revision: Revision,
}

impl<'a> Place<'a> {
    /// A place before every version of `key`.
    pub(super) fn before(key: &'a [u8]) -> Self {
        Self {
            key,
            revision: Revision(u64::MAX),
        }
    }

    /// The last place that a version of `key` could have.
    pub(super) fn last(key: &'a [u8]) -> Self {
        Self {
            key,
            revision: Revision(0),
        }
    }
}

impl Ord for Place<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key
            .cmp(other.key)
            .then_with(|| other.revision.cmp(&self.revision))
    }
}

impl PartialOrd for Place<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_version_of_the_smallest_key_comes_first() {
        let place = |key, revision| Place {
            key,
            revision: Revision(revision),
        };
        assert!(place(b"a", 9) < place(b"a", 8));
        assert!(place(b"a", 1) < place(b"aa", 9));
        assert!(Place::before(b"a") < place(b"a", 9) && place(b"a", 1) < Place::last(b"a"));
    }

    #[test]
    fn a_prefix_is_a_range_even_at_the_end_of_the_alphabet() {
        let range = KeyRange::prefix(Bytes::from_static(b"a\xff"));
        assert_eq!(range.end, Some(Bytes::from_static(b"b")));
        assert!(range.contains(b"a\xff\xff") && !range.contains(b"b") && !range.contains(b"a"));
        assert_eq!(KeyRange::prefix(Bytes::from_static(b"\xff")).end, None);
        assert_eq!(KeyRange::prefix(Bytes::new()), KeyRange::all());
    }
}
