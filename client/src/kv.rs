//! Rows: ordered keys with versions, in keyspaces.

use std::sync::Arc;

use bytes::Bytes;
use engine_proto::v1 as pb;
use engine_proto::v1::kv_client::KvClient;

use crate::call::{Calls, Kind, service};
use crate::commit::{Condition, Guarded, guard_failed, revision, row};
use crate::error::{Error, Result};
use crate::expiry::Expiry;

pub use engine_proto::v1::{Row, RowKind};

/// Calls about rows; from [`Client::kv`](crate::Client::kv).
#[derive(Clone, Debug)]
pub struct Kv {
    pub(crate) calls: Arc<Calls>,
}

/// At which moment, and how fresh, a read is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Read at this revision instead of the newest. Below the compaction floor or above the
    /// newest it is `OUT_OF_RANGE`.
    pub revision: Option<u64>,
    /// Ask a seed for whatever it has applied: works without a quorum, may be old.
    pub local: bool,
}

/// Which rows to read, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The keyspace's name.
    pub keyspace: String,
    /// Only keys that begin with this; empty for all.
    pub prefix: Bytes,
    /// Most rows; 0 for the most a page may hold (10,000 rows, 2 MiB).
    pub limit: u32,
    /// The page before's `next_cursor`; empty for the first. It carries the revision, so that a
    /// walk over all pages sees one moment.
    pub cursor: String,
    /// From the last key to the first.
    pub reverse: bool,
    /// Leave values out.
    pub keys_only: bool,
    /// At which moment, and how fresh. A revision may not stand together with a cursor.
    pub read: ReadOptions,
}

impl Scan {
    /// All rows of a keyspace.
    pub fn new(keyspace: impl Into<String>) -> Self {
        Self {
            keyspace: keyspace.into(),
            ..Self::default()
        }
    }

    /// Only keys that begin with this.
    pub fn prefix(mut self, prefix: impl Into<Bytes>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Most rows of the page.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after the page that answered this cursor.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = cursor.into();
        self
    }
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// In key order.
    pub rows: Vec<Row>,
    /// For the next page; `None` on the last.
    pub next_cursor: Option<String>,
    /// The revision that was read.
    pub revision: u64,
}

/// A row or its absence.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// `None` if the key is absent.
    pub row: Option<Row>,
    /// The revision that was read.
    pub revision: u64,
    /// The cluster's time at which it was read, milliseconds since 1970: rows end by this clock.
    pub now_ms: u64,
}

/// How many rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The count.
    pub count: u64,
    /// The revision that was read.
    pub revision: u64,
}

/// A row was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The commit's revision.
    pub revision: u64,
    /// How often the row was written since it came into being; 1 for a new row.
    pub version: u64,
}

/// A row is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The commit's revision.
    pub revision: u64,
    /// Whether it was there before.
    pub existed: bool,
}

impl Kv {
    pub(crate) fn new(calls: Arc<Calls>) -> Self {
        Self { calls }
    }

    /// Reads a row: the newest that was acknowledged before the call.
    ///
    /// # Errors
    /// `UNKNOWN_KEYSPACE`, and those of every call.
    pub async fn get(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
    ) -> Result<Option<Row>> {
        let looked = self.get_with(keyspace, key, ReadOptions::default()).await?;
        Ok(looked.row)
    }

    /// Reads a row at a chosen moment or freshness.
    ///
    /// # Errors
    /// As for [`get`](Self::get); `REVISION_COMPACTED` and `REVISION_IN_FUTURE`.
    pub async fn get_with(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        read: ReadOptions,
    ) -> Result<Looked> {
        let request = pb::GetRequest {
            row: Some(row(keyspace, key)),
            revision: read.revision,
            consistency: consistency(read.local),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::read(read.local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .get(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(Looked {
            now_ms: answer.header.map_or(0, |header| header.now_ms),
            revision: revision(answer.header.as_ref()),
            row: answer.row,
        })
    }

    /// Reads a page of rows.
    ///
    /// # Errors
    /// As for [`get_with`](Self::get_with); `CURSOR_INVALID`.
    pub async fn scan(&self, scan: Scan) -> Result<Page> {
        let local = scan.read.local;
        let request = scan.wire();
        let answer = self
            .calls
            .call(Kind::read(local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .scan(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(Page {
            revision: revision(answer.header.as_ref()),
            rows: answer.rows,
            next_cursor: Some(answer.next_cursor).filter(|cursor| !cursor.is_empty()),
        })
    }

    /// Counts the rows under a prefix; an empty one counts all.
    ///
    /// # Errors
    /// As for [`get_with`](Self::get_with).
    pub async fn count(
        &self,
        keyspace: impl Into<String>,
        prefix: impl Into<Bytes>,
        read: ReadOptions,
    ) -> Result<Counted> {
        let request = pb::CountRequest {
            keyspace: keyspace.into(),
            prefix: prefix.into(),
            revision: read.revision,
            consistency: consistency(read.local),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::read(read.local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .count(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(Counted {
            count: answer.count,
            revision: revision(answer.header.as_ref()),
        })
    }

    /// Writes a row.
    ///
    /// # Durability
    /// Once answered, the row survives the loss of any minority of the nodes.
    ///
    /// # Errors
    /// `UNKNOWN_KEYSPACE`, the limits' words, and those of every call.
    pub async fn put(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Written> {
        self.put_with(keyspace, key, value, Expiry::Default).await
    }

    /// Writes a row that ends.
    ///
    /// # Errors
    /// As for [`put`](Self::put); `EXPIRY_IN_THE_PAST`.
    pub async fn put_with(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        expiry: Expiry,
    ) -> Result<Written> {
        let mut request = put_request(row(keyspace, key), value.into(), None);
        request.expiry = expiry.wire();
        match self.send_put(request).await? {
            Guarded::Done(written) => Ok(written),
            Guarded::Failed(_) => Err(Error::unasked_guard()),
        }
    }

    /// Writes a row if the condition holds: compare and set.
    ///
    /// # Errors
    /// As for [`put`](Self::put). A condition that does not hold is an answer.
    pub async fn put_if(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        condition: Condition,
        value: impl Into<Bytes>,
    ) -> Result<Guarded<Written>> {
        self.send_put(put_request(
            row(keyspace, key),
            value.into(),
            Some(row_guard(condition)),
        ))
        .await
    }

    /// Writes a row if it holds exactly `expected`, or is not there if that is `None`.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub async fn cas(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        expected: Option<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Guarded<Written>> {
        let condition = expected.map_or(Condition::Absent, Condition::ValueIs);
        self.put_if(keyspace, key, condition, value).await
    }

    /// Removes a row; one that is not there is no error.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub async fn delete(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
    ) -> Result<Removed> {
        match self.send_delete(row(keyspace, key), None).await? {
            Guarded::Done(removed) => Ok(removed),
            Guarded::Failed(_) => Err(Error::unasked_guard()),
        }
    }

    /// Removes a row if the condition holds.
    ///
    /// # Errors
    /// As for [`put`](Self::put). A condition that does not hold is an answer.
    pub async fn delete_if(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        condition: Condition,
    ) -> Result<Guarded<Removed>> {
        self.send_delete(row(keyspace, key), Some(row_guard(condition)))
            .await
    }

    async fn send_put(&self, request: pb::PutRequest) -> Result<Guarded<Written>> {
        let answer = self
            .calls
            .call(Kind::WRITE, |attempt| {
                let mut request = request.clone();
                request.request = attempt.request;
                async move {
                    service!(KvClient, attempt)
                        .put(attempt.message(request))
                        .await
                }
            })
            .await?;
        let revision = revision(answer.header.as_ref());
        Ok(match answer.guard_failed {
            Some(failed) => Guarded::Failed(guard_failed(failed, revision)),
            None => Guarded::Done(Written {
                revision,
                version: answer.version,
            }),
        })
    }

    async fn send_delete(
        &self,
        row: pb::RowRef,
        guard: Option<pb::RowGuard>,
    ) -> Result<Guarded<Removed>> {
        let answer = self
            .calls
            .call(Kind::WRITE, |attempt| {
                let request = pb::DeleteRequest {
                    request: attempt.request,
                    row: Some(row.clone()),
                    guard: guard.clone(),
                    group: 0,
                };
                async move {
                    service!(KvClient, attempt)
                        .delete(attempt.message(request))
                        .await
                }
            })
            .await?;
        let revision = revision(answer.header.as_ref());
        Ok(match answer.guard_failed {
            Some(failed) => Guarded::Failed(guard_failed(failed, revision)),
            None => Guarded::Done(Removed {
                revision,
                existed: answer.existed,
            }),
        })
    }
}

/// The wire's word for how fresh a read is.
pub(crate) fn consistency(local: bool) -> i32 {
    if local {
        pb::Consistency::Local.into()
    } else {
        pb::Consistency::Linearizable.into()
    }
}

fn put_request(row: pb::RowRef, value: Bytes, guard: Option<pb::RowGuard>) -> pb::PutRequest {
    pb::PutRequest {
        request: None,
        row: Some(row),
        value,
        guard,
        group: 0,
        expiry: None,
    }
}

fn row_guard(condition: Condition) -> pb::RowGuard {
    let condition = match condition {
        Condition::Exists => pb::row_guard::Condition::Exists(true),
        Condition::Absent => pb::row_guard::Condition::Exists(false),
        Condition::RevisionIs(revision) => pb::row_guard::Condition::RevisionIs(revision),
        Condition::ValueIs(value) => pb::row_guard::Condition::ValueIs(value),
    };
    pb::RowGuard {
        condition: Some(condition),
    }
}
