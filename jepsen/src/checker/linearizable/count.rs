//! Counters: added to and read.

use super::wgl::{Model, Operation};
use crate::history::Call;

/// What is done to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// It grows by so much, and the answer is what it then is, if it tells.
    Add(i64, Option<i64>),
    /// It is this.
    Read(i64),
}

/// A counter that begins at 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

impl Model for Counter {
    type State = i64;
    type Input = Tally;

    fn init(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, input: &Tally) -> Option<i64> {
        match *input {
            Tally::Add(by, sum) => {
                let next = state.checked_add(by);
                next.filter(|next| sum.is_none_or(|sum| sum == *next))
            }
            Tally::Read(count) => (count == *state).then_some(count),
        }
    }

    fn is_read(&self, input: &Tally) -> bool {
        matches!(input, Tally::Read(_))
    }
}

/// All that was done to one counter.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// In the order of their beginnings.
    pub(super) operations: Vec<Operation<Tally>>,
    /// By operation: the line of the history, for people.
    pub(super) lines: Vec<usize>,
}

impl Tallies {
    pub(super) fn push(&mut self, call: &Call, tally: Tally) {
        let returned = call.acknowledged_at();
        let is_read = matches!(tally, Tally::Read(_));
        if call.failed() || (returned.is_none() && is_read) {
            return;
        }
        self.operations.push(Operation {
            input: tally,
            invoked: call.invoked_at,
            returned,
        });
        self.lines.push(call.line());
    }

    /// Drops additions of unknown outcome that began when nobody read any more.
    pub(super) fn cut_down_unknown(&mut self) {
        let reads = self
            .operations
            .iter()
            .filter(|one| matches!(one.input, Tally::Read(_)));
        let last_read = reads.filter_map(|one| one.returned).max().unwrap_or(0);
        let kept: Vec<bool> = self
            .operations
            .iter()
            .map(|one| one.returned.is_some() || one.invoked < last_read)
            .collect();
        let mut keep = kept.iter();
        self.operations
            .retain(|_| keep.next().is_some_and(|kept| *kept));
        let mut keep = kept.iter();
        self.lines.retain(|_| keep.next().is_some_and(|kept| *kept));
    }
}
