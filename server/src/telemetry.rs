//! What the process tells its operator: traces on standard error.

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The environment variable that chooses what is told, for example `info,engine_raft=debug`.
pub const FILTER_VARIABLE: &str = "ENGINE_TRACE";

/// Sends traces to standard error: INFO and above, or what [`FILTER_VARIABLE`] says.
///
/// # Errors
/// If the variable cannot be read as a filter, or traces are set up already.
pub fn init() -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_env_var(FILTER_VARIABLE)
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()
        .with_context(|| {
            format!("read {FILTER_VARIABLE}: write for example info,engine_raft=debug")
        })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!("set up traces: {error}"))
}
