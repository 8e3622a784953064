//! What clients asked for and what they were told, in the order of time.
//!
//! ```text
//! {"process":3,"time_us":1042,"phase":"invoke","function":"put","key":"own-3-1","value":"3-17"}
//! {"process":3,"time_us":2117,"phase":"ok","function":"put","key":"own-3-1","value":"3-17","revision":88,"version":4}
//! ```
//!
//! What is left at the end is part of a history too: the last operations scan all rows and fetch
//! all messages. So a history in a file can be judged again, with nothing beside it.
//!
//! # Invariants
//! - Times never go back along the list.
//! - A process has at most one open operation.
//! - An operation ends as what it began.

mod act;
mod answer;
mod call;
mod edn;
mod jsonl;
#[cfg(test)]
pub(crate) mod notation;
mod recorder;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use act::{Act, Step};
pub use answer::{
    Answer, Found, FoundChange, FoundCommit, FoundMessage, FoundRow, Incarnation, Place,
};
pub use call::{Call, End};
pub use jsonl::ReadError;
pub use recorder::Recorder;

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// Who: a client until its first `info`, then a new number.
    pub process: u64,
    /// When, since the history began, in microseconds.
    pub time_us: u64,
    /// Where in its life the operation is.
    pub phase: Phase,
    /// What was asked for.
    #[serde(flatten)]
    pub act: Act,
    /// The name of the request: the same on each resend of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What was answered; only with `ok`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why there is no answer; only with `fail` and `info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where in its life an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It begins.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen and never will.
    Fail,
    /// Nobody knows.
    Info,
}

/// A finished history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// In the order of time.
    pub ops: Vec<Op>,
}

impl History {
    /// Pairs beginnings and ends, in the order of the beginnings.
    pub fn calls(&self) -> Vec<Call<'_>> {
        let mut calls: Vec<Call> = Vec::with_capacity(self.ops.len() / 2);
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        for (line, op) in self.ops.iter().enumerate() {
            if op.phase == Phase::Invoke {
                open.insert(op.process, calls.len());
                calls.push(Call {
                    process: op.process,
                    act: &op.act,
                    request: op.request.as_deref(),
                    invoked_us: op.time_us,
                    invoked_at: line,
                    end: End::Unknown,
                });
                continue;
            }
            let Some(call) = open
                .remove(&op.process)
                .and_then(|index| calls.get_mut(index))
            else {
                continue;
            };
            call.end = match op.phase {
                Phase::Ok => End::Ok {
                    completed_us: op.time_us,
                    completed_at: line,
                    answer: op.answer.as_ref().unwrap_or(&NO_ANSWER),
                },
                Phase::Fail => End::Fail { completed_at: line },
                Phase::Info | Phase::Invoke => End::Unknown,
            };
        }
        calls
    }

    /// Adds an operation that a process does after all others: it begins and ends at once.
    pub fn push(&mut self, process: u64, act: Act, answer: Answer) {
        let time_us = self.ops.last().map_or(0, |op| op.time_us);
        let invoke = Op {
            process,
            time_us,
            phase: Phase::Invoke,
            act,
            request: None,
            answer: None,
            error: None,
        };
        let ok = Op {
            phase: Phase::Ok,
            answer: Some(answer),
            ..invoke.clone()
        };
        self.ops.extend([invoke, ok]);
    }

    /// A number that no process has.
    pub fn fresh_process(&self) -> u64 {
        self.ops
            .iter()
            .map(|op| op.process)
            .max()
            .map_or(0, |highest| highest.saturating_add(1))
    }
}

const NO_ANSWER: Answer = Answer {
    revision: 0,
    version: None,
    read: None,
    place: None,
    found: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_meet_the_beginnings_of_their_process() {
        let history = notation::parse(
            "1 put a 1; 2 put b 1; 3 put c 1
             2 -> fail; 1 -> ok @7",
        );
        let calls = history.calls();
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[0].answer().map(|answer| answer.revision), Some(7));
        assert_eq!(calls[0].acknowledged_at(), Some(4));
        assert_eq!(calls[1].end, End::Fail { completed_at: 3 });
        assert_eq!(calls[2].end, End::Unknown, "never answered");
        assert_eq!(history.fresh_process(), 4);
    }
}
