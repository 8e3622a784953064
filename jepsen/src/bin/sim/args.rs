//! The command line of `sim`.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

/// Plays whole clusters in one process; a seed decides everything.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "sim", after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The world to play
    #[arg(long, value_name = "SEED", required_unless_present_any = ["seeds", "plants", "hunt"])]
    pub(crate) seed: Option<u64>,

    /// The worlds to play, each in a process of its own: from the first to before the last
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with_all = ["seed", "trace_hash", "trace", "history", "without", "shrink"])]
    pub(crate) seeds: Option<Range<u64>>,

    /// How many worlds at a time
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(crate) jobs: usize,

    /// How long faults come, in simulated seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub(crate) faults: u64,

    /// Leave out these faults of the schedule, by their place in it
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub(crate) without: Vec<usize>,

    /// Leave out faults while the world stays bad, and print what is left
    #[arg(long, conflicts_with_all = ["trace_hash", "trace", "history", "without"])]
    pub(crate) shrink: bool,

    /// Print the story's number alone: it is the same in every run of one build
    #[arg(long)]
    pub(crate) trace_hash: bool,

    /// Write the story to this file, one event a line
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Write what clients asked and heard to this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,

    /// Switch on this bug, which was planted on purpose (only with the feature `planted`)
    #[arg(long, value_name = "NAME")]
    pub(crate) plant: Option<String>,

    /// List the bugs that can be switched on
    #[arg(long, conflicts_with_all = ["seed", "seeds", "hunt"])]
    pub(crate) plants: bool,

    /// Look for every planted bug, or for the named ones, and print who found it, and how soon
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', num_args = 0.., conflicts_with_all = ["seed", "seeds", "plant"])]
    pub(crate) hunt: Option<Vec<String>>,

    /// How many worlds a planted bug may survive
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    pub(crate) worlds: u64,

    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// For whom to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  Play world 7 and tell what happened:
    cargo run -p engine-jepsen --bin sim -- --seed 7

  Watch it:
    ENGINE_TRACE=info,openraft=warn cargo run -p engine-jepsen --bin sim -- --seed 7

  Play a thousand worlds, two at a time, and end nodes at the failpoints of the product:
    cargo run --profile sim -p engine-jepsen --features failpoints --bin sim -- --seeds 0..1000

  Find the faults that make world 7 bad:
    cargo run -p engine-jepsen --bin sim -- --seed 7 --shrink

  Look for all bugs that were planted on purpose:
    cargo run --profile sim -p engine-jepsen --features planted --bin sim -- --hunt";

impl Args {
    /// The faults to leave out.
    pub(crate) fn without(&self) -> BTreeSet<usize> {
        self.without.iter().copied().collect()
    }
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let form = || format!("write A..B, for example 0..100, instead of {text:?}");
    let (from, until) = text.split_once("..").ok_or_else(form)?;
    let from = from.parse().map_err(|_| form())?;
    let until = until.parse().map_err(|_| form())?;
    Ok(from..until)
}
