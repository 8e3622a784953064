//! `kv import`: each line of a file as a row.
//!
//! ```text
//! thread: lines ──► batches of distinct keys ──► pipeline: some commits in flight ──► answers
//! ```
//!
//! Commits in flight together may be done in any order. So that the last of two lines with one
//! key wins, a batch waits for those in flight that touch one of its keys.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine_client::{Client, Commit, Guarded, Pending, Pipeline, PipelineOptions, reason};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Report;
use crate::records::{Reader, Record, progress_bar};
use crate::text::thousands;

/// Rows of one commit.
const BATCH_RECORDS: usize = 500;
/// Bytes of one commit: a fraction of the limit, so that commits overlap.
const BATCH_BYTES: usize = 512 * 1024;
/// Commits in flight.
const IN_FLIGHT: usize = 16;

pub(crate) async fn run(
    file: PathBuf,
    key_field: String,
    keyspace: String,
    context: &Context,
) -> Result<ExitCode> {
    let progress = progress_bar(context.output.is_json());
    let reader = Reader::open(&file, &key_field, &progress)?;
    context
        .with_client(|client| async move {
            let created = ensure_keyspace(&client, &keyspace).await?;
            if created {
                context
                    .output
                    .note(&format!("made the keyspace {keyspace}"));
            }
            let begun = Instant::now();
            let mut import = Import {
                keyspace: keyspace.clone(),
                pipeline: client.pipeline(PipelineOptions {
                    in_flight: IN_FLIGHT,
                }),
                in_flight: VecDeque::new(),
                stored: 0,
                in_doubt: 0,
                progress: progress.clone(),
            };
            let result = import.store_all(batches(reader)).await;
            progress.finish_and_clear();
            result.map_err(|failure| failure.after(&import.reached()))?;
            let report = Imported::new(keyspace, created, import.stored, begun.elapsed());
            context.output.report(&report)?;
            Ok(ExitCode::Done)
        })
        .await
}

/// Makes the keyspace if it is missing; tells whether it was.
async fn ensure_keyspace(client: &Client, keyspace: &str) -> Result<bool> {
    match client.keyspaces().create(keyspace).await {
        Ok(()) => Ok(true),
        Err(error) if error.is(reason::KEYSPACE_EXISTS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Records that go into one commit: their keys differ.
#[derive(Debug, Default)]
struct Batch {
    records: Vec<Record>,
    keys: BTreeSet<Bytes>,
    bytes: usize,
}

impl Batch {
    fn takes(&self, record: &Record) -> bool {
        self.records.len() < BATCH_RECORDS
            && (self.records.is_empty() || self.bytes + size(record) <= BATCH_BYTES)
            && !self.keys.contains(&record.key)
    }

    fn push(&mut self, record: Record) {
        self.bytes += size(&record);
        self.keys.insert(record.key.clone());
        self.records.push(record);
    }
}

fn size(record: &Record) -> usize {
    record.key.len() + record.line.len()
}

/// Reads in a thread of its own, a few batches ahead. What is wrong with a line comes after all
/// good lines before it.
fn batches(mut reader: Reader) -> mpsc::Receiver<Result<Batch>> {
    let (batches, received) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut batch = Batch::default();
        loop {
            let last = match reader.next() {
                Ok(Some(record)) => {
                    if !batch.takes(&record)
                        && batches
                            .blocking_send(Ok(std::mem::take(&mut batch)))
                            .is_err()
                    {
                        return; // The import has failed.
                    }
                    batch.push(record);
                    continue;
                }
                Ok(None) => None,
                Err(failure) => Some(Err(failure)),
            };
            if !batch.records.is_empty() && batches.blocking_send(Ok(batch)).is_err() {
                return;
            }
            if let Some(failure) = last {
                // Nobody listens if the import has failed before.
                let _ = batches.blocking_send(failure);
            }
            return;
        }
    });
    received
}

/// Batches on their way into the cluster.
struct Import {
    keyspace: String,
    pipeline: Pipeline,
    in_flight: VecDeque<Sent>,
    stored: u64,
    in_doubt: u64,
    progress: ProgressBar,
}

struct Sent {
    answer: Pending,
    keys: BTreeSet<Bytes>,
    records: u64,
}

impl Import {
    async fn store_all(&mut self, mut batches: mpsc::Receiver<Result<Batch>>) -> Result<()> {
        let mut result = Ok(());
        while let Some(batch) = batches.recv().await {
            result = match batch {
                Ok(batch) => self.send(batch).await,
                Err(failure) => Err(failure),
            };
            if result.is_err() {
                break;
            }
        }
        // Also after a failure: what is on its way is counted.
        while !self.in_flight.is_empty() {
            let settled = self.settle_oldest().await;
            result = result.and(settled);
        }
        result
    }

    async fn send(&mut self, batch: Batch) -> Result<()> {
        let touches = |sent: &Sent| !sent.keys.is_disjoint(&batch.keys);
        while self.in_flight.len() >= IN_FLIGHT || self.in_flight.iter().any(touches) {
            self.settle_oldest().await?;
        }
        let records = u64::try_from(batch.records.len()).unwrap_or(u64::MAX);
        let mut commit = Commit::new();
        for record in batch.records {
            commit = commit.put(&self.keyspace, record.key, record.line);
        }
        self.in_flight.push_back(Sent {
            answer: self.pipeline.send(commit).await?,
            keys: batch.keys,
            records,
        });
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<()> {
        let Some(sent) = self.in_flight.pop_front() else {
            return Ok(());
        };
        match sent.answer.await {
            Ok(Guarded::Done(_) | Guarded::Failed(_)) => {
                self.stored += sent.records;
                self.progress
                    .set_message(format!("{} records", thousands(self.stored)));
                Ok(())
            }
            Err(error) => {
                let failure = Failure::from(error);
                if failure.code() == ExitCode::Doubtful {
                    self.in_doubt += sent.records;
                }
                Err(failure)
            }
        }
    }

    fn reached(&self) -> String {
        let stored = thousands(self.stored);
        match self.in_doubt {
            0 => format!("{stored} records were stored before that"),
            doubt => format!(
                "{stored} records were stored, and up to {} more may be",
                thousands(doubt)
            ),
        }
    }
}

#[derive(Serialize)]
struct Imported {
    keyspace: String,
    keyspace_created: bool,
    records: u64,
    seconds: f64,
    records_per_second: f64,
}

impl Imported {
    fn new(keyspace: String, keyspace_created: bool, records: u64, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self {
            keyspace,
            keyspace_created,
            records,
            seconds,
            records_per_second: (records as f64 / seconds.max(1e-6)).round(),
        }
    }
}

impl Report for Imported {
    fn human(&self) -> String {
        format!(
            "{} records stored in {} in {:.2} s: {:.0} records/s",
            thousands(self.records),
            self.keyspace,
            self.seconds,
            self.records_per_second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, bytes: usize) -> Record {
        Record {
            key: Bytes::copy_from_slice(key.as_bytes()),
            line: vec![b'x'; bytes].into(),
        }
    }

    #[test]
    fn a_batch_ends_at_a_repeated_key_or_when_it_is_large() {
        let mut batch = Batch::default();
        assert!(batch.takes(&record("a", 2 * BATCH_BYTES)), "alone it fits");
        batch.push(record("a", 10));
        assert!(!batch.takes(&record("a", 10)), "the key is there already");
        assert!(batch.takes(&record("b", 10)));
        assert!(!batch.takes(&record("b", BATCH_BYTES)), "too many bytes");
        for index in 1..BATCH_RECORDS {
            batch.push(record(&index.to_string(), 1));
        }
        assert!(!batch.takes(&record("z", 1)), "too many records");
    }
}
