//! The record of what an entry has changed (see `changes`), written beside what it records.

use bytes::Bytes;

use super::draft::Draft;
use super::queued::Queued;
use super::{Apply, keys};
use crate::changes::{Cause, CommitRecord, EntryRecord, QueuedChange, RowRecord};
use crate::command::OpResult;
use crate::error::Result;
use crate::ids::{LogId, Revision};
use crate::limits::CHANGES_FORGOTTEN_TOGETHER;
use crate::planted::{Planted, on};
use crate::store::{KeyRange, NewRow, RowMeta, RowWrite};

impl Apply<'_> {
    /// Remembers what a revision has changed.
    pub(super) fn record(
        &mut self,
        revision: Revision,
        cause: Cause,
        rows: Vec<RowRecord>,
        queued: Vec<QueuedChange>,
    ) {
        self.commits.push(CommitRecord {
            revision,
            cause,
            rows,
            queued,
        });
    }

    /// Writes down what the entry has changed, and forgets what is below the floor.
    pub(super) fn write_record(&mut self, log_id: LogId) -> Result<Option<EntryRecord>> {
        let floor = self.state.floor;
        let forgotten_upto = self.state.changes_from;
        let mut deleted = Vec::new();
        if floor.0 >= forgotten_upto.0.saturating_add(CHANGES_FORGOTTEN_TOGETHER) {
            self.state.changes_from = floor;
            deleted.push(keys::changes_before(floor));
        }
        let commits = std::mem::take(&mut self.commits);
        let record = (!commits.is_empty()).then(|| EntryRecord {
            log_id,
            now_ms: self.state.now_ms,
            commits,
        });
        let written = record.as_ref().filter(|_| !on(Planted::LostChanges));
        let writes: Vec<_> = written.into_iter().map(record_row).collect();
        if !writes.is_empty() || !deleted.is_empty() {
            self.store.write(self.state.revision, &writes, &deleted)?;
        }
        Ok(record)
    }
}

/// The row that a record is.
fn record_row(record: &EntryRecord) -> RowWrite {
    let last = record.last_revision();
    RowWrite {
        key: keys::change_key(last),
        value: Some(NewRow {
            value: record.encode(),
            meta: RowMeta::of_bytes(last, 1),
        }),
    }
}

impl Draft<'_> {
    /// What the draft is about to change in rows; `removed` says what a tombstone means.
    pub(super) fn row_records(&self, removed: fn(Bytes) -> RowRecord) -> Vec<RowRecord> {
        let writes = self.writes.iter().filter(|write| keys::is_row(&write.key));
        let rows = writes.map(|write| match &write.value {
            Some(row) => RowRecord::Put(write.key.clone(), Some(row.clone())),
            None => removed(write.key.clone()),
        });
        range_records(&self.deleted).chain(rows).collect()
    }
}

/// What emptied ranges mean for rows: ranges that overlap are one, as a row goes once.
pub(super) fn range_records(deleted: &[KeyRange]) -> impl Iterator<Item = RowRecord> {
    let of_rows = deleted.iter().filter(|range| keys::is_row(&range.start));
    let merged = KeyRange::merged(of_rows.cloned());
    merged.into_iter().map(RowRecord::RangeDeleted)
}

/// What became of an op on messages or offsets.
pub(super) fn queued_record(queued: Queued<'_>, result: &OpResult) -> Option<QueuedChange> {
    Some(match (queued, result) {
        (Queued::Message(topic, ..), OpResult::Published { partition, offset }) => {
            QueuedChange::Message {
                topic: topic.to_owned(),
                partition: *partition,
                offset: *offset,
            }
        }
        (Queued::Offset(topic, partition, consumer_group, next), OpResult::OffsetCommitted) => {
            QueuedChange::Offset {
                topic: topic.to_owned(),
                partition,
                consumer_group: consumer_group.to_owned(),
                next,
            }
        }
        _ => return None,
    })
}
