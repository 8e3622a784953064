//! Arguments about versions of rows.

use clap::{Args, Subcommand};

use super::InKeyspace;

#[derive(Debug, Subcommand)]
pub(crate) enum VersionsCommand {
    /// Print the versions of a row, the newest first; exit code 3 if there is none
    #[command(after_help = "\
In a versioned keyspace these are all versions since it became versioned, and markers of deletes,
whether the row is there or not. In any other keyspace they are those of the row's present life that
are still in the readable history: the last million revisions, or less if the floor was raised.

Examples:
  engine-cli kv history order-17 --keyspace orders
  engine-cli kv history order-17 --keyspace orders --before 38 --output json")]
    History(HistoryArgs),

    /// Write a row with the value that it had once; exit code 3 if that is not kept
    #[command(after_help = "\
The row ends as its keyspace says, whatever its version did. 'kv history' lists the versions.

Example:
  engine-cli kv revert order-17 --keyspace orders --to 38")]
    Revert {
        /// The row's key; it may have been deleted
        key: String,
        /// When that value was written: the version's own revision
        #[arg(long, value_name = "REVISION")]
        to: u64,
        #[command(flatten)]
        at: InKeyspace,
    },

    /// Write a row anew that was deleted, or has ended; exit code 3 if no value of it is kept
    #[command(after_help = "\
Only a versioned keyspace keeps what is deleted. The row gets the newest value that is kept, and ends
as its keyspace says.

Example:
  engine-cli kv undelete order-17 --keyspace orders")]
    Undelete {
        /// The row's key; one that is there is refused
        key: String,
        #[command(flatten)]
        at: InKeyspace,
    },
}

/// A page of versions
#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    /// The row's key; it may have been deleted
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) at: InKeyspace,
    /// Only versions written before this revision: that of the last of the page before
    #[arg(long, value_name = "REVISION")]
    pub(crate) before: Option<u64>,
    /// Most of them; 0 for the most that fit (10,000, 2 MiB)
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
    /// Take what one node has, possibly old; works without a majority
    #[arg(long)]
    pub(crate) local: bool,
}
