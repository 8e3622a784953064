//! What a call answers when it does not answer: why, whether it may have happened, and who leads.
//!
//! Callers branch on [`Error::reason`] (a stable word, see [`reason`]) and on
//! [`Error::certainty`]; the message is for people. A guard that does not hold is no error but an
//! answer, [`Guarded::Failed`](crate::Guarded::Failed).

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

use engine_proto::v1 as pb;
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

/// The stable words that this crate itself acts on or says. Servers know more of them.
pub mod reason {
    /// The asked node does not lead; [`Error::leader`](super::Error::leader) may say who does.
    pub const NOT_LEADER: &str = "NOT_LEADER";
    /// The leader cannot reach a majority.
    pub const NO_QUORUM: &str = "NO_QUORUM";
    /// The node has not caught up since its start.
    pub const RECOVERING: &str = "RECOVERING";
    /// The node's state is damaged and being repaired; another node serves.
    pub const REPAIRING: &str = "REPAIRING";
    /// The node is stopping.
    pub const SHUTTING_DOWN: &str = "SHUTTING_DOWN";
    /// Too much is waiting; later is better.
    pub const OVERLOADED: &str = "OVERLOADED";
    /// The session is forgotten, and its outcomes with it.
    pub const SESSION_EXPIRED: &str = "SESSION_EXPIRED";
    /// There is no such keyspace.
    pub const UNKNOWN_KEYSPACE: &str = "UNKNOWN_KEYSPACE";
    /// There is no such topic.
    pub const UNKNOWN_TOPIC: &str = "UNKNOWN_TOPIC";
    /// The keyspace is there already.
    pub const KEYSPACE_EXISTS: &str = "KEYSPACE_EXISTS";
    /// The topic is there already.
    pub const TOPIC_EXISTS: &str = "TOPIC_EXISTS";
    /// The partition does not hold this offset.
    pub const OFFSET_OUT_OF_RANGE: &str = "OFFSET_OUT_OF_RANGE";
    /// History before the oldest readable revision is gone.
    pub const REVISION_COMPACTED: &str = "REVISION_COMPACTED";
    /// The watcher took no message for too long; it may go on where it stopped.
    pub const WATCHER_TOO_SLOW: &str = "WATCHER_TOO_SLOW";
    /// No answer in time.
    pub const TIMEOUT: &str = "TIMEOUT";
    /// The asked node does not lead and cannot reach the leader.
    pub const LEADER_UNREACHABLE: &str = "LEADER_UNREACHABLE";
    /// The node is hurt and stops; another may serve.
    pub const NODE_FAILED: &str = "NODE_FAILED";
    /// The node's disk failed; another node may serve.
    pub const DISK_FAILED: &str = "DISK_FAILED";
    /// The node's data is damaged; another node may serve.
    pub const CORRUPT: &str = "CORRUPT";
    /// A mistake in the server's program.
    pub const INTERNAL: &str = "INTERNAL";
    /// Said here: no connection could be made, so nothing was sent.
    pub const UNREACHABLE: &str = "UNREACHABLE";
    /// Said here: the connection broke after the request was sent.
    pub const CONNECTION_LOST: &str = "CONNECTION_LOST";
    /// Said here: the answer does not have the shape of the contract.
    pub const BAD_ANSWER: &str = "BAD_ANSWER";
    /// Said here: what was asked for could never be sent.
    pub const BAD_REQUEST: &str = "BAD_REQUEST";
}

/// Whether the failed request may have been done all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Nothing happened.
    Certain,
    /// It may have happened, or may still happen.
    Unknown,
}

/// A call that failed.
#[derive(Clone)]
pub struct Error {
    /// The gRPC status code.
    pub code: Code,
    /// The stable word, for programs.
    pub reason: String,
    /// The sentence, for people.
    pub message: String,
    /// The leader's client address, if the failure named it.
    pub leader: Option<String>,
    /// Where a scan goes on whose revision is kept no longer, at a newer one.
    pub cursor: Option<String>,
    certainty: Certainty,
    source: Option<Box<Status>>,
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the request may have been done all the same.
    pub fn certainty(&self) -> Certainty {
        self.certainty
    }

    /// Whether the failure is this one; see [`reason`].
    pub fn is(&self, reason: &str) -> bool {
        self.reason == reason
    }

    /// Whether what the request names does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }

    /// Reads what a failed unary call, or a broken stream, says.
    pub(crate) fn from_status(status: Status) -> Self {
        let info = status
            .get_details_error_info()
            .filter(|info| info.domain == "engine");
        let mut error = match info {
            Some(info) => Self::told(
                status.code(),
                info.reason,
                status.message().to_owned(),
                &info.metadata,
            ),
            None => Self::untold(&status),
        };
        error.source = Some(Box::new(status));
        error
    }

    /// Reads a failure inside a stream.
    pub(crate) fn from_failure(failure: pb::Failure) -> Self {
        Self::told(
            Code::from_i32(failure.code),
            failure.reason,
            failure.message,
            &failure.metadata,
        )
    }

    /// A request that could never be sent.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::here(Code::InvalidArgument, reason::BAD_REQUEST, message.into())
    }

    /// An answer that is not what the contract promises; the request was done.
    pub(crate) fn bad_answer(message: impl Into<String>) -> Self {
        Self::here(Code::Internal, reason::BAD_ANSWER, message.into()).doubtful()
    }

    /// The answer to another op.
    pub(crate) fn another_op() -> Self {
        Self::bad_answer("the result of another op")
    }

    /// A guard is said to have failed in a commit without one.
    pub(crate) fn unasked_guard() -> Self {
        Self::bad_answer("a guard failed that nobody asked for")
    }

    /// No answer in time, after the request was sent.
    pub(crate) fn late(message: impl Into<String>) -> Self {
        Self::unsent(message).doubtful()
    }

    /// The time was over before anything was sent.
    pub(crate) fn unsent(message: impl Into<String>) -> Self {
        Self::here(Code::DeadlineExceeded, reason::TIMEOUT, message.into())
    }

    /// The connection broke after the request was sent.
    pub(crate) fn connection_lost(message: impl Into<String>) -> Self {
        Self::here(Code::Unavailable, reason::CONNECTION_LOST, message.into()).doubtful()
    }

    /// The same failure, of a request that may have been done by an earlier try.
    pub(crate) fn doubtful(mut self) -> Self {
        self.certainty = Certainty::Unknown;
        self
    }

    /// The same failure, of a request that changes nothing.
    pub(crate) fn harmless(mut self) -> Self {
        self.certainty = Certainty::Certain;
        self
    }

    /// The same failure, with the node that it came from.
    pub(crate) fn at(mut self, address: &str) -> Self {
        self.message = format!("{} (node at {address})", self.message);
        self
    }

    fn told(
        code: Code,
        reason: String,
        message: String,
        metadata: &HashMap<String, String>,
    ) -> Self {
        // Only a clear word makes it certain: an unreadable one must not cause a second write.
        let certainty = match metadata.get("certainty").map(String::as_str) {
            Some("certain") => Certainty::Certain,
            _ => Certainty::Unknown,
        };
        Self {
            code,
            reason,
            message,
            leader: metadata
                .get("leader")
                .filter(|leader| !leader.is_empty())
                .cloned(),
            cursor: metadata.get("cursor").cloned(),
            certainty,
            source: None,
        }
    }

    /// A failure without our details: made by the transport, on either side.
    fn untold(status: &Status) -> Self {
        let message = status.message().to_owned();
        if has_cause::<ConnectError>(status) {
            return Self::here(
                Code::Unavailable,
                reason::UNREACHABLE,
                format!("no connection: {}", deepest_cause(status)),
            );
        }
        if has_cause::<TimeoutExpired>(status) || status.code() == Code::DeadlineExceeded {
            return Self::late(message);
        }
        match status.code() {
            // Said by a server before it looks at the request.
            Code::Unimplemented
            | Code::InvalidArgument
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound => Self::here(status.code(), reason::BAD_REQUEST, message),
            _ => Self {
                code: status.code(),
                ..Self::connection_lost(format!("the connection broke: {}", deepest_cause(status)))
            },
        }
    }

    fn here(code: Code, reason: &str, message: String) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message,
            leader: None,
            cursor: None,
            certainty: Certainty::Certain,
            source: None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code)
            .field("reason", &self.reason)
            .field("certainty", &self.certainty)
            .field("leader", &self.leader)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)?;
        match self.certainty {
            Certainty::Certain => Ok(()),
            Certainty::Unknown => f.write_str("; it may have happened all the same"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next = status.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn has_cause<E: StdError + 'static>(status: &Status) -> bool {
    causes(status).any(<dyn StdError>::is::<E>)
}

fn deepest_cause(status: &Status) -> String {
    causes(status)
        .last()
        .map_or_else(|| status.message().to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn told(code: Code, reason: &str, metadata: &[(&str, &str)]) -> Error {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Error::from_status(Status::with_error_details(
            code,
            "as told",
            ErrorDetails::with_error_info(reason, "engine", metadata),
        ))
    }

    #[test]
    fn details_become_reason_certainty_and_leader() {
        let error = told(
            Code::Unavailable,
            "NOT_LEADER",
            &[("certainty", "certain"), ("leader", "10.0.0.2:7101")],
        );
        assert!(error.is(reason::NOT_LEADER));
        assert_eq!(error.certainty(), Certainty::Certain);
        assert_eq!(error.leader.as_deref(), Some("10.0.0.2:7101"));
    }

    #[test]
    fn a_missing_or_strange_certainty_is_unknown() {
        for metadata in [&[][..], &[("certainty", "perhaps")][..]] {
            let error = told(Code::Internal, "INTERNAL", metadata);
            assert_eq!(error.certainty(), Certainty::Unknown);
        }
    }

    #[test]
    fn an_empty_leader_is_no_leader() {
        let error = told(Code::Unavailable, "NOT_LEADER", &[("leader", "")]);
        assert_eq!(error.leader, None);
    }

    #[test]
    fn a_status_without_details_is_doubtful_unless_the_code_excludes_it() {
        let broken = Error::from_status(Status::unavailable("reset"));
        assert!(broken.is(reason::CONNECTION_LOST));
        assert_eq!(broken.certainty(), Certainty::Unknown);
        let refused = Error::from_status(Status::unimplemented("no such method"));
        assert_eq!(refused.certainty(), Certainty::Certain);
    }

    #[test]
    fn details_of_another_domain_are_not_ours() {
        let status = Status::with_error_details(
            Code::Unavailable,
            "a proxy",
            ErrorDetails::with_error_info(
                "NOT_LEADER",
                "proxy.example",
                HashMap::from([("certainty".to_owned(), "certain".to_owned())]),
            ),
        );
        assert_eq!(Error::from_status(status).certainty(), Certainty::Unknown);
    }
}
