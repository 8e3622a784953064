//! Every error as a gRPC status: the only place that makes one.
//!
//! ```text
//! status = code, sentence, ErrorInfo{ reason, domain "engine",
//!          metadata{ certainty, leader?, cursor?, resume_revision? } }
//! ```
//! `certainty` answers the one question that a caller of a write has: `certain` means that
//! nothing happened, `unknown` that it may have. A read is always certain.

use std::collections::HashMap;

use engine::ErrorKind;
use engine::command::Refusal;
use engine::ids::Revision;
use engine_proto::v1 as pb;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Absent, Error, Range};

/// The `domain` of every ErrorInfo.
pub const DOMAIN: &str = "engine";

/// What the failed request would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Read,
    /// A change of state or membership.
    Write,
}

/// The status that tells a caller of `error`.
pub(crate) fn status(error: Error, effect: Effect) -> Status {
    let verdict = match error {
        Error::Relayed(status) => return status,
        Error::RelayLost(status) => relay_lost(&status),
        Error::Invalid(invalid) => {
            Verdict::certain(Code::InvalidArgument, invalid.reason(), invalid.to_string())
        }
        Error::Refused(refusal) => refused(&refusal),
        Error::Absent(absent) => self::absent(&absent),
        Error::OutOfRange(range) => out_of_range(range),
        Error::WatcherTooSlow(resume) => Verdict {
            resume: Some(resume),
            ..Verdict::certain(
                Code::ResourceExhausted,
                "WATCHER_TOO_SLOW",
                format!("no message was read for too long: watch again from revision {resume}"),
            )
        },
        Error::Overloaded(what) => Verdict::certain(
            Code::ResourceExhausted,
            "OVERLOADED",
            format!("the node has too many {what}: try again later"),
        ),
        Error::Repairing => Verdict::certain(
            Code::Unavailable,
            "REPAIRING",
            "the node's state is damaged and is being fetched from a peer: ask another node"
                .to_owned(),
        ),
        Error::DeadlinePassed => Verdict::unknown(
            Code::DeadlineExceeded,
            "TIMEOUT",
            "the request's time is over".to_owned(),
        ),
        Error::LeaderUnreachable(what) => {
            Verdict::certain(Code::Unavailable, "LEADER_UNREACHABLE", what)
        }
        Error::Raft(error) => raft(&error),
        Error::Engine(error) => engine(&error),
        Error::Bug(what) => {
            tracing::error!(what, "a request met a bug");
            Verdict::unknown(Code::Internal, "INTERNAL", what)
        }
    };
    verdict.status(effect)
}

/// The same inside a stream of answers.
pub(crate) fn failure(error: Error, effect: Effect) -> pb::Failure {
    let status = status(error, effect);
    let (reason, metadata) = match status.get_details_error_info() {
        Some(info) => (info.reason, info.metadata),
        None => (String::new(), HashMap::new()),
    };
    pb::Failure {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        reason,
        metadata,
    }
}

/// A status before its details are packed.
struct Verdict {
    code: Code,
    reason: &'static str,
    message: String,
    /// Whether a write may have happened all the same.
    unknown: bool,
    leader: Option<String>,
    /// Where a watch goes on.
    resume: Option<Revision>,
    /// Where a walk over pages goes on.
    cursor: Option<String>,
}

impl Verdict {
    fn certain(code: Code, reason: &'static str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            unknown: false,
            leader: None,
            resume: None,
            cursor: None,
        }
    }

    fn unknown(code: Code, reason: &'static str, message: String) -> Self {
        Self {
            unknown: true,
            ..Self::certain(code, reason, message)
        }
    }

    fn status(self, effect: Effect) -> Status {
        let certainty = match (self.unknown, effect) {
            (true, Effect::Write) => "unknown",
            (false, Effect::Write) | (_, Effect::Read) => "certain",
        };
        let mut metadata = HashMap::from([("certainty".to_owned(), certainty.to_owned())]);
        if let Some(leader) = self.leader {
            metadata.insert("leader".to_owned(), leader);
        }
        if let Some(resume) = self.resume {
            metadata.insert("resume_revision".to_owned(), resume.to_string());
        }
        if let Some(cursor) = self.cursor {
            metadata.insert("cursor".to_owned(), cursor);
        }
        let details = ErrorDetails::with_error_info(self.reason, DOMAIN, metadata);
        Status::with_error_details(self.code, self.message, details)
    }
}

fn relay_lost(status: &Status) -> Verdict {
    let message = format!("the leader's answer was lost: {}", status.message());
    if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) {
        Verdict::unknown(Code::DeadlineExceeded, "TIMEOUT", message)
    } else {
        Verdict::unknown(Code::Unavailable, "LEADER_UNREACHABLE", message)
    }
}

fn refused(refusal: &Refusal) -> Verdict {
    let (code, reason) = match refusal {
        Refusal::GuardFailed { .. } => (Code::FailedPrecondition, "GUARD_FAILED"),
        Refusal::UnknownKeyspace { .. } => (Code::NotFound, "UNKNOWN_KEYSPACE"),
        Refusal::KeyspaceExists { .. } => (Code::AlreadyExists, "KEYSPACE_EXISTS"),
        Refusal::UnknownTopic { .. } => (Code::NotFound, "UNKNOWN_TOPIC"),
        Refusal::TopicExists { .. } => (Code::AlreadyExists, "TOPIC_EXISTS"),
        Refusal::UnknownPartition { .. } => (Code::NotFound, "UNKNOWN_PARTITION"),
        Refusal::OffsetBeyondEnd { .. } => (Code::OutOfRange, "OFFSET_OUT_OF_RANGE"),
        Refusal::SessionExpired { .. } => (Code::FailedPrecondition, "SESSION_EXPIRED"),
        Refusal::RequestExpired { .. } => (Code::FailedPrecondition, "REQUEST_EXPIRED"),
        Refusal::SessionFull { .. } => (Code::ResourceExhausted, "SESSION_FULL"),
        Refusal::WrongKind { .. } => (Code::FailedPrecondition, "WRONG_KIND"),
        Refusal::NotANumber => (Code::FailedPrecondition, "NOT_A_NUMBER"),
        Refusal::NumberOverflow { .. } => (Code::OutOfRange, "NUMBER_OVERFLOW"),
        Refusal::ExpiryInThePast { .. } => (Code::InvalidArgument, "EXPIRY_IN_THE_PAST"),
        Refusal::RowExists { .. } => (Code::FailedPrecondition, "ROW_EXISTS"),
        Refusal::NothingToRestore => (Code::NotFound, "NOTHING_TO_RESTORE"),
        Refusal::UnknownVersion { .. } => (Code::NotFound, "UNKNOWN_VERSION"),
        Refusal::NotVersioned { .. } => (Code::FailedPrecondition, "NOT_VERSIONED"),
        Refusal::PlainValuesOnly { .. } => (Code::FailedPrecondition, "PLAIN_VALUES_ONLY"),
        Refusal::QuotaReached { .. } => (Code::ResourceExhausted, "QUOTA_REACHED"),
        Refusal::LimitReached { .. } => (Code::ResourceExhausted, "LIMIT_REACHED"),
        Refusal::StaleBoot { .. } => (Code::FailedPrecondition, "STALE_BOOT"),
        Refusal::FloorOutOfRange { .. } => (Code::OutOfRange, "FLOOR_OUT_OF_RANGE"),
        Refusal::Invalid { .. } => (Code::InvalidArgument, "COMMAND_INVALID"),
    };
    Verdict::certain(code, reason, refusal.to_string())
}

fn absent(absent: &Absent) -> Verdict {
    let (reason, message) = match absent {
        Absent::Group(group) => (
            "UNKNOWN_GROUP",
            format!("raft group {group} does not exist here"),
        ),
        Absent::Keyspace(name) => (
            "UNKNOWN_KEYSPACE",
            format!("keyspace {name:?} does not exist"),
        ),
        Absent::Topic(name) => ("UNKNOWN_TOPIC", format!("topic {name:?} does not exist")),
        Absent::Partition(topic, partition) => (
            "UNKNOWN_PARTITION",
            format!("topic {topic:?} has no partition {partition}"),
        ),
    };
    Verdict::certain(Code::NotFound, reason, message)
}

fn out_of_range(range: Range) -> Verdict {
    let (reason, message) = match range {
        Range::RevisionCompacted {
            asked,
            floor,
            cursor,
        } => {
            let message = format!("revision {asked} is below {floor}, the oldest that is readable");
            return Verdict {
                cursor,
                ..Verdict::certain(Code::OutOfRange, "REVISION_COMPACTED", message)
            };
        }
        Range::RevisionInFuture { asked, newest } => (
            "REVISION_IN_FUTURE",
            format!("revision {asked} is above {newest}, the newest there is"),
        ),
        Range::Offset { asked, start, end } => (
            "OFFSET_OUT_OF_RANGE",
            format!("offset {asked} lies outside of {start} to {end}"),
        ),
    };
    Verdict::certain(Code::OutOfRange, reason, message)
}

/// Replication could not do it. A leader that loses its office hears of its proposals' fate
/// from nobody, so what is not refused before it is proposed is unknown.
fn raft(error: &engine_raft::Error) -> Verdict {
    use engine_raft::Error as Raft;

    let message = error.to_string();
    match error {
        Raft::NotLeader { leader } => Verdict {
            leader: leader
                .as_ref()
                .map(|(_, member)| member.client_address.clone()),
            ..Verdict::certain(Code::Unavailable, "NOT_LEADER", message)
        },
        Raft::NoQuorum => Verdict::unknown(Code::Unavailable, "NO_QUORUM", message),
        Raft::Overloaded => Verdict::certain(Code::ResourceExhausted, "OVERLOADED", message),
        Raft::Timeout => Verdict::unknown(Code::DeadlineExceeded, "TIMEOUT", message),
        Raft::ShuttingDown => Verdict::unknown(Code::Unavailable, "SHUTTING_DOWN", message),
        Raft::UnknownGroup => Verdict::certain(Code::NotFound, "UNKNOWN_GROUP", message),
        Raft::Engine(error) => engine(error),
        Raft::Invalid(_) => {
            Verdict::certain(Code::FailedPrecondition, "MEMBERSHIP_INVALID", message)
        }
        Raft::Fatal(_) => Verdict::unknown(Code::Internal, "NODE_FAILED", message),
    }
}

/// This node is hurt.
fn engine(error: &engine::Error) -> Verdict {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::Io => Verdict::unknown(Code::Internal, "DISK_FAILED", message),
        ErrorKind::Corrupt => Verdict::unknown(Code::DataLoss, "CORRUPT", message),
        ErrorKind::Full => Verdict::certain(Code::ResourceExhausted, "DISK_FULL", message),
        ErrorKind::Invalid => Verdict::certain(Code::InvalidArgument, "COMMAND_INVALID", message),
        ErrorKind::OutOfRange => Verdict::certain(Code::OutOfRange, "OUT_OF_RANGE", message),
        ErrorKind::NotFound => Verdict::certain(Code::NotFound, "NOT_FOUND", message),
        ErrorKind::Locked => Verdict::certain(Code::Unavailable, "DATA_LOCKED", message),
        ErrorKind::Stopped => Verdict::unknown(Code::Unavailable, "SHUTTING_DOWN", message),
        ErrorKind::Unsupported => {
            Verdict::certain(Code::Unimplemented, "FORMAT_UNSUPPORTED", message)
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
