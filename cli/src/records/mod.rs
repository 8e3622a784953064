//! Rows and messages in files: read for an import, written by an export.
//!
//! ```text
//! file or stdin ─► source: gzip, zstd, plain ─► lines (JSON Lines) ─┬─► keyed: a field is the key
//!                                              table (CSV) ─────────┴─► exported: what an export wrote
//! rows ─► exported or table ─► target: gzip, zstd, plain ─► a file that appears when it is whole
//! ```
//! Readers live in threads of their own and hold one line at a time. What is wrong with a line is
//! told as `file:line: what`.

mod exported;
mod fault;
mod keyed;
mod lines;
mod source;
mod table;
mod target;

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use exported::{Content, Row, encode};
pub(crate) use fault::{Fault, Read};
pub(crate) use lines::{Reader, Shape};
pub(crate) use source::Source;
pub(crate) use table::{TableReader, TableShape, TableWriter};
pub(crate) use target::{Packing, Target};

/// One line that is stored as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Bytes,
    /// The line as it stands in the file.
    pub(crate) line: Bytes,
}

/// A bar over the bytes of a file, on standard error; hidden if that is no terminal.
pub(crate) fn progress_bar(quiet: bool) -> ProgressBar {
    styled(
        quiet,
        "{spinner} {wide_bar} {bytes}/{total_bytes} {msg} {elapsed} (eta {eta})",
    )
}

/// The same where nobody knows how much is to come.
pub(crate) fn progress_count(quiet: bool) -> ProgressBar {
    styled(quiet, "{spinner} {msg} {elapsed}")
}

fn styled(quiet: bool, template: &str) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
