//! What a checker says about a history.

use std::fmt;

use serde::{Serialize, Serializer};

/// One checker's finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which checker speaks.
    pub checker: &'static str,
    /// How many operations it could judge.
    pub judged: usize,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// What it could not decide, and why.
    pub undecided: Vec<String>,
}

/// A report in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There was nothing to judge.
    Idle,
    /// Everything judged is as it must be.
    Ok,
    /// Nothing wrong was found, and not everything was decided.
    Unknown,
    /// Something is wrong.
    Violated,
}

impl Report {
    pub(crate) fn new(checker: &'static str) -> Self {
        Self {
            checker,
            judged: 0,
            violations: Vec::new(),
            undecided: Vec::new(),
        }
    }

    pub(crate) fn violate(&mut self, kind: Kind, what: impl Into<String>) {
        let what = what.into();
        self.violations.push(Violation { kind, what });
    }

    /// All of it in one word.
    pub fn verdict(&self) -> Verdict {
        if !self.violations.is_empty() {
            Verdict::Violated
        } else if !self.undecided.is_empty() {
            Verdict::Unknown
        } else if self.judged == 0 {
            Verdict::Idle
        } else {
            Verdict::Ok
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Violated => "violated",
        })
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Its kind.
    pub kind: Kind,
    /// What it is, for people, with lines of the history.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)
    }
}

/// What is wrong, in one word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No order of the operations explains the answers.
    NotLinearizable,
    /// One of Adya's anomalies, or one of their kin; the name is the field's.
    Anomaly(String),
    /// Something acknowledged is gone.
    Lost,
    /// Acknowledged messages are gone, and all before them.
    LostPrefix,
    /// Acknowledged messages are gone from between others.
    LostMiddle,
    /// Acknowledged messages are gone, and all after them.
    LostSuffix,
    /// There is something that nobody wrote.
    Phantom,
    /// There is something whose write was refused.
    Aborted,
    /// Something was done more often than asked for.
    Twice,
    /// A later one stands before an earlier one.
    Reordered,
    /// A read missed what was known before it began.
    Stale,
    /// A read answered what was written only later.
    Future,
    /// Half of a commit.
    Torn,
    /// One place holds two things.
    Conflicting,
    /// A place is empty and later ones are not.
    Skipped,
    /// Two nodes hold different things.
    Diverged,
    /// A sum is not what it must be.
    Unbalanced,
    /// A balance went below nothing.
    Overdrawn,
    /// Something is missing from, or too much in, an answer that must be whole.
    Misshapen,
    /// A number is lower or higher than it can be.
    OutOfBounds,
    /// Two answers to one request differ.
    Contradictory,
    /// One name was used for two requests.
    Reused,
    /// A process did not read what it wrote.
    ReadYourWrites,
    /// A process read something older than it had read.
    MonotonicReads,
    /// Writes of one process took effect in another order.
    MonotonicWrites,
    /// A write took effect before what its process had read.
    WritesFollowReads,
    /// It did not go on in time.
    Unavailable,
    /// It went on too slowly.
    Slow,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLinearizable => "not-linearizable",
            Self::Anomaly(name) => name,
            Self::Lost => "lost",
            Self::LostPrefix => "lost-prefix",
            Self::LostMiddle => "lost-middle",
            Self::LostSuffix => "lost-suffix",
            Self::Phantom => "phantom",
            Self::Aborted => "aborted",
            Self::Twice => "twice",
            Self::Reordered => "reordered",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::Torn => "torn",
            Self::Conflicting => "conflicting",
            Self::Skipped => "skipped",
            Self::Diverged => "diverged",
            Self::Unbalanced => "unbalanced",
            Self::Overdrawn => "overdrawn",
            Self::Misshapen => "misshapen",
            Self::OutOfBounds => "out-of-bounds",
            Self::Contradictory => "contradictory",
            Self::Reused => "reused",
            Self::ReadYourWrites => "read-your-writes",
            Self::MonotonicReads => "monotonic-reads",
            Self::MonotonicWrites => "monotonic-writes",
            Self::WritesFollowReads => "writes-follow-reads",
            Self::Unavailable => "unavailable",
            Self::Slow => "slow",
        })
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
