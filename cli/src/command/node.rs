//! `node run`: one node in this process. `node scrub`: see `scrub`.

use std::io::Read as _;

use engine_server::NodeArgs;
use tokio::sync::oneshot;

use crate::args::NodeCommand;
use crate::command::{Context, scrub};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};

pub(crate) async fn run(command: NodeCommand, context: &Context) -> Result<ExitCode> {
    match command {
        NodeCommand::Run {
            node,
            exit_with_parent,
        } => {
            serve(*node, exit_with_parent)
                .await
                .map_err(|error| Failure::new(ExitCode::Failed, format!("{error:#}")))?;
            Ok(ExitCode::Done)
        }
        NodeCommand::Scrub {
            node,
            bytes_per_second,
        } => scrub::run(node, bytes_per_second, context).await,
    }
}

async fn serve(node: NodeArgs, exit_with_parent: bool) -> anyhow::Result<()> {
    engine_server::telemetry::init()?;
    let config = node.config()?;
    let signals = engine_server::shutdown::signals()?;
    let orphaned = orphaned(exit_with_parent);
    engine_server::run(config, async move {
        tokio::select! {
            () = signals => {}
            () = orphaned => tracing::info!("the parent process is gone"),
        }
    })
    .await
}

/// Ends when stdin is closed, which the system does when the parent process is gone.
async fn orphaned(watch: bool) {
    if !watch {
        return std::future::pending().await;
    }
    let (closed, waiting) = oneshot::channel();
    // A thread of its own: it may stay in its read when the process ends otherwise.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while matches!(std::io::stdin().read(&mut ignored), Ok(read) if read > 0) {}
        // Nobody waits if the node stops for another reason.
        let _ = closed.send(());
    });
    // The thread always sends.
    let _ = waiting.await;
}
