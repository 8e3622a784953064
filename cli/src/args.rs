//! Every command, its arguments, its help.

mod cluster;
mod commit;
mod inspect;
mod keyspace;
mod transfer;
mod typed;
mod versions;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use engine_server::{NodeArgs, StoreKind};

use crate::endpoints::DATA_DEFAULT;
use crate::exit_code;
use crate::output::Format;

pub(crate) use cluster::ClusterCommand;
pub(crate) use commit::CommitArgs;
pub(crate) use inspect::{InspectCommand, LookArgs};
pub(crate) use keyspace::{KeyspaceArgs, KeyspaceCommand};
pub(crate) use transfer::{ExportArgs, ImportArgs, Layout, ScanArgs};
pub(crate) use typed::{
    ExpiryArgs, HashCommand, MembersArgs, NumberArgs, SetCommand, TypedCommand,
};
pub(crate) use versions::{HistoryArgs, VersionsCommand};
pub(crate) use watch::{ChangesArgs, ExplainArgs, WatchArgs};

/// Rows, messages and clusters of engine, from the command line
#[derive(Debug, Parser)]
#[command(
    name = "engine-cli",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = FIRST_STEPS,
    after_long_help = format!("{FIRST_STEPS}\n\n{}", exit_code::TABLE),
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  engine-cli dev up --nodes 3                        a cluster on this machine
  engine-cli keyspace create orders
  engine-cli kv put order-17 '{\"state\":\"new\"}' --keyspace orders
  engine-cli kv get order-17 --keyspace orders";

/// For every command
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Client addresses of some nodes; without it the cluster of 'dev up' is found by itself
    #[arg(
        long,
        global = true,
        env = "ENGINE_ENDPOINTS",
        value_delimiter = ',',
        value_name = "HOST:PORT,…"
    )]
    pub(crate) endpoints: Vec<String>,

    /// How results are printed
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) output: Format,

    /// How long one request may take, all its tries included
    #[arg(long, global = true, default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Rows: put, get, del, cas, count, scan, watch, import, export; numbers, sets and hashes
    #[command(subcommand)]
    Kv(KvCommand),
    /// Keyspaces: the named sets that rows live in
    #[command(subcommand)]
    Keyspace(KeyspaceCommand),
    /// Topics and their messages: create, ls, describe, produce, consume
    #[command(subcommand)]
    Topic(TopicCommand),
    /// One atomic commit over rows, messages and offsets, from a JSON document
    Commit(CommitArgs),
    /// What every commit changed, whatever the keyspace: who, when, what stood there before
    #[command(after_help = "\
Examples:
  engine-cli changes --from 1041
  engine-cli changes --from 1 --limit 0 --output json")]
    Changes(ChangesArgs),
    /// What one commit changed, who asked for it, and what stood there before
    #[command(after_help = "\
Example:
  engine-cli explain --revision 1041")]
    Explain(ExplainArgs),
    /// Nodes: status, verify, add-learner, promote, remove, transfer-leader
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// A single node: run it in this process, or scrub the disk of one at work
    #[command(subcommand)]
    Node(NodeCommand),
    /// A cluster on this machine, for development
    #[command(subcommand)]
    Dev(DevCommand),
    /// The files of a stopped node: what is in them, and what is wrong
    #[command(subcommand)]
    Inspect(InspectCommand),
}

// ---- kv ----

/// Which keyspace
#[derive(Args, Clone, Debug)]
pub(crate) struct InKeyspace {
    /// The keyspace; see 'engine-cli keyspace ls'
    #[arg(long, short, env = "ENGINE_KEYSPACE", value_name = "NAME")]
    pub(crate) keyspace: String,
}

/// At which moment and how fresh
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ReadArgs {
    /// Read at this revision instead of the newest
    #[arg(long)]
    pub(crate) revision: Option<u64>,

    /// Take what one node has, possibly old; works without a majority
    #[arg(long)]
    pub(crate) local: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KvCommand {
    /// Write a row
    #[command(after_help = "\
Examples:
  engine-cli kv put order-17 '{\"state\":\"new\"}' --keyspace orders
  engine-cli kv put logo - --keyspace files < logo.svg
  engine-cli kv put session-9 alice --keyspace sessions --ttl 1h")]
    Put {
        /// The row's key
        key: String,
        /// Its new value, at most 1 MiB; '-' reads it from stdin
        value: String,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        expiry: ExpiryArgs,
    },

    /// Print a row's value; exit code 3 if it is not there
    #[command(after_help = "\
Examples:
  engine-cli kv get order-17 --keyspace orders
  engine-cli kv get order-17 --keyspace orders --revision 41 --output json
  engine-cli kv get order-17 --keyspace orders --version-at 38

'--revision' prints the row as it stood then, within the history that is still readable;
'--version-at' the version that was written then, as 'kv history' lists it, however old.")]
    Get {
        /// The row's key
        key: String,
        /// The version that was written at exactly this revision, though it was replaced since
        #[arg(long, value_name = "REVISION", conflicts_with = "revision")]
        version_at: Option<u64>,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        read: ReadArgs,
    },

    /// Remove a row, or all rows below a prefix; one that is not there is no error
    #[command(after_help = "\
A prefix is removed in one step, however many rows it has; they are not counted. An empty prefix
empties the keyspace.

Examples:
  engine-cli kv del order-17 --keyspace orders
  engine-cli kv del --prefix 2025/ --keyspace orders")]
    Del {
        /// The row's key
        #[arg(required_unless_present = "prefix")]
        key: Option<String>,
        /// Every row whose key begins with this, instead of one row
        #[arg(long, conflicts_with = "key")]
        prefix: Option<String>,
        #[command(flatten)]
        at: InKeyspace,
    },

    /// Write a row if a condition holds (compare and set); exit code 3 if it does not
    #[command(after_help = "\
Examples:
  engine-cli kv cas lock-1 me --keyspace locks --if-absent
  engine-cli kv cas order-17 paid --keyspace orders --if-value new
  engine-cli kv cas order-17 paid --keyspace orders --if-revision 41")]
    Cas {
        /// The row's key
        key: String,
        /// Its new value; '-' reads it from stdin
        value: String,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        condition: ConditionArgs,
    },

    /// Count rows
    #[command(after_help = "\
Examples:
  engine-cli kv count --keyspace orders
  engine-cli kv count --keyspace packages --prefix lib")]
    Count {
        #[command(flatten)]
        at: InKeyspace,
        /// Only keys that begin with this
        #[arg(long, default_value = "")]
        prefix: String,
        #[command(flatten)]
        read: ReadArgs,
    },

    /// Print rows in key order, a page at a time
    #[command(after_help = "\
Examples:
  engine-cli kv scan --keyspace packages --prefix lib --limit 20
  engine-cli kv scan --keyspace packages --keys-only --reverse
  engine-cli kv scan --keyspace packages --cursor CURSOR     the next page, as of the same moment
  engine-cli kv scan --keyspace packages --all --output json          all rows, one on a line")]
    Scan(ScanArgs),

    /// Print the changes of rows as they happen, over lost connections and failovers, until Ctrl-C
    #[command(after_help = "\
Each change is a line: revision, what happened, key, value. What one commit changed has one revision.

Examples:
  engine-cli kv watch --keyspace orders
  engine-cli kv watch order-17 --keyspace orders --previous
  engine-cli kv watch --prefix order- --keyspace orders --from 1041 --output json
  engine-cli kv watch --keyspace orders --from 1 --no-follow        what has happened so far")]
    Watch(WatchArgs),

    /// Print one hash over all rows of a keyspace, equal on all nodes; 'cluster verify' compares them
    #[command(after_help = "\
Examples:
  engine-cli kv checksum --keyspace orders
  engine-cli kv checksum --keyspace orders --revision 41 --output json")]
    Checksum {
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        read: ReadArgs,
    },

    /// Numbers, sets, hashes, ends
    #[command(flatten)]
    Typed(TypedCommand),

    #[command(flatten)]
    Versions(VersionsCommand),

    /// Store the lines of a file as rows: records, or what 'kv export' wrote
    #[command(after_help = "\
With --key each line is a record: the key is a field of it, the value is the whole line (JSON
Lines), or a JSON object of all its columns (CSV). Without --key the file is one of 'kv export',
and rows are what they were: values, sets and hashes, with their ends.

The keyspace is made if it is missing. Rows that are there already are overwritten, members are
added to sets and hashes, so a broken import can be run again. A record has at most 1 MiB and 64
levels; the first bad line ends the import, unless --skip-bad is given.

Examples:
  engine-cli kv import --keyspace packages --key name packages.jsonl.gz
  engine-cli kv import --keyspace prices --key sku prices.csv
  engine-cli kv import --keyspace orders orders.jsonl.zst
  zcat packages.jsonl.gz | engine-cli kv import --keyspace packages --key name -")]
    Import(ImportArgs),

    /// Write all rows, or those below a prefix, to a file or stdout, as of one moment
    #[command(after_help = "\
The file appears when it is whole. Versions and revisions are not written. In a pipe, let the
shell tell of a failed export: 'set -o pipefail'.

Examples:
  engine-cli kv export --keyspace orders --file orders.jsonl.zst
  engine-cli kv export --keyspace orders --prefix 2026/ --file orders.csv
  engine-cli kv export --keyspace orders | engine-cli kv import --keyspace copy -")]
    Export(ExportArgs),
}

/// What must be true of the row
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the options' names"
)]
pub(crate) struct ConditionArgs {
    /// Only if the row holds exactly this value
    #[arg(long, value_name = "VALUE")]
    pub(crate) if_value: Option<String>,
    /// Only if the row was last changed at exactly this revision
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_revision: Option<u64>,
    /// Only if the row is not there
    #[arg(long)]
    pub(crate) if_absent: bool,
    /// Only if the row is there
    #[arg(long)]
    pub(crate) if_exists: bool,
}

// ---- topic ----

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Make a topic
    #[command(after_help = "\
Example:
  engine-cli topic create order-events --partitions 3")]
    Create {
        /// Its name: letters, digits, '-', '_' and '.'
        name: String,
        /// How many partitions it has, for now and ever; 1 to 1024
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
        partitions: u32,
    },

    /// Print the names of all topics
    #[command(after_help = "\
Example:
  engine-cli topic ls")]
    Ls,

    /// Print a topic's partitions, and how far each consumer group has come
    #[command(after_help = "\
Example:
  engine-cli topic describe order-events")]
    Describe {
        /// The topic's name
        name: String,
    },

    /// Append messages: each line of a JSON Lines file, or one value
    #[command(after_help = "\
Messages with one key stay in one partition, in the order of the file.

Examples:
  engine-cli topic produce packages --key name packages.jsonl.gz
  engine-cli topic produce order-events --key order-17 --value created")]
    Produce {
        /// The topic's name
        name: String,
        /// A file with one JSON object per line, plain or gzip; '-' is stdin
        #[arg(required_unless_present = "value", requires = "key")]
        file: Option<PathBuf>,
        /// With a file: the field that holds the key. With --value: the key itself
        #[arg(long)]
        key: Option<String>,
        /// Append this one message instead of a file; '-' reads it from stdin
        #[arg(long, conflicts_with = "file")]
        value: Option<String>,
    },

    /// Print messages of all partitions; with a group, continue where it stopped
    #[command(after_help = "\
Without --follow it ends when there is nothing more to read. Without --group it begins at the
oldest message, or with --follow at the newest. With --group it begins after the group's last
acknowledged message (a new group: at the oldest) and acknowledges messages once they are
printed; one that was printed but not acknowledged is printed again after a crash.

Examples:
  engine-cli topic consume order-events --limit 10
  engine-cli topic consume order-events --group billing --follow
  engine-cli topic consume order-events --group billing --from-beginning --output json")]
    Consume(ConsumeArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ConsumeArgs {
    /// The topic's name
    pub(crate) name: String,
    /// The consumer group whose progress is continued and recorded
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Begin at the oldest message, whatever the group has acknowledged
    #[arg(long)]
    pub(crate) from_beginning: bool,
    /// End after so many messages
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// Wait for more messages instead of ending
    #[arg(long)]
    pub(crate) follow: bool,
}

// ---- node ----

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Run a node until SIGINT or SIGTERM; the same as the program engine-server
    Run {
        #[command(flatten)]
        node: Box<NodeArgs>,
        /// Stop when stdin is closed: a parent process holds it open
        #[arg(long)]
        exit_with_parent: bool,
    },

    /// Let a node at work read and check its whole disk; exit code 1 if something is damaged
    #[command(after_help = "\
Every table, blob file, manifest, partition file and log segment is read; Ctrl-C ends it. Damage is
named with file and byte. A node whose state is damaged stops, and repairs it from a peer when it is
started again. The files of a stopped node are looked at with 'engine-cli inspect'.

Examples:
  engine-cli node scrub 3
  engine-cli node scrub 3 --bytes-per-second 104857600 --output json")]
    Scrub {
        /// The node's id
        node: u64,
        /// Most bytes read in a second; 0 for what the node is configured with
        #[arg(long, default_value_t = 0, value_name = "BYTES")]
        bytes_per_second: u64,
    },
}

// ---- dev ----

#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Run a whole cluster on this machine until Ctrl-C; the next start finds its data
    #[command(after_help = "\
Each node is a process of its own, with its data and trace under DATA/node-N. Other commands find
the cluster by themselves.

Examples:
  engine-cli dev up
  engine-cli dev up --nodes 1 --data /tmp/scratch
  engine-cli dev up --store sled")]
    Up {
        /// How many nodes: 1, 3 or 5. The default is 3, or what the folder holds already
        #[arg(long, value_parser = parse_nodes)]
        nodes: Option<u64>,
        /// The folder of the cluster's data
        #[arg(long, default_value = DATA_DEFAULT, value_name = "FOLDER")]
        data: PathBuf,
        /// The store of all nodes until they stop; each opens what the other left. sled is there
        /// to be compared with, only in builds with the feature 'sled'
        #[arg(long, default_value_t, value_name = "lsm|sled")]
        store: StoreKind,
    },

    /// Tell which nodes of the cluster on this machine run
    #[command(after_help = "\
Example:
  engine-cli dev status")]
    Status {
        /// The folder of the cluster's data; without it the one of the last 'dev up'
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "write a number of seconds".to_owned())?;
    if !(0.001..=3_600.0).contains(&seconds) {
        return Err("write between 0.001 and 3600 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn parse_nodes(text: &str) -> Result<u64, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("write 1, 3 or 5: an even number survives no more failures".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_leaf_command_shows_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            for child in command.get_subcommands() {
                let path = format!("{path} {}", child.get_name());
                if child.has_subcommands() {
                    visit(child, &path);
                } else {
                    let help = child
                        .get_after_help()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    assert!(help.contains("Example"), "{path} has no example");
                }
                assert!(child.get_about().is_some(), "{path} has no sentence");
            }
        }
        visit(&Cli::command(), "engine-cli");
    }

    #[test]
    fn a_timeout_is_a_sensible_number_of_seconds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for bad in ["", "x", "-1", "0", "NaN", "inf", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
