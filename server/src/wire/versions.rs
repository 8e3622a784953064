//! Reads of the versions of a row.

use engine::command::RowRef;
use engine::ids::{GroupId, Revision};
use engine::query::{VersionAnswer, VersionView, VersionsPage, VersionsRequest};
use engine_proto::v1 as pb;

use super::limit::{self, Budget};
use super::{Header, Invalid};

/// A checked read of versions.
#[derive(Clone, Debug)]
pub(crate) struct VersionsRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// Which versions.
    pub(crate) versions: VersionsRequest,
}

/// A checked read of one version.
#[derive(Clone, Debug)]
pub(crate) struct VersionRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// Which row.
    pub(crate) row: RowRef,
    /// When the version was written.
    pub(crate) written_at: Revision,
}

/// A page of versions.
pub(crate) fn versions(request: &pb::VersionsRequest) -> Result<VersionsRead, Invalid> {
    Ok(VersionsRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        versions: VersionsRequest {
            row: limit::row(request.row.as_ref(), &mut Budget::default())?,
            before: request.before.map(Revision),
            limit: limit::items(request.limit),
        },
    })
}

/// The versions of a page.
pub(crate) fn versions_response(header: Header, page: VersionsPage) -> pb::VersionsResponse {
    pb::VersionsResponse {
        header: header.read(page.revision, page.now_ms),
        kept: page.kept,
        versions: page.versions.into_iter().map(version_of).collect(),
        more: page.more,
    }
}

/// A read of one version.
pub(crate) fn version(request: &pb::VersionRequest) -> Result<VersionRead, Invalid> {
    Ok(VersionRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        row: limit::row(request.row.as_ref(), &mut Budget::default())?,
        written_at: Revision(request.revision),
    })
}

/// One version or its absence.
pub(crate) fn version_response(header: Header, answer: VersionAnswer) -> pb::VersionResponse {
    pb::VersionResponse {
        header: header.read(answer.revision, answer.now_ms),
        version: answer.version.map(version_of),
    }
}

fn version_of(version: VersionView) -> pb::RowVersion {
    pb::RowVersion {
        revision: version.revision.0,
        is_delete_marker: version.is_delete_marker,
        version: version.version,
        create_revision: version.create_revision.0,
        expires_at_ms: version.expires_at_ms,
        value: version.value,
    }
}
