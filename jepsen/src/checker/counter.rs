//! A count lies between what must have been added and what may have been.
//!
//! Attempts of one request count once. Cheap where [`linearizable`](super::linearizable) gives up,
//! and weaker: it never looks at two reads together, but for counters that only grow.

use std::collections::{BTreeMap, HashMap};

use super::flow::Flow;
use super::{Kind, Report};
use crate::history::{Act, Call, Found, History};

/// Judges all counters.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut counters: BTreeMap<&str, Counter> = BTreeMap::new();
    for call in &calls {
        match call.act {
            Act::Increment { counter, by } => counters.entry(counter).or_default().add(call, *by),
            Act::Count { counter } => counters.entry(counter).or_default().read(call),
            _ => {}
        }
    }
    let mut report = Report::new("counter");
    for (name, counter) in counters {
        report.judged += counter.reads.len();
        counter.judge(name, &mut report);
    }
    report
}

#[derive(Default)]
struct Counter<'a> {
    additions: Vec<Addition>,
    /// By request: which addition.
    requests: HashMap<&'a str, usize>,
    reads: Vec<Read>,
}

struct Addition {
    invoked_at: usize,
    acknowledged_at: Option<usize>,
    by: i64,
}

struct Read {
    count: i64,
    invoked_at: usize,
    completed_at: usize,
    line: usize,
}

impl<'a> Counter<'a> {
    fn add(&mut self, call: &Call<'a>, by: i64) {
        if call.failed() {
            return;
        }
        let acknowledged_at = call.acknowledged_at();
        let earlier = call.request.and_then(|name| self.requests.get(name));
        if let Some(addition) = earlier.and_then(|index| self.additions.get_mut(*index)) {
            let times = [addition.acknowledged_at, acknowledged_at];
            addition.acknowledged_at = times.into_iter().flatten().min();
            return;
        }
        if let Some(request) = call.request {
            self.requests.insert(request, self.additions.len());
        }
        self.additions.push(Addition {
            invoked_at: call.invoked_at,
            acknowledged_at,
            by,
        });
    }

    fn read(&mut self, call: &Call) {
        let found = call.answer().and_then(|answer| answer.found.as_ref());
        if let (Some(Found::Count(count)), Some(completed_at)) = (found, call.acknowledged_at()) {
            self.reads.push(Read {
                count: *count,
                invoked_at: call.invoked_at,
                completed_at,
                line: call.line(),
            });
        }
    }

    fn judge(&self, name: &str, report: &mut Report) {
        let mut flow = Flow::default();
        for addition in &self.additions {
            flow.add(addition.invoked_at, addition.acknowledged_at, addition.by);
        }
        flow.seal();
        for read in &self.reads {
            let (low, high) = flow.bounds(read.invoked_at, read.completed_at);
            if !(low..=high).contains(&i128::from(read.count)) {
                let what = format!(
                    "line {}: counter {name} is {}, which is not in {low}..={high}",
                    read.line, read.count
                );
                report.violate(Kind::OutOfBounds, what);
            }
        }
        if self.additions.iter().all(|addition| addition.by >= 0) {
            self.judge_growth(name, report);
        }
    }

    /// Whether a counter that only grows was ever read as less than before.
    fn judge_growth(&self, name: &str, report: &mut Report) {
        let mut by_end: Vec<&Read> = self.reads.iter().collect();
        by_end.sort_unstable_by_key(|read| read.completed_at);
        let mut ended = by_end.into_iter().peekable();
        let mut highest: Option<&Read> = None;
        for read in &self.reads {
            while let Some(earlier) = ended.next_if(|one| one.completed_at < read.invoked_at) {
                highest = highest
                    .filter(|highest| highest.count >= earlier.count)
                    .or(Some(earlier));
            }
            if let Some(earlier) = highest.filter(|highest| highest.count > read.count) {
                let what = format!(
                    "line {}: counter {name} is {}, and was {} on line {}",
                    read.line, read.count, earlier.count, earlier.line
                );
                report.violate(Kind::Stale, what);
            }
        }
    }
}

#[cfg(test)]
mod tests;
