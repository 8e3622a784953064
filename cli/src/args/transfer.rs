//! Arguments of what moves many rows: scans, imports, exports.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{InKeyspace, ReadArgs};
use crate::records::Packing;

/// How rows stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// JSON Lines: one JSON object on a line
    Jsonl,
    /// Comma-separated values under a header
    Csv,
}

#[derive(Args, Debug)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) at: InKeyspace,
    /// Only keys that begin with this
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
    /// Most rows of the page; 0 for the most that fit (10,000 rows, 2 MiB)
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
    /// All rows as of one moment, as they come; with JSON one row on a line
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Continue after the page that printed this cursor
    #[arg(long, default_value = "", conflicts_with = "revision")]
    pub(crate) cursor: String,
    /// From the last key to the first
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Leave values out
    #[arg(long)]
    pub(crate) keys_only: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file, plain, gzip or zstd; '-' is stdin
    pub(crate) file: PathBuf,
    /// Each line is a record, and this field or column of it is the key: a text or a number.
    /// Without it, the file is one of 'kv export'
    #[arg(long, value_name = "FIELD")]
    pub(crate) key: Option<String>,
    /// How the file is written; without it as its name says, else JSON Lines
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Layout>,
    /// Pass over lines that are bad, and tell how many there were
    #[arg(long)]
    pub(crate) skip_bad: bool,
    #[command(flatten)]
    pub(crate) at: InKeyspace,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) at: InKeyspace,
    /// Only keys that begin with this
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
    /// The file, which is replaced; without it, or with '-', stdout
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// How the rows are written; without it as the file's name says, else JSON Lines
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Layout>,
    /// How they are packed; without it as the file's name says (.gz, .zst), else not at all
    #[arg(long, value_enum, value_name = "PACKING")]
    pub(crate) compress: Option<Packing>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}
