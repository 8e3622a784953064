//! What was produced, with its outcomes.

use std::collections::{BTreeMap, BTreeSet};

use super::partition::Name;
use super::view::View;
use crate::checker::{Kind, Report};
use crate::history::{Call, Place};

/// All messages that somebody produced.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    messages: BTreeMap<Name<'a>, Message<'a>>,
}

/// One message, and all attempts to produce it.
#[derive(Debug, Default)]
struct Message<'a> {
    /// When the first attempt that was not refused began; `None` if all were refused.
    invoked_at: Option<usize>,
    /// When the first acknowledgement came.
    acknowledged_at: Option<usize>,
    /// Where acknowledgements say that it stands, and since when.
    places: Vec<(Place, usize)>,
    /// Attempts that were not refused; those of one request count once.
    attempts: usize,
    requests: BTreeSet<&'a str>,
}

impl<'a> Sent<'a> {
    pub(super) fn of(calls: &[Call<'a>]) -> Self {
        let mut messages: BTreeMap<Name, Message> = BTreeMap::new();
        for call in calls {
            if let Some(name) = call.act.message() {
                messages.entry(name).or_default().attempt(call);
            }
        }
        Self { messages }
    }

    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    /// What acknowledgements say: place, message, since when.
    pub(super) fn places(&self) -> impl Iterator<Item = (Place, Name<'a>, usize)> {
        self.messages.iter().flat_map(|(name, message)| {
            let places = message.places.iter();
            places.map(|(place, since)| (*place, *name, *since))
        })
    }

    /// Whether somebody produced what a fetch found.
    pub(super) fn judge_origin(&self, view: &View, report: &mut Report) {
        for found in view.messages {
            let (key, sequence) = (found.key.as_str(), found.sequence);
            let what = format!(
                "line {}: message {sequence} of key {key} at partition {} offset {}",
                view.line, view.partition, found.offset
            );
            match self
                .messages
                .get(&(key, sequence))
                .map(|one| one.invoked_at)
            {
                None => report.violate(Kind::Phantom, format!("{what} was never produced")),
                Some(None) => report.violate(Kind::Aborted, format!("{what} was refused")),
                Some(Some(invoked_at)) if view.completed_at < invoked_at => {
                    report.violate(Kind::Future, format!("{what} was produced only later"));
                }
                Some(Some(_)) => {}
            }
        }
    }

    /// A message stands at most as often as it was attempted under different requests.
    pub(super) fn judge_copies(
        &self,
        found: &BTreeMap<Name, BTreeSet<Place>>,
        report: &mut Report,
    ) {
        for (name, places) in found {
            let attempts = self.messages.get(name).map_or(1, |one| one.attempts.max(1));
            if places.len() > attempts {
                report.violate(
                    Kind::Twice,
                    format!(
                        "message {} of key {} stands at {} places after {attempts} attempts: {}",
                        name.1,
                        name.0,
                        places.len(),
                        places
                            .iter()
                            .map(Place::to_string)
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                );
            }
        }
    }

    /// A key has one partition, and whoever was produced later stands later there.
    pub(super) fn judge_order(&self, found: &BTreeMap<Name, BTreeSet<Place>>, report: &mut Report) {
        let mut keys: BTreeMap<&str, Vec<Standing>> = BTreeMap::new();
        for ((key, sequence), message) in &self.messages {
            let first = found.get(&(*key, *sequence)).and_then(BTreeSet::first);
            if let (Some(place), Some(invoked_at)) = (first, message.invoked_at) {
                keys.entry(*key).or_default().push(Standing {
                    invoked_at,
                    acknowledged_at: message.acknowledged_at,
                    place: *place,
                    sequence: *sequence,
                });
            }
        }
        for (key, standings) in &mut keys {
            judge_key(key, standings, report);
        }
    }

    /// What was acknowledged without a place must stand somewhere, once all was fetched.
    pub(super) fn judge_unplaced(
        &self,
        found: &BTreeMap<Name, BTreeSet<Place>>,
        views: &[View],
        report: &mut Report,
    ) {
        let partitions: BTreeSet<u32> = views.iter().map(|view| view.partition).collect();
        // By partition: when the last fetch of all of it began.
        let whole: BTreeMap<u32, usize> = views
            .iter()
            .filter(|view| view.from == 0 && view.reaches_end() && view.node.is_none())
            .map(|view| (view.partition, view.invoked_at))
            .collect();
        let fetched_since = match whole.values().min() {
            Some(since) if whole.len() == partitions.len() => *since,
            _ => return,
        };
        for (name, message) in &self.messages {
            let acknowledged = message.acknowledged_at.is_some_and(|at| at < fetched_since);
            if acknowledged && !found.contains_key(name) {
                let what = format!("message {} of key {} stands nowhere", name.1, name.0);
                report.violate(Kind::Lost, what);
            }
        }
    }
}

impl<'a> Message<'a> {
    fn attempt(&mut self, call: &Call<'a>) {
        if call.failed() {
            return;
        }
        self.invoked_at.get_or_insert(call.invoked_at);
        self.attempts += match call.request {
            Some(request) => usize::from(self.requests.insert(request)),
            None => 1,
        };
        if let Some(acknowledged_at) = call.acknowledged_at() {
            self.acknowledged_at = [self.acknowledged_at, Some(acknowledged_at)]
                .into_iter()
                .flatten()
                .min();
            if let Some(place) = call.answer().and_then(|answer| answer.place) {
                self.places.push((place, acknowledged_at));
            }
        }
    }
}

/// Where a message stands first.
#[derive(Debug)]
struct Standing {
    invoked_at: usize,
    acknowledged_at: Option<usize>,
    place: Place,
    sequence: u64,
}

fn judge_key(key: &str, standings: &mut [Standing], report: &mut Report) {
    if let Some(other) = standings
        .iter()
        .find(|one| one.place.partition != standings[0].place.partition)
    {
        let what = format!(
            "key {key} stands in partitions {} and {}",
            standings[0].place.partition, other.place.partition
        );
        report.violate(Kind::Reordered, what);
        return;
    }
    standings.sort_unstable_by_key(|one| one.invoked_at);
    let mut by_end: Vec<(usize, Place)> = standings
        .iter()
        .filter_map(|one| Some((one.acknowledged_at?, one.place)))
        .collect();
    by_end.sort_unstable();
    let mut ended = by_end.into_iter().peekable();
    let mut highest: Option<Place> = None;
    for one in standings {
        while let Some((_, place)) = ended.next_if(|(at, _)| *at < one.invoked_at) {
            highest = highest.max(Some(place));
        }
        if highest.is_some_and(|highest| one.place < highest) {
            let what = format!(
                "message {} of key {key} at {} stands before one that was acknowledged before it \
                 began",
                one.sequence, one.place
            );
            report.violate(Kind::Reordered, what);
        }
    }
}
