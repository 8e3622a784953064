//! What the segments hold of each group: the state that a Head repeats, and which segments
//! are still needed.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::frame::Position;
use super::index::INDEX_MAX;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::{GroupId, LogId, LogIndex, Term};

/// Between which indexes a group's entries lie: `purged + 1 ..= last`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) purged: Option<LogId>,
    /// Index of the last entry, or of the purged one.
    pub(super) last: LogIndex,
}

impl Bounds {
    /// The index that the next entry must have.
    pub(super) fn next(&self) -> LogIndex {
        LogIndex(self.last.0 + 1)
    }

    pub(super) fn truncate_after(&mut self, index: LogIndex) {
        self.last = self.last.min(index.max(self.purged_index()));
    }

    pub(super) fn purge(&mut self, id: LogId) {
        if self.purged.is_none_or(|purged| purged.index < id.index) {
            self.purged = Some(id);
            self.last = self.last.max(id.index);
        }
    }

    pub(super) fn reset(&mut self, id: LogId) {
        self.purged = Some(id);
        self.last = id.index;
    }

    pub(super) fn purged_index(&self) -> LogIndex {
        self.purged.map_or(LogIndex(0), |purged| purged.index)
    }
}

/// A group as a Head describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadGroup {
    pub(super) vote: Option<Bytes>,
    pub(super) bounds: Bounds,
}

/// The first frame of a segment: everything that older segments say, entries excepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Where the segment before ended.
    pub(super) previous: Position,
    pub(super) groups: BTreeMap<GroupId, HeadGroup>,
}

impl Head {
    pub(super) fn decode(body: Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(body);
        let previous = Position {
            segment: input.u64("previous segment")?,
            offset: input.u32("previous offset")?,
        };
        let groups = input.list("groups", |input| {
            let group = GroupId(input.u32("group")?);
            let vote = input.option("vote", |input| input.bytes("vote"))?;
            let purged = input.option("purged", |input| {
                Ok(LogId {
                    term: Term(input.u64("purged term")?),
                    index: LogIndex(input.u64("purged index")?),
                })
            })?;
            let last = LogIndex(input.u64("last index")?);
            let bounds = Bounds { purged, last };
            if last > INDEX_MAX || last < bounds.purged_index() {
                return Err(input.error("last index", "it is too large, or below the purged one"));
            }
            Ok((group, HeadGroup { vote, bounds }))
        })?;
        input.end("head")?;
        let groups = groups.into_iter().collect();
        Ok(Self { previous, groups })
    }
}

/// The state of all groups as the frames up to the newest one tell it.
#[derive(Debug, Default)]
pub(super) struct Written {
    groups: BTreeMap<GroupId, WrittenGroup>,
}

#[derive(Debug, Default)]
struct WrittenGroup {
    head: HeadGroup,
    /// Which segments hold the entries, ascending.
    extents: VecDeque<Extent>,
}

/// Entries of one group in one segment, without a gap.
#[derive(Debug)]
struct Extent {
    segment: u64,
    first: LogIndex,
    last: LogIndex,
}

impl Written {
    /// What the oldest segment's Head says.
    pub(super) fn from_head(head: &Head) -> Self {
        let written = |head: &HeadGroup| WrittenGroup {
            head: head.clone(),
            extents: VecDeque::new(),
        };
        Self {
            groups: head
                .groups
                .iter()
                .map(|(group, head)| (*group, written(head)))
                .collect(),
        }
    }

    /// Whether a Head says what the frames before it say.
    pub(super) fn agrees(&self, head: &Head) -> bool {
        self.groups.len() == head.groups.len()
            && self
                .groups
                .iter()
                .all(|(group, written)| head.groups.get(group) == Some(&written.head))
    }

    /// The body of a Head that follows all frames so far.
    pub(super) fn encode_head(&self, previous: Position) -> Bytes {
        let mut out = Encoder::new();
        out.u64(previous.segment).u32(previous.offset);
        out.count(self.groups.len());
        for (group, written) in &self.groups {
            out.u32(group.0);
            out.option(written.head.vote.as_ref(), |out, vote| {
                out.bytes(vote);
            });
            out.option(written.head.bounds.purged, |out, purged| {
                out.u64(purged.term.0).u64(purged.index.0);
            });
            out.u64(written.head.bounds.last.0);
        }
        out.finish()
    }

    /// The bounds of a group, all entries of which may be gone already.
    pub(super) fn bounds(&self, group: GroupId) -> Bounds {
        self.groups
            .get(&group)
            .map(|written| written.head.bounds)
            .unwrap_or_default()
    }

    pub(super) fn vote_of(&self, group: GroupId) -> Option<Bytes> {
        self.groups.get(&group)?.head.vote.clone()
    }

    /// The oldest segment that holds an entry somebody needs.
    pub(super) fn oldest_needed(&self) -> Option<u64> {
        self.groups
            .values()
            .filter_map(|written| written.extents.front())
            .map(|extent| extent.segment)
            .min()
    }

    /// An entry was written; its index is [`Bounds::next`].
    pub(super) fn entry(&mut self, group: GroupId, index: LogIndex, segment: u64) {
        let written = self.groups.entry(group).or_default();
        written.head.bounds.last = index;
        match written.extents.back_mut() {
            Some(extent) if extent.segment == segment => extent.last = index,
            _ => written.extents.push_back(Extent {
                segment,
                first: index,
                last: index,
            }),
        }
    }

    pub(super) fn vote(&mut self, group: GroupId, vote: Bytes) {
        self.groups.entry(group).or_default().head.vote = Some(vote);
    }

    pub(super) fn truncate_after(&mut self, group: GroupId, index: LogIndex) {
        let written = self.groups.entry(group).or_default();
        written.head.bounds.truncate_after(index);
        let last = written.head.bounds.last;
        while written
            .extents
            .pop_back_if(|extent| extent.first > last)
            .is_some()
        {}
        if let Some(extent) = written.extents.back_mut() {
            extent.last = extent.last.min(last);
        }
        written.forget_purged();
    }

    pub(super) fn purge(&mut self, group: GroupId, id: LogId) {
        let written = self.groups.entry(group).or_default();
        written.head.bounds.purge(id);
        written.forget_purged();
    }

    pub(super) fn reset(&mut self, group: GroupId, id: LogId) {
        let written = self.groups.entry(group).or_default();
        written.head.bounds.reset(id);
        written.extents.clear();
    }
}

impl WrittenGroup {
    fn forget_purged(&mut self) {
        let purged = self.head.bounds.purged_index();
        while self
            .extents
            .pop_front_if(|extent| extent.last <= purged)
            .is_some()
        {}
    }
}
