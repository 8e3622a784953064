//! Messages and offsets: what a commit does beside rows.

use xxhash_rust::xxh3::xxh3_64;

use super::Apply;
use super::draft::{Draft, check_value, invalid, twice};
use crate::command::{NewMessage, OpResult, Refusal};
use crate::error::Result;
use crate::ids::{Offset, PartitionId, Revision};
use crate::limits::{CONSUMER_GROUPS_MAX, KEY_BYTES_MAX};
use crate::queue::{PartitionRef, StoredMessage};

/// An op that touches no row.
#[derive(Clone, Copy)]
pub(super) enum Queued<'c> {
    /// A message for a topic, and its partition if it is chosen.
    Message(&'c str, Option<PartitionId>, &'c NewMessage),
    /// How far a consumer group has come in a topic's partition.
    Offset(&'c str, PartitionId, &'c str, Offset),
}

impl Apply<'_> {
    /// Checks an op on messages or offsets, and puts it behind the rows.
    pub(super) fn draft_queued<'c>(
        &self,
        draft: &mut Draft<'c>,
        queued: Queued<'c>,
    ) -> Result<(), Refusal> {
        match queued {
            Queued::Message(topic, partition, message) => {
                self.check_publish(topic, partition, message)?;
            }
            Queued::Offset(topic, partition, group, next) => {
                self.check_offset(topic, partition, group, next)?;
                if !draft.offsets.insert((topic, partition, group)) {
                    return Err(twice("a consumer group's partition"));
                }
            }
        }
        draft.queued.push((draft.results.len(), queued));
        Ok(())
    }

    /// Does what was drafted.
    pub(super) fn do_queued(&mut self, queued: Queued<'_>, revision: Revision) -> Result<OpResult> {
        match queued {
            Queued::Message(topic, partition, message) => {
                self.publish(topic, partition, message, revision)
            }
            Queued::Offset(topic, partition, group, next) => {
                Ok(self.record_offset(topic, partition, group, next))
            }
        }
    }

    fn check_publish(
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

    fn check_offset(
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
}
