//! Reads of a replica, with errors that say what is missing.

use bytes::Bytes;
use engine::ErrorKind;
use engine::command::{Refusal, RowRef};
use engine::ids::{Offset, Revision};
use engine::query::{
    BatchAnswer, ChangesPage, FetchAnswer, FetchRequest, GetAnswer, MembersPage, MembersRequest,
    ScanPage, ScanRequest, TopicView, VersionAnswer, VersionsPage, VersionsRequest, WatchPage,
    WatchPosition,
};
use engine::replica::{KeyspaceHash, Replica, Watch};
use engine::store::RowKind;

use crate::error::{Absent, Error, Range};
use crate::wire::{
    BatchRead, ChangesRead, CountRead, GetRead, HashRead, MemberRead, VersionRead, WatchRead,
};

/// Reads one row.
pub(crate) fn get(replica: &Replica, read: &GetRead) -> Result<GetAnswer, Error> {
    replica
        .get(&read.row, read.at)
        .map_err(|error| of_rows(replica, &read.row.keyspace, read.at, error))
}

/// Reads a page of rows.
pub(crate) fn scan(replica: &Replica, scan: &ScanRequest) -> Result<ScanPage, Error> {
    replica
        .scan(scan)
        .map_err(|error| of_rows(replica, &scan.keyspace, scan.at, error))
}

/// Counts rows.
pub(crate) fn count(replica: &Replica, read: &CountRead) -> Result<(u64, Revision), Error> {
    replica
        .count(&read.keyspace, &read.prefix, read.at)
        .map_err(|error| of_rows(replica, &read.keyspace, read.at, error))
}

/// Reads several rows.
pub(crate) fn batch_get(replica: &Replica, read: &BatchRead) -> Result<BatchAnswer, Error> {
    replica.get_many(&read.rows, read.at).map_err(|error| {
        let known = replica.keyspaces();
        let known = |name: &str| known.iter().any(|keyspace| keyspace.name == name);
        let mut named = read.rows.iter().map(|row| row.keyspace.as_str());
        let unknown = named.find(|name| !known(name));
        of_rows(replica, unknown.unwrap_or_default(), read.at, error)
    })
}

/// Reads a page of members.
pub(crate) fn members(replica: &Replica, read: &MembersRequest) -> Result<MembersPage, Error> {
    replica
        .members(read)
        .map_err(|error| of_members(replica, &read.row, read.at, error))
}

/// Reads one member.
pub(crate) fn member(
    replica: &Replica,
    read: &MemberRead,
) -> Result<(Option<Bytes>, Revision), Error> {
    replica
        .member(&read.row, &read.member, read.at)
        .map_err(|error| of_members(replica, &read.row, read.at, error))
}

/// Hashes keyspaces, as long as `goes_on` says so.
pub(crate) fn hash(
    replica: &Replica,
    read: &HashRead,
    goes_on: &dyn Fn() -> bool,
) -> Result<(Vec<KeyspaceHash>, Revision), Error> {
    let keyspace = read.keyspace.as_deref();
    replica
        .hash(keyspace, read.at, goes_on)
        .map_err(|error| of_rows(replica, keyspace.unwrap_or_default(), read.at, error))
}

/// Reads a page of versions.
pub(crate) fn versions(replica: &Replica, read: &VersionsRequest) -> Result<VersionsPage, Error> {
    replica
        .versions(read)
        .map_err(|error| of_versions(replica, &read.row, error))
}

/// Reads one version.
pub(crate) fn version(replica: &Replica, read: &VersionRead) -> Result<VersionAnswer, Error> {
    replica
        .version(&read.row, read.written_at)
        .map_err(|error| of_versions(replica, &read.row, error))
}

/// Reads messages.
pub(crate) fn fetch(replica: &Replica, fetch: &FetchRequest) -> Result<FetchAnswer, Error> {
    replica
        .fetch(fetch)
        .map_err(|error| of_messages(replica, fetch, error))
}

/// Describes a topic.
pub(crate) fn topic(replica: &Replica, name: &str) -> Result<TopicView, Error> {
    replica.topic(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Absent(Absent::Topic(name.to_owned())),
        _ => Error::Engine(error),
    })
}

/// Watches rows.
pub(crate) fn watch(
    replica: &Replica,
    read: &WatchRead,
    wake: Box<dyn Fn() + Send + Sync>,
) -> Result<Watch, Error> {
    replica
        .watch(read.watch.clone(), wake)
        .map_err(|error| of_rows(replica, &read.watch.keyspace, None, error))
}

/// Where a watch begins.
pub(crate) fn watch_start(
    replica: &Replica,
    watch: &Watch,
    from: Option<Revision>,
) -> Result<WatchPosition, Error> {
    watch
        .start(from)
        .map_err(|error| of_changes(replica, from.unwrap_or_default(), error))
}

/// Reads what happened to what is watched.
pub(crate) fn watch_page(
    replica: &Replica,
    watch: &Watch,
    from: WatchPosition,
) -> Result<WatchPage, Error> {
    watch
        .page(from)
        .map_err(|error| of_changes(replica, from.revision, error))
}

/// Reads what every commit changed.
pub(crate) fn changes(replica: &Replica, read: &ChangesRead) -> Result<ChangesPage, Error> {
    replica
        .changes(read.from, read.limit)
        .map_err(|error| of_changes(replica, read.from, error))
}

fn of_changes(replica: &Replica, asked: Revision, error: engine::Error) -> Error {
    if error.kind() != ErrorKind::OutOfRange {
        return Error::Engine(error);
    }
    let oldest = Revision(replica.watch_floor().0 + 1);
    revision_out_of_range(asked, oldest, replica.revision())
}

fn of_members(
    replica: &Replica,
    row: &RowRef,
    at: Option<Revision>,
    error: engine::Error,
) -> Error {
    match error.kind() {
        ErrorKind::Invalid => Error::Refused(Refusal::WrongKind {
            found: RowKind::Bytes,
            wanted: RowKind::Set,
        }),
        _ => of_rows(replica, &row.keyspace, at, error),
    }
}

fn of_versions(replica: &Replica, row: &RowRef, error: engine::Error) -> Error {
    let kind = || replica.get(row, None).ok()?.row.map(|row| row.kind);
    match error.kind() {
        ErrorKind::Invalid => Error::Refused(Refusal::WrongKind {
            // It may have gone meanwhile.
            found: kind().unwrap_or(RowKind::Set),
            wanted: RowKind::Bytes,
        }),
        _ => of_rows(replica, &row.keyspace, None, error),
    }
}

fn of_rows(replica: &Replica, keyspace: &str, at: Option<Revision>, error: engine::Error) -> Error {
    match (error.kind(), at) {
        (ErrorKind::NotFound, _) => Error::Absent(Absent::Keyspace(keyspace.to_owned())),
        (ErrorKind::OutOfRange, Some(asked)) => {
            let view = replica.view();
            revision_out_of_range(asked, view.floor, view.revision)
        }
        _ => Error::Engine(error),
    }
}

fn revision_out_of_range(asked: Revision, oldest: Revision, newest: Revision) -> Error {
    Error::OutOfRange(if asked < oldest {
        Range::RevisionCompacted {
            asked,
            floor: oldest,
            cursor: None,
        }
    } else {
        Range::RevisionInFuture { asked, newest }
    })
}

fn of_messages(replica: &Replica, fetch: &FetchRequest, error: engine::Error) -> Error {
    if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::OutOfRange) {
        return Error::Engine(error);
    }
    let absent = |topic: &str| Error::Absent(Absent::Topic(topic.to_owned()));
    let Ok(view) = replica.topic(&fetch.topic) else {
        return absent(&fetch.topic);
    };
    let bounds = usize::try_from(fetch.partition.0)
        .ok()
        .and_then(|place| view.partitions.get(place));
    match bounds {
        None => Error::Absent(Absent::Partition(view.name, fetch.partition)),
        Some(bounds) => offset_out_of_range(fetch.from, bounds.start, bounds.end),
    }
}

fn offset_out_of_range(asked: Offset, start: Offset, end: Offset) -> Error {
    Error::OutOfRange(Range::Offset { asked, start, end })
}
