//! Every acknowledged element stays in its set, and nothing is there that nobody added.
//!
//! An element is known to be there once its addition was acknowledged, or once a read that saw it
//! was answered. From then on every read that begins must see it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Report};
use crate::history::{Act, Call, Found, History};

/// Judges all sets.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut sets: BTreeMap<&str, Set> = BTreeMap::new();
    for call in &calls {
        match call.act {
            Act::Add { set, element } => sets.entry(set).or_default().add(*element, call),
            Act::Elements { set } => sets.entry(set).or_default().look(call),
            _ => {}
        }
    }
    let mut report = Report::new("set");
    for (name, set) in sets {
        report.judged += set.looks.len();
        set.judge(name, &mut report);
    }
    report
}

#[derive(Default)]
struct Set<'a> {
    elements: BTreeMap<u64, Element>,
    looks: Vec<Look<'a>>,
}

/// What is known of an element.
struct Element {
    /// When the first addition that was not refused began; `None` if all were refused.
    begun_at: Option<usize>,
    /// When it was first known to be there.
    known_at: usize,
    /// When the last read that saw it began.
    seen_last: Option<usize>,
}

struct Look<'a> {
    elements: &'a [u64],
    invoked_at: usize,
    completed_at: usize,
    line: usize,
}

impl<'a> Set<'a> {
    fn add(&mut self, element: u64, call: &Call) {
        let element = self.elements.entry(element).or_insert(Element {
            begun_at: None,
            known_at: usize::MAX,
            seen_last: None,
        });
        if !call.failed() {
            element.begun_at.get_or_insert(call.invoked_at);
        }
        if let Some(acknowledged_at) = call.acknowledged_at() {
            element.known_at = element.known_at.min(acknowledged_at);
        }
    }

    fn look(&mut self, call: &Call<'a>) {
        let found = call.answer().and_then(|answer| answer.found.as_ref());
        if let (Some(Found::Elements(elements)), Some(completed_at)) =
            (found, call.acknowledged_at())
        {
            self.looks.push(Look {
                elements,
                invoked_at: call.invoked_at,
                completed_at,
                line: call.line(),
            });
        }
    }

    fn judge(mut self, name: &str, report: &mut Report) {
        for look in &self.looks {
            for number in look.elements {
                if let Some(element) = self.elements.get_mut(number) {
                    element.known_at = element.known_at.min(look.completed_at);
                    element.seen_last = element.seen_last.max(Some(look.invoked_at));
                }
            }
        }
        let mut by_knowledge: Vec<(usize, u64)> = self
            .elements
            .iter()
            .map(|(number, element)| (element.known_at, *number))
            .collect();
        by_knowledge.sort_unstable();
        let mut missed: BTreeSet<u64> = BTreeSet::new();
        for look in &self.looks {
            let there = self.judge_presence(name, look, report);
            let known = by_knowledge.partition_point(|(known_at, _)| *known_at < look.invoked_at);
            for (_, number) in &by_knowledge[..known] {
                // One complaint for each element is enough.
                if !there.contains(number) && missed.insert(*number) {
                    self.complain_of_absence(name, look, *number, report);
                }
            }
        }
    }

    /// Judges the elements that a read saw, and answers them.
    fn judge_presence(&self, name: &str, look: &Look, report: &mut Report) -> BTreeSet<u64> {
        let mut there = BTreeSet::new();
        for number in look.elements {
            let found = format!("line {}: set {name} has element {number}", look.line);
            if !there.insert(*number) {
                report.violate(Kind::Twice, format!("{found} twice"));
                continue;
            }
            match self.elements.get(number).map(|element| element.begun_at) {
                None => report.violate(Kind::Phantom, format!("{found}, which nobody added")),
                Some(None) => {
                    report.violate(
                        Kind::Aborted,
                        format!("{found}, whose addition was refused"),
                    );
                }
                Some(Some(begun_at)) if look.completed_at < begun_at => {
                    report.violate(Kind::Future, format!("{found} before it was added"));
                }
                Some(Some(_)) => {}
            }
        }
        there
    }

    fn complain_of_absence(&self, name: &str, look: &Look, number: u64, report: &mut Report) {
        let last_seen_at = self.elements.get(&number).and_then(|one| one.seen_last);
        let line = look.line;
        if last_seen_at.is_some_and(|last_seen_at| last_seen_at > look.invoked_at) {
            let what =
                format!("line {line}: element {number} of set {name} is missing for a while");
            report.violate(Kind::Stale, what);
        } else {
            let what = format!("line {line}: element {number} of set {name} is gone");
            report.violate(Kind::Lost, what);
        }
    }
}

#[cfg(test)]
mod tests;
