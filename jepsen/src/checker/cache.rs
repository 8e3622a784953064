//! A cached value was the row's value at some time during the read, and a reader never goes back.
//!
//! ```text
//! value v   written ────► known ─────────────────► over
//!           w(v) begins   w(v) or a read of v       something that began after `known` has shown
//!                         is answered               another value, and is answered
//! ```
//!
//! A read that ends before `written`, or begins after `over`, cannot have found v in the row.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Kind, Report};
use crate::history::{Act, Call, History};

/// Judges all cached reads.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for call in &calls {
        match call.act {
            Act::Put { key, value } | Act::Cas { key, value, .. } => {
                rows.entry(key).or_default().write(value, call);
            }
            Act::Delete { key } if !call.failed() => rows.entry(key).or_default().delete(call),
            Act::Read { key } => rows.entry(key).or_default().read(call, false),
            Act::CachedRead { key } => rows.entry(key).or_default().read(call, true),
            _ => {}
        }
    }
    let mut report = Report::new("cache");
    for (key, row) in rows.into_iter().filter(|(_, row)| !row.looks.is_empty()) {
        row.judge(key, &mut report);
    }
    report
}

/// `None` if the row is absent.
type Value<'a> = Option<&'a str>;

#[derive(Default)]
struct Row<'a> {
    values: HashMap<Value<'a>, Made>,
    /// Times at whose end some value was the row's, or had been since the beginning.
    shown: Vec<Shown<'a>>,
    looks: Vec<Look<'a>>,
}

/// How a value came to be.
struct Made {
    /// When the first write that was not refused began; `None` if all were refused.
    begun_at: Option<usize>,
    /// How many writes of it were not refused.
    count: usize,
    /// When it was first known to have been the row's value.
    known_at: usize,
}

struct Shown<'a> {
    value: Value<'a>,
    from: usize,
    until: usize,
}

/// A cached read.
struct Look<'a> {
    value: Value<'a>,
    process: u64,
    /// 0 if it is not known.
    revision: u64,
    invoked_at: usize,
    completed_at: usize,
    line: usize,
}

impl<'a> Row<'a> {
    fn write(&mut self, value: &'a str, call: &Call) {
        let made = self.values.entry(Some(value)).or_insert(Made {
            begun_at: None,
            count: 0,
            known_at: usize::MAX,
        });
        if call.failed() {
            return;
        }
        made.begun_at.get_or_insert(call.invoked_at);
        made.count += 1;
        if let Some(acknowledged_at) = call.acknowledged_at() {
            self.show(Some(value), call.invoked_at, acknowledged_at);
        }
    }

    fn delete(&mut self, call: &Call) {
        // The row was absent at first too, so absence has no single beginning.
        self.absence().count += 1;
        if let Some(acknowledged_at) = call.acknowledged_at() {
            self.show(None, call.invoked_at, acknowledged_at);
        }
    }

    fn read(&mut self, call: &Call<'a>, is_cached: bool) {
        let (Some(answer), Some(completed_at)) = (call.answer(), call.acknowledged_at()) else {
            return;
        };
        let value = answer.read.as_deref();
        if is_cached {
            self.looks.push(Look {
                value,
                process: call.process,
                revision: answer.revision,
                invoked_at: call.invoked_at,
                completed_at,
                line: call.line(),
            });
        } else {
            self.show(value, call.invoked_at, completed_at);
        }
    }

    fn show(&mut self, value: Value<'a>, from: usize, until: usize) {
        self.shown.push(Shown { value, from, until });
    }

    fn absence(&mut self) -> &mut Made {
        self.values.entry(None).or_insert(Made {
            begun_at: Some(0),
            count: 1,
            known_at: 0,
        })
    }

    fn judge(mut self, key: &str, report: &mut Report) {
        self.absence();
        for shown in &self.shown {
            if let Some(made) = self.values.get_mut(&shown.value) {
                made.known_at = made.known_at.min(shown.until);
            }
        }
        // Who found a value in a cache knows as well that its write had happened by then.
        for look in &self.looks {
            let Some(made) = self.values.get_mut(&look.value) else {
                continue;
            };
            made.known_at = made.known_at.min(look.completed_at);
            if let (Some(begun_at), 1, Some(_)) = (made.begun_at, made.count, look.value) {
                self.shown.push(Shown {
                    value: look.value,
                    from: begun_at,
                    until: look.completed_at,
                });
            }
        }
        let over = Over::of(self.shown);
        for look in &self.looks {
            report.judged += 1;
            judge_look(key, look, self.values.get(&look.value), &over, report);
        }
        judge_readers(key, &self.looks, &self.values, report);
    }
}

fn judge_look(key: &str, look: &Look, made: Option<&Made>, over: &Over, report: &mut Report) {
    let value = look.value.unwrap_or("absent");
    let found = format!("line {}: row {key} is cached as {value}", look.line);
    let Some(made) = made else {
        report.violate(Kind::Phantom, format!("{found}, which nobody wrote"));
        return;
    };
    let Some(begun_at) = made.begun_at else {
        report.violate(Kind::Aborted, format!("{found}, whose write was refused"));
        return;
    };
    if look.completed_at < begun_at {
        report.violate(Kind::Future, format!("{found} before that was written"));
        return;
    }
    // A value that was made twice may have come back.
    let over_at = over.after(look.value, made.known_at);
    if made.count == 1 && over_at < look.invoked_at {
        let line = over_at + 1;
        report.violate(
            Kind::Stale,
            format!("{found}, and another value was known on line {line}"),
        );
    }
}

/// Whether any reader found a value, then another, and then the first again.
fn judge_readers(key: &str, looks: &[Look], values: &HashMap<Value, Made>, report: &mut Report) {
    let mut readers: BTreeMap<u64, Reader> = BTreeMap::new();
    for look in looks {
        let reader = readers.entry(look.process).or_default();
        let is_unique = values.get(&look.value).is_some_and(|made| made.count == 1);
        let left = is_unique && reader.left.contains(&look.value);
        let older = look.revision != 0 && look.revision < reader.revision;
        if left || older {
            let what = format!(
                "line {}: process {} finds row {key} as {} after something newer",
                look.line,
                look.process,
                look.value.unwrap_or("absent")
            );
            report.violate(Kind::MonotonicReads, what);
        }
        if let Some(last) = reader
            .last
            .replace(look.value)
            .filter(|last| *last != look.value)
        {
            reader.left.insert(last);
        }
        reader.revision = reader.revision.max(look.revision);
    }
}

#[derive(Default)]
struct Reader<'a> {
    last: Option<Value<'a>>,
    /// Values that gave way to others.
    left: HashSet<Value<'a>>,
    /// The highest revision found.
    revision: u64,
}

/// Answers when a value was certainly over.
struct Over<'a> {
    /// By time from which something was shown: the two first ends of different values among all
    /// that was shown from then on.
    ends: Vec<(usize, First<'a>)>,
}

/// The value that was shown first, with the end of that; and the end of the first other one.
#[derive(Clone, Copy)]
struct First<'a> {
    value: Value<'a>,
    until: usize,
    other_until: usize,
}

impl<'a> Over<'a> {
    fn of(mut shown: Vec<Shown<'a>>) -> Self {
        shown.sort_unstable_by_key(|shown| shown.from);
        let mut ends: Vec<(usize, First)> = Vec::with_capacity(shown.len());
        let mut first: Option<First> = None;
        for shown in shown.iter().rev() {
            let next = match first {
                None => First {
                    value: shown.value,
                    until: shown.until,
                    other_until: usize::MAX,
                },
                Some(first) if first.value == shown.value => First {
                    until: first.until.min(shown.until),
                    ..first
                },
                Some(first) if shown.until < first.until => First {
                    value: shown.value,
                    until: shown.until,
                    other_until: first.until,
                },
                Some(first) => First {
                    other_until: first.other_until.min(shown.until),
                    ..first
                },
            };
            first = Some(next);
            ends.push((shown.from, next));
        }
        ends.reverse();
        Self { ends }
    }

    /// When the first other value was shown by something that began after `known_at`.
    fn after(&self, value: Value, known_at: usize) -> usize {
        let index = self.ends.partition_point(|(from, _)| *from < known_at);
        match self.ends.get(index) {
            Some((_, first)) if first.value == value => first.other_until,
            Some((_, first)) => first.until,
            None => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests;
