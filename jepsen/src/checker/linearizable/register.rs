//! Rows as registers: written, compared and set, deleted, read.
//!
//! Writes of unknown outcome make a search grow without bound, so they are cut down before it:
//!
//! - one whose value nobody saw after it began is dropped: it never happened, or nobody can tell;
//! - one whose value no other write makes had happened when the first who saw it was answered.

use std::collections::HashMap;

use super::wgl::{Model, Operation};
use crate::history::Call;

/// A value by number; [`ABSENT`] if there is no row.
pub type Value = u32;

/// There is no row.
pub const ABSENT: Value = 0;

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It becomes this.
    Write(Value),
    /// It becomes the second, having been the first.
    Cas(Value, Value),
    /// It is this.
    Read(Value),
}

impl Access {
    fn written(self) -> Option<Value> {
        match self {
            Self::Write(value) | Self::Cas(_, value) => Some(value),
            Self::Read(_) => None,
        }
    }

    fn seen(self) -> Option<Value> {
        match self {
            Self::Read(value) | Self::Cas(value, _) => Some(value),
            Self::Write(_) => None,
        }
    }
}

/// A row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

impl Model for Register {
    type State = Value;
    type Input = Access;

    fn init(&self) -> Value {
        ABSENT
    }

    fn step(&self, state: &Value, input: &Access) -> Option<Value> {
        match *input {
            Access::Write(value) => Some(value),
            Access::Cas(expected, value) => (expected == *state).then_some(value),
            Access::Read(value) => (value == *state).then_some(value),
        }
    }

    fn is_read(&self, input: &Access) -> bool {
        matches!(input, Access::Read(_))
    }
}

/// All that was done to one row.
#[derive(Debug, Default)]
pub(super) struct Accesses {
    /// In the order of their beginnings; those of unknown outcome have no end.
    pub(super) operations: Vec<Operation<Access>>,
    /// By operation: the line of the history, for people.
    pub(super) lines: Vec<usize>,
}

impl Accesses {
    pub(super) fn push(&mut self, call: &Call, access: Access) {
        let returned = call.acknowledged_at();
        if call.failed() || (returned.is_none() && access.written().is_none()) {
            return;
        }
        self.operations.push(Operation {
            input: access,
            invoked: call.invoked_at,
            returned,
        });
        self.lines.push(call.line());
    }

    /// Drops and bounds the writes of unknown outcome.
    pub(super) fn cut_down_unknown(&mut self) {
        let is_unknown = |operation: &Operation<Access>| operation.returned.is_none();
        let unknown: Vec<usize> = (0..self.operations.len())
            .filter(|index| is_unknown(&self.operations[*index]))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let mut makers: HashMap<Value, usize> = HashMap::from([(ABSENT, 1)]);
        for value in self.operations.iter().filter_map(|one| one.input.written()) {
            *makers.entry(value).or_default() += 1;
        }
        let mut sightings: HashMap<Value, Sighting> = HashMap::new();
        for operation in &self.operations {
            if let (Some(returned), Some(value)) = (operation.returned, operation.input.seen()) {
                sightings.entry(value).or_default().add(returned, returned);
            }
        }
        let mut kept = vec![true; self.operations.len()];
        for index in &unknown {
            kept[*index] = false;
        }
        // A compare-and-set that happened saw a value too, so this goes on until nothing changes.
        loop {
            let mut changed = false;
            for index in &unknown {
                let operation = &mut self.operations[*index];
                let sighting = operation
                    .input
                    .written()
                    .and_then(|value| sightings.get(&value));
                let Some(sighting) = sighting.filter(|seen| seen.last > operation.invoked) else {
                    continue;
                };
                let is_unique = operation
                    .input
                    .written()
                    .is_some_and(|value| makers.get(&value) == Some(&1));
                // Seen before it began: the search shall find that there is no order.
                let bound =
                    (is_unique && sighting.first > operation.invoked).then_some(sighting.first);
                if kept[*index] && operation.returned == bound {
                    continue;
                }
                kept[*index] = true;
                operation.returned = bound;
                changed = true;
                if let Access::Cas(expected, _) = operation.input {
                    let first = bound.unwrap_or(usize::MAX);
                    sightings
                        .entry(expected)
                        .or_default()
                        .add(first, usize::MAX);
                }
            }
            if !changed {
                break;
            }
        }
        let mut keep = kept.iter();
        self.operations
            .retain(|_| keep.next().is_some_and(|kept| *kept));
        let mut keep = kept.iter();
        self.lines.retain(|_| keep.next().is_some_and(|kept| *kept));
    }
}

/// When a value was seen: the first and the last answer.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    first: usize,
    last: usize,
}

impl Default for Sighting {
    fn default() -> Self {
        Self {
            first: usize::MAX,
            last: 0,
        }
    }
}

impl Sighting {
    fn add(&mut self, first: usize, last: usize) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }
}
