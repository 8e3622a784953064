//! A set that ends is whole until its end, and gone from then on.
//!
//! Each read tells at which revision it was made, when the set came into being, and when it ends.
//! So elements are judged by their revisions alone. Of the cluster's time two things are known: at
//! which it was read; and when a set came into being it was its end less its ttl, so that whoever
//! has read that knows that it is later now.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Kind, Report};
use crate::history::{Act, Call, Found, History, Incarnation};

/// Judges all sets that end.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut sets: BTreeMap<&str, Set> = BTreeMap::new();
    let mut clock = Vec::new();
    for call in &calls {
        match call.act {
            Act::Join { set, element } => sets.entry(set).or_default().join(*element, call),
            Act::Ending { set, ttl_ms } => {
                if let Some(look) = Look::of(call) {
                    let incarnation = look.incarnation;
                    let began = incarnation.map(|one| one.ends_ms.saturating_sub(*ttl_ms));
                    clock.extend(began.map(|began_ms| (look.completed_at, began_ms)));
                    sets.entry(set).or_default().looks.push(look);
                }
            }
            _ => {}
        }
    }
    let clock = highest_so_far(clock);
    let mut report = Report::new("ends");
    for (name, set) in sets {
        report.judged += set.looks.len();
        set.judge(name, &clock, &mut report);
    }
    report
}

#[derive(Default)]
struct Set<'a> {
    joins: HashMap<u64, Join>,
    looks: Vec<Look<'a>>,
}

/// What is known of an element.
#[derive(Default)]
struct Join {
    /// The commit that added it, if somebody was told.
    revision: Option<u64>,
    /// Some attempt was not refused.
    may_have_happened: bool,
}

struct Look<'a> {
    at: u64,
    incarnation: Option<&'a Incarnation>,
    invoked_at: usize,
    completed_at: usize,
    line: usize,
}

impl<'a> Look<'a> {
    fn of(call: &Call<'a>) -> Option<Self> {
        let Found::Ending { at, incarnation } = call.answer()?.found.as_ref()? else {
            return None;
        };
        Some(Self {
            at: *at,
            incarnation: incarnation.as_ref(),
            invoked_at: call.invoked_at,
            completed_at: call.acknowledged_at()?,
            line: call.line(),
        })
    }
}

impl Set<'_> {
    fn join(&mut self, element: u64, call: &Call) {
        let join = self.joins.entry(element).or_default();
        join.may_have_happened |= !call.failed();
        let revision = call.answer().map(|answer| answer.revision);
        join.revision = join.revision.or(revision.filter(|revision| *revision > 0));
    }

    fn judge(&self, name: &str, clock: &[(usize, u64)], report: &mut Report) {
        let mut ends: HashMap<u64, u64> = HashMap::new();
        // By the revision that added them, as far as somebody was told.
        let added = self.joins.iter();
        let added = added.filter_map(|(element, join)| Some((join.revision?, *element)));
        let added: BTreeSet<(u64, u64)> = added.collect();
        let absent = self.looks.iter().filter(|look| look.incarnation.is_none());
        let absent = absent.map(|look| (look.completed_at, look.at));
        let absent = highest_so_far(absent.collect());
        for look in &self.looks {
            let Some(found) = look.incarnation else {
                continue;
            };
            let set = format!(
                "line {}: set {name} of revision {}",
                look.line, found.created
            );
            let first = *ends.entry(found.created).or_insert(found.ends_ms);
            if first != found.ends_ms {
                let what = format!("{set} ends at {}, and {first} was its end", found.ends_ms);
                report.violate(Kind::Contradictory, what);
            }
            let now_ms = known_before(clock, look.invoked_at).max(found.now_ms);
            if found.ends_ms <= now_ms {
                let what = format!("{set} ended at {}, and it is past {now_ms}", found.ends_ms);
                report.violate(Kind::Stale, what);
            }
            let gone_at = known_before(&absent, look.invoked_at);
            if found.created <= gone_at {
                let what = format!("{set} is there, and was gone at revision {gone_at}");
                report.violate(Kind::Stale, what);
            }
            self.judge_elements(&set, (look.at, &added), found, report);
        }
    }

    fn judge_elements(
        &self,
        set: &str,
        (at, added): (u64, &BTreeSet<(u64, u64)>),
        found: &Incarnation,
        report: &mut Report,
    ) {
        for element in &found.elements {
            let has = format!("{set} has element {element}");
            match self.joins.get(element) {
                None => report.violate(Kind::Phantom, format!("{has}, which nobody added")),
                Some(join) if !join.may_have_happened => {
                    report.violate(Kind::Aborted, format!("{has}, whose addition was refused"));
                }
                Some(join) => match join.revision {
                    Some(revision) if revision < found.created => {
                        let what = format!("{has}, which was added at revision {revision}");
                        report.violate(Kind::Stale, what);
                    }
                    Some(revision) if revision > at => {
                        let what = format!("{has} at {at}, which was added at {revision}");
                        report.violate(Kind::Future, what);
                    }
                    Some(_) | None => {}
                },
            }
        }
        let there: HashSet<u64> = found.elements.iter().copied().collect();
        let of_this_life = added.range((found.created, 0)..=(at.max(found.created), u64::MAX));
        for (_, element) in of_this_life.filter(|(_, element)| !there.contains(element)) {
            let what = format!("{set} has no element {element} at {at}");
            report.violate(Kind::Lost, what);
        }
    }
}

/// From each place in the history on, the highest of what is known.
fn highest_so_far(mut known: Vec<(usize, u64)>) -> Vec<(usize, u64)> {
    known.sort_unstable();
    let mut highest = 0;
    for (_, value) in &mut known {
        highest = highest.max(*value);
        *value = highest;
    }
    known
}

/// What was known before a place in the history.
fn known_before(known: &[(usize, u64)], at: usize) -> u64 {
    let count = known.partition_point(|(place, _)| *place < at);
    count.checked_sub(1).map_or(0, |last| known[last].1)
}

#[cfg(test)]
mod tests;
