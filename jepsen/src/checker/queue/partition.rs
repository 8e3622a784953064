//! What is known to stand at each offset of a partition, and since when.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use crate::checker::{Kind, Report};
use crate::history::Place;

/// A message's name: its key and sequence.
pub(super) type Name<'a> = (&'a str, u64);

/// One partition.
#[derive(Debug, Default)]
pub(super) struct Partition<'a> {
    offsets: BTreeMap<u64, Known<'a>>,
    /// Offsets whose loss was told.
    told: BTreeSet<u64>,
}

/// What stands at an offset.
#[derive(Debug)]
struct Known<'a> {
    name: Name<'a>,
    /// When that was first acknowledged or answered.
    since: usize,
    /// The node that said so first, if it was one alone.
    node: Option<u64>,
}

impl<'a> Partition<'a> {
    /// A message stands at an offset: an acknowledgement says so, or a fetch.
    pub(super) fn know(
        &mut self,
        offset: u64,
        name: Name<'a>,
        since: usize,
        view: Option<&View>,
        report: &mut Report,
    ) {
        let node = view.and_then(|view| view.node);
        let known = self
            .offsets
            .entry(offset)
            .or_insert(Known { name, since, node });
        if known.name == name {
            known.since = known.since.min(since);
            return;
        }
        let kind = match (known.node, node) {
            (Some(one), Some(other)) if one != other => Kind::Diverged,
            _ => Kind::Conflicting,
        };
        let who = view.map_or_else(
            || "an acknowledgement".to_owned(),
            |view| format!("line {}: {}", view.line, view.who()),
        );
        report.violate(
            kind,
            format!(
                "{who} has message {} of key {} at offset {offset}, where message {} of key {} was",
                name.1, name.0, known.name.1, known.name.0
            ),
        );
    }

    /// Whether a fetch shows everything that was known before it began.
    pub(super) fn judge_losses(&mut self, view: &View, views: &[View], report: &mut Report) {
        // A follower's early end means something only when nothing of it is fetched later.
        let is_whole = view.reaches_end() && (view.node.is_none() || view.is_last);
        let until = if is_whole { u64::MAX } else { view.next() };
        if until <= view.from {
            return;
        }
        let there: BTreeSet<u64> = view.messages.iter().map(|message| message.offset).collect();
        for (offset, known) in self.offsets.range(view.from..until) {
            let missing = known.since < view.invoked_at && !there.contains(offset);
            if !missing || !self.told.insert(*offset) {
                continue;
            }
            let kind = match seen_by_another(*offset, known.name, view, views) {
                Some(other) if other.node != view.node => Kind::Diverged,
                Some(_) => Kind::Stale,
                None => kind_of_loss(*offset, &there),
            };
            report.violate(
                kind,
                format!(
                    "line {}: {} has no message {} of key {} at partition {} offset {offset}",
                    view.line,
                    view.who(),
                    known.name.1,
                    known.name.0,
                    view.partition
                ),
            );
        }
    }
}

/// A fetch that saw what another missed, though it began no earlier, or on another node.
fn seen_by_another<'v, 'a>(
    offset: u64,
    name: Name,
    view: &View,
    views: &'v [View<'a>],
) -> Option<&'v View<'a>> {
    views.iter().find(|other| {
        other.partition == view.partition
            && (other.invoked_at > view.invoked_at || other.node != view.node)
            && other.messages.iter().any(|message| {
                message.offset == offset && (message.key.as_str(), message.sequence) == name
            })
    })
}

fn kind_of_loss(offset: u64, there: &BTreeSet<u64>) -> Kind {
    match (there.first(), there.last()) {
        (Some(first), _) if offset < *first => Kind::LostPrefix,
        (_, Some(last)) if offset > *last => Kind::LostSuffix,
        (Some(_), Some(_)) => Kind::LostMiddle,
        _ => Kind::Lost,
    }
}

/// Where each message was found.
pub(super) fn places_by_message<'a>(
    partitions: &BTreeMap<u32, Partition<'a>>,
) -> BTreeMap<Name<'a>, BTreeSet<Place>> {
    let mut places: BTreeMap<Name, BTreeSet<Place>> = BTreeMap::new();
    for (partition, known) in partitions {
        for (offset, known) in &known.offsets {
            let place = Place {
                partition: *partition,
                offset: *offset,
            };
            places.entry(known.name).or_default().insert(place);
        }
    }
    places
}
