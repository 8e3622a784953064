//! Arguments about keyspaces.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::typed::time;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyspaceCommand {
    /// Make a keyspace
    #[command(after_help = "\
Examples:
  engine-cli keyspace create orders
  engine-cli keyspace create sessions --default-ttl 24h
  engine-cli keyspace create documents --versioned")]
    Create {
        /// Its name: letters, digits, '-', '_' and '.'
        name: String,
        #[command(flatten)]
        options: KeyspaceArgs,
    },
    /// Change how a keyspace treats its rows from now on
    #[command(after_help = "\
Options that are not named go back to their defaults. Rows that are there keep their ends, and
versions that are kept stay; writes from now on are kept or not.

Examples:
  engine-cli keyspace alter sessions --default-ttl 1h
  engine-cli keyspace alter documents --versioned
  engine-cli keyspace alter sessions                       rows do not end by themselves any more")]
    Alter {
        /// Its name
        name: String,
        #[command(flatten)]
        options: KeyspaceArgs,
    },
    /// Remove a keyspace, all its rows and all their versions, in one step
    #[command(after_help = "\
It cannot be taken back. Nothing is removed without --yes.

Example:
  engine-cli keyspace drop carts --yes")]
    Drop {
        /// Its name
        name: String,
        /// Yes, all rows are to go
        #[arg(long)]
        yes: bool,
    },
    /// Print all keyspaces and how they treat their rows
    #[command(after_help = "\
Example:
  engine-cli keyspace ls")]
    Ls,
    /// Print one keyspace, and how many rows it has
    #[command(after_help = "\
Rows are counted one by one: large keyspaces take a moment.

Example:
  engine-cli keyspace describe orders")]
    Describe {
        /// Its name
        name: String,
    },
}

/// How a keyspace treats its rows
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct KeyspaceArgs {
    /// When rows end whose writers do not say it: '90s', '24h', '30days'; never if not given
    #[arg(long, value_parser = time, value_name = "TIME")]
    pub(crate) default_ttl: Option<Duration>,
    /// Keep every version that is replaced, and what is deleted, until the keyspace is dropped: see
    /// 'kv history'; for plain values only, not for sets and hashes
    #[arg(long)]
    pub(crate) versioned: bool,
}
