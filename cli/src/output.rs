//! What a command says: a table or a sentence for eyes, JSON for scripts.
//!
//! Results go to standard output, failures and progress to standard error.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{LineStyle, Table, TableStyle};
use serde::Serialize;
use serde_json::json;

use crate::failure::{Failure, Result};

/// For whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences, for eyes
    #[default]
    Table,
    /// One JSON document (one for each record of 'topic consume'), for scripts
    Json,
}

/// What a command has to say. The fields are its JSON.
pub(crate) trait Report: Serialize {
    /// The same for eyes, without a last line break.
    fn human(&self) -> String;
}

/// Where and how it is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Says a result.
    pub(crate) fn report<R: Report>(self, report: &R) -> Result<()> {
        let line = match self.format {
            Format::Table => report.human(),
            Format::Json => serde_json::to_string(report)
                .map_err(|error| Failure::io("write the answer as JSON", &error.into()))?,
        };
        write_line(line.as_bytes())
    }

    /// Tells how it goes, for eyes only.
    pub(crate) fn note(self, note: &str) {
        if self.format == Format::Table {
            complain(note);
        }
    }

    /// Tells what a person must know, in either format.
    pub(crate) fn warn(self, warning: &str) {
        match self.format {
            Format::Table => complain(warning),
            Format::Json => complain(&json!({ "warning": warning }).to_string()),
        }
    }

    /// Tells why the command failed, and what to do next.
    pub(crate) fn failure(self, failure: &Failure) {
        match self.format {
            Format::Table => {
                complain(&format!("error: {}", failure.message()));
                if let Some(next_step) = failure.next_step() {
                    complain(&format!("  next: {next_step}"));
                }
            }
            Format::Json => complain(
                &json!({ "error": failure, "exit_code": failure.code().number() }).to_string(),
            ),
        }
    }
}

/// Writes bytes as they are to standard output, and ends the line.
pub(crate) fn write_line(line: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .or_else(ended)
}

/// A line under the header and nothing else: easy to read, and to copy from.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// An empty table in the house's looks.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header);
    table
}

/// The table without the blanks at line ends, which comfy-table fills with.
pub(crate) fn lines(table: &Table) -> String {
    table.trim_fmt()
}

fn complain(text: &str) {
    // Nobody is left to tell that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whoever reads us has enough, as `head` does: no failure, but no point in going on either.
pub(crate) fn ended(error: io::Error) -> Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    Err(Failure::io("write to standard output", &error))
}
