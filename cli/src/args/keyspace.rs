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
  engine-cli keyspace create documents --versioned
  engine-cli keyspace create uploads --rows-max 100000 --bytes-max 2GiB --uncached")]
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
    /// Quota: refuse commits that would make it hold more rows; for plain values only
    #[arg(long, value_name = "ROWS")]
    pub(crate) rows_max: Option<u64>,
    /// Quota: refuse commits that would make its keys and values, versions included, take more bytes:
    /// '500000', '64MiB', '2GiB'; for plain values only
    #[arg(long, value_parser = size, value_name = "SIZE")]
    pub(crate) bytes_max: Option<u64>,
    /// Keep its rows out of the row cache: for rows that are seldom read twice
    #[arg(long)]
    pub(crate) uncached: bool,
}

/// Bytes, in units of 1,024.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = UNITS
        .iter()
        .find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (digits, bits) = unit.unwrap_or((text, 0));
    let number = digits.trim().parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(1 << bits))
        .ok_or_else(|| "a size is a number of bytes, or one with KiB, MiB, GiB or TiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        let read = |text| size(text).ok();
        assert_eq!(read("500000"), Some(500_000));
        assert_eq!(read("64MiB"), Some(64 << 20));
        assert_eq!(read("3 TiB"), Some(3 << 40));
        for wrong in ["", "KiB", "-1", "1.5GiB", "1GB", "99999999999TiB"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
