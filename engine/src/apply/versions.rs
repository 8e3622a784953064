//! What a versioned keyspace keeps: versions that were replaced or removed, and markers of removals.
//!
//! A row's newest version stands where every row does. When it is replaced or goes, it is written
//! once more, among its row's versions (see `keys`): what is never overwritten costs nothing. They
//! are rows like all others, so that no compaction and no floor takes them away.
//!
//! # Invariants
//! - A versioned keyspace holds plain values only.
//! - No two versions of a row, markers included, were written at one revision.
//! - A marker is a version with the number 0.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::draft::{Draft, Stop, Target, invalid};
use super::{Apply, keys};
use crate::command::{Expiry, OpResult, Refusal, RowRef};
use crate::error::Result;
use crate::ids::{KeyspaceId, Revision};
use crate::store::{KeyRange, NEVER_MS, Row, RowKind, RowMeta};

/// A value that a row had, and when it was written.
type Past = (Revision, Bytes);

impl Apply<'_> {
    pub(super) fn draft_undelete(
        &self,
        draft: &mut Draft<'_>,
        row: &RowRef,
    ) -> Result<OpResult, Stop> {
        let target = self.restorable(draft, row)?;
        if !target.keyspace.has_versions {
            let name = row.keyspace.clone();
            return Err(Refusal::NotVersioned { name }.into());
        }
        if let Some(old) = &target.old {
            let revision = old.mod_revision;
            return Err(Refusal::RowExists { revision }.into());
        }
        let past = match &target.ended {
            Some(ended) if ended.meta.kind == RowKind::Bytes => Some(past(ended)),
            _ => self.newest_kept(&target.key)?,
        };
        self.restore(draft, target, past.ok_or(Refusal::NothingToRestore)?)
    }

    pub(super) fn draft_revert(
        &self,
        draft: &mut Draft<'_>,
        row: &RowRef,
        to: Revision,
    ) -> Result<OpResult, Stop> {
        let target = self.restorable(draft, row)?;
        let newest = target.old.as_ref().or(target.ended.as_ref());
        let found = match newest.filter(|newest| newest.mod_revision == to) {
            Some(newest) if target.keyspace.has_versions => Some(newest.clone()),
            _ if target.keyspace.has_versions => self.kept(&target.key, to)?,
            _ => self.readable(&target.key, to)?,
        };
        let found = found.ok_or(Refusal::UnknownVersion { revision: to })?;
        if found.meta.kind != RowKind::Bytes {
            let (found, wanted) = (found.meta.kind, RowKind::Bytes);
            return Err(Refusal::WrongKind { found, wanted }.into());
        }
        self.restore(draft, target, (to, found.value))
    }

    /// Finds a row that is to be as it was before.
    fn restorable(&self, draft: &mut Draft<'_>, row: &RowRef) -> Result<Target<'_>, Stop> {
        let target = self.target(draft, row)?;
        if draft.deletes(&target.key) {
            return Err(invalid("a commit restores no row of a range that it deletes").into());
        }
        Ok(target)
    }

    fn restore(
        &self,
        draft: &mut Draft<'_>,
        target: Target<'_>,
        (from, value): Past,
    ) -> Result<OpResult, Stop> {
        let ends = self.end_of_put(target.keyspace, target.old_meta(), Expiry::Default)?;
        let version = target.old_meta().map_or(1, |old| old.version + 1);
        self.draft_put(draft, target, &value, ends)?;
        Ok(OpResult::Restored { from, version })
    }

    /// The newest value of a row among those that are kept.
    fn newest_kept(&self, key: &[u8]) -> Result<Option<Past>> {
        let all = keys::versions_before(key, Revision(u64::MAX));
        for version in self.store.scan(all, Revision(u64::MAX), true)? {
            let (version, row) = version?;
            if let Some(revision) = keys::read_version(&version).filter(|_| !is_marker(&row.meta)) {
                return Ok(Some((revision, row.value)));
            }
        }
        Ok(None)
    }

    /// The version of a row that was written at a revision, among those that are kept.
    fn kept(&self, key: &[u8], revision: Revision) -> Result<Option<Row>> {
        let version = keys::version_key(key, revision);
        let found = self.store.get(&version, Revision(u64::MAX))?;
        Ok(found.filter(|found| !is_marker(&found.meta)))
    }

    /// The version of a row that was written at a revision, if that may still be read.
    fn readable(&self, key: &[u8], revision: Revision) -> Result<Option<Row>> {
        let found = self.store.get(key, revision.max(self.state.floor))?;
        Ok(found.filter(|found| found.mod_revision == revision && self.lives(found)))
    }

    /// Keeps the versions of all rows of a range, which then goes.
    pub(super) fn keep_range(&self, draft: &mut Draft<'_>, range: &KeyRange) -> Result<(), Stop> {
        for item in self.store.scan(range.clone(), Revision(u64::MAX), false)? {
            let (key, row) = item?;
            if !draft.deletes(&key) {
                let ended = !self.lives(&row);
                draft.keep_gone(&key, &row, end_of_marker(&row, ended));
                draft.check_size()?;
            }
        }
        Ok(())
    }

    /// The keyspaces that keep versions from now on.
    pub(super) fn versioned_keyspaces(&self) -> BTreeSet<KeyspaceId> {
        let keyspaces = self.state.keyspaces.values();
        let versioned = keyspaces.filter(|keyspace| keyspace.options.versioned);
        versioned.map(|keyspace| keyspace.id).collect()
    }
}

impl Draft<'_> {
    /// Keeps the version of a row that an op replaces, if its keyspace is versioned.
    pub(super) fn keep_replaced(&mut self, target: &Target<'_>) {
        if !target.keyspace.options.versioned {
            return;
        }
        // One that has ended and was not swept goes without a marker: its row is there again.
        if let Some(row) = target.old.as_ref().or(target.ended.as_ref()) {
            self.keep(&target.key, row);
        } else if self.deletes(&target.key) {
            // The marker of the range would stand where this row's next version will.
            self.remove(keys::version_key(&target.key, self.revision));
        }
    }

    /// Keeps the version of a row that an op removes, if its keyspace is versioned.
    pub(super) fn keep_deleted(&mut self, target: &Target<'_>) {
        if target.keyspace.options.versioned
            && let Some(old) = &target.old
        {
            self.keep_gone(&target.key, old, NEVER_MS);
        }
    }

    /// Keeps the version of a row that goes, and marks that it went: by itself at `ended_ms`, or by
    /// a delete.
    pub(super) fn keep_gone(&mut self, key: &[u8], row: &Row, ended_ms: u64) {
        self.keep(key, row);
        let marker = RowMeta {
            create_revision: row.meta.create_revision,
            version: 0,
            expires_at_ms: ended_ms,
            kind: RowKind::Bytes,
        };
        self.kept_bytes += key.len();
        self.put(keys::version_key(key, self.revision), Bytes::new(), marker);
    }

    fn keep(&mut self, key: &[u8], row: &Row) {
        self.kept_bytes += key.len() + row.value.len();
        let version = keys::version_key(key, row.mod_revision);
        self.put(version, row.value.clone(), row.meta);
    }
}

/// Whether a version only says that its row went.
pub(crate) fn is_marker(meta: &RowMeta) -> bool {
    meta.version == 0
}

fn past(row: &Row) -> Past {
    (row.mod_revision, row.value.clone())
}

fn end_of_marker(row: &Row, ended: bool) -> u64 {
    if ended {
        row.meta.expires_at_ms
    } else {
        NEVER_MS
    }
}
