//! Rows: single writes and all reads.

use bytes::Bytes;
use engine::command::{Command, Commit, Guard, Op, OpResult, Outcome, RowRef};
use engine::ids::{GroupId, Revision};
use engine::query::{GetAnswer, RowView, ScanPage, ScanRequest};
use engine::store::RowKind;
use engine_proto::v1 as pb;

use super::commit::{Decision, committed};
use super::cursor::Walk;
use super::limit::{self, Budget};
use super::{Header, Invalid, op};
use crate::error::Error;

/// A checked read of one row.
#[derive(Clone, Debug)]
pub(crate) struct GetRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// Which row.
    pub(crate) row: RowRef,
    /// At which revision, if not the newest.
    pub(crate) at: Option<Revision>,
}

/// A checked read of a page.
#[derive(Clone, Debug)]
pub(crate) struct ScanRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// Which rows.
    pub(crate) scan: ScanRequest,
}

/// A checked count.
#[derive(Clone, Debug)]
pub(crate) struct CountRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// The keyspace's name.
    pub(crate) keyspace: String,
    /// Only keys that begin with this.
    pub(crate) prefix: Bytes,
    /// At which revision, if not the newest.
    pub(crate) at: Option<Revision>,
}

/// A read of one row.
pub(crate) fn get(request: &pb::GetRequest) -> Result<GetRead, Invalid> {
    Ok(GetRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        row: limit::row(request.row.as_ref(), &mut Budget::default())?,
        at: request.revision.map(Revision),
    })
}

/// One row or its absence.
pub(crate) fn get_response(header: Header, answer: GetAnswer) -> pb::GetResponse {
    pb::GetResponse {
        header: header.read(answer.revision, answer.now_ms),
        row: answer.row.map(row),
    }
}

/// The answer to a read on a stream.
pub(crate) fn get_pipeline_response(
    tag: u64,
    response: pb::GetResponse,
) -> pb::GetPipelineResponse {
    pb::GetPipelineResponse {
        tag,
        outcome: Some(pb::get_pipeline_response::Outcome::Response(response)),
    }
}

/// The answer to a read on a stream that failed.
pub(crate) fn get_failure(tag: u64, failure: pb::Failure) -> pb::GetPipelineResponse {
    pb::GetPipelineResponse {
        tag,
        outcome: Some(pb::get_pipeline_response::Outcome::Failure(failure)),
    }
}

/// A page of rows, perhaps after a cursor.
pub(crate) fn scan(request: &pb::ScanRequest) -> Result<ScanRead, Invalid> {
    let keyspace = limit::name("keyspace", &request.keyspace)?;
    let prefix = limit::key("prefix", &request.prefix)?;
    let (at, after) = if request.cursor.is_empty() {
        (request.revision.map(Revision), None)
    } else if request.revision.is_some() {
        return Err(Invalid::FieldsConflict {
            first: "cursor",
            second: "revision",
        });
    } else {
        let (revision, key) = walk(request).decode(&request.cursor)?;
        (Some(revision), Some(key))
    };
    Ok(ScanRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        scan: ScanRequest {
            keyspace,
            prefix,
            after,
            at,
            reverse: request.reverse,
            keys_only: request.keys_only,
            limit: limit::items(request.limit),
        },
    })
}

/// A page, with the cursor for the next one of the same walk.
pub(crate) fn scan_response(
    request: &pb::ScanRequest,
    header: Header,
    page: ScanPage,
) -> pb::ScanResponse {
    let next_cursor = match page.rows.last() {
        Some(last) if page.more => walk(request).encode(page.revision, &last.key),
        _ => String::new(),
    };
    pb::ScanResponse {
        header: header.read(page.revision, page.now_ms),
        rows: page.rows.into_iter().map(row).collect(),
        next_cursor,
    }
}

/// The cursor behind `key`, at a revision.
pub(crate) fn scan_cursor(request: &pb::ScanRequest, revision: Revision, key: &[u8]) -> String {
    walk(request).encode(revision, key)
}

/// A count of rows.
pub(crate) fn count(request: &pb::CountRequest) -> Result<CountRead, Invalid> {
    Ok(CountRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        keyspace: limit::name("keyspace", &request.keyspace)?,
        prefix: limit::key("prefix", &request.prefix)?,
        at: request.revision.map(Revision),
    })
}

/// How many rows there are.
pub(crate) fn count_response(header: Header, count: u64, at: Revision) -> pb::CountResponse {
    pb::CountResponse {
        header: header.at(at),
        count,
    }
}

/// A put, as a commit of one op.
pub(crate) fn put(request: &pb::PutRequest) -> Result<(GroupId, Command), Invalid> {
    let mut budget = Budget::default();
    let row = limit::row(request.row.as_ref(), &mut budget)?;
    let value = limit::value("value", &request.value, &mut budget)?;
    let expiry = op::expiry(request.expiry.as_ref())?;
    let commit = Commit {
        request: limit::request(request.request.as_ref())?,
        guards: row_guard(&row, request.guard.as_ref(), &mut budget)?,
        ops: vec![Op::Put { row, value, expiry }],
    };
    Ok((limit::group(request.group), Command::Commit(commit)))
}

/// The answer to a put.
pub(crate) fn put_response(header: Header, outcome: Outcome) -> Result<pb::PutResponse, Error> {
    match committed(outcome)? {
        Decision::GuardFailed(guard_failed) => Ok(pb::PutResponse {
            header: header.now(),
            guard_failed: Some(guard_failed),
            version: 0,
        }),
        Decision::Done { revision, results } => match results.as_slice() {
            [OpResult::Put { version }] => Ok(pb::PutResponse {
                header: header.at(revision),
                guard_failed: None,
                version: *version,
            }),
            other => Err(Error::mismatch(other)),
        },
    }
}

/// A delete, as a commit of one op.
pub(crate) fn delete(request: &pb::DeleteRequest) -> Result<(GroupId, Command), Invalid> {
    let mut budget = Budget::default();
    let row = limit::row(request.row.as_ref(), &mut budget)?;
    let commit = Commit {
        request: limit::request(request.request.as_ref())?,
        guards: row_guard(&row, request.guard.as_ref(), &mut budget)?,
        ops: vec![Op::Delete { row }],
    };
    Ok((limit::group(request.group), Command::Commit(commit)))
}

/// The answer to a delete.
pub(crate) fn delete_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::DeleteResponse, Error> {
    match committed(outcome)? {
        Decision::GuardFailed(guard_failed) => Ok(pb::DeleteResponse {
            header: header.now(),
            guard_failed: Some(guard_failed),
            existed: false,
        }),
        Decision::Done { revision, results } => match results.as_slice() {
            [OpResult::Deleted { existed }] => Ok(pb::DeleteResponse {
                header: header.at(revision),
                guard_failed: None,
                existed: *existed,
            }),
            other => Err(Error::mismatch(other)),
        },
    }
}

fn walk(request: &pb::ScanRequest) -> Walk<'_> {
    Walk {
        group: limit::group(request.group),
        keyspace: &request.keyspace,
        prefix: &request.prefix,
        reverse: request.reverse,
    }
}

fn row_guard(
    row: &RowRef,
    guard: Option<&pb::RowGuard>,
    budget: &mut Budget,
) -> Result<Vec<Guard>, Invalid> {
    use pb::row_guard::Condition;

    let Some(guard) = guard else {
        return Ok(Vec::new());
    };
    let row = row.clone();
    Ok(vec![match &guard.condition {
        None => {
            return Err(Invalid::MissingField {
                field: "guard.condition",
            });
        }
        Some(Condition::Exists(true)) => Guard::Exists(row),
        Some(Condition::Exists(false)) => Guard::Absent(row),
        Some(Condition::RevisionIs(revision)) => Guard::RevisionIs(row, Revision(*revision)),
        Some(Condition::ValueIs(value)) => {
            Guard::ValueIs(row, limit::value("guard.value_is", value, budget)?)
        }
    }])
}

/// A row as it was read.
pub(super) fn row(row: RowView) -> pb::Row {
    pb::Row {
        key: row.key,
        value: row.value,
        create_revision: row.create_revision.0,
        mod_revision: row.mod_revision.0,
        version: row.version,
        expires_at_ms: row.expires_at_ms,
        kind: kind(row.kind).into(),
        members: row.members,
    }
}

/// What a row is.
pub(super) fn kind(kind: RowKind) -> pb::RowKind {
    match kind {
        RowKind::Bytes => pb::RowKind::Value,
        RowKind::Set => pb::RowKind::Set,
        RowKind::Hash => pb::RowKind::Hash,
    }
}
