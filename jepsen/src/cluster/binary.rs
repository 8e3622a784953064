//! Which program the nodes run: the `engine-cli` that belongs to the running test or tool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};

/// The folders of sources that become the program.
const MADE_OF: [&str; 6] = [
    "cli/src",
    "client/src",
    "engine/src",
    "proto/proto",
    "raft/src",
    "server/src",
];

/// Names the program, instead of all other ways to find it.
pub const OVERRIDE: &str = "ENGINE_CLI";

/// The program beside the running one; Cargo builds it first if it is missing or older than its
/// sources, since a test must not run yesterday's nodes.
pub fn built() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(OVERRIDE) {
        return Ok(PathBuf::from(named));
    }
    let profile = profile_folder()?;
    let program = profile.join("engine-cli");
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if is_fresh(
        &program,
        &MADE_OF.map(|crate_folder| workspace.join(crate_folder)),
    ) {
        return Ok(program);
    }
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
    present(program)
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

/// Whether a program is as new as everything that it is made of. Asking Cargo itself would
/// answer the same, but might build all dependencies again with fewer features than a run of
/// all tests has given them.
fn is_fresh(program: &Path, made_of: &[PathBuf]) -> bool {
    let Some(made) = changed(program) else {
        return false;
    };
    made_of
        .iter()
        .all(|source| changed(source).is_some_and(|changed| changed <= made))
}

/// When a file changed last; for a folder, the newest file in it.
fn changed(path: &Path) -> Option<SystemTime> {
    let mut newest = fs::metadata(path).and_then(|found| found.modified()).ok()?;
    if path.is_dir() {
        for entry in fs::read_dir(path).ok()? {
            newest = newest.max(changed(&entry.ok()?.path())?);
        }
    }
    Some(newest)
}

fn present(program: PathBuf) -> Result<PathBuf> {
    ensure!(
        program.is_file(),
        "find {}: build it with `cargo build -p engine-cli`, or name another in {OVERRIDE}",
        program.display()
    );
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_older_than_a_source_is_not_fresh() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let program = folder.path().join("program");
        let source = folder.path().join("source.rs");
        let made_of = [source.clone()];
        assert!(!is_fresh(&program, &made_of), "it is not there");
        fs::write(&program, "").expect("write");
        assert!(!is_fresh(&program, &made_of), "its source is not there");
        fs::write(&source, "").expect("write");
        fs::write(&program, "").expect("write");
        assert!(is_fresh(&program, &made_of));
        let made = fs::metadata(&program).and_then(|found| found.modified());
        let later = made.expect("it is there") + Duration::from_secs(1);
        let file = fs::File::options().write(true).open(&source);
        file.and_then(|file| file.set_modified(later))
            .expect("touch");
        assert!(!is_fresh(&program, &made_of));
    }
}
