//! Messages: appended to partitions, read by offset.

use std::sync::Arc;
use std::time::Duration;

use engine_proto::v1 as pb;
use engine_proto::v1::log_client::LogClient;

use crate::call::{Calls, Kind, service};
use crate::commit::revision;
use crate::error::{Error, Result};
use crate::kv::consistency;

pub use engine_proto::v1::{Header, Message, NewMessage, Published};

/// Calls about messages; from [`Client::log`](crate::Client::log).
#[derive(Clone, Debug)]
pub struct Log {
    calls: Arc<Calls>,
}

/// Messages that were appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Produced {
    /// The commit's revision.
    pub revision: u64,
    /// One for each message, in order.
    pub published: Vec<Published>,
}

/// Which messages to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first offset wanted.
    pub from: u64,
    /// Most messages; 0 for the most a page may hold (10,000 messages, 2 MiB).
    pub limit: u32,
    /// If there is no message yet, wait up to this long for one; at most 30 s.
    pub wait: Duration,
    /// Ask a seed for whatever it has applied: works without a quorum, may be old.
    pub local: bool,
}

impl Fetch {
    /// What there is from an offset on, without waiting.
    pub fn new(topic: impl Into<String>, partition: u32, from: u64) -> Self {
        Self {
            topic: topic.into(),
            partition,
            from,
            limit: 0,
            wait: Duration::ZERO,
            local: false,
        }
    }

    /// Most messages.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Waits for the first message.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// Messages in offset order.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// Possibly none.
    pub messages: Vec<Message>,
    /// The partition's end: the offset that the next message will have.
    pub end: u64,
}

impl Log {
    pub(crate) fn new(calls: Arc<Calls>) -> Self {
        Self { calls }
    }

    /// Appends messages in order, all or none, each to the partition of its key; those without a
    /// key take turns. At most 10,000 messages and 4 MiB.
    ///
    /// # Durability
    /// Once answered, the messages survive the loss of any minority of the nodes.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC`, the limits' words, and those of every call.
    pub async fn produce(
        &self,
        topic: impl Into<String>,
        messages: Vec<NewMessage>,
    ) -> Result<Produced> {
        self.send_produce(topic.into(), None, messages).await
    }

    /// Appends messages to one partition, whatever their keys.
    ///
    /// # Errors
    /// As for [`produce`](Self::produce); `UNKNOWN_PARTITION`.
    pub async fn produce_to(
        &self,
        topic: impl Into<String>,
        partition: u32,
        messages: Vec<NewMessage>,
    ) -> Result<Produced> {
        self.send_produce(topic.into(), Some(partition), messages)
            .await
    }

    /// Reads messages of one partition.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC`, `UNKNOWN_PARTITION`, `OFFSET_OUT_OF_RANGE`, and those of every call.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Fetched> {
        let wait_ms = u32::try_from(fetch.wait.as_millis())
            .map_err(|_| Error::bad_request("a fetch may wait for 30 s at most"))?;
        let request = pb::FetchRequest {
            topic: fetch.topic,
            partition: fetch.partition,
            from: fetch.from,
            limit: fetch.limit,
            wait_ms,
            consistency: consistency(fetch.local),
            group: 0,
        };
        let kind = Kind::read(fetch.local).waiting(fetch.wait);
        let answer = self
            .calls
            .call(kind, |attempt| {
                let request = request.clone();
                async move {
                    service!(LogClient, attempt)
                        .fetch(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(Fetched {
            messages: answer.messages,
            end: answer.end,
        })
    }

    /// Records how far a consumer group has processed a partition; `next` is the next offset to
    /// read, one more than the last processed.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC`, `UNKNOWN_PARTITION`, and those of every call.
    pub async fn commit_offset(
        &self,
        topic: impl Into<String>,
        partition: u32,
        consumer_group: impl Into<String>,
        next: u64,
    ) -> Result<()> {
        let request = pb::CommitOffsetRequest {
            request: None,
            topic: topic.into(),
            partition,
            consumer_group: consumer_group.into(),
            next,
            group: 0,
        };
        self.calls
            .call(Kind::WRITE, |attempt| {
                let mut request = request.clone();
                request.request = attempt.request;
                async move {
                    service!(LogClient, attempt)
                        .commit_offset(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(())
    }

    async fn send_produce(
        &self,
        topic: String,
        partition: Option<u32>,
        messages: Vec<NewMessage>,
    ) -> Result<Produced> {
        let count = messages.len();
        let request = pb::ProduceRequest {
            request: None,
            topic,
            partition,
            messages,
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::WRITE, |attempt| {
                let mut request = request.clone();
                request.request = attempt.request;
                async move {
                    service!(LogClient, attempt)
                        .produce(attempt.message(request))
                        .await
                }
            })
            .await?;
        if answer.published.len() != count {
            return Err(Error::bad_answer(format!(
                "{count} messages were sent and {} places answered",
                answer.published.len()
            )));
        }
        Ok(Produced {
            revision: revision(answer.header.as_ref()),
            published: answer.published,
        })
    }
}
