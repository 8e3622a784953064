//! One atomic commit: session, guards, then every op or none.
//!
//! Ops are first *planned* against the state before the commit, which may refuse; then carried
//! out, which may not. All rows of a commit are written at one revision in one batch.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use super::Apply;
use crate::command::{Commit, NewMessage, Op, OpResult, Outcome, Refusal, RowRef};
use crate::error::Result;
use crate::ids::{KeyspaceId, Offset, PartitionId, Revision};
use crate::limits::{COMMIT_RANGES_MAX, CONSUMER_GROUPS_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::planted::{Planted, on};
use crate::queue::{PartitionRef, StoredMessage};
use crate::session::Admission;
use crate::store::{KeyRange, NewRow, Row, RowWrite};

/// An op whose names are resolved and that can no longer be refused.
enum Step<'c> {
    Put {
        key: Bytes,
        value: &'c Bytes,
    },
    Delete {
        key: Bytes,
    },
    DeleteRange {
        range: KeyRange,
    },
    Publish {
        topic: &'c str,
        partition: Option<PartitionId>,
        message: &'c NewMessage,
    },
    CommitOffset {
        topic: &'c str,
        partition: PartitionId,
        group: &'c str,
        next: Offset,
    },
}

impl Apply<'_> {
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Outcome> {
        let Some(request) = commit.request else {
            return self.decide(commit);
        };
        match self.state.sessions.admit(request, self.state.now_ms) {
            Admission::Known(outcome) => Ok(Outcome::decode(outcome)?),
            Admission::Refused(refusal) => Ok(Outcome::Refused(refusal)),
            Admission::New => {
                let outcome = self.decide(commit)?;
                self.state.sessions.remember(request, outcome.encode());
                Ok(outcome)
            }
        }
    }

    fn decide(&mut self, commit: &Commit) -> Result<Outcome> {
        if let Err(refusal) = self.check_guards(&commit.guards)? {
            return Ok(Outcome::Refused(refusal));
        }
        match self.plan(&commit.ops) {
            Ok(steps) => self.carry_out(steps),
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        }
    }

    fn plan<'c>(&self, ops: &'c [Op]) -> Result<Vec<Step<'c>>, Refusal> {
        let mut steps = Vec::with_capacity(ops.len());
        let mut keys: BTreeSet<Bytes> = BTreeSet::new();
        let mut offsets = BTreeSet::new();
        let mut ranges = 0;
        for op in ops {
            let step = match op {
                Op::Put { row, value } => {
                    check_value(value)?;
                    Step::Put {
                        key: self.row_key(row)?,
                        value,
                    }
                }
                Op::Delete { row } => Step::Delete {
                    key: self.row_key(row)?,
                },
                Op::DeleteRange {
                    keyspace,
                    start,
                    end,
                } => {
                    ranges += 1;
                    let range = self.plan_range(keyspace, start, end.as_deref())?;
                    if ranges > COMMIT_RANGES_MAX {
                        return Err(invalid("a commit deletes at most 64 ranges"));
                    }
                    // What a range holds may be written after it is emptied, not before.
                    if keys.iter().any(|key| range.contains(key)) {
                        return Err(twice("a row"));
                    }
                    Step::DeleteRange { range }
                }
                Op::Publish {
                    topic,
                    partition,
                    message,
                } => {
                    self.plan_publish(topic, *partition, message)?;
                    Step::Publish {
                        topic,
                        partition: *partition,
                        message,
                    }
                }
                Op::CommitOffset {
                    topic,
                    partition,
                    consumer_group,
                    next,
                } => {
                    self.plan_offset(topic, *partition, consumer_group, *next)?;
                    if !offsets.insert((topic, *partition, consumer_group)) {
                        return Err(twice("a consumer group's partition"));
                    }
                    Step::CommitOffset {
                        topic,
                        partition: *partition,
                        group: consumer_group,
                        next: *next,
                    }
                }
            };
            if let (Step::Put { key, .. } | Step::Delete { key }, true) = (&step, ops.len() > 1)
                && !keys.insert(key.clone())
            {
                return Err(twice("a row"));
            }
            steps.push(step);
        }
        Ok(steps)
    }

    fn plan_range(
        &self,
        keyspace: &str,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<KeyRange, Refusal> {
        if start.len().max(end.map_or(0, <[u8]>::len)) > KEY_BYTES_MAX {
            return Err(invalid("a key has 1 to 32768 bytes"));
        }
        let keyspace = self.keyspace(keyspace)?;
        let range = KeyRange {
            start: store_key(keyspace, start),
            end: match end {
                Some(end) => Some(store_key(keyspace, end)),
                None => KeyRange::prefix(store_key(keyspace, b"")).end,
            },
        };
        if range.is_empty() {
            return Err(invalid("a range ends before it begins"));
        }
        Ok(range)
    }

    fn plan_publish(
        &self,
        topic: &str,
        partition: Option<PartitionId>,
        message: &NewMessage,
    ) -> Result<(), Refusal> {
        check_value(&message.value)?;
        if message
            .key
            .as_ref()
            .is_some_and(|key| key.len() > KEY_BYTES_MAX)
        {
            return Err(invalid("a message's key is too long"));
        }
        self.check_partition(topic, partition.unwrap_or_default())
    }

    fn plan_offset(
        &self,
        topic: &str,
        partition: PartitionId,
        consumer_group: &str,
        next: Offset,
    ) -> Result<(), Refusal> {
        self.check_partition(topic, partition)?;
        let known = &self.state.topics[topic];
        if !known.consumer_groups.contains_key(consumer_group)
            && known.consumer_groups.len() >= CONSUMER_GROUPS_MAX
        {
            return Err(Refusal::LimitReached {
                what: "consumer groups on the topic".to_owned(),
                max: CONSUMER_GROUPS_MAX as u64,
            });
        }
        let (_, end) = self.partitions.bounds(PartitionRef {
            topic: known.id,
            partition,
        });
        if next > end {
            return Err(Refusal::OffsetBeyondEnd { next, end });
        }
        Ok(())
    }

    fn check_partition(&self, topic: &str, partition: PartitionId) -> Result<(), Refusal> {
        let Some(known) = self.state.topics.get(topic) else {
            return Err(Refusal::UnknownTopic {
                name: topic.to_owned(),
            });
        };
        if partition.0 >= known.partitions {
            return Err(Refusal::UnknownPartition {
                topic: topic.to_owned(),
                partition,
                partitions: known.partitions,
            });
        }
        Ok(())
    }

    fn carry_out(&mut self, steps: Vec<Step<'_>>) -> Result<Outcome> {
        let before = self.state.revision;
        let revision = Revision(before.0 + 1);
        let mut writes = Vec::new();
        let mut deleted: Vec<KeyRange> = Vec::new();
        let mut results = Vec::with_capacity(steps.len());
        let mut changed = false;
        for step in steps {
            let result = match step {
                Step::Put { key, value } => {
                    let old = self.newest_outside(&key, &deleted)?;
                    let row = next_version(old, value, revision);
                    let version = row.version;
                    writes.push(RowWrite {
                        key,
                        value: Some(row),
                    });
                    OpResult::Put { version }
                }
                Step::Delete { key } => {
                    let existed = self.newest_outside(&key, &deleted)?.is_some();
                    if existed {
                        writes.push(RowWrite { key, value: None });
                    }
                    OpResult::Deleted { existed }
                }
                Step::DeleteRange { range } => {
                    deleted.push(range);
                    OpResult::RangeDeleted
                }
                Step::Publish {
                    topic,
                    partition,
                    message,
                } => {
                    changed = true;
                    self.publish(topic, partition, message, revision)?
                }
                Step::CommitOffset {
                    topic,
                    partition,
                    group,
                    next,
                } => {
                    changed = true;
                    self.record_offset(topic, partition, group, next)
                }
            };
            results.push(result);
        }
        if writes.is_empty() && deleted.is_empty() && !changed {
            return Ok(Outcome::Committed {
                revision: before,
                results,
            });
        }
        if on(Planted::HalfCommit) && changed {
            writes.clear();
        }
        self.write(revision, &writes, &deleted)?;
        self.state.revision = revision;
        Ok(Outcome::Committed { revision, results })
    }

    /// The newest version of a row, unless the commit has just deleted it with a range.
    fn newest_outside(&self, key: &[u8], deleted: &[KeyRange]) -> Result<Option<Row>> {
        if deleted.iter().any(|range| range.contains(key)) {
            return Ok(None);
        }
        self.newest(key)
    }

    fn write(
        &mut self,
        revision: Revision,
        writes: &[RowWrite],
        deleted: &[KeyRange],
    ) -> Result<()> {
        if writes.is_empty() && deleted.is_empty() {
            return Ok(());
        }
        for range in deleted {
            self.note_change(&range.start, range.end.as_ref());
        }
        for write in writes {
            self.note_change(&write.key, write.value.as_ref().map(|row| &row.value));
        }
        self.store.write(revision, writes, deleted)?;
        for range in deleted {
            self.rows.invalidate_range(self.group, range, revision);
        }
        for write in writes.iter().filter(|_| !on(Planted::StaleCache)) {
            self.rows.invalidate(self.group, &write.key, revision);
        }
        Ok(())
    }

    fn publish(
        &mut self,
        topic: &str,
        partition: Option<PartitionId>,
        message: &NewMessage,
        revision: Revision,
    ) -> Result<OpResult> {
        let known = self
            .state
            .topics
            .get_mut(topic)
            .expect("the plan has found the topic");
        let count = u64::from(known.partitions);
        let partition = partition.unwrap_or_else(|| {
            let spread = if let Some(key) = &message.key {
                xxh3_64(key)
            } else {
                known.turn += 1;
                known.turn - 1
            };
            PartitionId(u32::try_from(spread % count).expect("a remainder of a u32"))
        });
        let at = PartitionRef {
            topic: known.id,
            partition,
        };
        let stored = StoredMessage {
            revision,
            timestamp_ms: self.state.now_ms,
            body: message.clone(),
        };
        let offset = self.partitions.append(at, &stored)?;
        self.note_change(
            message.key.as_deref().unwrap_or_default(),
            Some(&message.value),
        );
        Ok(OpResult::Published { partition, offset })
    }

    fn record_offset(
        &mut self,
        topic: &str,
        partition: PartitionId,
        consumer_group: &str,
        next: Offset,
    ) -> OpResult {
        let known = self
            .state
            .topics
            .get_mut(topic)
            .expect("the plan has found the topic");
        let partitions = known.partitions as usize;
        let offsets = match known.consumer_groups.get_mut(consumer_group) {
            Some(offsets) => offsets,
            None => known
                .consumer_groups
                .entry(consumer_group.to_owned())
                .or_insert_with(|| vec![None; partitions]),
        };
        offsets[partition.0 as usize] = Some(next);
        self.digest.update(consumer_group.as_bytes());
        self.digest.update(&next.0.to_le_bytes());
        OpResult::OffsetCommitted
    }

    /// The newest version of a row, written by this entry or before it.
    pub(super) fn newest(&self, key: &[u8]) -> Result<Option<Row>> {
        match self.rows.get(self.group, key) {
            Some(row) => Ok(Some(row)),
            None if on(Planted::LocalApply) => Ok(None),
            None => self.store.get(key, Revision(u64::MAX)),
        }
    }

    /// The store's key of a row.
    pub(super) fn row_key(&self, row: &RowRef) -> Result<Bytes, Refusal> {
        let keyspace = self.keyspace(&row.keyspace)?;
        if row.key.is_empty() || row.key.len() > KEY_BYTES_MAX {
            return Err(invalid("a key has 1 to 32768 bytes"));
        }
        Ok(store_key(keyspace, &row.key))
    }

    fn keyspace(&self, name: &str) -> Result<KeyspaceId, Refusal> {
        let known = self.state.keyspaces.get(name).copied();
        known.ok_or_else(|| Refusal::UnknownKeyspace {
            name: name.to_owned(),
        })
    }
}

/// The store's key of a row: its keyspace in four big-endian bytes, then its key.
pub(crate) fn store_key(keyspace: KeyspaceId, key: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(4 + key.len());
    out.put_u32(keyspace.0);
    out.put_slice(key);
    out.freeze()
}

fn next_version(old: Option<Row>, value: &Bytes, revision: Revision) -> NewRow {
    NewRow {
        value: value.clone(),
        create_revision: old.as_ref().map_or(revision, |row| row.create_revision),
        version: old.map_or(1, |row| row.version + 1),
    }
}

fn check_value(value: &Bytes) -> Result<(), Refusal> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(invalid("a value has at most 1 MiB"));
    }
    Ok(())
}

fn twice(what: &str) -> Refusal {
    invalid(&format!("{what} stands twice in the commit"))
}

fn invalid(reason: &str) -> Refusal {
    Refusal::Invalid {
        reason: reason.to_owned(),
    }
}
