//! The command line of `jepsen`.

use std::path::PathBuf;

use engine_jepsen::real::Nemesis;
use engine_jepsen::workload::Role;

/// Starts a cluster of real processes, hurts it while clients work, and judges what they were told.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "jepsen", after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many nodes: 3 or 5
    #[arg(long, default_value_t = 3, value_parser = nodes)]
    pub(crate) nodes: u64,

    /// How long faults come
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,

    /// Draws which faults come when; a random one if not given
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// What to break, each alone and each two together: names, 'all' or 'none'
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', default_value = "all", value_parser = chosen)]
    pub(crate) nemesis: Vec<Chosen>,

    /// What clients do, in turn; everything if not given
    #[arg(long, value_name = "NAME,NAME", value_enum, value_delimiter = ',')]
    pub(crate) workload: Vec<Role>,

    /// How many clients
    #[arg(long, default_value_t = Role::ALL.len())]
    pub(crate) clients: usize,

    /// Break the next thing as soon as the cluster writes again: as many faults as can be
    #[arg(long)]
    pub(crate) rush: bool,

    /// The fewest acknowledged operations a second: a run that is slower proves nothing
    #[arg(long, value_name = "RATE", default_value_t = 10.0)]
    pub(crate) rate_min: f64,

    /// The folder for history, plots, traces and report; among the temporary files if not given
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// Where the nodes' disks are made; in memory if /dev/shm has room
    #[arg(long, value_name = "FOLDER")]
    pub(crate) place: Option<PathBuf>,

    /// The nodes' program; the engine-cli of this build if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,

    /// No namespaces, taps and loop devices, even if they are allowed here
    #[arg(long)]
    pub(crate) plain: bool,

    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,

    /// This process has its own network, mounts and process ids already
    #[arg(long, hide = true)]
    pub(crate) inside: bool,
}

/// What is asked to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    All,
    None,
    One(Nemesis),
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
Names of --nemesis:
  kill, pause, restart, members          are always possible
  partition, wire                        in full with network namespaces and taps
  power, full, stall, rot                need loop devices and mounts
  clock                                  needs time namespaces
  skew                                   needs libfaketime
What is not allowed here is left out, and the report says so. Without taps, relays on the
loopback interface stand in: a node hears nobody, or hears late.

Exit codes: 0 nothing is wrong, 1 something is, 2 the run could not be made.

Examples:
  A minute of everything that is allowed here:
    cargo run -p engine-jepsen --bin jepsen

  Five nodes, an hour, the same faults each time:
    cargo run --release -p engine-jepsen --bin jepsen -- --nodes 5 --seconds 3600 --seed 7

  As many power cuts as can be within ten minutes:
    cargo run -p engine-jepsen --bin jepsen -- --nemesis power --rush --seconds 600

  Judge the history again:
    cargo run -p engine-jepsen --bin check -- /tmp/engine-jepsen-run-7/history.jsonl";

impl Args {
    /// What clients do.
    pub(crate) fn roles(&self) -> Vec<Role> {
        if self.workload.is_empty() {
            Role::ALL.to_vec()
        } else {
            self.workload.clone()
        }
    }

    /// What is asked to be broken.
    pub(crate) fn nemeses(&self) -> Vec<Nemesis> {
        let mut chosen: Vec<Nemesis> = Vec::new();
        for one in &self.nemesis {
            match one {
                Chosen::All => chosen.extend(Nemesis::ALL),
                Chosen::None => {}
                Chosen::One(nemesis) => chosen.push(*nemesis),
            }
        }
        chosen.sort();
        chosen.dedup();
        chosen
    }
}

fn nodes(text: &str) -> Result<u64, String> {
    match text {
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("a cluster has 3 or 5 nodes".to_owned()),
    }
}

fn chosen(text: &str) -> Result<Chosen, String> {
    match text {
        "all" => Ok(Chosen::All),
        "none" => Ok(Chosen::None),
        name => <Nemesis as clap::ValueEnum>::from_str(name, false)
            .map(Chosen::One)
            .map_err(|_| format!("there is no nemesis {name:?}")),
    }
}
