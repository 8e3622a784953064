//! When the operator wants the process to stop.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Listens from now on; the future ends with the first SIGINT or SIGTERM.
///
/// # Errors
/// If the system refuses the handlers.
pub fn signals() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    Ok(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = name, "asked to stop");
    })
}
