//! A consumer group with one member, which forgets where it was and asks again.

use std::time::Duration;

use engine_client::{Consumer, Error};
use tokio::time::sleep;

use super::{Plan, Process};
use crate::history::{Act, Answer, Place};

/// How long a poll waits for messages.
const WAIT: Duration = Duration::from_millis(200);
/// How long until it is tried again to begin.
const PAUSE: Duration = Duration::from_millis(50);

/// Of a hundred messages, behind so many the offsets are recorded, or the consumer is gone.
const RECORD_PERCENT: u32 = 20;
const FORGET_PERCENT: u32 = 5;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    let group = format!("group-{}", process.place);
    while !process.stopped() {
        if let Some(consumer) = begin(&mut process, plan, &group).await {
            consume(&mut process, &group, consumer).await;
        }
        sleep(PAUSE).await;
    }
}

/// Asks where the group goes on, and begins there.
async fn begin(process: &mut Process, plan: &Plan, group: &str) -> Option<Consumer> {
    for partition in 0..plan.partitions {
        let topics = process.client.topics();
        let place = usize::try_from(partition).ok()?;
        let call = async {
            let topic = topics.describe(plan.topic.as_str()).await?;
            let known = topic.consumer_groups.iter().find(|one| one.name == group);
            let next = known.and_then(|known| known.progress.get(place)?.next);
            Ok::<_, Error>(Some(Answer {
                place: Some(Place {
                    partition,
                    offset: next.unwrap_or(0),
                }),
                ..Answer::default()
            }))
        };
        let act = Act::Resume {
            consumer_group: group.to_owned(),
            partition,
        };
        // Begun without an answer, a life would look like a part of the one before it.
        if process.perform(act, call).await != Some(true) {
            return None;
        }
    }
    process
        .client
        .consumer(plan.topic.as_str(), group)
        .await
        .ok()
}

/// Until the consumer is gone, with whatever it has polled and not dealt with.
async fn consume(process: &mut Process, group: &str, mut consumer: Consumer) {
    while !process.stopped() {
        let Ok(records) = consumer.poll(WAIT).await else {
            return;
        };
        for record in records {
            let act = Act::Handle {
                consumer_group: group.to_owned(),
                partition: record.partition,
                offset: record.message.offset,
            };
            let done = async { Ok(Some(Answer::default())) };
            process.perform(act, done).await;
            consumer.ack(&record);
            if rand::random_ratio(RECORD_PERCENT, 100)
                && !record_offsets(process, group, &mut consumer).await
            {
                return;
            }
            if rand::random_ratio(FORGET_PERCENT, 100) || process.stopped() {
                return;
            }
        }
    }
}

/// Whether the consumer may go on: a record that nobody knows of ends it.
async fn record_offsets(process: &mut Process, group: &str, consumer: &mut Consumer) -> bool {
    let call = async {
        consumer.commit().await?;
        Ok(Some(Answer::default()))
    };
    let act = Act::CommitOffsets {
        consumer_group: group.to_owned(),
    };
    process.perform(act, call).await.is_some()
}
