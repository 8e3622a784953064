//! Reads of a row's versions: those that a versioned keyspace keeps, or those of recent history.
//!
//! ```text
//! versioned, now or once:  the row, then its kept versions against the order of revisions
//! never:                   the row at the newest revision, then at the one before it was written,
//!                          and so on down to the floor, or to where it was absent
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Replica;
use super::read::{lives, page_items, unknown};
use super::rooms::Rooms;
use crate::apply::{is_marker, keys};
use crate::command::RowRef;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Revision;
use crate::limits::PAGE_BYTES_MAX;
use crate::query::{VersionAnswer, VersionView, VersionsPage, VersionsRequest};
use crate::store::{NEVER_MS, Row, RowKind};

impl Replica {
    /// Reads a page of a row's versions, the newest first. Of a row in a versioned keyspace they are
    /// all that were written since it became versioned, and markers of deletes, whether it is there
    /// or not. Of any other row they are those of its present life that are still readable.
    ///
    /// # Errors
    /// `NotFound` for an unknown keyspace; `Invalid` if the row is a set or hash, which has no
    /// versions; `Io` or `Corrupt` from the disk.
    pub fn versions(&self, request: &VersionsRequest) -> Result<VersionsPage> {
        let row = self.row_versions(&request.row)?;
        let mut page = Page {
            versions: Vec::new(),
            bytes: 0,
            limit: page_items(request.limit),
        };
        let before = request.before.unwrap_or(Revision(u64::MAX));
        let done = if row.kept {
            row.list_kept(before, &mut page)?
        } else {
            row.list_readable(before, &mut page)?
        };
        self.check_floor(row.revision)?;
        Ok(VersionsPage {
            kept: row.kept,
            versions: page.versions,
            more: !done,
            revision: row.revision,
            now_ms: row.now_ms,
        })
    }

    /// Reads the version of a row that was written at exactly this revision, of those that
    /// [`Replica::versions`] lists.
    ///
    /// # Errors
    /// As [`Replica::versions`].
    pub fn version(&self, row: &RowRef, written_at: Revision) -> Result<VersionAnswer> {
        let row = self.row_versions(row)?;
        let found = if row.kept {
            let newest = row.newest()?;
            match newest.filter(|newest| newest.mod_revision == written_at) {
                Some(newest) => Some(newest),
                None => row.one_kept(written_at)?,
            }
        } else {
            row.newest()?;
            let found = row.at(written_at.max(row.floor()))?;
            found.filter(|found| found.mod_revision == written_at && lives(&found.meta, row.now_ms))
        };
        self.check_floor(row.revision)?;
        Ok(VersionAnswer {
            version: found.map(|found| view(written_at, found)),
            revision: row.revision,
            now_ms: row.now_ms,
        })
    }

    fn row_versions(&self, row: &RowRef) -> Result<RowVersions<'_>> {
        let catalog = self.catalog();
        let keyspace = catalog.keyspaces.get(&row.keyspace);
        let keyspace = keyspace.ok_or_else(|| unknown("keyspace", &row.keyspace))?;
        let (rooms, revision, now_ms) = self.reading(None)?;
        Ok(RowVersions {
            replica: self,
            rooms,
            key: keys::row_key(keyspace.id, &row.key),
            kept: keyspace.has_versions,
            revision,
            now_ms,
        })
    }
}

/// One row, and the moment at which its versions are read.
struct RowVersions<'r> {
    replica: &'r Replica,
    rooms: Arc<Rooms>,
    key: Bytes,
    kept: bool,
    revision: Revision,
    now_ms: u64,
}

impl RowVersions<'_> {
    /// Whether there are no more.
    fn list_kept(&self, before: Revision, page: &mut Page) -> Result<bool> {
        let newest = self.newest()?;
        if let Some(newest) = newest.filter(|newest| newest.mod_revision < before)
            && !page.add(view(newest.mod_revision, newest))
        {
            return Ok(false);
        }
        let kept = keys::versions_before(&self.key, before);
        let kept = self.rooms.store.scan(kept, self.revision, true);
        for item in self.replica.noticed(kept)? {
            let (key, version) = self.replica.noticed(item)?;
            let revision = keys::read_version(&key).ok_or_else(not_a_version)?;
            if !page.add(view(revision, version)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there are no more.
    fn list_readable(&self, before: Revision, page: &mut Page) -> Result<bool> {
        self.newest()?;
        let mut next = before.0.checked_sub(1);
        while let Some(at) = next.map(|at| Revision(at).min(self.revision))
            && at >= self.floor()
            && let Some(found) = self.at(at)?
        {
            let written_at = found.mod_revision;
            if lives(&found.meta, self.now_ms) && !page.add(view(written_at, found)) {
                return Ok(false);
            }
            next = written_at.0.checked_sub(1);
        }
        Ok(true)
    }

    fn one_kept(&self, written_at: Revision) -> Result<Option<Row>> {
        let key = keys::version_key(&self.key, written_at);
        let found = self.rooms.store.get(&key, self.revision);
        self.replica.noticed(found)
    }

    /// The row as it stood at a revision, though it may have ended; `None` if it was no plain value.
    fn at(&self, revision: Revision) -> Result<Option<Row>> {
        let found = self.rooms.store.get(&self.key, revision);
        let found = self.replica.noticed(found)?;
        Ok(found.filter(|found| found.meta.kind == RowKind::Bytes))
    }

    /// The row as it is, if it is a plain value, or refuses another.
    fn newest(&self) -> Result<Option<Row>> {
        let found = self.rooms.store.get(&self.key, self.revision);
        let found = self.replica.noticed(found)?;
        match found.as_ref().map(|found| found.meta.kind) {
            None | Some(RowKind::Bytes) => Ok(found),
            Some(kind) => {
                let context = format!("the row is a {kind}, and only plain values have versions");
                Err(Error::new(ErrorKind::Invalid, context))
            }
        }
    }

    /// The oldest revision that may be read.
    fn floor(&self) -> Revision {
        Revision(self.replica.inner.floor.load(Ordering::Acquire))
    }
}

/// A page that is being filled.
struct Page {
    versions: Vec<VersionView>,
    bytes: usize,
    limit: usize,
}

impl Page {
    /// Adds a version if there is room; there always is for the first.
    fn add(&mut self, version: VersionView) -> bool {
        self.bytes += version.value.len();
        let is_full = self.versions.len() == self.limit || self.bytes > PAGE_BYTES_MAX;
        if is_full && !self.versions.is_empty() {
            return false;
        }
        self.versions.push(version);
        true
    }
}

fn view(revision: Revision, row: Row) -> VersionView {
    let meta = row.meta;
    VersionView {
        revision,
        is_delete_marker: is_marker(&meta),
        version: meta.version,
        create_revision: meta.create_revision,
        expires_at_ms: (meta.expires_at_ms != NEVER_MS).then_some(meta.expires_at_ms),
        value: row.value,
    }
}

fn not_a_version() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "a version's key is not what was written",
    )
}
