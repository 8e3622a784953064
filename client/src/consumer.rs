//! A reader of all partitions of a topic, which continues where its consumer group stopped.
//!
//! ```text
//! start ──► poll ──► (process) ──► ack ──► commit ──► poll …        crash: start again at the
//!                                                                     last committed record
//! ```
//!
//! Records of one partition come in order; partitions take turns. A record that was polled and
//! not committed is seen again after a restart: at least once. For exactly once, put
//! [`Commit::commit_offset`] into the commit that holds the record's effects.
//!
//! # Invariants
//! - A failed poll moves nothing: the next one reads the same records.
//! - What is committed never exceeds what was acknowledged, nor goes back.
//!
//! # Not here
//! Sharing the partitions of one group among several consumers: each consumer reads all.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, FuturesUnordered};

use crate::client::Client;
use crate::commit::{Commit, Guarded};
use crate::error::{Error, Result, reason};
use crate::log::{Fetch, Message};
use crate::planted::{Planted, on};

/// Partitions that are read at the same time.
const FETCHES_MAX: usize = 16;
/// The longest wait that a server accepts.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Where a consumer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// After the group's last committed record; where it committed nothing, at the beginning.
    #[default]
    Committed,
    /// At the oldest record, whatever the group has committed.
    Beginning,
    /// After the newest record, whatever the group has committed.
    End,
}

/// What a consumer reads, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// The topic's name.
    pub topic: String,
    /// The consumer group's name; without one nothing is committed.
    pub consumer_group: Option<String>,
    /// Where to begin.
    pub start: Start,
    /// About how many records a poll answers; 500.
    pub records_max: u32,
}

impl ConsumerOptions {
    /// All records of a topic, without a group.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            consumer_group: None,
            start: Start::default(),
            records_max: 500,
        }
    }

    /// Continues where this group stopped, and records its progress.
    pub fn group(mut self, consumer_group: impl Into<String>) -> Self {
        self.consumer_group = Some(consumer_group.into());
        self
    }

    /// Begins there.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// About how many records a poll answers.
    pub fn records_max(mut self, records_max: u32) -> Self {
        self.records_max = records_max.max(1);
        self
    }
}

/// A message and the partition that it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The partition.
    pub partition: u32,
    /// The message.
    pub message: Message,
}

/// A reader of a topic; from [`Client::consumer`].
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    options: ConsumerOptions,
    positions: Vec<Position>,
    /// The partition that is read first next time.
    turn: usize,
}

/// Where a consumer stands in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    /// The next offset to read.
    next: u64,
    /// One more than the last acknowledged offset, if any was acknowledged here.
    acknowledged: Option<u64>,
    /// What the group has committed, as far as this consumer knows.
    committed: Option<u64>,
}

impl Consumer {
    pub(crate) async fn start(client: Client, options: ConsumerOptions) -> Result<Self> {
        let topic = client.topics().describe(&options.topic).await?;
        let group = options.consumer_group.as_deref().and_then(|name| {
            topic
                .consumer_groups
                .iter()
                .find(|group| group.name == name)
        });
        let positions = topic
            .partitions
            .iter()
            .enumerate()
            .map(|(index, partition)| {
                let committed = group
                    .and_then(|group| group.progress.get(index))
                    .and_then(|progress| progress.next);
                let next = match options.start {
                    // Below the start only if those records are kept no longer.
                    Start::Committed => committed.unwrap_or(0).max(partition.start),
                    Start::Beginning => partition.start,
                    Start::End => partition.end,
                };
                Position {
                    next,
                    acknowledged: None,
                    committed: committed.filter(|_| options.start == Start::Committed),
                }
            })
            .collect();
        Ok(Self {
            client,
            options,
            positions,
            turn: 0,
        })
    }

    /// The next records; waits up to `wait` (30 s at most) for one, and then answers none.
    ///
    /// # Errors
    /// Those of every call. Nothing is skipped: poll again.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<Record>> {
        let mut records = self.read_all().await?;
        if records.is_empty() && !wait.is_zero() {
            records = self.wait_for_any(wait.min(WAIT_MAX)).await?;
        }
        for record in &records {
            if let Some(position) = self.position(record.partition) {
                position.next = position.next.max(record.message.offset + 1);
                if on(Planted::EarlyOffset) {
                    position.acknowledged = Some(position.next);
                }
            }
        }
        self.turn = self.turn.wrapping_add(1);
        Ok(records)
    }

    /// Marks a record, and all before it in its partition, as processed. [`commit`](Self::commit)
    /// makes it known to the cluster.
    pub fn ack(&mut self, record: &Record) {
        let next = record.message.offset + 1;
        if let Some(position) = self.position(record.partition) {
            position.acknowledged = position.acknowledged.max(Some(next));
        }
    }

    /// Records what was acknowledged, all partitions in one commit; the group continues there.
    ///
    /// # Errors
    /// Those of every call. Acknowledged records stay acknowledged: commit again.
    pub async fn commit(&mut self) -> Result<()> {
        let Some(group) = self.options.consumer_group.clone() else {
            return Ok(());
        };
        let mut commit = Commit::new();
        for (partition, position) in (0..).zip(&self.positions) {
            if let Some(next) = position.uncommitted() {
                commit = commit.commit_offset(&self.options.topic, partition, &group, next);
            }
        }
        if commit.is_empty() {
            return Ok(());
        }
        match self.client.commit(commit).await? {
            Guarded::Done(_) => {
                for position in &mut self.positions {
                    if let Some(next) = position.uncommitted() {
                        position.committed = Some(next);
                    }
                }
                Ok(())
            }
            Guarded::Failed(_) => Err(Error::unasked_guard()),
        }
    }

    /// Reads what there is, partition by partition, until enough is there.
    async fn read_all(&mut self) -> Result<Vec<Record>> {
        let count = self.positions.len();
        let order = (0..count).map(|step| (self.turn.wrapping_add(step)) % count.max(1));
        let mut records = Vec::new();
        let mut moved = Vec::new();
        {
            let this = &*self;
            let mut answers = stream::iter(order)
                .map(|index| this.read(index, Duration::ZERO))
                .buffered(FETCHES_MAX);
            while let Some(answer) = answers.next().await {
                match answer? {
                    Read::Records(more) => records.extend(more),
                    Read::Moved { index, start } => moved.push((index, start)),
                }
                if records.len() >= usize::try_from(this.options.records_max).unwrap_or(usize::MAX)
                {
                    break;
                }
            }
        }
        for (index, start) in moved {
            if let Some(position) = self.positions.get_mut(index) {
                tracing::warn!(
                    topic = self.options.topic,
                    partition = index,
                    from = position.next,
                    start,
                    "records are kept no longer; continuing at the oldest"
                );
                position.next = start;
            }
        }
        Ok(records)
    }

    /// Waits at all partitions at once; the first that has something wins.
    async fn wait_for_any(&self, wait: Duration) -> Result<Vec<Record>> {
        let mut answers: FuturesUnordered<_> = (0..self.positions.len())
            .map(|index| self.read(index, wait))
            .collect();
        while let Some(answer) = answers.next().await {
            match answer? {
                Read::Records(records) if records.is_empty() => {}
                Read::Records(records) => return Ok(records),
                Read::Moved { .. } => return Ok(Vec::new()),
            }
        }
        Ok(Vec::new())
    }

    async fn read(&self, index: usize, wait: Duration) -> Result<Read> {
        let partition = u32::try_from(index)
            .map_err(|_| Error::bad_answer("a topic has more partitions than can be"))?;
        let from = self
            .positions
            .get(index)
            .map_or(0, |position| position.next);
        let fetch = Fetch::new(&self.options.topic, partition, from)
            .limit(self.options.records_max)
            .wait(wait);
        match self.client.log().fetch(fetch).await {
            Ok(fetched) => Ok(Read::Records(
                fetched
                    .messages
                    .into_iter()
                    .map(|message| Record { partition, message })
                    .collect(),
            )),
            Err(error) if error.is(reason::OFFSET_OUT_OF_RANGE) => {
                let topic = self.client.topics().describe(&self.options.topic).await?;
                match topic.partitions.get(index) {
                    Some(bounds) if bounds.start > from => Ok(Read::Moved {
                        index,
                        start: bounds.start,
                    }),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn position(&mut self, partition: u32) -> Option<&mut Position> {
        usize::try_from(partition)
            .ok()
            .and_then(|index| self.positions.get_mut(index))
    }
}

enum Read {
    Records(Vec<Record>),
    /// The records that were wanted are kept no longer.
    Moved {
        index: usize,
        start: u64,
    },
}

impl Position {
    /// What was acknowledged and is not yet committed.
    fn uncommitted(&self) -> Option<u64> {
        self.acknowledged
            .filter(|next| Some(*next) > self.committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_progress_is_committed() {
        let mut position = Position {
            next: 10,
            acknowledged: None,
            committed: Some(7),
        };
        assert_eq!(position.uncommitted(), None, "nothing was acknowledged");
        position.acknowledged = Some(7);
        assert_eq!(position.uncommitted(), None, "known already");
        position.acknowledged = Some(8);
        assert_eq!(position.uncommitted(), Some(8));
    }
}
