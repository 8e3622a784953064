//! Reads of several rows, and of what is in sets and hashes.

use bytes::Bytes;
use engine::command::RowRef;
use engine::ids::{GroupId, Revision};
use engine::limits;
use engine::query::{BatchAnswer, MembersPage, MembersRequest};
use engine_proto::v1 as pb;

use super::kv::{kind, row};
use super::limit::{self, Budget};
use super::{Header, Invalid};

/// A checked read of several rows.
#[derive(Clone, Debug)]
pub(crate) struct BatchRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// Which rows.
    pub(crate) rows: Vec<RowRef>,
    /// At which revision, if not the newest.
    pub(crate) at: Option<Revision>,
}

/// A checked read of members.
#[derive(Clone, Debug)]
pub(crate) struct MembersRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// Which members.
    pub(crate) members: MembersRequest,
}

/// A checked read of one member.
#[derive(Clone, Debug)]
pub(crate) struct MemberRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// Which set or hash.
    pub(crate) row: RowRef,
    /// Which member or field.
    pub(crate) member: Bytes,
    /// At which revision, if not the newest.
    pub(crate) at: Option<Revision>,
}

/// A read of several rows.
pub(crate) fn batch_get(request: &pb::BatchGetRequest) -> Result<BatchRead, Invalid> {
    let count = request.rows.len();
    if count > limits::BATCH_ROWS_MAX {
        return Err(Invalid::TooManyRows { count });
    }
    let mut budget = Budget::default();
    let rows = request.rows.iter();
    Ok(BatchRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        rows: rows
            .map(|row| limit::row(Some(row), &mut budget))
            .collect::<Result<_, _>>()?,
        at: request.revision.map(Revision),
    })
}

/// Several rows or their absence.
pub(crate) fn batch_get_response(header: Header, answer: BatchAnswer) -> pb::BatchGetResponse {
    let rows = answer.rows.into_iter();
    pb::BatchGetResponse {
        header: header.read(answer.revision, answer.now_ms),
        items: rows
            .map(|found| pb::BatchGetItem {
                row: found.map(row),
            })
            .collect(),
    }
}

/// A page of members.
pub(crate) fn members(request: &pb::MembersRequest) -> Result<MembersRead, Invalid> {
    let mut budget = Budget::default();
    let after = request.after.as_ref();
    Ok(MembersRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        members: MembersRequest {
            row: limit::row(request.row.as_ref(), &mut budget)?,
            after: after
                .map(|after| limit::member("after", after, &mut budget))
                .transpose()?,
            at: request.revision.map(Revision),
            limit: limit::items(request.limit),
        },
    })
}

/// A page of members or fields.
pub(crate) fn members_response(header: Header, page: MembersPage) -> pb::MembersResponse {
    let members = page.members.into_iter();
    pb::MembersResponse {
        header: header.read(page.revision, page.now_ms),
        exists: page.kind.is_some(),
        kind: page.kind.map(kind).unwrap_or_default().into(),
        members: members
            .map(|(name, value)| pb::Field { name, value })
            .collect(),
        more: page.more,
    }
}

/// A read of one member.
pub(crate) fn member(request: &pb::MemberRequest) -> Result<MemberRead, Invalid> {
    let mut budget = Budget::default();
    Ok(MemberRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        row: limit::row(request.row.as_ref(), &mut budget)?,
        member: limit::member("member", &request.member, &mut budget)?,
        at: request.revision.map(Revision),
    })
}

/// One member or field, or its absence.
pub(crate) fn member_response(
    header: Header,
    value: Option<Bytes>,
    at: Revision,
) -> pb::MemberResponse {
    pb::MemberResponse {
        header: header.at(at),
        value,
    }
}
