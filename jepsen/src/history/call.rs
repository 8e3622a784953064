//! An operation from its beginning to its end.

use super::{Act, Answer};

/// An operation from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// Who.
    pub process: u64,
    /// What.
    pub act: &'a Act,
    /// The name of the request, if the client can send it again under the same name.
    pub request: Option<&'a str>,
    /// When it began, in microseconds.
    pub invoked_us: u64,
    /// Where its beginning stands in the history, from 0.
    pub invoked_at: usize,
    /// How it ended.
    pub end: End<'a>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// It happened.
    Ok {
        /// When its client knew, in microseconds.
        completed_us: u64,
        /// Where its end stands in the history, from 0.
        completed_at: usize,
        /// What its client was told.
        answer: &'a Answer,
    },
    /// It did not happen.
    Fail {
        /// Where its end stands in the history, from 0.
        completed_at: usize,
    },
    /// Nobody knows; it may happen at any later time.
    Unknown,
}

impl<'a> Call<'a> {
    /// When it was acknowledged, if it was, in microseconds.
    pub fn acknowledged_us(&self) -> Option<u64> {
        match self.end {
            End::Ok { completed_us, .. } => Some(completed_us),
            End::Fail { .. } | End::Unknown => None,
        }
    }

    /// Where in the history it was acknowledged, if it was, from 0.
    ///
    /// Lines are written under one lock, before an operation begins and after it ended. So the
    /// order of lines is an order in real time, and a finer one than that of a clock with ticks.
    pub fn acknowledged_at(&self) -> Option<usize> {
        match self.end {
            End::Ok { completed_at, .. } => Some(completed_at),
            End::Fail { .. } | End::Unknown => None,
        }
    }

    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&'a Answer> {
        match self.end {
            End::Ok { answer, .. } => Some(answer),
            End::Fail { .. } | End::Unknown => None,
        }
    }

    /// Whether it certainly did not happen.
    pub fn failed(&self) -> bool {
        matches!(self.end, End::Fail { .. })
    }

    /// The line of the history on which it began, from 1, for people.
    pub fn line(&self) -> usize {
        self.invoked_at + 1
    }
}
