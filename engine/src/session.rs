//! Client sessions: requests already applied, and what they answered (exactly once).
//!
//! A session remembers the outcome of every request that its client has not acknowledged. A
//! repeated number gets the remembered outcome, byte for byte; a number below the client's
//! low-water mark is refused and never executed again.
//!
//! # Invariants
//! - Per session: remembered numbers ≥ `acked_below`, at most `SESSION_REQUESTS_MAX` of them.
//! - Per group: at most `SESSIONS_MAX` sessions and `SESSION_OUTCOME_BYTES_MAX` bytes.
//! - Nothing is forgotten early: where there is no room the request is refused.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::command::{Refusal, Request};
use crate::ids::SessionId;
use crate::limits::{
    SESSION_IDLE_MS_MAX, SESSION_OUTCOME_BYTES_MAX, SESSION_REQUESTS_MAX, SESSIONS_MAX,
    TICK_EXPIRES_MAX,
};
use crate::planted::{Planted, on};

/// How exactly the expiry order follows the last use: an update costs two tree operations, so
/// it is made at most once in this time.
const EXPIRY_SLACK_MS: u64 = 60_000;

/// What an outcome costs in memory beside its bytes: key, header and tree node, about.
const OUTCOME_OVERHEAD_BYTES: usize = 64;

/// All sessions of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sessions {
    opened: u64,
    by_id: BTreeMap<SessionId, Session>,
    /// By noted use; a session stands here exactly once.
    expiry: BTreeSet<(u64, SessionId)>,
    outcome_bytes: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Session {
    used_ms: u64,
    /// The time under which it stands in the expiry order.
    noted_ms: u64,
    acked_below: u64,
    outcomes: BTreeMap<u64, Bytes>,
}

/// What a session says of a request that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Never seen: execute it, then [`Sessions::remember`] its outcome.
    New,
    /// Seen: this was the answer.
    Known(Bytes),
    /// Not to be executed.
    Refused(Refusal),
}

impl Sessions {
    /// Opens a session.
    pub(crate) fn open(&mut self, now_ms: u64) -> Result<SessionId, Refusal> {
        if self.by_id.len() >= SESSIONS_MAX {
            return Err(Refusal::LimitReached {
                what: "sessions".to_owned(),
                max: SESSIONS_MAX as u64,
            });
        }
        self.opened += 1;
        let id = SessionId(self.opened);
        let session = Session {
            used_ms: now_ms,
            noted_ms: now_ms,
            ..Session::default()
        };
        self.by_id.insert(id, session);
        self.expiry.insert((now_ms, id));
        Ok(id)
    }

    /// Forgets a session.
    pub(crate) fn close(&mut self, id: SessionId) {
        if let Some(session) = self.by_id.remove(&id) {
            self.expiry.remove(&(session.noted_ms, id));
            self.outcome_bytes -= session.outcomes.values().map(cost).sum::<usize>();
        }
    }

    /// How many sessions are open.
    pub(crate) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Decides whether a request is executed.
    pub(crate) fn admit(&mut self, request: Request, now_ms: u64) -> Admission {
        let Some(session) = self.by_id.get_mut(&request.session) else {
            return Admission::Refused(Refusal::SessionExpired {
                session: request.session,
            });
        };
        session.used_ms = session.used_ms.max(now_ms);
        if session.used_ms >= session.noted_ms + EXPIRY_SLACK_MS {
            self.expiry.remove(&(session.noted_ms, request.session));
            session.noted_ms = session.used_ms;
            self.expiry.insert((session.noted_ms, request.session));
        }
        if request.acked_below > session.acked_below {
            session.acked_below = request.acked_below;
            let kept = session.outcomes.split_off(&request.acked_below);
            let forgotten = std::mem::replace(&mut session.outcomes, kept);
            self.outcome_bytes -= forgotten.values().map(cost).sum::<usize>();
        }
        if let Some(outcome) = session.outcomes.get(&request.number)
            && !on(Planted::Reexecute)
        {
            return Admission::Known(outcome.clone());
        }
        if request.number < session.acked_below {
            return Admission::Refused(Refusal::RequestExpired {
                number: request.number,
            });
        }
        if session.outcomes.len() >= SESSION_REQUESTS_MAX {
            return Admission::Refused(Refusal::SessionFull {
                max: SESSION_REQUESTS_MAX as u64,
            });
        }
        if self.outcome_bytes >= SESSION_OUTCOME_BYTES_MAX {
            return Admission::Refused(Refusal::LimitReached {
                what: "bytes of unacknowledged outcomes".to_owned(),
                max: SESSION_OUTCOME_BYTES_MAX as u64,
            });
        }
        Admission::New
    }

    /// Keeps the outcome of a request that was [`Admission::New`].
    pub(crate) fn remember(&mut self, request: Request, outcome: Bytes) {
        if let Some(session) = self.by_id.get_mut(&request.session) {
            self.outcome_bytes += cost(&outcome);
            session.outcomes.insert(request.number, outcome);
        }
    }

    /// Forgets sessions that were idle too long, a bounded number of them.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        for _ in 0..TICK_EXPIRES_MAX {
            let Some(&(noted_ms, id)) = self.expiry.first() else {
                return;
            };
            if noted_ms + SESSION_IDLE_MS_MAX > now_ms {
                return;
            }
            self.expiry.remove(&(noted_ms, id));
            let session = self
                .by_id
                .get_mut(&id)
                .expect("the order holds only open sessions");
            let used_ms = session.used_ms;
            session.noted_ms = used_ms;
            self.expiry.insert((used_ms, id));
            if used_ms + SESSION_IDLE_MS_MAX <= now_ms {
                self.close(id);
            }
        }
    }

    /// When the next session may have to be expired.
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.expiry
            .first()
            .map(|(noted_ms, _)| noted_ms + SESSION_IDLE_MS_MAX)
    }

    pub(crate) fn put(&self, out: &mut Encoder) {
        out.u64(self.opened).count(self.by_id.len());
        for (id, session) in &self.by_id {
            out.u64(id.0)
                .u64(session.used_ms)
                .u64(session.noted_ms)
                .u64(session.acked_below);
            if on(Planted::ForgottenOutcomes) {
                out.count(0);
                continue;
            }
            out.count(session.outcomes.len());
            for (number, outcome) in &session.outcomes {
                out.u64(*number).bytes(outcome);
            }
        }
    }

    pub(crate) fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        let mut all = Self {
            opened: input.u64("sessions opened")?,
            ..Self::default()
        };
        for _ in 0..input.count("sessions")? {
            let id = SessionId(input.u64("session")?);
            let mut session = Session {
                used_ms: input.u64("session used")?,
                noted_ms: input.u64("session noted")?,
                acked_below: input.u64("session acknowledged")?,
                outcomes: BTreeMap::new(),
            };
            for _ in 0..input.count("outcomes")? {
                let number = input.u64("request number")?;
                // Copied, so that one small outcome does not keep a whole checkpoint in memory.
                let outcome = Bytes::copy_from_slice(&input.bytes("outcome")?);
                all.outcome_bytes += cost(&outcome);
                session.outcomes.insert(number, outcome);
            }
            all.expiry.insert((session.noted_ms, id));
            all.by_id.insert(id, session);
        }
        Ok(all)
    }
}

fn cost(outcome: &Bytes) -> usize {
    outcome.len() + OUTCOME_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session: SessionId, number: u64, acked_below: u64) -> Request {
        Request {
            session,
            number,
            acked_below,
        }
    }

    #[test]
    fn a_repeated_number_answers_the_first_outcome_until_it_is_acknowledged() {
        let mut sessions = Sessions::default();
        let id = sessions.open(0).expect("there is room");
        assert_eq!(sessions.admit(request(id, 1, 0), 1), Admission::New);
        sessions.remember(request(id, 1, 0), Bytes::from_static(b"first"));
        assert_eq!(
            sessions.admit(request(id, 1, 0), 2),
            Admission::Known(Bytes::from_static(b"first"))
        );
        assert_eq!(sessions.admit(request(id, 2, 2), 3), Admission::New);
        assert_eq!(
            sessions.admit(request(id, 1, 0), 4),
            Admission::Refused(Refusal::RequestExpired { number: 1 })
        );
        assert_eq!(sessions.outcome_bytes, 0);
    }

    #[test]
    fn a_session_never_forgets_to_make_room() {
        let mut sessions = Sessions::default();
        let id = sessions.open(0).expect("there is room");
        for number in 1..=SESSION_REQUESTS_MAX as u64 {
            assert_eq!(sessions.admit(request(id, number, 0), 0), Admission::New);
            sessions.remember(request(id, number, 0), Bytes::new());
        }
        let next = request(id, SESSION_REQUESTS_MAX as u64 + 1, 0);
        assert!(matches!(
            sessions.admit(next, 0),
            Admission::Refused(Refusal::SessionFull { .. })
        ));
        assert!(matches!(
            sessions.admit(request(id, 1, 0), 0),
            Admission::Known(_)
        ));
    }

    #[test]
    fn an_idle_session_expires_and_a_used_one_does_not() {
        let mut sessions = Sessions::default();
        let idle = sessions.open(0).expect("there is room");
        let used = sessions.open(0).expect("there is room");
        sessions.admit(request(used, 1, 0), SESSION_IDLE_MS_MAX / 2);
        assert_eq!(sessions.next_due_ms(), Some(SESSION_IDLE_MS_MAX));
        sessions.expire(SESSION_IDLE_MS_MAX - 1);
        assert_eq!(sessions.by_id.len(), 2);
        sessions.expire(SESSION_IDLE_MS_MAX);
        assert!(matches!(
            sessions.admit(request(idle, 1, 0), SESSION_IDLE_MS_MAX),
            Admission::Refused(Refusal::SessionExpired { .. })
        ));
        assert_eq!(
            sessions.admit(request(used, 2, 0), SESSION_IDLE_MS_MAX),
            Admission::New
        );
    }

    #[test]
    fn sessions_survive_their_encoding() {
        let mut sessions = Sessions::default();
        let id = sessions.open(7).expect("there is room");
        sessions.remember(request(id, 3, 0), Bytes::from_static(b"outcome"));
        let mut out = Encoder::new();
        sessions.put(&mut out);
        let read = Sessions::get(&mut Decoder::new(out.finish())).expect("just encoded");
        assert_eq!(read, sessions);
    }
}
