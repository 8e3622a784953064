//! Topics: what there is, how long each partition is, how far each consumer group has come.

use std::sync::Arc;

use engine_proto::v1 as pb;
use engine_proto::v1::topics_client::TopicsClient;

use crate::call::{Calls, Kind, service};
use crate::error::Result;

pub use engine_proto::v1::{ConsumerGroup, Partition, PartitionProgress};

/// Calls about topics; from [`Client::topics`](crate::Client::topics).
#[derive(Clone, Debug)]
pub struct Topics {
    calls: Arc<Calls>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// One for each partition, in order.
    pub partitions: Vec<Partition>,
    /// One for each consumer group that recorded an offset, by name.
    pub consumer_groups: Vec<ConsumerGroup>,
}

impl Topics {
    pub(crate) fn new(calls: Arc<Calls>) -> Self {
        Self { calls }
    }

    /// Makes a topic with 1 to 1024 partitions, for now and ever.
    ///
    /// # Errors
    /// `TOPIC_EXISTS`, `NAME_INVALID`, and those of every call.
    pub async fn create(&self, name: impl Into<String>, partitions: u32) -> Result<()> {
        let name = name.into();
        self.calls
            .call(Kind::ADMIN, |attempt| {
                let request = pb::CreateTopicRequest {
                    name: name.clone(),
                    partitions,
                    group: 0,
                };
                async move {
                    service!(TopicsClient, attempt)
                        .create(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(())
    }

    /// The names of all topics, sorted.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list(&self) -> Result<Vec<String>> {
        let answer = self
            .calls
            .call(Kind::READ, |attempt| async move {
                service!(TopicsClient, attempt)
                    .list(attempt.message(pb::ListTopicsRequest { group: 0 }))
                    .await
            })
            .await?;
        Ok(answer.names)
    }

    /// One topic with its partitions and consumer groups.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC`, and those of every call.
    pub async fn describe(&self, name: impl Into<String>) -> Result<Topic> {
        let name = name.into();
        let answer = self
            .calls
            .call(Kind::READ, |attempt| {
                let request = pb::DescribeTopicRequest {
                    name: name.clone(),
                    group: 0,
                };
                async move {
                    service!(TopicsClient, attempt)
                        .describe(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(Topic {
            name: answer.name,
            partitions: answer.partitions,
            consumer_groups: answer.consumer_groups,
        })
    }
}
