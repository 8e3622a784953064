//! One order of all operations on a thing explains every answer, and agrees with real time.
//!
//! Rows, counters and locks are judged each for itself: a history is linearizable exactly if that
//! of each thing is. A scan at the end reads every row.
//!
//! # Not here
//! Reads through caches and of followers, which promise less: see `cache` and `session`.

mod count;
mod lifted;
mod lock;
mod register;
mod values;
mod wgl;

use std::collections::HashMap;
use std::fmt::Debug;

pub use count::{Counter, Tally};
pub use lock::{Held, Hold, Lock};
pub use register::{ABSENT, Access, Register, Value};
pub use wgl::{Model, Operation, Outcome, search};

use super::{Kind, Report};
use crate::history::{Act, Answer, Call, Found, History};
use count::Tallies;
use lock::Holds;
use register::Accesses;
use values::Values;

/// So many steps are searched for one thing; beyond, the verdict is `unknown`. A step may cost
/// 60 bytes, so this bounds the memory too.
pub const STEPS_MAX: u64 = 5_000_000;

/// Judges rows, counters and locks.
pub fn check(history: &History) -> Report {
    check_within(history, STEPS_MAX)
}

/// Judges with another limit of steps for each thing.
pub fn check_within(history: &History, steps_max: u64) -> Report {
    let calls = history.calls();
    let mut things = Things::default();
    for call in &calls {
        things.take(call);
    }
    let mut judge = Judge {
        report: Report::new("linearizable"),
        steps_max,
    };
    for (key, mut row) in things.rows.in_order() {
        row.cut_down_unknown();
        let show = |value: &Value| things.values.name(*value).to_owned();
        judge.search(
            &format!("row {key}"),
            &Register,
            &row.operations,
            &row.lines,
            show,
        );
    }
    for (name, mut counter) in things.counters.in_order() {
        counter.cut_down_unknown();
        let show = i64::to_string;
        let (operations, lines) = (&counter.operations, &counter.lines);
        judge.search(
            &format!("counter {name}"),
            &Counter,
            operations,
            lines,
            show,
        );
    }
    for (name, lock) in things.locks.in_order() {
        let model = Lock {
            leased: lock.leased,
        };
        let show = |held: &Held| format!("{held:?}");
        judge.search(
            &format!("lock {name}"),
            &model,
            &lock.operations,
            &lock.lines,
            show,
        );
    }
    judge.report
}

struct Judge {
    report: Report,
    steps_max: u64,
}

impl Judge {
    fn search<M: Model<State: Debug>>(
        &mut self,
        thing: &str,
        model: &M,
        operations: &[Operation<M::Input>],
        lines: &[usize],
        show: impl Fn(&M::State) -> String,
    ) {
        self.report.judged += operations.len();
        match search(model, operations, self.steps_max) {
            Outcome::Linearizable => {}
            Outcome::Violated {
                blocked,
                placed_count,
                state,
            } => self.report.violate(
                Kind::NotLinearizable,
                format!(
                    "{thing}: the operation that began on line {} has no place; the longest order \
                     holds {placed_count} of {} operations and ends with {}",
                    lines[blocked],
                    operations.len(),
                    show(&state)
                ),
            ),
            Outcome::GaveUp => self.report.undecided.push(format!(
                "{thing}: {} operations were not decided in {} steps",
                operations.len(),
                self.steps_max
            )),
        }
    }
}

/// All things that the calls touch.
#[derive(Debug, Default)]
struct Things<'a> {
    values: Values<'a>,
    rows: ByName<'a, Accesses>,
    counters: ByName<'a, Tallies>,
    locks: ByName<'a, Holds>,
}

impl<'a> Things<'a> {
    fn take(&mut self, call: &Call<'a>) {
        let answer = call.answer();
        match call.act {
            Act::Put { key, value } => {
                let access = Access::Write(self.values.number(value.as_str()));
                self.rows.of(key).push(call, access);
            }
            Act::Cas {
                key,
                expected,
                value,
            } => {
                let expected = self.values.optional(expected.as_deref());
                let access = Access::Cas(expected, self.values.number(value.as_str()));
                self.rows.of(key).push(call, access);
            }
            Act::Delete { key } => self.rows.of(key).push(call, Access::Write(ABSENT)),
            Act::Commit { row, sequence, .. } => {
                let access = Access::Write(self.values.number(sequence.to_string()));
                self.rows.of(row).push(call, access);
            }
            Act::Read { key } => {
                let read = answer.and_then(|answer| answer.read.as_deref());
                let access = Access::Read(self.values.optional(read));
                self.rows.of(key).push(call, access);
            }
            Act::Scan => self.scan(call),
            Act::Increment { counter, by } => {
                let sum = match call.answer().and_then(|answer| answer.found.as_ref()) {
                    Some(Found::Count(sum)) => Some(*sum),
                    _ => None,
                };
                let addition = Tally::Add(*by, sum);
                self.counters.of(counter).push(call, addition);
            }
            Act::Count { counter } => {
                if let Some(Found::Count(count)) = found(answer) {
                    self.counters.of(counter).push(call, Tally::Read(*count));
                }
            }
            Act::Acquire { lock, leased } => {
                let holds = self.locks.of(lock);
                holds.leased |= leased;
                if let Some(Found::Token(token)) = found(answer) {
                    holds.push(call, Hold::Acquire(*token));
                }
            }
            Act::Release { lock, token } => self.locks.of(lock).push(call, Hold::Release(*token)),
            Act::Use { lock, token } => self.locks.of(lock).push(call, Hold::Use(*token)),
            _ => {}
        }
    }

    /// Every row that is known by now is read, and those that nobody wrote besides.
    fn scan(&mut self, call: &Call<'a>) {
        let Some(Found::Rows(rows)) = found(call.answer()) else {
            return;
        };
        for key in rows.keys() {
            self.rows.of(key);
        }
        for (key, accesses) in &mut self.rows.things {
            let read = rows.get(*key).map(|row| row.value.as_str());
            accesses.push(call, Access::Read(self.values.optional(read)));
        }
    }
}

fn found(answer: Option<&Answer>) -> Option<&Found> {
    answer.and_then(|answer| answer.found.as_ref())
}

/// Things by name, in the order in which they were first named.
#[derive(Debug)]
struct ByName<'a, T> {
    places: HashMap<&'a str, usize>,
    things: Vec<(&'a str, T)>,
}

impl<T> Default for ByName<'_, T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            things: Vec::new(),
        }
    }
}

impl<'a, T: Default> ByName<'a, T> {
    fn of(&mut self, name: &'a str) -> &mut T {
        let place = *self.places.entry(name).or_insert_with(|| {
            self.things.push((name, T::default()));
            self.things.len() - 1
        });
        &mut self.things[place].1
    }

    fn in_order(self) -> impl Iterator<Item = (&'a str, T)> {
        self.things.into_iter()
    }
}

#[cfg(test)]
mod tests;
