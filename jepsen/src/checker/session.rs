//! What a process has read or written stays true for it, and for whoever sees what it wrote.
//!
//! ```text
//! read your writes      w(x)1 … r(x) of the same process: 1 or newer
//! monotonic reads       r(x)2 … r(x) of the same process: 2 or newer
//! monotonic writes      w(x)1, w(y)2 of one process: who sees y2 sees x1 or newer
//! writes follow reads   r(x)1, w(y)2 of one process: who sees y2 sees x1 or newer
//! ```
//!
//! Which value is newer is told by revisions: of the acknowledged write that made a value, or of
//! the read that found it. A value without one is passed over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::{Kind, Report};
use crate::history::{Act, Answer, Call, History};

/// Judges reads of rows of any kind, and the revisions of writes.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let rows = Rows::of(&calls);
    let mut events: Vec<(usize, bool, &Call)> = Vec::with_capacity(2 * calls.len());
    for call in &calls {
        if let Some(completed_at) = call.acknowledged_at() {
            events.push((call.invoked_at, false, call));
            events.push((completed_at, true, call));
        } else if !call.failed() {
            // It may have taken effect, with all that its process knew when it began.
            events.push((call.invoked_at, false, call));
        }
    }
    events.sort_unstable_by_key(|(at, ..)| *at);
    let mut judge = Judge {
        rows: &rows,
        sessions: BTreeMap::new(),
        knew: HashMap::new(),
        report: Report::new("session"),
    };
    // What a writer knew stands before anybody can have seen what it wrote.
    for (_, is_end, call) in events {
        judge.take(call, is_end);
    }
    judge.report
}

/// What must be seen of a row at least, and why.
#[derive(Clone, Copy)]
struct Due {
    revision: u64,
    kind: Why,
    line: usize,
}

/// How a process came to know of a revision.
#[derive(Clone, Copy, PartialEq)]
enum Why {
    Wrote,
    Read,
    SawWhatFollowedWrite,
    SawWhatFollowedRead,
}

/// What a process knows: by row, what it must see at least.
type Frontier<'a> = Rc<BTreeMap<&'a str, Due>>;

/// What all calls tell of the rows.
struct Rows<'a> {
    /// By row and value: the revision that made it; `None` if two did.
    revisions: HashMap<(&'a str, &'a str), Option<u64>>,
    /// By row and value: the request that makes it; `None` if more than one write may.
    makers: HashMap<(&'a str, &'a str), Option<Maker<'a>>>,
    /// Rows whose absence may come after their presence.
    deleted: BTreeSet<&'a str>,
    /// Rows that somebody reads; nothing need be known of others.
    read: BTreeSet<&'a str>,
}

/// A write: all attempts of one request, or a single call by its line.
#[derive(Clone, Copy, PartialEq)]
enum Maker<'a> {
    Request(&'a str),
    Line(usize),
}

impl<'a> Rows<'a> {
    fn of(calls: &[Call<'a>]) -> Self {
        let mut rows = Self {
            revisions: HashMap::new(),
            makers: HashMap::new(),
            deleted: BTreeSet::new(),
            read: BTreeSet::new(),
        };
        for call in calls {
            if let Some(key) = read_key(call.act) {
                rows.read.insert(key);
                if let Some(Answer {
                    revision,
                    read: Some(value),
                    ..
                }) = call.answer()
                {
                    rows.learn(key, value, *revision);
                }
            }
            match written(call.act) {
                Some((key, None)) if !call.failed() => {
                    rows.deleted.insert(key);
                }
                Some((key, Some(value))) if !call.failed() => rows.make(key, value, call),
                _ => {}
            }
        }
        rows
    }

    fn make(&mut self, key: &'a str, value: &'a str, call: &Call<'a>) {
        let maker = call
            .request
            .map_or(Maker::Line(call.line()), Maker::Request);
        let known = self.makers.entry((key, value)).or_insert(Some(maker));
        if *known != Some(maker) {
            *known = None;
        }
        if let Some(answer) = call.answer() {
            self.learn(key, value, answer.revision);
        }
    }

    /// Whether one write alone can have made a value.
    fn is_unique(&self, key: &'a str, value: &'a str) -> bool {
        self.makers.get(&(key, value)).is_some_and(Option::is_some)
    }

    fn learn(&mut self, key: &'a str, value: &'a str, revision: u64) {
        if revision != 0 {
            let known = self.revisions.entry((key, value)).or_insert(Some(revision));
            if *known != Some(revision) {
                *known = None;
            }
        }
    }

    /// The revision that made what was read, if that is known.
    fn revision_of(&self, key: &'a str, answer: &'a Answer) -> Option<u64> {
        match answer.read.as_deref() {
            _ if answer.revision != 0 => Some(answer.revision),
            Some(value) if !self.is_unique(key, value) => None,
            Some(value) => self.revisions.get(&(key, value)).copied().flatten(),
            None => (!self.deleted.contains(key)).then_some(0),
        }
    }
}

fn read_key(act: &Act) -> Option<&str> {
    match act {
        Act::Read { key } | Act::CachedRead { key } | Act::LocalRead { key } => Some(key),
        _ => None,
    }
}

/// The row that is written, and its value; `None` if it is deleted.
fn written(act: &Act) -> Option<(&str, Option<&str>)> {
    match act {
        Act::Put { key, value } | Act::Cas { key, value, .. } => Some((key, Some(value))),
        Act::Delete { key } => Some((key, None)),
        _ => None,
    }
}

struct Judge<'r, 'a> {
    rows: &'r Rows<'a>,
    sessions: BTreeMap<u64, Frontier<'a>>,
    /// By row and value: what its writer knew when it began.
    knew: HashMap<(&'a str, &'a str), Frontier<'a>>,
    report: Report,
}

impl<'a> Judge<'_, 'a> {
    fn take(&mut self, call: &Call<'a>, is_end: bool) {
        match (written(call.act), read_key(call.act)) {
            (Some((key, value)), _) if !is_end => self.begin_write(call, key, value),
            (Some((key, _)), _) => self.end_write(call, key),
            (None, Some(key)) if is_end => self.end_read(call, key),
            _ => {}
        }
    }

    fn begin_write(&mut self, call: &Call<'a>, key: &'a str, value: Option<&'a str>) {
        if let (Some(value), Some(frontier)) = (value, self.sessions.get(&call.process)) {
            self.knew.insert((key, value), Rc::clone(frontier));
        }
        let Some(answer) = call.answer().filter(|answer| answer.revision != 0) else {
            return;
        };
        self.report.judged += 1;
        let Some(frontier) = self.sessions.get(&call.process) else {
            return;
        };
        // A compare-and-set or put that began later than this commit was seen has a higher one;
        // a delete that found nothing has none of its own.
        let newest = frontier.values().max_by_key(|due| due.revision);
        let Some(due) = newest.filter(|due| due.revision >= answer.revision) else {
            return;
        };
        if value.is_some() {
            let kind = match due.kind {
                Why::Wrote | Why::SawWhatFollowedWrite => Kind::MonotonicWrites,
                Why::Read | Why::SawWhatFollowedRead => Kind::WritesFollowReads,
            };
            let what = format!(
                "line {}: process {} writes revision {} and knew of {} since line {}",
                call.line(),
                call.process,
                answer.revision,
                due.revision,
                due.line
            );
            self.report.violate(kind, what);
        }
    }

    fn end_write(&mut self, call: &Call<'a>, key: &'a str) {
        let revision = call.answer().map_or(0, |answer| answer.revision);
        if revision != 0 && self.rows.read.contains(key) {
            let due = Due {
                revision,
                kind: Why::Wrote,
                line: call.line(),
            };
            self.know(call.process, key, due);
        }
    }

    fn end_read(&mut self, call: &Call<'a>, key: &'a str) {
        let Some(answer) = call.answer() else {
            return;
        };
        let Some(revision) = self.rows.revision_of(key, answer) else {
            return;
        };
        self.report.judged += 1;
        let due = self
            .sessions
            .get(&call.process)
            .and_then(|known| known.get(key));
        if let Some(due) = due.filter(|due| due.revision > revision) {
            let kind = match due.kind {
                Why::Wrote => Kind::ReadYourWrites,
                Why::Read => Kind::MonotonicReads,
                Why::SawWhatFollowedWrite => Kind::MonotonicWrites,
                Why::SawWhatFollowedRead => Kind::WritesFollowReads,
            };
            let what = format!(
                "line {}: process {} reads row {key} of revision {revision}, and {} was due since \
                 line {}",
                call.line(),
                call.process,
                due.revision,
                due.line
            );
            self.report.violate(kind, what);
        }
        let due = Due {
            revision,
            kind: Why::Read,
            line: call.line(),
        };
        self.know(call.process, key, due);
        let value = answer.read.as_deref();
        let behind = value
            .filter(|value| self.rows.is_unique(key, value))
            .and_then(|value| self.knew.get(&(key, value)).cloned());
        for (key, due) in behind.iter().flat_map(|frontier| frontier.iter()) {
            let kind = match due.kind {
                Why::Wrote | Why::SawWhatFollowedWrite => Why::SawWhatFollowedWrite,
                Why::Read | Why::SawWhatFollowedRead => Why::SawWhatFollowedRead,
            };
            self.know(call.process, key, Due { kind, ..*due });
        }
    }

    fn know(&mut self, process: u64, key: &'a str, due: Due) {
        // Everybody knows of revision 0.
        if due.revision == 0 {
            return;
        }
        let frontier = self.sessions.entry(process).or_default();
        if frontier
            .get(key)
            .is_none_or(|known| known.revision < due.revision)
        {
            Rc::make_mut(frontier).insert(key, due);
        }
    }
}

#[cfg(test)]
mod tests;
