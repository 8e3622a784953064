//! The search of Wing and Gong, with Lowe's memory of what was tried.
//!
//! The operations stand in a list, by their beginnings and ends. Whatever stands before the first
//! end may take effect next: it is lifted out of the list, and the search begins again at the
//! front; when an end is met whose operation has not taken effect, the last step is taken back.
//!
//! ```text
//! w1( r( )r w2( )w1 )w2      w1, r or w2?    lift w1 ──► r( )r w2( )w2    r or w2? …
//! ```
//!
//! # Invariants
//! - A set of lifted operations and the state after them are tried once.
//! - A read is never taken back alone: what can follow without it can follow with it. (Of a write
//!   that changes nothing here this is not true: later it may bring an old value back.)

use std::collections::HashSet;
use std::hash::Hash;

use super::lifted::{Configuration, Lifted};

/// What the operations act on.
pub trait Model {
    /// What it holds.
    type State: Clone + Eq + Hash;
    /// One operation with its answer.
    type Input;

    /// What it holds at first.
    fn init(&self) -> Self::State;

    /// What it holds after an operation; `None` if that cannot have had this answer.
    fn step(&self, state: &Self::State, input: &Self::Input) -> Option<Self::State>;

    /// Whether an operation changes nothing, whatever was held. It is then never tried at another
    /// place than the first that fits, which saves most of the search.
    fn is_read(&self, input: &Self::Input) -> bool;
}

/// An operation on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<I> {
    /// What was done, and answered.
    pub input: I,
    /// When it began; any unit.
    pub invoked: usize,
    /// When it had taken effect at the latest; `None` if it may take effect at any later time, or
    /// never.
    pub returned: Option<usize>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<S> {
    /// There is an order.
    Linearizable,
    /// There is none.
    Violated {
        /// The operation, by its index, that could not be placed in the longest order found.
        blocked: usize,
        /// How many operations that order holds.
        placed_count: usize,
        /// What was held after them.
        state: S,
    },
    /// The limit of steps was reached.
    GaveUp,
}

/// Whether the operations on one thing are linearizable.
pub fn search<M: Model>(
    model: &M,
    operations: &[Operation<M::Input>],
    steps_max: u64,
) -> Outcome<M::State> {
    let mut search = Search::new(model, operations);
    for _ in 0..steps_max {
        if let Some(outcome) = search.step() {
            return outcome;
        }
    }
    Outcome::GaveUp
}

/// The list's head; entries follow from 1.
const HEAD: usize = 0;

struct Search<'a, M: Model> {
    model: &'a M,
    operations: &'a [Operation<M::Input>],
    list: List,
    /// The entry that is looked at.
    entry: usize,
    state: M::State,
    lifted: Lifted,
    /// Lifted operations, each with the state before it.
    path: Vec<(usize, M::State)>,
    tried: HashSet<Configuration<M::State>>,
    /// How many operations with an end are still in the list.
    due_count: usize,
    /// The deepest dead end: its depth, what was blocked, and the state.
    deepest: Option<(usize, usize, M::State)>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, operations: &'a [Operation<M::Input>]) -> Self {
        let list = List::new(operations);
        Self {
            model,
            operations,
            entry: list.next[HEAD],
            state: model.init(),
            lifted: Lifted::new(operations.iter().map(|one| one.returned.is_some())),
            path: Vec::new(),
            tried: HashSet::new(),
            due_count: operations
                .iter()
                .filter(|one| one.returned.is_some())
                .count(),
            deepest: None,
            list,
        }
    }

    fn step(&mut self) -> Option<Outcome<M::State>> {
        if self.due_count == 0 {
            return Some(Outcome::Linearizable);
        }
        let (index, is_end) = self.list.operation(self.entry);
        if is_end {
            return self.take_back(index);
        }
        let operation = &self.operations[index];
        match self.model.step(&self.state, &operation.input) {
            Some(next) if self.is_new(index, &next) => {
                self.list.lift(index);
                self.due_count -= usize::from(operation.returned.is_some());
                let before = std::mem::replace(&mut self.state, next);
                self.path.push((index, before));
                self.entry = self.list.next[HEAD];
            }
            Some(_) | None => self.entry = self.list.next[self.entry],
        }
        None
    }

    /// Whether the next step leads to what was not tried; the operation is then in the set.
    fn is_new(&mut self, index: usize, next: &M::State) -> bool {
        let operation = &self.operations[index];
        if operation.returned.is_none() && *next == self.state {
            // Something without an end that changes nothing might as well happen later.
            return false;
        }
        self.lifted.insert(index);
        let is_new = self.model.is_read(&operation.input)
            || self.tried.insert(self.lifted.configuration(next));
        if !is_new {
            self.lifted.remove(index);
        }
        is_new
    }

    /// The end of `blocked` was met before it took effect.
    fn take_back(&mut self, blocked: usize) -> Option<Outcome<M::State>> {
        let depth = self.path.len();
        if self.deepest.as_ref().is_none_or(|(most, ..)| depth > *most) {
            self.deepest = Some((depth, blocked, self.state.clone()));
        }
        while let Some((index, before)) = self.path.pop() {
            self.lifted.remove(index);
            self.list.put_back(index);
            self.due_count += usize::from(self.operations[index].returned.is_some());
            self.state = before;
            if !self.model.is_read(&self.operations[index].input) {
                self.entry = self.list.next[self.list.call(index)];
                return None;
            }
        }
        self.deepest
            .take()
            .map(|(placed_count, blocked, state)| Outcome::Violated {
                blocked,
                placed_count,
                state,
            })
    }
}

/// Beginnings and ends in the order of time, doubly linked.
struct List {
    next: Vec<usize>,
    previous: Vec<usize>,
    /// By entry less 1: the operation, and whether this is its end.
    entries: Vec<(usize, bool)>,
    /// By operation: its beginning.
    calls: Vec<usize>,
    /// By operation: its end.
    ends: Vec<Option<usize>>,
}

impl List {
    fn new<I>(operations: &[Operation<I>]) -> Self {
        let mut entries = Vec::with_capacity(2 * operations.len());
        for (index, operation) in operations.iter().enumerate() {
            entries.push((operation.invoked, false, index));
            if let Some(returned) = operation.returned {
                entries.push((returned, true, index));
            }
        }
        // At one time, beginnings come before ends: such operations overlap.
        entries.sort_unstable();
        let mut calls = vec![HEAD; operations.len()];
        let mut ends = vec![None; operations.len()];
        for (entry, (_, is_end, index)) in (1..).zip(&entries) {
            if *is_end {
                ends[*index] = Some(entry);
            } else {
                calls[*index] = entry;
            }
        }
        let count = entries.len() + 1;
        Self {
            next: (1..count).chain([HEAD]).collect(),
            previous: std::iter::once(count - 1).chain(0..count - 1).collect(),
            entries: entries
                .into_iter()
                .map(|(_, is_end, index)| (index, is_end))
                .collect(),
            calls,
            ends,
        }
    }

    fn operation(&self, entry: usize) -> (usize, bool) {
        self.entries[entry - 1]
    }

    fn call(&self, index: usize) -> usize {
        self.calls[index]
    }

    fn lift(&mut self, index: usize) {
        for entry in [Some(self.calls[index]), self.ends[index]]
            .into_iter()
            .flatten()
        {
            let (previous, next) = (self.previous[entry], self.next[entry]);
            self.next[previous] = next;
            self.previous[next] = previous;
        }
    }

    /// Undoes the last [`lift`](Self::lift) that is not undone.
    fn put_back(&mut self, index: usize) {
        for entry in [self.ends[index], Some(self.calls[index])]
            .into_iter()
            .flatten()
        {
            let (previous, next) = (self.previous[entry], self.next[entry]);
            self.next[previous] = entry;
            self.previous[next] = entry;
        }
    }
}
