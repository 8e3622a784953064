//! Which program the nodes run: the `engine-cli` that belongs to the running test or tool.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Names the program, instead of all other ways to find it.
pub const OVERRIDE: &str = "ENGINE_CLI";

/// The program beside the running one, brought up to date by Cargo if this is a build folder.
///
/// A test must not run yesterday's nodes, so Cargo is asked even if the file is there; it answers
/// at once if nothing changed.
pub fn built() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(OVERRIDE) {
        return Ok(PathBuf::from(named));
    }
    let profile = profile_folder()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "engine-cli"])
        .args(["--bin", "engine-cli"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .arg("--target-dir")
        .arg(profile.parent().context("a build folder has a parent")?);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output().context("run cargo build for engine-cli")?;
    ensure!(
        output.status.success(),
        "build engine-cli: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    present(profile.join("engine-cli"))
}

/// The program beside the running one, as it is.
pub fn beside() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(OVERRIDE) {
        return Ok(PathBuf::from(named));
    }
    present(profile_folder()?.join("engine-cli"))
}

/// `target/debug` or `target/release`, for programs and for tests (which lie in `deps`).
fn profile_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("look for the running program")?;
    let folder = program
        .parent()
        .context("a program lies in a folder")?
        .to_owned();
    Ok(match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().map(Path::to_owned).unwrap_or(folder),
        _ => folder,
    })
}

fn present(program: PathBuf) -> Result<PathBuf> {
    ensure!(
        program.is_file(),
        "find {}: build it with `cargo build -p engine-cli`, or name another in {OVERRIDE}",
        program.display()
    );
    Ok(program)
}
