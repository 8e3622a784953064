//! Judges: each looks at a history for one kind of wrong, and says what it found.
//!
//! ```text
//! linearizable   rows, counters and locks: one order, in real time, explains every answer
//! transactions   lists: no anomaly of Adya's, strict serializability
//! bank           money is neither made nor lost
//! set            every acknowledged element stays
//! counter        a count lies between what must and what may have been added
//! ends           a set that ends is whole until then, and gone from then on
//! watch          who watches is told every change once, in order, whole, and as it was
//! queue          messages: nothing lost, invented, doubled, moved or seen in another order
//! consumer       a consumer group goes on behind what it has dealt with, and not further
//! atomic         a commit's row and message are both there, or neither
//! exactly_once   a request takes effect once, and a resend answers the same
//! order          whoever began later has the higher revision
//! session        what a process has seen or written stays true for it
//! cache          a cached value was the row's value at that time
//! liveness       after a heal it goes on, and fast enough
//! gap            how long nobody could write (a measure, not a verdict)
//! ```
//!
//! Each is a function of the history alone. What it promises, cannot see and costs stands in
//! `docs/design/checkers.md`.
//!
//! # Invariants
//! - What a correct system could have answered is never a violation.
//! - A checker that cannot decide says `unknown`, never `ok`.
//! - An operation of unknown outcome may take effect at any later time, or never.

pub mod atomic;
pub mod bank;
pub mod cache;
pub mod consumer;
pub mod counter;
pub mod ends;
pub mod exactly_once;
mod flow;
pub mod gap;
pub mod linearizable;
pub mod liveness;
pub mod order;
pub mod queue;
mod report;
pub mod session;
pub mod set;
pub mod transactions;
pub mod watch;

#[cfg(test)]
mod planted;

pub use report::{Kind, Report, Verdict, Violation};

use crate::history::History;

/// All checkers that need no bounds of the caller's; [`liveness`] does.
pub fn check(history: &History) -> Vec<Report> {
    vec![
        linearizable::check(history),
        transactions::check(history),
        bank::check(history),
        set::check(history),
        counter::check(history),
        ends::check(history),
        watch::check(history),
        queue::check(history),
        consumer::check(history),
        atomic::check(history),
        exactly_once::check(history),
        order::check(history),
        session::check(history),
        cache::check(history),
    ]
}
