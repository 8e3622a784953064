//! The arguments of `inspect`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// Raft log segments: headers, frames, marks, and where the log ends
    #[command(after_help = "\
The node must be stopped, or the files a copy. Nothing is changed and no lock is taken. A torn
tail, which a node cuts off, is told from damage, at which it stops (exit code 6).

Examples:
  engine-cli inspect log data/node-1/log
  engine-cli inspect log data/node-1/log/0000000000000003.seg --limit 20
  engine-cli inspect log data/node-1/log --output json | jq '.problems'")]
    Log {
        /// The folder 'log' of a node, or one segment
        path: PathBuf,
        #[command(flatten)]
        look: LookArgs,
    },

    /// One table of a store: its sections, blocks and rows
    #[command(after_help = "\
The node must be stopped, or the file a copy. Every block is read and checked; rows are printed
with --rows. A key is shown behind the id of its keyspace; bytes that are no text as \\xNN.

Examples:
  engine-cli inspect table data/node-1/group-0/state-000001/store/0000000000000005.table
  engine-cli inspect table 0000000000000005.table --rows --limit 50")]
    Table {
        /// A file that ends in '.table'
        path: PathBuf,
        /// Print the versions of rows, too
        #[arg(long)]
        rows: bool,
        #[command(flatten)]
        look: LookArgs,
    },

    /// One blob file of a store: the large values in it
    #[command(after_help = "\
The node must be stopped, or the file a copy. Every value is read and checked, and its beginning
shown. The manifest beside the file says whether a table names it, and how long it must be.

Examples:
  engine-cli inspect blob data/node-1/group-0/state-000001/store/0000000000000005.blob
  engine-cli inspect blob 0000000000000005.blob --output json | jq '.problems'")]
    Blob {
        /// A file that ends in '.blob'
        path: PathBuf,
        #[command(flatten)]
        look: LookArgs,
    },

    /// The manifest of a store: tables, the checkpoint in brief, and all edits
    #[command(after_help = "\
The node must be stopped, or the files a copy. Of a folder it also says which tables are missing.

Examples:
  engine-cli inspect manifest data/node-1/group-0/state-000001/store
  engine-cli inspect manifest MANIFEST-0000000000000002 --output json")]
    Manifest {
        /// The folder 'store' of a group, or one manifest
        path: PathBuf,
        #[command(flatten)]
        look: LookArgs,
    },

    /// Partition files: the messages of topics
    #[command(after_help = "\
The node must be stopped, or the files a copy. What counts of a file is what the newest
checkpoint records; it is looked for in the store beside the partitions.

Examples:
  engine-cli inspect partition data/node-1/group-0/state-000001/partitions
  engine-cli inspect partition data/node-1/group-0/state-000001/partitions/1-0 --limit 10
  engine-cli inspect partition 1-0/00000000000000000000.part --output json")]
    Partition {
        /// The folder 'partitions' of a group, the folder of one partition, or one file
        path: PathBuf,
        #[command(flatten)]
        look: LookArgs,
    },
}

/// How much is shown
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LookArgs {
    /// Most frames, blocks, rows, values, edits or messages that are shown; all are checked
    #[arg(long, default_value_t = 300, value_name = "COUNT")]
    pub(crate) limit: usize,
}
