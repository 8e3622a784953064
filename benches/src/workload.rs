//! What a client does again and again, and what must be there before.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use engine_client::{
    Client, Commit, Error, Guarded, NewMessage, Pipeline, PipelineOptions, ReadOptions, reason,
};
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;

const KEYSPACE: &str = "bench";
const TOPIC: &str = "bench";
/// Loads in flight while rows are made.
const LOADS_IN_FLIGHT: usize = 256;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Writes a row, a call each
    Put,
    /// Writes a row, on one stream for each connection
    PutStream,
    /// Reads a row, linearizably
    Get,
    /// Reads a row as the asked node has it
    GetLocal,
    /// Appends a message, a call each
    Publish,
    /// Appends a message, on one stream for each connection
    PublishStream,
}

impl Workload {
    /// In the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Put,
        Self::PutStream,
        Self::Get,
        Self::GetLocal,
        Self::Publish,
        Self::PublishStream,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::PutStream => "put-stream",
            Self::Get => "get",
            Self::GetLocal => "get-local",
            Self::Publish => "publish",
            Self::PublishStream => "publish-stream",
        }
    }

    /// Whether it reads rows, which must be there before.
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::GetLocal)
    }

    fn streams(self) -> bool {
        matches!(self, Self::PutStream | Self::PublishStream)
    }
}

/// Makes keyspace and topic, if they are not there.
pub async fn prepare(client: &Client, arguments: &Arguments) -> Result<()> {
    there(client.keyspaces().create(KEYSPACE).await).context("make the keyspace")?;
    there(client.topics().create(TOPIC, arguments.partitions).await).context("make the topic")
}

/// Writes every row once.
pub async fn load(client: &Client, arguments: &Arguments) -> Result<()> {
    let pipeline = client.pipeline(PipelineOptions {
        in_flight: LOADS_IN_FLIGHT,
    });
    let value = payload(arguments.value_bytes);
    let mut open = FuturesUnordered::new();
    for number in 0..arguments.keys {
        if open.len() >= LOADS_IN_FLIGHT {
            done(open.next().await.context("one is open")?)?;
        }
        let commit = Commit::new().put(KEYSPACE, key(number), value.clone());
        open.push(pipeline.send(commit).await.context("load rows")?);
    }
    open.map(done).try_collect().await
}

/// One connection's way to do a workload; shared by its clients.
#[derive(Debug)]
pub struct Worker {
    workload: Workload,
    client: Client,
    pipeline: Option<Pipeline>,
    keys: u64,
    value: Bytes,
    message: Bytes,
}

impl Worker {
    /// `clients` of them will work at the same time.
    pub fn new(workload: Workload, client: Client, clients: usize, arguments: &Arguments) -> Self {
        let pipeline = workload
            .streams()
            .then(|| client.pipeline(PipelineOptions { in_flight: clients }));
        Self {
            workload,
            client,
            pipeline,
            keys: arguments.keys,
            value: payload(arguments.value_bytes),
            message: payload(arguments.message_bytes),
        }
    }

    /// One request, answered.
    pub async fn work(&self) -> Result<()> {
        let key = key(rand::random_range(0..self.keys));
        match (self.workload, &self.pipeline) {
            (Workload::Put, _) => {
                let kv = self.client.kv();
                kv.put(KEYSPACE, key, self.value.clone()).await?;
            }
            (Workload::Get, _) => {
                let row = self.client.kv().get(KEYSPACE, key).await?;
                ensure!(row.is_some(), "a loaded row is absent");
            }
            (Workload::GetLocal, _) => {
                let read = ReadOptions {
                    local: true,
                    ..ReadOptions::default()
                };
                let looked = self.client.kv().get_with(KEYSPACE, key, read).await?;
                ensure!(looked.row.is_some(), "a loaded row is absent");
            }
            (Workload::Publish, _) => {
                let message = NewMessage {
                    key: Some(key),
                    value: self.message.clone(),
                    headers: Vec::new(),
                };
                self.client.log().produce(TOPIC, vec![message]).await?;
            }
            (Workload::PutStream, Some(pipeline)) => {
                let commit = Commit::new().put(KEYSPACE, key, self.value.clone());
                done(pipeline.send(commit).await?.await)?;
            }
            (Workload::PublishStream, Some(pipeline)) => {
                let commit = Commit::new().publish(TOPIC, key, self.message.clone());
                done(pipeline.send(commit).await?.await)?;
            }
            (Workload::PutStream | Workload::PublishStream, None) => {
                unreachable!("a streaming workload has a pipeline from `new` on")
            }
        }
        Ok(())
    }
}

/// 16 bytes.
fn key(number: u64) -> Bytes {
    format!("{number:016}").into()
}

fn payload(bytes: usize) -> Bytes {
    let mut payload = vec![0; bytes];
    rand::fill(payload.as_mut_slice());
    payload.into()
}

fn done<T>(answer: Result<Guarded<T>, Error>) -> Result<()> {
    match answer? {
        Guarded::Done(_) => Ok(()),
        Guarded::Failed(_) => anyhow::bail!("a commit without guards met one"),
    }
}

fn there(made: Result<(), Error>) -> Result<()> {
    match made {
        Err(error) if error.is(reason::KEYSPACE_EXISTS) || error.is(reason::TOPIC_EXISTS) => Ok(()),
        made => Ok(made?),
    }
}
