//! What is wrong with a file of records.

use crate::failure::Failure;

/// Why a record cannot be had.
#[derive(Debug)]
pub(crate) enum Fault {
    /// This one is bad; the next one can be read.
    Record(Failure),
    /// Nothing more can be read.
    File(Failure),
}

/// Results of readers.
pub(crate) type Read<T> = Result<T, Fault>;

impl Fault {
    /// The failure, whichever it is.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Record(failure) | Self::File(failure) => failure,
        }
    }

    /// A record at a line is bad.
    pub(super) fn record(name: &str, line: u64, what: &str) -> Self {
        Self::Record(at(name, line, what).hint("mend the line and run the command again"))
    }

    /// From a line on nothing can be read.
    pub(super) fn file(name: &str, line: u64, what: &str) -> Self {
        Self::File(at(name, line, what))
    }
}

fn at(name: &str, line: u64, what: &str) -> Failure {
    Failure::usage(format!("{name}:{line}: the line {what}"))
}
