//! Judges: each looks at a history, and at the state that is left, for one kind of wrong.
//!
//! ```text
//! rows      every acknowledged row is there, nothing else is, and nothing was written twice
//! register  shared rows changed as one chain that agrees with time
//! queue     every acknowledged message is there, in order for its key, once
//! atomic    a commit's row and message are both there, or neither
//! order     whoever began later has the higher revision
//! gap       how long nobody could write (a measure, not a verdict)
//! ```

pub mod atomic;
pub mod gap;
pub mod order;
pub mod queue;
pub mod register;
pub mod rows;

use std::fmt;

use crate::history::{Call, Place};
use crate::state::State;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged write is gone.
    Lost(String),
    /// There is something that nobody wrote, or whose write was refused.
    Phantom(String),
    /// A write was done more than once.
    Twice(String),
    /// A later write stands before an earlier one.
    Reordered(String),
    /// A read missed what was acknowledged before it began.
    Stale(String),
    /// Half of a commit.
    Torn(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, what) = match self {
            Self::Lost(what) => ("lost", what),
            Self::Phantom(what) => ("phantom", what),
            Self::Twice(what) => ("twice", what),
            Self::Reordered(what) => ("reordered", what),
            Self::Stale(what) => ("stale", what),
            Self::Torn(what) => ("torn", what),
        };
        write!(f, "{word}: {what}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} offset {}", self.partition, self.offset)
    }
}

/// All checkers; nothing found means that the history is fine.
pub fn check(calls: &[Call], state: &State) -> Vec<Violation> {
    let mut violations = rows::check(calls, state);
    violations.extend(register::check(calls, state));
    violations.extend(queue::check(calls, state));
    violations.extend(atomic::check(calls, state));
    violations.extend(order::check(calls));
    violations
}

#[cfg(test)]
mod planted;
