//! Commits and sessions.

use engine::command::{Command, Commit, Guard, OpResult, Outcome, Refusal};
use engine::ids::{GroupId, Offset, PartitionId, Revision, SessionId};
use engine_proto::v1 as pb;

use super::limit::{self, Budget};
use super::{Header, Invalid, op};
use crate::error::Error;

/// A commit, within every limit.
pub(crate) fn commit(request: &pb::CommitRequest) -> Result<(GroupId, Command), Invalid> {
    let weight = request.ops.iter().map(op::weight).sum::<usize>();
    limit::count(request.guards.len().saturating_add(weight))?;
    let mut budget = Budget::default();
    let commit = Commit {
        request: limit::request(request.request.as_ref())?,
        guards: request
            .guards
            .iter()
            .map(|guard| self::guard(guard, &mut budget))
            .collect::<Result<_, _>>()?,
        ops: request
            .ops
            .iter()
            .map(|op| op::decode(op, &mut budget))
            .collect::<Result<_, _>>()?,
    };
    op::refuse_duplicates(&commit.ops)?;
    Ok((limit::group(request.group), Command::Commit(commit)))
}

/// The answer to a commit.
pub(crate) fn commit_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::CommitResponse, Error> {
    Ok(match committed(outcome)? {
        Decision::Done { revision, results } => pb::CommitResponse {
            header: header.at(revision),
            guard_failed: None,
            results: results.into_iter().map(op::result).collect(),
        },
        Decision::GuardFailed(guard_failed) => pb::CommitResponse {
            header: header.now(),
            guard_failed: Some(guard_failed),
            results: Vec::new(),
        },
    })
}

/// The answer to a commit on a stream.
pub(crate) fn pipeline_response(tag: u64, response: pb::CommitResponse) -> pb::PipelineResponse {
    pb::PipelineResponse {
        tag,
        outcome: Some(pb::pipeline_response::Outcome::Response(response)),
    }
}

/// The answer to a commit on a stream that failed.
pub(crate) fn pipeline_failure(tag: u64, failure: pb::Failure) -> pb::PipelineResponse {
    pb::PipelineResponse {
        tag,
        outcome: Some(pb::pipeline_response::Outcome::Failure(failure)),
    }
}

/// A wish for a session.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    reason = "all decoders look alike"
)]
pub(crate) fn open_session(
    request: &pb::OpenSessionRequest,
) -> Result<(GroupId, Command), Invalid> {
    Ok((limit::group(request.group), Command::OpenSession))
}

/// The session that was opened.
pub(crate) fn open_session_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::OpenSessionResponse, Error> {
    match outcome {
        Outcome::SessionOpened { session } => Ok(pb::OpenSessionResponse {
            header: header.now(),
            session: session.0,
        }),
        other => Err(Error::unexpected(other)),
    }
}

/// The end of a session.
#[expect(clippy::unnecessary_wraps, reason = "all decoders look alike")]
pub(crate) fn close_session(
    request: &pb::CloseSessionRequest,
) -> Result<(GroupId, Command), Invalid> {
    let session = SessionId(request.session);
    Ok((
        limit::group(request.group),
        Command::CloseSession { session },
    ))
}

/// The session is gone.
pub(crate) fn close_session_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::CloseSessionResponse, Error> {
    match outcome {
        Outcome::Done => Ok(pb::CloseSessionResponse {
            header: header.now(),
        }),
        other => Err(Error::unexpected(other)),
    }
}

/// How a commit was decided.
pub(super) enum Decision {
    /// All of it happened.
    Done {
        /// The group's revision after it.
        revision: Revision,
        /// One for each op.
        results: Vec<OpResult>,
    },
    /// None of it happened; an answer, not an error.
    GuardFailed(pb::GuardFailed),
}

/// Tells answers from errors.
pub(super) fn committed(outcome: Outcome) -> Result<Decision, Error> {
    match outcome {
        Outcome::Committed { revision, results } => Ok(Decision::Done { revision, results }),
        Outcome::Refused(Refusal::GuardFailed { guard, actual }) => {
            Ok(Decision::GuardFailed(pb::GuardFailed {
                guard,
                actual_revision: actual.map(|revision| revision.0),
            }))
        }
        other => Err(Error::unexpected(other)),
    }
}

/// Where a published message stands.
pub(super) fn published(partition: PartitionId, offset: Offset) -> pb::Published {
    pb::Published {
        partition: partition.0,
        offset: offset.0,
    }
}

fn guard(guard: &pb::Guard, budget: &mut Budget) -> Result<Guard, Invalid> {
    use pb::guard::Condition;

    let row = limit::row(guard.row.as_ref(), budget)?;
    match &guard.condition {
        None => Err(Invalid::MissingField {
            field: "guard.condition",
        }),
        Some(Condition::Exists(true)) => Ok(Guard::Exists(row)),
        Some(Condition::Exists(false)) => Ok(Guard::Absent(row)),
        Some(Condition::RevisionIs(revision)) => Ok(Guard::RevisionIs(row, Revision(*revision))),
        Some(Condition::ValueIs(value)) => {
            let value = limit::value("guard.value_is", value, budget)?;
            Ok(Guard::ValueIs(row, value))
        }
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
