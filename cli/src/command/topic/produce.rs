//! `topic produce`: each line of a file as a message, or one value.
//!
//! One request at a time: messages with one key keep the order of the file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine_client::{Client, NewMessage};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::command::{Context, input};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Report;
use crate::records::{Reader, progress_bar};
use crate::text::thousands;

/// Messages of one request.
const BATCH_MESSAGES: usize = 2_000;
/// Bytes of one request.
const BATCH_BYTES: usize = 1024 * 1024;

pub(crate) async fn run(
    topic: String,
    file: Option<PathBuf>,
    key: Option<String>,
    value: Option<String>,
    context: &Context,
) -> Result<ExitCode> {
    match (file, value, key) {
        (None, Some(value), key) => one(topic, key, input::value(value)?, context).await,
        (Some(file), None, Some(key_field)) => all(topic, file, &key_field, context).await,
        _ => Err(Failure::usage(
            "name a file and --key FIELD, or a message with --value",
        )),
    }
}

async fn one(
    topic: String,
    key: Option<String>,
    value: Bytes,
    context: &Context,
) -> Result<ExitCode> {
    let message = NewMessage {
        key: key.map(Bytes::from),
        value,
        headers: Vec::new(),
    };
    let produced = context
        .with_client(|client| async move { Ok(client.log().produce(topic, vec![message]).await?) })
        .await?;
    let place = produced.published.first().copied().unwrap_or_default();
    context.output.report(&One {
        partition: place.partition,
        offset: place.offset,
        revision: produced.revision,
    })?;
    Ok(ExitCode::Done)
}

async fn all(topic: String, file: PathBuf, key_field: &str, context: &Context) -> Result<ExitCode> {
    let progress = progress_bar(context.output.is_json());
    let batches = batches(Reader::open(&file, key_field, &progress)?);
    let begun = Instant::now();
    let mut produced = 0;
    let result = context
        .with_client(|client| append(client, &topic, batches, &mut produced))
        .await;
    progress.finish_and_clear();
    result.map_err(|failure| {
        failure.after(&format!(
            "{} messages were appended before that",
            thousands(produced)
        ))
    })?;
    context
        .output
        .report(&All::new(topic, produced, begun.elapsed()))?;
    Ok(ExitCode::Done)
}

async fn append(
    client: Client,
    topic: &str,
    mut batches: mpsc::Receiver<Result<Vec<NewMessage>>>,
    produced: &mut u64,
) -> Result<()> {
    while let Some(batch) = batches.recv().await {
        let messages = batch?;
        let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
        client.log().produce(topic, messages).await?;
        *produced += count;
    }
    Ok(())
}

/// Reads in a thread of its own, a few batches ahead. What is wrong with a line comes after all
/// good lines before it.
fn batches(mut reader: Reader) -> mpsc::Receiver<Result<Vec<NewMessage>>> {
    let (batches, received) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let record = match reader.next() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(fault) => {
                    // Nobody listens if an earlier batch has failed.
                    if !batch.is_empty() {
                        let _ = batches.blocking_send(Ok(batch));
                    }
                    let _ = batches.blocking_send(Err(fault.failure()));
                    return;
                }
            };
            let size = record.key.len() + record.line.len();
            if (batch.len() >= BATCH_MESSAGES || bytes + size > BATCH_BYTES) && !batch.is_empty() {
                bytes = 0;
                if batches
                    .blocking_send(Ok(std::mem::take(&mut batch)))
                    .is_err()
                {
                    return; // An earlier batch has failed.
                }
            }
            bytes += size;
            batch.push(NewMessage {
                key: Some(record.key),
                value: record.line,
                headers: Vec::new(),
            });
        }
        if !batch.is_empty() {
            // Nobody listens if an earlier batch has failed.
            let _ = batches.blocking_send(Ok(batch));
        }
    });
    received
}

#[derive(Serialize)]
struct One {
    partition: u32,
    offset: u64,
    revision: u64,
}

impl Report for One {
    fn human(&self) -> String {
        format!(
            "appended to partition {} at offset {}",
            self.partition, self.offset
        )
    }
}

#[derive(Serialize)]
struct All {
    topic: String,
    messages: u64,
    seconds: f64,
    messages_per_second: f64,
}

impl All {
    fn new(topic: String, messages: u64, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self {
            topic,
            messages,
            seconds,
            messages_per_second: (messages as f64 / seconds.max(1e-6)).round(),
        }
    }
}

impl Report for All {
    fn human(&self) -> String {
        format!(
            "{} messages appended to {} in {:.2} s: {:.0} messages/s",
            thousands(self.messages),
            self.topic,
            self.seconds,
            self.messages_per_second
        )
    }
}
