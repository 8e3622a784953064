//! One step of a check: it is announced, timed, and says what to run when it fails.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Runs one step and prints its time; an error names the command that repeats or repairs it.
pub(crate) fn step(name: &str, remedy: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let began = Instant::now();
    let done = work();
    let verdict = if done.is_ok() { "ok" } else { "FAILED" };
    say(&format!(
        "{name:<8} {verdict:<6} {:6.1} s",
        began.elapsed().as_secs_f64()
    ));
    done.with_context(|| format!("{name} failed; run: {remedy}"))
}

/// Runs cargo in the workspace's folder; its output goes to the terminal.
pub(crate) fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let status = cargo_command()
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root)
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// The cargo that runs this program.
pub(crate) fn cargo_command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "this program speaks to a person")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
