//! `kv import`: the lines of a file as rows.
//!
//! ```text
//! thread: lines ──► batches of distinct keys ──► pipeline: some commits in flight ──► answers
//! ```
//!
//! Commits in flight together may be done in any order. So that the last of two lines with one
//! key wins, a batch waits for those in flight that touch one of its keys. Lines with members of
//! one set or hash that follow each other become one op.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use engine_client::{
    Client, Commit, Expiry, Guarded, Pending, Pipeline, PipelineOptions, ReadOptions, reason,
};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::args::{ImportArgs, Layout};
use crate::command::{Context, export};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Output, Report};
use crate::records::{
    Content, Fault, Read, Reader, Row, Shape, Source, TableReader, TableShape, progress_bar,
};
use crate::text::thousands;

/// Rows, and members of sets and hashes, of one commit.
const BATCH_ROWS: usize = 500;
/// Bytes of one commit: a fraction of the limit, so that commits overlap.
const BATCH_BYTES: usize = 512 * 1024;
/// Commits in flight.
const IN_FLIGHT: usize = 16;
/// Bad lines that are told one by one before they are only counted.
const BAD_TOLD: u64 = 10;

pub(crate) async fn run(args: ImportArgs, context: &Context) -> Result<ExitCode> {
    let progress = progress_bar(context.output.is_json());
    let rows = Rows::open(&args, &progress)?;
    let keyspace = args.at.keyspace;
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
                // What an export wrote without an end had none; a record follows the keyspace.
                endless: match args.key {
                    Some(_) => Expiry::Default,
                    None => Expiry::Never,
                },
                keyspace: keyspace.clone(),
                pipeline: client.pipeline(PipelineOptions {
                    in_flight: IN_FLIGHT,
                }),
                client: client.clone(),
                in_flight: VecDeque::new(),
                stored: 0,
                ended: 0,
                bad: 0,
                in_doubt: 0,
                progress: progress.clone(),
                output: context.output,
            };
            let result = import.store_all(batches(rows, args.skip_bad)).await;
            progress.finish_and_clear();
            result.map_err(|failure| failure.after(&import.reached()))?;
            let report = Imported::new(keyspace, created, &import, begun.elapsed());
            context.output.report(&report)?;
            Ok(ExitCode::Done)
        })
        .await
}

/// A file of rows.
enum Rows {
    Lines(Reader),
    Table(Box<TableReader>),
}

impl Rows {
    fn open(args: &ImportArgs, progress: &ProgressBar) -> Result<Self> {
        let source = Source::open(&args.file, progress)?;
        let layout = args
            .format
            .unwrap_or_else(|| export::layout(Some(&args.file)));
        Ok(match (layout, args.key.clone()) {
            (Layout::Jsonl, Some(key)) => Self::Lines(Reader::new(source, Shape::Keyed(key))),
            (Layout::Jsonl, None) => Self::Lines(Reader::new(source, Shape::Exported)),
            (Layout::Csv, Some(key)) => {
                Self::Table(Box::new(TableReader::new(source, &TableShape::Keyed(key))?))
            }
            (Layout::Csv, None) => {
                Self::Table(Box::new(TableReader::new(source, &TableShape::Exported)?))
            }
        })
    }

    fn next(&mut self) -> Read<Option<Row>> {
        match self {
            Self::Lines(lines) => lines.next_row(),
            Self::Table(table) => table.next_row(),
        }
    }
}

/// Makes the keyspace if it is missing; tells whether it was.
async fn ensure_keyspace(client: &Client, keyspace: &str) -> Result<bool> {
    match client.keyspaces().create(keyspace).await {
        Ok(()) => Ok(true),
        Err(error) if error.is(reason::KEYSPACE_EXISTS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Rows that go into one commit: their keys differ.
#[derive(Clone, Debug, Default)]
struct Batch {
    rows: Vec<Row>,
    /// Where each key's row stands.
    keys: BTreeMap<Bytes, usize>,
    /// Lines that were read.
    lines: u64,
    weight: usize,
    bytes: usize,
}

impl Batch {
    /// Takes a row, or gives it back for the next batch.
    fn push(&mut self, row: Row) -> Option<Row> {
        let (bytes, weight) = (size(&row), row.content.weight());
        let fits = self.weight + weight <= BATCH_ROWS && self.bytes + bytes <= BATCH_BYTES;
        if !self.rows.is_empty() && !fits {
            return Some(row);
        }
        let known = self.keys.get(&row.key).copied();
        match known.and_then(|place| self.rows.get_mut(place)) {
            None => {
                self.keys.insert(row.key.clone(), self.rows.len());
                self.rows.push(row);
            }
            Some(there) => match join(there, row) {
                None => {}
                back => return back,
            },
        }
        self.lines += 1;
        self.bytes += bytes;
        self.weight += weight;
        None
    }
}

fn size(row: &Row) -> usize {
    row.key.len() + row.content.bytes()
}

/// Adds the members of a row to those of another of the same key; gives back what cannot be.
fn join(there: &mut Row, row: Row) -> Option<Row> {
    if there.expires_at_ms != row.expires_at_ms {
        return Some(row);
    }
    match (&mut there.content, row.content) {
        (Content::Set(members), Content::Set(more)) => members.extend(more),
        (Content::Hash(fields), Content::Hash(more)) => fields.extend(more),
        (_, content) => return Some(Row { content, ..row }),
    }
    None
}

/// What the reading thread sends.
enum Step {
    Batch(Batch),
    /// A line that is passed over.
    Bad(Failure),
    /// Nothing more can be read.
    Failed(Failure),
}

/// Reads in a thread of its own, a few batches ahead. What is wrong with a line comes after all
/// good lines before it.
fn batches(mut rows: Rows, skip_bad: bool) -> mpsc::Receiver<Step> {
    let (steps, received) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut batch = Batch::default();
        // Sending fails if the import has failed: nobody reads on.
        let send = |step| steps.blocking_send(step).is_ok();
        loop {
            let last = match rows.next() {
                Ok(Some(row)) => {
                    if let Some(row) = batch.push(row) {
                        if !send(Step::Batch(std::mem::take(&mut batch))) {
                            return;
                        }
                        batch.push(row);
                    }
                    continue;
                }
                Err(Fault::Record(failure)) if skip_bad => {
                    if !send(Step::Bad(failure)) {
                        return;
                    }
                    continue;
                }
                Ok(None) => None,
                Err(fault) => Some(Step::Failed(fault.failure())),
            };
            let open = batch.rows.is_empty() || send(Step::Batch(batch));
            if let Some(failed) = last.filter(|_| open) {
                send(failed);
            }
            return;
        }
    });
    received
}

/// Batches on their way into the cluster.
struct Import {
    keyspace: String,
    /// When rows end of which the file says nothing.
    endless: Expiry,
    client: Client,
    pipeline: Pipeline,
    in_flight: VecDeque<Sent>,
    stored: u64,
    ended: u64,
    bad: u64,
    in_doubt: u64,
    progress: ProgressBar,
    output: Output,
}

struct Sent {
    answer: Pending,
    batch: Batch,
}

impl Import {
    async fn store_all(&mut self, mut steps: mpsc::Receiver<Step>) -> Result<()> {
        let mut result = Ok(());
        while let Some(step) = steps.recv().await {
            result = match step {
                Step::Batch(batch) => self.send(batch).await,
                Step::Failed(failure) => Err(failure),
                Step::Bad(failure) => {
                    self.pass_over(&failure);
                    Ok(())
                }
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

    fn pass_over(&mut self, failure: &Failure) {
        self.bad += 1;
        if self.bad <= BAD_TOLD {
            let warning = format!("{}; passed over", failure.message());
            self.progress.suspend(|| self.output.warn(&warning));
        }
    }

    async fn send(&mut self, batch: Batch) -> Result<()> {
        while self.in_flight.len() >= IN_FLIGHT || self.touches(&batch) {
            self.settle_oldest().await?;
        }
        let sent = Sent {
            answer: self.pipeline.send(self.commit(&batch)).await?,
            batch,
        };
        self.in_flight.push_back(sent);
        Ok(())
    }

    /// Whether what is in flight writes a row of the batch.
    fn touches(&self, batch: &Batch) -> bool {
        let mut keys = batch.keys.keys();
        keys.any(|key| {
            self.in_flight
                .iter()
                .any(|sent| sent.batch.keys.contains_key(key))
        })
    }

    fn commit(&self, batch: &Batch) -> Commit {
        batch
            .rows
            .iter()
            .cloned()
            .fold(Commit::new(), |commit, row| {
                let (keyspace, key) = (&self.keyspace, row.key);
                let expiry = match row.expires_at_ms {
                    None => self.endless,
                    Some(ends) => Expiry::At(UNIX_EPOCH + Duration::from_millis(ends)),
                };
                match row.content {
                    Content::Value(value) => commit.put_with(keyspace, key, value, expiry),
                    Content::Set(members) => commit.set_add(keyspace, key, members, expiry),
                    Content::Hash(fields) => commit.hash_set(keyspace, key, fields, expiry),
                }
            })
    }

    async fn settle_oldest(&mut self) -> Result<()> {
        let Some(Sent { answer, mut batch }) = self.in_flight.pop_front() else {
            return Ok(());
        };
        let mut answer = answer.await;
        loop {
            match answer {
                Ok(Guarded::Done(_) | Guarded::Failed(_)) => {
                    self.stored += batch.lines;
                    self.progress
                        .set_message(format!("{} records", thousands(self.stored)));
                    return Ok(());
                }
                Err(error) if error.is("EXPIRY_IN_THE_PAST") => {
                    self.leave_out_ended(&mut batch).await?;
                    if batch.rows.is_empty() {
                        return Ok(());
                    }
                    let commit = self.commit(&batch);
                    answer = self.pipeline.send(commit).await?.await;
                }
                Err(error) => {
                    let failure = Failure::from(error);
                    if failure.code() == ExitCode::Doubtful {
                        self.in_doubt += batch.lines;
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// Takes rows out of a refused batch that have ended by the cluster's clock.
    async fn leave_out_ended(&mut self, batch: &mut Batch) -> Result<()> {
        let kv = self.client.kv();
        let looked = kv.get_with(&self.keyspace, "now", ReadOptions::default());
        let now_ms = looked.await?.now_ms;
        let before = batch.rows.len();
        batch
            .rows
            .retain(|row| row.expires_at_ms.is_none_or(|ends| ends > now_ms));
        if batch.rows.len() == before {
            let what = "the cluster refuses an end as past that its own clock has not reached";
            return Err(Failure::new(ExitCode::Failed, what));
        }
        let ended = u64::try_from(before - batch.rows.len()).unwrap_or(u64::MAX);
        self.ended += ended;
        batch.lines = batch.lines.saturating_sub(ended);
        Ok(())
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
    bad: u64,
    ended: u64,
    seconds: f64,
    records_per_second: f64,
}

impl Imported {
    fn new(keyspace: String, keyspace_created: bool, import: &Import, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self {
            keyspace,
            keyspace_created,
            records: import.stored,
            bad: import.bad,
            ended: import.ended,
            seconds,
            records_per_second: (import.stored as f64 / seconds.max(1e-6)).round(),
        }
    }
}

impl Report for Imported {
    fn human(&self) -> String {
        let mut told = format!(
            "{} records stored in {} in {:.2} s: {:.0} records/s",
            thousands(self.records),
            self.keyspace,
            self.seconds,
            self.records_per_second
        );
        for (count, what) in [(self.bad, "bad"), (self.ended, "that have ended")] {
            if count > 0 {
                // Writing to a String does not fail.
                let _ = write!(told, "; {} passed over {what}", thousands(count));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, bytes: usize) -> Row {
        Row {
            key: Bytes::copy_from_slice(key.as_bytes()),
            content: Content::Value(vec![b'x'; bytes].into()),
            expires_at_ms: None,
        }
    }

    fn set(key: &str, members: usize) -> Row {
        Row {
            content: Content::Set((0..members).map(|at| at.to_string().into()).collect()),
            ..row(key, 0)
        }
    }

    #[test]
    fn a_batch_ends_at_a_repeated_key_or_when_it_is_large() {
        let mut batch = Batch::default();
        let large = row("a", 2 * BATCH_BYTES);
        assert_eq!(batch.clone().push(large), None, "alone it fits");
        assert_eq!(batch.push(row("a", 10)), None);
        assert!(batch.push(row("a", 10)).is_some(), "the key is there");
        assert!(batch.push(row("b", BATCH_BYTES)).is_some(), "too large");
        for index in 1..BATCH_ROWS {
            assert_eq!(batch.push(row(&index.to_string(), 1)), None);
        }
        assert!(batch.push(row("z", 1)).is_some(), "too many rows");
    }

    #[test]
    fn members_of_one_set_become_one_op() {
        let mut batch = Batch::default();
        assert_eq!(batch.push(set("s", 3)), None);
        assert_eq!(batch.push(set("s", 4)), None);
        assert_eq!((batch.rows.len(), batch.lines, batch.weight), (1, 2, 7));
        assert!(batch.push(row("s", 1)).is_some(), "a value is no member");
        let ending = Row {
            expires_at_ms: Some(7),
            ..set("s", 1)
        };
        assert!(batch.push(ending).is_some(), "one row has one end");
        assert!(batch.push(set("t", BATCH_ROWS)).is_some(), "too many");
    }
}
