//! When to resend, and how soon.
//!
//! A failure that is certain to have changed nothing is resent if another node, or a later
//! moment, may do better. A doubtful failure (no answer in time, a broken connection) is resent
//! only if sending twice cannot act twice: for reads, and for requests with a number.
//!
//! ```text
//!                       reads        numbered writes       other writes
//! certain, may pass     resend       resend                resend
//! certain, final        give up      give up               give up
//! doubtful              resend       resend                give up
//! SESSION_EXPIRED       give up      new session, or give  give up
//!                                    up after a doubtful try
//! ```
//!
//! # Invariants
//! - No request is ever sent under a second number after a doubtful try: the first may have acted.

use std::time::Duration;

use crate::error::{Certainty, Error, reason};
use crate::planted::{Planted, on};

/// What sending a request twice may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: it changes nothing, or doing it twice is like doing it once.
    Harmless,
    /// Nothing: it carries a number, and a repeated number answers the first outcome.
    Numbered,
    /// It may act twice.
    Harmful,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Tell the caller.
    GiveUp,
    /// Send again at once: the failure named the node to ask.
    ResendNow,
    /// Send again after a pause, elsewhere if possible.
    ResendLater,
    /// Open a new session and send under a new number.
    RenewSession,
}

/// The table above. `doubted` tells whether an earlier try of this request had a doubtful failure.
pub(crate) fn decide(repeat: Repeat, error: &Error, doubted: bool) -> Decision {
    if error.certainty() == Certainty::Unknown {
        // A mistake in a program is made again by the next try.
        let mistake = error.is(reason::INTERNAL) || error.is(reason::BAD_ANSWER);
        return if (repeat == Repeat::Harmful && !on(Planted::HarmfulResend)) || mistake {
            Decision::GiveUp
        } else {
            Decision::ResendLater
        };
    }
    match error.reason.as_str() {
        reason::NOT_LEADER if error.leader.is_some() => Decision::ResendNow,
        reason::NOT_LEADER
        | reason::LEADER_UNREACHABLE
        | reason::NO_QUORUM
        | reason::RECOVERING
        | reason::REPAIRING
        | reason::SHUTTING_DOWN
        | reason::OVERLOADED
        | reason::TIMEOUT
        | reason::UNREACHABLE
        // One node is hurt; another may serve.
        | reason::NODE_FAILED
        | reason::DISK_FAILED
        | reason::CORRUPT => Decision::ResendLater,
        reason::SESSION_EXPIRED if repeat == Repeat::Numbered && !doubted => Decision::RenewSession,
        _ => Decision::GiveUp,
    }
}

/// Pauses that grow and are never equal on two clients.
#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
    hints_followed: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_millis(500);
    /// Two nodes that each name the other must not be asked in a tight circle.
    const HINTS_MAX: u32 = 3;

    pub(crate) fn new() -> Self {
        Self {
            ceiling: Self::FIRST,
            hints_followed: 0,
        }
    }

    /// The pause before the next try.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.ceiling.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        self.ceiling = (self.ceiling * 2).min(Self::LONGEST);
        self.hints_followed = 0;
        pause
    }

    /// The pause before following a leader hint: none, a few times in a row.
    pub(crate) fn pause_for_hint(&mut self) -> Duration {
        if self.hints_followed < Self::HINTS_MAX {
            self.hints_followed += 1;
            Duration::ZERO
        } else {
            self.pause()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use engine_proto::v1 as pb;

    use super::*;

    fn failure(reason: &str, certain: bool, leader: Option<&str>) -> Error {
        let mut metadata = HashMap::new();
        let word = if certain { "certain" } else { "unknown" };
        metadata.insert("certainty".to_owned(), word.to_owned());
        if let Some(leader) = leader {
            metadata.insert("leader".to_owned(), leader.to_owned());
        }
        Error::from_failure(pb::Failure {
            code: tonic::Code::Unavailable.into(),
            message: "as told".to_owned(),
            reason: reason.to_owned(),
            metadata,
        })
    }

    #[test]
    fn the_table_holds() {
        use Decision::{GiveUp, RenewSession, ResendLater, ResendNow};
        use Repeat::{Harmful, Harmless, Numbered};

        let hint = Some("10.0.0.2:7101");
        // (reason, certain, leader, repeat, doubted before) => decision
        let table = [
            ("NOT_LEADER", true, hint, Harmful, false, ResendNow),
            ("NOT_LEADER", true, hint, Numbered, true, ResendNow),
            ("NOT_LEADER", true, None, Harmful, false, ResendLater),
            ("NO_QUORUM", true, None, Harmful, false, ResendLater),
            ("NO_QUORUM", false, None, Harmful, false, GiveUp),
            ("NO_QUORUM", false, None, Numbered, false, ResendLater),
            ("RECOVERING", true, None, Harmless, false, ResendLater),
            ("REPAIRING", true, None, Harmful, false, ResendLater),
            ("SHUTTING_DOWN", true, None, Harmful, false, ResendLater),
            ("OVERLOADED", true, None, Harmful, false, ResendLater),
            ("UNREACHABLE", true, None, Harmful, false, ResendLater),
            ("TIMEOUT", false, None, Harmful, false, GiveUp),
            ("TIMEOUT", false, None, Numbered, false, ResendLater),
            ("TIMEOUT", false, None, Harmless, false, ResendLater),
            ("CONNECTION_LOST", false, None, Harmful, false, GiveUp),
            ("CONNECTION_LOST", false, None, Numbered, true, ResendLater),
            ("SESSION_EXPIRED", true, None, Numbered, false, RenewSession),
            ("SESSION_EXPIRED", true, None, Numbered, true, GiveUp),
            ("SESSION_EXPIRED", true, None, Harmful, false, GiveUp),
            ("REQUEST_EXPIRED", true, None, Numbered, true, GiveUp),
            ("UNKNOWN_KEYSPACE", true, None, Harmless, false, GiveUp),
            ("DISK_FULL", true, None, Numbered, false, GiveUp),
            ("INTERNAL", false, None, Numbered, false, GiveUp),
            ("CORRUPT", true, None, Harmless, false, ResendLater),
            ("NODE_FAILED", false, None, Numbered, false, ResendLater),
            ("NODE_FAILED", false, None, Harmful, false, GiveUp),
            ("DISK_FAILED", true, None, Harmless, false, ResendLater),
            (
                "LEADER_UNREACHABLE",
                true,
                None,
                Harmful,
                false,
                ResendLater,
            ),
        ];
        for (reason, certain, leader, repeat, doubted, expected) in table {
            let decision = decide(repeat, &failure(reason, certain, leader), doubted);
            assert_eq!(
                decision, expected,
                "{reason}, certain {certain}, {repeat:?}, doubted {doubted}"
            );
        }
    }

    #[test]
    fn pauses_grow_to_a_ceiling() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..12).map(|_| backoff.pause()).collect();
        assert!(pauses.iter().all(|pause| *pause <= Backoff::LONGEST));
        assert!(pauses.last() >= Some(&(Backoff::LONGEST / 2)));
        assert!(pauses.first() <= Some(&Backoff::FIRST));
    }

    #[test]
    fn a_circle_of_hints_is_slowed_down() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..4).map(|_| backoff.pause_for_hint()).collect();
        assert_eq!(pauses.iter().filter(|pause| pause.is_zero()).count(), 3);
    }
}
