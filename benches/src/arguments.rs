//! What to measure.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::TypedValueParser as _;

use crate::workload::Workload;

/// Measures a cluster: throughput, latency, and what it costs.
#[derive(Clone, Debug, Parser)]
#[command(name = "engine-bench", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// Client addresses of the nodes; without any, those in ./data/dev.json
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        env = "ENGINE_ENDPOINTS"
    )]
    pub endpoints: Vec<String>,

    /// Start nodes on this machine in a folder of their own, and stop them afterwards
    #[arg(long, conflicts_with = "endpoints")]
    pub spawn: bool,

    /// How many nodes --spawn starts: 1, 3 or 5
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub nodes: u64,

    /// The program that --spawn starts; the engine-cli beside this program if not named
    #[arg(long, value_name = "FILE", requires = "spawn")]
    pub program: Option<PathBuf>,

    /// What to do; all if not named
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_enum, default_values_t = Workload::ALL)]
    pub workloads: Vec<Workload>,

    /// Requests in flight; one cell for each number
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [1, 64, 256],
          value_parser = clap::value_parser!(u32).range(1..=100_000).map(|count| count as usize))]
    pub clients: Vec<usize>,

    /// Connections that the clients share; never more than clients
    #[arg(long, value_name = "COUNT", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=1000).map(|count| count as usize))]
    pub connections: usize,

    /// Keep this going beside every cell, uncounted: what does it do to the others?
    #[arg(long, value_name = "NAME", value_enum)]
    pub beside: Option<Workload>,

    /// Requests in flight of --beside
    #[arg(long, value_name = "COUNT", default_value_t = 64, requires = "beside",
          value_parser = clap::value_parser!(u32).range(1..=100_000).map(|count| count as usize))]
    pub beside_clients: usize,

    /// Length of a cell
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub seconds: Duration,

    /// Before each cell, the same without counting
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub warm_up: Duration,

    /// Different keys, chosen evenly
    #[arg(long, value_name = "COUNT", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub keys: u64,

    /// Bytes of a row's value
    #[arg(long, value_name = "BYTES", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=1_048_576).map(|bytes| bytes as usize))]
    pub value_bytes: usize,

    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=1_048_576).map(|bytes| bytes as usize))]
    pub message_bytes: usize,

    /// Partitions of the topic
    #[arg(long, value_name = "COUNT", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: u32,

    /// Writes without a number: at most once instead of exactly once
    #[arg(long)]
    pub no_sessions: bool,

    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  The cluster of 'engine-cli dev up', everything:
    engine-bench

  Three nodes of its own, put with 64 clients for ten seconds, kept as JSON:
    engine-bench --spawn --workloads put,put-stream --clients 64 --seconds 10 --out put.json

  Reads of cached rows, while 64 clients have each of their writes synced:
    engine-bench --spawn --workloads get-local --clients 1 --keys 100 --beside put";

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|length| *length <= Duration::from_hours(24))
        .ok_or_else(|| format!("write a number of seconds, for example 0.5, instead of {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_measure_everything() {
        let arguments = Arguments::try_parse_from(["engine-bench"]).expect("nothing is required");
        assert_eq!(arguments.clients, [1, 64, 256]);
        assert_eq!(arguments.workloads, Workload::ALL);
        assert_eq!(arguments.warm_up, Duration::from_millis(500));
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let words = [
            "engine-bench",
            "--clients",
            "1,4",
            "--workloads",
            "put,get-local",
        ];
        let arguments = Arguments::try_parse_from(words).expect("both are lists");
        assert_eq!(arguments.clients, [1, 4]);
        assert_eq!(arguments.workloads, [Workload::Put, Workload::GetLocal]);
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            ["engine-bench", "--clients", "0"],
            ["engine-bench", "--seconds", "-1"],
            ["engine-bench", "--workloads", "dance"],
        ] {
            assert!(Arguments::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
