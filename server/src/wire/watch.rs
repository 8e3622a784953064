//! Watches and changes.

use std::time::Duration;

use bytes::Bytes;
use engine::ids::{GroupId, Revision};
use engine::query::{
    Cause, Change, ChangesPage, CommitView, Keys, QueuedChange, RowDiff, WatchEvent, WatchPage,
    WatchRequest, WatchedCommit,
};
use engine_proto::v1 as pb;

use super::kv::row;
use super::limit;
use super::{Header, Invalid};

/// How often a quiet watch says how far it is, if the client does not choose.
const PROGRESS_DEFAULT_MS: u32 = 10_000;
const PROGRESS_MIN_MS: u32 = 100;
const PROGRESS_MAX_MS: u32 = 60 * 60 * 1000;

/// A checked watch.
#[derive(Clone, Debug)]
pub(crate) struct WatchRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must begin behind every acknowledged write.
    pub(crate) linearizable: bool,
    /// What is watched.
    pub(crate) watch: WatchRequest,
    /// The first revision wanted, if not the next.
    pub(crate) from: Option<Revision>,
    /// How often a quiet watch says how far it is.
    pub(crate) progress: Duration,
}

/// A checked read of changes.
#[derive(Clone, Debug)]
pub(crate) struct ChangesRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// The first revision wanted.
    pub(crate) from: Revision,
    /// Most commits; 0 for a page.
    pub(crate) limit: usize,
}

/// What to watch.
pub(crate) fn watch(request: &pb::WatchRequest) -> Result<WatchRead, Invalid> {
    let progress_ms = match request.progress_ms {
        0 => PROGRESS_DEFAULT_MS,
        ms => ms,
    };
    limit::within(
        "progress_ms",
        progress_ms.into(),
        PROGRESS_MIN_MS.into(),
        PROGRESS_MAX_MS.into(),
    )?;
    Ok(WatchRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        watch: WatchRequest {
            keyspace: limit::name("keyspace", &request.keyspace)?,
            keys: keys(request.keys.as_ref())?,
            no_puts: request.no_puts,
            no_deletes: request.no_deletes,
            previous: request.previous,
            keys_only: request.keys_only,
        },
        from: request.from_revision.map(Revision),
        progress: Duration::from_millis(progress_ms.into()),
    })
}

fn keys(keys: Option<&pb::watch_request::Keys>) -> Result<Keys, Invalid> {
    use pb::watch_request::Keys as Wanted;

    Ok(match keys {
        None => Keys::Prefix(Bytes::new()),
        Some(Wanted::Key(key)) if key.is_empty() => {
            return Err(Invalid::KeyEmpty { field: "key" });
        }
        Some(Wanted::Key(key)) => Keys::One(limit::key("key", key)?),
        Some(Wanted::Prefix(prefix)) => Keys::Prefix(limit::key("prefix", prefix)?),
        Some(Wanted::Range(range)) => {
            let start = limit::key("range.start", &range.start)?;
            let end = range.end.as_ref();
            let end = end.map(|end| limit::key("range.end", end)).transpose()?;
            if end.as_ref().is_some_and(|end| *end <= start) {
                return Err(Invalid::RangeEmpty { field: "range" });
            }
            Keys::Range(start, end)
        }
    })
}

/// A page of a watch, or how far there is nothing.
pub(crate) fn watch_response(header: Header, page: WatchPage) -> pb::WatchResponse {
    pb::WatchResponse {
        header: header.now(),
        commits: page.commits.into_iter().map(watched_commit).collect(),
        upto_revision: page.next.revision.0.saturating_sub(1),
    }
}

fn watched_commit(commit: WatchedCommit) -> pb::WatchedCommit {
    pb::WatchedCommit {
        revision: commit.revision.0,
        at_ms: commit.at_ms,
        events: commit.events.into_iter().map(event).collect(),
        more: !commit.complete,
    }
}

fn event(event: WatchEvent) -> pb::WatchEvent {
    use pb::watch_event::Change as Told;

    let change = match event.change {
        Change::Put(view) => Told::Put(row(view)),
        Change::Deleted(key) => Told::Deleted(key),
        Change::Ended(key) => Told::Ended(key),
        Change::RangeDeleted(start, end) => Told::RangeDeleted(pb::WatchRange { start, end }),
        Change::KeyspaceDropped => Told::KeyspaceDropped(true),
    };
    pb::WatchEvent {
        change: Some(change),
        previous: event.previous.map(row),
    }
}

/// From where on changes are wanted.
pub(crate) fn changes(request: &pb::ChangesRequest) -> Result<ChangesRead, Invalid> {
    Ok(ChangesRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        from: Revision(request.from_revision),
        limit: limit::items(request.limit),
    })
}

/// A page of commits.
pub(crate) fn changes_response(header: Header, page: ChangesPage) -> pb::ChangesResponse {
    pb::ChangesResponse {
        header: header.now(),
        commits: page.commits.into_iter().map(changed_commit).collect(),
        next_revision: page.next.0,
        more: page.more,
    }
}

fn changed_commit(commit: CommitView) -> pb::ChangedCommit {
    use pb::ChangeCause as Told;

    let (cause, name) = match commit.cause {
        Cause::Commit(_) => (Told::Commit, String::new()),
        Cause::RowsEnded => (Told::RowsEnded, String::new()),
        Cause::KeyspaceCreated(ref name) => (Told::KeyspaceCreated, name.clone()),
        Cause::KeyspaceAltered(ref name) => (Told::KeyspaceAltered, name.clone()),
        Cause::KeyspaceDropped(ref name) => (Told::KeyspaceDropped, name.clone()),
        Cause::TopicCreated(ref name) => (Told::TopicCreated, name.clone()),
    };
    let (session, request_number) = match commit.cause {
        Cause::Commit(Some((session, number))) => (session.0, number),
        _ => (0, 0),
    };
    let mut told = pb::ChangedCommit {
        revision: commit.revision.0,
        term: commit.log_id.term.0,
        index: commit.log_id.index.0,
        at_ms: commit.at_ms,
        cause: cause.into(),
        name,
        session,
        request_number,
        rows: commit.rows.into_iter().map(changed_row).collect(),
        row_count: commit.row_count as u64,
        messages: Vec::new(),
        offsets: Vec::new(),
    };
    for queued in commit.queued {
        match queued {
            QueuedChange::Message {
                topic,
                partition,
                offset,
            } => told.messages.push(pb::ChangedMessage {
                topic,
                partition: partition.0,
                offset: offset.0,
            }),
            QueuedChange::Offset {
                topic,
                partition,
                consumer_group,
                next,
            } => told.offsets.push(pb::ChangedOffset {
                topic,
                partition: partition.0,
                consumer_group,
                next: next.0,
            }),
        }
    }
    told
}

fn changed_row(diff: RowDiff) -> pb::ChangedRow {
    pb::ChangedRow {
        keyspace: diff.keyspace.unwrap_or_default(),
        keyspace_id: diff.keyspace_id.0,
        event: Some(event(diff.event)),
    }
}
