//! The command line of `sim`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use engine_jepsen::sim::report::Report;
use engine_jepsen::sim::run::play;
use engine_jepsen::sim::swarm::Swarm;
use engine_jepsen::sim::trace::Trace;
use tracing_subscriber::EnvFilter;

use crate::system;

/// Plays whole clusters, each decided by a seed.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "sim")]
pub(crate) struct Args {
    /// The world to play
    #[arg(long)]
    seed: u64,

    /// How long faults come, in simulated seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    faults: u64,

    /// Print the story's number alone: two runs of one seed print the same
    #[arg(long)]
    trace_hash: bool,

    /// Write the story, one event a line
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self) -> ExitCode {
        let filter = EnvFilter::try_from_env("ENGINE_TRACE").unwrap_or_else(|_| "off".into());
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
        system::seed();
        let swarm = Swarm::draw(self.seed, Duration::from_secs(self.faults));
        let trace = Trace::new(self.trace.as_deref()).expect("trace");
        let report: Report = play(&swarm, &trace);
        #[expect(clippy::print_stdout, reason = "x")]
        {
            println!("{}", serde_json::to_string(&report).expect("json"));
        }
        if report.violations.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
