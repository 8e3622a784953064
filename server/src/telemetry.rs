//! What the process tells its operator: traces on standard error.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// The environment variable that chooses what is told, for example `info,engine_raft=debug`.
pub const FILTER_VARIABLE: &str = "ENGINE_TRACE";

/// What is told if the operator chooses nothing: the life of the node, without openraft's own.
const FILTER_DEFAULT: &str = "info,openraft=warn";

/// Sends traces to standard error: INFO and above, or what [`FILTER_VARIABLE`] says.
///
/// # Errors
/// If the variable cannot be read as a filter, or traces are set up already.
pub fn init() -> anyhow::Result<()> {
    let chosen = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| FILTER_DEFAULT.to_owned());
    let filter = EnvFilter::try_new(chosen).with_context(|| {
        format!("read {FILTER_VARIABLE}: write for example info,engine_raft=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // It would tell of a failed trace on standard error, and panic where that fails too: a
        // full disk under the trace must not end the node.
        .log_internal_errors(false)
        .try_init()
        .map_err(|error| anyhow::anyhow!("set up traces: {error}"))
}
