//! `engine-server`: one node, until it is asked to stop.

use clap::Parser;
use engine_server::{NodeArgs, run, shutdown, telemetry};

/// A node of an engine cluster: database, cache and durable queue.
#[derive(Parser)]
#[command(name = "engine-server", version, about)]
struct Arguments {
    #[command(flatten)]
    node: NodeArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Arguments::parse().node.config()?;
    telemetry::init()?;
    let signals = shutdown::signals()?;
    run(config, signals).await
}
