//! `kv export`: all rows of one moment, to a file or standard output.
//!
//! ```text
//! stream of pages ──► members of sets and hashes ──► portions ──► thread: lines, packing ──► file
//! ```
//! Few portions are on their way at a time, so memory does not grow with the keyspace. The writer
//! ends the file only when it is told that all rows have come.

use std::path::Path;
use std::time::Instant;

use engine_client::{Client, Kv, MembersScan, ReadOptions, RowKind, Scan};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::args::{ExportArgs, Layout};
use crate::command::{Context, kv};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Report;
use crate::records::{Content, Packing, Row, TableWriter, Target, encode, progress_count};
use crate::text::thousands;

/// Portions between the reader and the writer.
const PORTIONS: usize = 2;
/// Members of one line.
const MEMBERS: u32 = 500;
/// Bytes of one portion, about.
const PORTION_BYTES: usize = 1024 * 1024;

pub(crate) async fn run(args: ExportArgs, context: &Context) -> Result<ExitCode> {
    let file = args.file.as_deref().filter(|path| *path != Path::new("-"));
    let layout = args.format.unwrap_or_else(|| layout(file));
    let packing = args.compress.unwrap_or_else(|| packing(file));
    let shown = file.map(|path| path.display().to_string());
    let scan = Scan {
        keyspace: args.at.keyspace,
        prefix: args.prefix.into(),
        read: kv::options(args.read),
        ..Scan::default()
    };
    context
        .with_client(|client| async move {
            let begun = Instant::now();
            let progress = progress_count(context.output.is_json());
            let mut export = Export::begin(&client, &scan).await?;
            let target = Target::open(file, packing)?;
            let (portions, received) = mpsc::channel(PORTIONS);
            let bar = progress.clone();
            let writer = tokio::task::spawn_blocking(move || write(target, layout, received, &bar));
            let read = export.send_all(&portions).await;
            drop(portions);
            let written = writer
                .await
                .map_err(|error| Failure::io("write the export", &std::io::Error::other(error)))?;
            progress.finish_and_clear();
            // A failed write ends the reading, so it is told first.
            let bytes = match (written, read) {
                (Err(failure), _) | (Ok(_), Err(failure)) => return Err(failure),
                (Ok(bytes), Ok(())) => bytes,
            };
            let report = Exported {
                keyspace: scan.keyspace,
                revision: export.revision,
                rows: export.rows,
                bytes,
                seconds: begun.elapsed().as_secs_f64(),
                file: shown,
            };
            match report.file {
                Some(_) => context.output.report(&report)?,
                // Standard output holds the rows.
                None => context.output.note(&report.human()),
            }
            Ok(ExitCode::Done)
        })
        .await
}

/// How a file of this name is written.
pub(crate) fn layout(file: Option<&Path>) -> Layout {
    let is = |path: &Path, extension: &str| {
        let found = path.extension().unwrap_or_default();
        found.eq_ignore_ascii_case(extension)
    };
    let path = file.unwrap_or_else(|| Path::new(""));
    let packed = ["gz", "zst", "zstd"].iter().any(|end| is(path, end));
    let inner = path.file_stem().filter(|_| packed).map(Path::new);
    if is(inner.unwrap_or(path), "csv") {
        Layout::Csv
    } else {
        Layout::Jsonl
    }
}

fn packing(file: Option<&Path>) -> Packing {
    match file.and_then(Path::extension).and_then(|end| end.to_str()) {
        Some("gz") => Packing::Gzip,
        Some("zst" | "zstd") => Packing::Zstd,
        _ => Packing::None,
    }
}

/// Rows on their way to the writer.
enum Portion {
    Rows(Vec<Row>),
    /// All have come.
    End,
}

/// What is read, and how far it is.
struct Export {
    kv: Kv,
    keyspace: String,
    read: ReadOptions,
    pages: engine_client::ScanStream,
    /// The first page, read before a file is begun: a keyspace that is not there leaves none.
    first: Option<engine_client::Page>,
    portion: Vec<Row>,
    portion_bytes: usize,
    rows: u64,
    revision: u64,
}

impl Export {
    async fn begin(client: &Client, scan: &Scan) -> Result<Self> {
        let kv = client.kv();
        let mut pages = kv.scan_stream(scan.clone());
        let first = pages.next().await?;
        let revision = first.as_ref().map_or(0, |page| page.revision);
        Ok(Self {
            kv,
            keyspace: scan.keyspace.clone(),
            read: ReadOptions {
                revision: Some(revision),
                ..scan.read
            },
            pages,
            first,
            portion: Vec::new(),
            portion_bytes: 0,
            rows: 0,
            revision,
        })
    }

    /// Sends all rows and the end. A writer that has failed ends it, without a failure here.
    async fn send_all(&mut self, portions: &mpsc::Sender<Portion>) -> Result<()> {
        loop {
            let page = match self.first.take() {
                Some(page) => Some(page),
                None => self.pages.next().await?,
            };
            let Some(page) = page else {
                break;
            };
            for row in page.rows {
                self.rows += 1;
                if !self.add(row, portions).await? {
                    return Ok(());
                }
            }
        }
        if self.flush(portions).await {
            // A writer that has failed tells it itself.
            let _ = portions.send(Portion::End).await;
        }
        Ok(())
    }

    /// Adds a row; tells whether the writer still listens.
    async fn add(
        &mut self,
        row: engine_client::Row,
        portions: &mpsc::Sender<Portion>,
    ) -> Result<bool> {
        let kind = row.kind();
        let mut written = Row {
            key: row.key,
            content: Content::Value(row.value),
            expires_at_ms: row.expires_at_ms,
        };
        if kind == RowKind::Value {
            return Ok(self.push(written, portions).await);
        }
        let mut after = None;
        loop {
            let scan = MembersScan {
                after,
                limit: MEMBERS,
                read: self.read,
            };
            let key = written.key.clone();
            let page = self.kv.members(&self.keyspace, key, scan).await?;
            after = page.members.last().map(|(member, _)| member.clone());
            if after.is_none() {
                // It has ended meanwhile.
                return Ok(true);
            }
            written.content = match kind {
                RowKind::Hash => Content::Hash(page.members),
                _ => Content::Set(page.members.into_iter().map(|(member, _)| member).collect()),
            };
            if !self.push(written.clone(), portions).await {
                return Ok(false);
            }
            if !page.more {
                return Ok(true);
            }
        }
    }

    async fn push(&mut self, row: Row, portions: &mpsc::Sender<Portion>) -> bool {
        self.portion_bytes += row.key.len() + row.content.bytes();
        self.portion.push(row);
        self.portion_bytes < PORTION_BYTES || self.flush(portions).await
    }

    async fn flush(&mut self, portions: &mpsc::Sender<Portion>) -> bool {
        self.portion_bytes = 0;
        let portion = Portion::Rows(std::mem::take(&mut self.portion));
        portions.send(portion).await.is_ok()
    }
}

/// Writes what comes, and ends the file if the end comes; answers how many bytes were written,
/// before packing.
fn write(
    mut target: Target,
    layout: Layout,
    mut portions: mpsc::Receiver<Portion>,
    progress: &ProgressBar,
) -> Result<u64> {
    let (mut table, mut lines, mut rows) = (TableWriter::default(), Vec::new(), 0_u64);
    loop {
        let written = match portions.blocking_recv() {
            Some(Portion::Rows(portion)) => {
                lines.clear();
                rows += u64::try_from(portion.len()).unwrap_or(u64::MAX);
                progress.set_message(format!("{} rows", thousands(rows)));
                lay_out(layout, &mut table, &portion, &mut lines)
                    .and_then(|()| target.write(&lines))
            }
            Some(Portion::End) => return target.finish(),
            None => {
                target.abandon();
                return Ok(0);
            }
        };
        if let Err(failure) = written {
            target.abandon();
            return Err(failure);
        }
    }
}

fn lay_out(
    layout: Layout,
    table: &mut TableWriter,
    rows: &[Row],
    lines: &mut Vec<u8>,
) -> Result<()> {
    match layout {
        Layout::Jsonl => {
            for row in rows {
                encode(row, lines);
            }
            Ok(())
        }
        Layout::Csv => table
            .encode(rows, lines)
            .map_err(|error| Failure::io("write rows as CSV", &error)),
    }
}

#[derive(Serialize)]
struct Exported {
    keyspace: String,
    revision: u64,
    rows: u64,
    bytes: u64,
    seconds: f64,
    file: Option<String>,
}

impl Report for Exported {
    fn human(&self) -> String {
        format!(
            "{} rows of {} as of revision {} in {:.2} s: {} bytes before packing",
            thousands(self.rows),
            self.keyspace,
            self.revision,
            self.seconds,
            thousands(self.bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_how_it_is_written() {
        let table = [
            ("a.jsonl", Layout::Jsonl, Packing::None),
            ("a.jsonl.gz", Layout::Jsonl, Packing::Gzip),
            ("b/a.CSV.gz", Layout::Csv, Packing::Gzip),
            ("a.csv.zst", Layout::Csv, Packing::Zstd),
            ("a.zstd", Layout::Jsonl, Packing::Zstd),
            ("csv", Layout::Jsonl, Packing::None),
        ];
        for (name, expected, packed) in table {
            let file = Some(Path::new(name));
            assert_eq!((layout(file), packing(file)), (expected, packed), "{name}");
        }
        assert_eq!(
            (layout(None), packing(None)),
            (Layout::Jsonl, Packing::None)
        );
    }
}
