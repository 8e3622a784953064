//! Commits and sessions.

use std::collections::HashSet;

use engine::command::{Command, Commit, Guard, Op, OpResult, Outcome, Refusal};
use engine::ids::{GroupId, Offset, PartitionId, Revision, SessionId};
use engine_proto::v1 as pb;

use super::limit::{self, Budget};
use super::{Header, Invalid};
use crate::error::Error;

/// A commit, within every limit.
pub(crate) fn commit(request: &pb::CommitRequest) -> Result<(GroupId, Command), Invalid> {
    limit::count(request.guards.len().saturating_add(request.ops.len()))?;
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
            .map(|op| self::op(op, &mut budget))
            .collect::<Result<_, _>>()?,
    };
    refuse_duplicates(&commit.ops)?;
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
            results: results.into_iter().map(op_result).collect(),
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

/// The recorded progress of a consumer group.
pub(super) fn offset_op(op: &pb::CommitOffsetOp, budget: &mut Budget) -> Result<Op, Invalid> {
    let consumer_group = limit::name("consumer_group", &op.consumer_group)?;
    budget.take(consumer_group.len())?;
    Ok(Op::CommitOffset {
        topic: limit::name("topic", &op.topic)?,
        partition: PartitionId(op.partition),
        consumer_group,
        next: Offset(op.next),
    })
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

fn op(op: &pb::Op, budget: &mut Budget) -> Result<Op, Invalid> {
    match &op.op {
        None => Err(Invalid::MissingField { field: "op" }),
        Some(pb::op::Op::Put(put)) => Ok(Op::Put {
            row: limit::row(put.row.as_ref(), budget)?,
            value: limit::value("put.value", &put.value, budget)?,
        }),
        Some(pb::op::Op::Delete(delete)) => Ok(Op::Delete {
            row: limit::row(delete.row.as_ref(), budget)?,
        }),
        Some(pb::op::Op::DeleteRange(range)) => {
            let end = range.end.as_ref();
            Ok(Op::DeleteRange {
                keyspace: limit::name("delete_range.keyspace", &range.keyspace)?,
                start: limit::bound("delete_range.start", &range.start, budget)?,
                end: end
                    .map(|end| limit::bound("delete_range.end", end, budget))
                    .transpose()?,
            })
        }
        Some(pb::op::Op::Publish(publish)) => {
            let message = publish.message.as_ref().ok_or(Invalid::MissingField {
                field: "publish.message",
            })?;
            Ok(Op::Publish {
                topic: limit::name("topic", &publish.topic)?,
                partition: publish.partition.map(PartitionId),
                message: limit::message(message, budget)?,
            })
        }
        Some(pb::op::Op::CommitOffset(offset)) => offset_op(offset, budget),
    }
}

/// What an op writes, where writing it twice in one commit has no meaning.
#[derive(PartialEq, Eq, Hash)]
enum Target<'a> {
    Row(&'a str, &'a [u8]),
    Progress(&'a str, PartitionId, &'a str),
}

fn refuse_duplicates(ops: &[Op]) -> Result<(), Invalid> {
    if ops.len() < 2 {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(ops.len());
    for (place, op) in ops.iter().enumerate() {
        let target = match op {
            Op::Put { row, .. } | Op::Delete { row } => Target::Row(&row.keyspace, &row.key),
            Op::CommitOffset {
                topic,
                partition,
                consumer_group,
                ..
            } => Target::Progress(topic, *partition, consumer_group),
            // The state knows which rows a range holds.
            Op::Publish { .. } | Op::DeleteRange { .. } => continue,
        };
        if !seen.insert(target) {
            return Err(Invalid::DuplicateKey { op: place });
        }
    }
    Ok(())
}

fn op_result(result: OpResult) -> pb::OpResult {
    use pb::op_result::Result;

    let result = match result {
        OpResult::Put { version } => Result::PutVersion(version),
        OpResult::Deleted { existed } => Result::Deleted(existed),
        OpResult::Published { partition, offset } => {
            Result::Published(published(partition, offset))
        }
        OpResult::OffsetCommitted => Result::OffsetCommitted(true),
        OpResult::RangeDeleted => Result::RangeDeleted(true),
    };
    pb::OpResult {
        result: Some(result),
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
