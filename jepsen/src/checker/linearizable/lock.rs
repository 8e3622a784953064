//! Locks with fencing tokens: each holder gets a higher token, and what the lock protects refuses
//! a token below one that was already used.

use super::wgl::{Model, Operation};
use crate::history::Call;

/// What is done with a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is taken, with this token.
    Acquire(u64),
    /// It is given back by the holder of this token.
    Release(u64),
    /// What it protects is written with this token.
    Use(u64),
}

/// A lock that is free at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lock {
    /// Whether a lease can run out, so that another takes the lock from its holder.
    pub leased: bool,
}

/// Who has the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Held {
    /// The holder's token.
    pub holder: Option<u64>,
    /// The highest token that was ever given.
    pub highest_given: u64,
    /// The highest token that was ever used.
    pub highest_used: u64,
}

impl Model for Lock {
    type State = Held;
    type Input = Hold;

    fn init(&self) -> Held {
        Held::default()
    }

    fn step(&self, state: &Held, input: &Hold) -> Option<Held> {
        match *input {
            Hold::Acquire(token) => {
                let is_free = self.leased || state.holder.is_none();
                (is_free && token > state.highest_given).then_some(Held {
                    holder: Some(token),
                    highest_given: token,
                    ..*state
                })
            }
            Hold::Release(token) => (state.holder == Some(token)).then_some(Held {
                holder: None,
                ..*state
            }),
            Hold::Use(token) => {
                let was_given = token <= state.highest_given;
                (was_given && token >= state.highest_used).then_some(Held {
                    highest_used: token,
                    ..*state
                })
            }
        }
    }

    fn is_read(&self, _: &Hold) -> bool {
        false
    }
}

/// All that was done with one lock.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// In the order of their beginnings.
    pub(super) operations: Vec<Operation<Hold>>,
    /// By operation: the line of the history, for people.
    pub(super) lines: Vec<usize>,
    /// Whether any holder had a lease.
    pub(super) leased: bool,
}

impl Holds {
    /// Of unknown outcome, only a release is kept: a lock that may have been taken, and a token
    /// that may have been used, only forbid what comes later.
    pub(super) fn push(&mut self, call: &Call, hold: Hold) {
        let returned = call.acknowledged_at();
        let is_release = matches!(hold, Hold::Release(_));
        if call.failed() || (returned.is_none() && !is_release) {
            return;
        }
        self.operations.push(Operation {
            input: hold,
            invoked: call.invoked_at,
            returned,
        });
        self.lines.push(call.line());
    }
}
