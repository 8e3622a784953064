//! What a commit is going to do, collected op by op: nothing is done before all ops are in.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::queued::Queued;
use super::{Apply, keys};
use crate::command::{Op, OpResult, Refusal, RowRef};
use crate::error::{Error, Result};
use crate::ids::{KeyspaceId, PartitionId, Revision};
use crate::limits::{
    COMMIT_KEPT_BYTES_MAX, COMMIT_RANGES_MAX, COMMIT_READ_BYTES_MAX, COMMIT_ROWS_MAX,
    KEY_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::planted::{Planted, on};
use crate::query::RowView;
use crate::state::Keyspace;
use crate::store::{KeyRange, NewRow, Row, RowKind, RowMeta, RowWrite};

/// Why an op does not become part of a draft.
pub(super) enum Stop {
    /// The state says no; the commit answers this.
    Refused(Refusal),
    /// This node cannot go on.
    Fault(Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

/// What stands behind every op that was drafted.
pub(super) struct Draft<'c> {
    pub(super) revision: Revision,
    /// One for each op; those of `queued` are made when these are done.
    pub(super) results: Vec<Option<OpResult>>,
    pub(super) writes: Vec<RowWrite>,
    /// Emptied before anything is written.
    pub(super) deleted: Vec<KeyRange>,
    /// Ops on messages and offsets, with their places among all ops.
    pub(super) queued: Vec<(usize, Queued<'c>)>,
    pub(super) offsets: BTreeSet<(&'c str, PartitionId, &'c str)>,
    /// Keyspaces that get their first set or hash.
    pub(super) first_members: BTreeSet<&'c str>,
    /// Keyspaces that are counted, with their names.
    pub(super) counted: BTreeMap<KeyspaceId, String>,
    /// The earliest new end of a row.
    pub(super) first_expiry_ms: u64,
    /// Rows that ops change, if there is more than one op.
    keys: BTreeSet<Bytes>,
    /// Where the last write of each row stands, if an op reads.
    latest: Option<BTreeMap<Bytes, usize>>,
    /// Keys and values that ops have read.
    read_bytes: usize,
    is_single: bool,
    ranges: usize,
    /// Keys and values that are written once more, as versions.
    pub(super) kept_bytes: usize,
}

/// A row that an op is about to change.
pub(super) struct Target<'s> {
    pub(super) keyspace: &'s Keyspace,
    pub(super) key: Bytes,
    /// As it stands when the op's turn comes.
    pub(super) old: Option<Row>,
    /// The set or hash that was there until its end came, and whose members still are.
    pub(super) ended: Option<Row>,
}

impl Target<'_> {
    pub(super) fn old_meta(&self) -> Option<RowMeta> {
        self.old.as_ref().map(|old| old.meta)
    }
}

impl Draft<'_> {
    pub(super) fn new(revision: Revision, ops: &[Op]) -> Self {
        let reads = ops.iter().any(|op| matches!(op, Op::Read { .. }));
        Self {
            revision,
            results: Vec::with_capacity(ops.len()),
            writes: Vec::with_capacity(ops.len()),
            deleted: Vec::new(),
            queued: Vec::new(),
            offsets: BTreeSet::new(),
            first_members: BTreeSet::new(),
            counted: BTreeMap::new(),
            first_expiry_ms: u64::MAX,
            keys: BTreeSet::new(),
            latest: reads.then(BTreeMap::new),
            read_bytes: 0,
            is_single: ops.len() == 1,
            ranges: 0,
            kept_bytes: 0,
        }
    }

    /// What it would do must end soon: sets that go bring their members.
    pub(super) fn check_size(&self) -> Result<(), Refusal> {
        if self.ranges > COMMIT_RANGES_MAX {
            let what = "a commit deletes at most 64 ranges and sets of more than 64 members";
            return Err(invalid(what));
        }
        if self.writes.len() > COMMIT_ROWS_MAX {
            let what = "a commit writes at most 40000 rows, members of sets that go and versions \
                        that are kept included";
            return Err(invalid(what));
        }
        if self.kept_bytes > COMMIT_KEPT_BYTES_MAX {
            let what = "a commit replaces or deletes at most 16 MiB of rows in versioned keyspaces: \
                        use several commits";
            return Err(invalid(what));
        }
        Ok(())
    }

    /// How many ranges it deletes.
    pub(super) fn ranges(&self) -> usize {
        self.ranges
    }

    /// Deletes the members of a large set.
    pub(super) fn delete_members(&mut self, members: KeyRange) {
        self.ranges += 1;
        self.deleted.push(members);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.deleted.is_empty() && self.queued.is_empty()
    }

    /// Whether the commit deletes a row with a range.
    pub(super) fn deletes(&self, key: &[u8]) -> bool {
        self.deleted.iter().any(|range| range.contains(key))
    }

    fn name(&mut self, key: &Bytes) -> Result<(), Refusal> {
        if !self.is_single && !self.keys.insert(key.clone()) {
            return Err(twice("a row"));
        }
        Ok(())
    }

    pub(super) fn put(&mut self, key: Bytes, value: Bytes, meta: RowMeta) {
        let value = Some(NewRow { value, meta });
        self.write(RowWrite { key, value });
    }

    pub(super) fn remove(&mut self, key: Bytes) {
        self.write(RowWrite { key, value: None });
    }

    fn write(&mut self, write: RowWrite) {
        if let Some(latest) = &mut self.latest {
            latest.insert(write.key.clone(), self.writes.len());
        }
        self.writes.push(write);
    }

    /// What the ops so far have written at a key: `None` for nothing.
    fn written(&self, key: &Bytes) -> Option<&RowWrite> {
        let place = self.latest.as_ref()?.get(key)?;
        self.writes.get(*place)
    }
}

impl Apply<'_> {
    /// Finds the row that an op names, as the ops before have left it.
    pub(super) fn target(&self, draft: &mut Draft<'_>, row: &RowRef) -> Result<Target<'_>, Stop> {
        let keyspace = self.keyspace(&row.keyspace)?;
        let key = checked_row_key(keyspace, &row.key)?;
        draft.name(&key)?;
        draft.touch(&row.keyspace, keyspace);
        let found = if draft.deletes(&key) {
            None
        } else {
            self.stored(&key)?
        };
        let (old, ended) = match found {
            Some(row) if self.lives(&row) => (Some(row), None),
            found => (None, found),
        };
        Ok(Target {
            keyspace,
            key,
            old,
            ended,
        })
    }

    /// A row as the ops before have left it.
    pub(super) fn draft_read(&self, draft: &mut Draft<'_>, row: &RowRef) -> Result<OpResult, Stop> {
        let keyspace = self.keyspace(&row.keyspace)?;
        let key = checked_row_key(keyspace, &row.key)?;
        let found = match draft.written(&key) {
            Some(write) => write.value.as_ref().map(|new| Row {
                value: new.value.clone(),
                mod_revision: draft.revision,
                meta: new.meta,
            }),
            None if draft.deletes(&key) => None,
            None => self.newest(&key)?,
        };
        let row = found.map(|found| RowView::of(row.key.clone(), found));
        draft.read_bytes += row
            .as_ref()
            .map_or(0, |row| row.key.len() + row.value.len());
        if draft.read_bytes > COMMIT_READ_BYTES_MAX {
            let what = "a commit reads back at most 256 KiB of keys and values: read the others at its \
                        revision";
            return Err(invalid(what).into());
        }
        Ok(OpResult::Read { row })
    }

    pub(super) fn draft_put(
        &self,
        draft: &mut Draft<'_>,
        target: Target<'_>,
        value: &Bytes,
        expires_at_ms: u64,
    ) -> Result<OpResult, Stop> {
        check_value(value)?;
        self.forget_members(draft, &target)?;
        let meta = next_meta(&target, draft.revision, expires_at_ms, RowKind::Bytes);
        draft.keep_replaced(&target);
        draft.note_end(&target, expires_at_ms);
        draft.put(target.key, value.clone(), meta);
        Ok(OpResult::Put {
            version: meta.version,
        })
    }

    pub(super) fn draft_delete(
        &self,
        draft: &mut Draft<'_>,
        target: Target<'_>,
    ) -> Result<OpResult, Stop> {
        let existed = target.old.is_some();
        if existed {
            self.forget_members(draft, &target)?;
            draft.forget_end(&target);
            draft.keep_deleted(&target);
            draft.remove(target.key);
        }
        Ok(OpResult::Deleted { existed })
    }

    pub(super) fn draft_range(
        &self,
        draft: &mut Draft<'_>,
        keyspace: &str,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<OpResult, Stop> {
        draft.ranges += 1;
        let name = keyspace;
        if start.len().max(end.map_or(0, <[u8]>::len)) > KEY_BYTES_MAX {
            return Err(invalid("a key has 1 to 32768 bytes").into());
        }
        let keyspace = self.keyspace(keyspace)?;
        let range = KeyRange {
            start: keys::row_key(keyspace.id, start),
            end: match end {
                Some(end) => Some(keys::row_key(keyspace.id, end)),
                None => KeyRange::prefix(keys::row_key(keyspace.id, b"")).end,
            },
        };
        if range.is_empty() {
            return Err(invalid("a range ends before it begins").into());
        }
        // What a range holds may be written after it is emptied, not before.
        if draft.keys.iter().any(|key| range.contains(key)) {
            return Err(twice("a row").into());
        }
        draft.touch(name, keyspace);
        if keyspace.options.versioned {
            self.keep_range(draft, &range)?;
        }
        draft.deleted.push(range);
        if keyspace.has_members {
            let members = keys::members_of_range(keyspace.id, start, end);
            draft.deleted.push(members);
        }
        Ok(OpResult::RangeDeleted)
    }

    /// The newest version of a row that has not ended, written by this entry or before it.
    pub(super) fn newest(&self, key: &[u8]) -> Result<Option<Row>> {
        Ok(self.stored(key)?.filter(|row| self.lives(row)))
    }

    pub(super) fn lives(&self, row: &Row) -> bool {
        row.meta.expires_at_ms > self.state.now_ms
    }

    /// The newest version of a row, though it may have ended.
    pub(super) fn stored(&self, key: &[u8]) -> Result<Option<Row>> {
        match self.rows.get(self.group, key) {
            Some(row) => Ok(Some(row)),
            None if on(Planted::LocalApply) => Ok(None),
            None => self.store.get(key, Revision(u64::MAX)),
        }
    }

    pub(super) fn keyspace(&self, name: &str) -> Result<&Keyspace, Refusal> {
        let known = self.state.keyspaces.get(name);
        known.ok_or_else(|| Refusal::UnknownKeyspace {
            name: name.to_owned(),
        })
    }
}

/// The store's key of a row.
pub(super) fn checked_row_key(keyspace: &Keyspace, key: &[u8]) -> Result<Bytes, Refusal> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(invalid("a key has 1 to 32768 bytes"));
    }
    Ok(keys::row_key(keyspace.id, key))
}

/// What the next version of a row knows.
pub(super) fn next_meta(
    target: &Target<'_>,
    revision: Revision,
    expires_at_ms: u64,
    kind: RowKind,
) -> RowMeta {
    let old = target.old_meta();
    RowMeta {
        create_revision: old.map_or(revision, |old| old.create_revision),
        version: old.map_or(1, |old| old.version + 1),
        expires_at_ms,
        kind,
    }
}

pub(super) fn check_value(value: &[u8]) -> Result<(), Refusal> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(invalid("a value has at most 1 MiB"));
    }
    Ok(())
}

pub(super) fn twice(what: &str) -> Refusal {
    invalid(&format!("{what} stands twice in the commit"))
}

pub(super) fn invalid(reason: &str) -> Refusal {
    Refusal::Invalid {
        reason: reason.to_owned(),
    }
}
