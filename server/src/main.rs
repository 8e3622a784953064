//! `engine-server`: one node, until it is asked to stop.

use std::process::ExitCode;

use clap::Parser;
use engine_server::{NodeArgs, run, shutdown, telemetry};

/// A node of an engine cluster: database, cache and durable queue.
#[derive(Parser)]
#[command(name = "engine-server", version, about)]
struct Arguments {
    #[command(flatten)]
    node: NodeArgs,
}

const _: () = assert!(
    !engine::planted::IS_COMPILED && !engine::failpoint::IS_COMPILED,
    "bugs and failpoints are for `sim` alone"
);

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Arguments::parse().node).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the operator reads it here")]
            {
                eprintln!("engine-server: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: NodeArgs) -> anyhow::Result<()> {
    let config = arguments.config()?;
    telemetry::init()?;
    run(config, shutdown::signals()?).await
}
