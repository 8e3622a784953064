//! Versions of rows: those that a versioned keyspace keeps, or those of recent history.

use bytes::Bytes;
use engine_proto::v1 as pb;
use engine_proto::v1::kv_client::KvClient;

use crate::call::{Kind, service};
use crate::commit::{Commit, OpResult, revision, row};
use crate::error::{Error, Result};
use crate::kv::{Kv, consistency};

pub use engine_proto::v1::RowVersion;

/// Which versions of a row, the newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionsScan {
    /// Only those that were written before this revision: that of the last of the page before.
    pub before: Option<u64>,
    /// Most versions; 0 for the most a page may hold (10,000 versions, 2 MiB).
    pub limit: u32,
    /// Ask a seed for whatever it has applied: works without a quorum, may be old.
    pub local: bool,
}

/// A page of versions.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionsPage {
    /// Whether the keyspace keeps versions, or did. If not, these are those of the row's present life
    /// that are still within the readable history.
    pub kept: bool,
    /// The newest first.
    pub versions: Vec<RowVersion>,
    /// Whether versions follow.
    pub more: bool,
    /// The revision that was read.
    pub revision: u64,
}

/// A row has a value that it had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The commit's revision.
    pub revision: u64,
    /// When that value was written.
    pub from_revision: u64,
    /// How often the row was written since it came into being.
    pub version: u64,
}

impl Kv {
    /// Reads a page of a row's versions; it may have been deleted.
    ///
    /// # Errors
    /// `WRONG_KIND` for a set or hash, and those of [`get`](Self::get).
    pub async fn versions(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        scan: VersionsScan,
    ) -> Result<VersionsPage> {
        let request = pb::VersionsRequest {
            row: Some(row(keyspace, key)),
            before: scan.before,
            limit: scan.limit,
            consistency: consistency(scan.local),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::read(scan.local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .versions(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(VersionsPage {
            kept: answer.kept,
            more: answer.more,
            revision: revision(answer.header.as_ref()),
            versions: answer.versions,
        })
    }

    /// Reads the version of a row that was written at exactly this revision; `None` if none is kept.
    ///
    /// # Errors
    /// As for [`versions`](Self::versions).
    pub async fn version(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        written_at: u64,
        local: bool,
    ) -> Result<Option<RowVersion>> {
        let request = pb::VersionRequest {
            row: Some(row(keyspace, key)),
            revision: written_at,
            consistency: consistency(local),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::read(local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .version(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(answer.version)
    }

    /// Writes a row anew that was deleted, or has ended, in a versioned keyspace.
    ///
    /// # Errors
    /// `ROW_EXISTS`, `NOTHING_TO_RESTORE`, `NOT_VERSIONED`, and those of [`put`](Self::put).
    pub async fn undelete(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
    ) -> Result<Restored> {
        self.restore(Commit::new().undelete(keyspace, key)).await
    }

    /// Writes a row with the value that was written at exactly this revision.
    ///
    /// # Errors
    /// `UNKNOWN_VERSION`, and those of [`put`](Self::put).
    pub async fn revert(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        to_revision: u64,
    ) -> Result<Restored> {
        self.restore(Commit::new().revert(keyspace, key, to_revision))
            .await
    }

    async fn restore(&self, commit: Commit) -> Result<Restored> {
        match self.one_at(commit).await? {
            (
                revision,
                OpResult::Restored {
                    from_revision,
                    version,
                },
            ) => Ok(Restored {
                revision,
                from_revision,
                version,
            }),
            _ => Err(Error::another_op()),
        }
    }
}

impl Commit {
    /// Writes a row anew that was deleted, or has ended, in a versioned keyspace.
    pub fn undelete(self, keyspace: impl Into<String>, key: impl Into<Bytes>) -> Self {
        let row = row(keyspace, key);
        let bytes = row.key.len();
        let undelete = pb::UndeleteOp { row: Some(row) };
        self.op(bytes, pb::op::Op::Undelete(undelete))
    }

    /// Writes a row with the value that was written at exactly this revision.
    pub fn revert(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        to_revision: u64,
    ) -> Self {
        let row = row(keyspace, key);
        let bytes = row.key.len();
        let revert = pb::RevertOp {
            row: Some(row),
            to_revision,
        };
        self.op(bytes, pb::op::Op::Revert(revert))
    }
}
