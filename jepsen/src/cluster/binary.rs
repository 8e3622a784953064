//! Which program the nodes run: the `engine-cli` that belongs to the running test or tool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};

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
    if is_fresh(&program) {
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

/// Whether a program is as new as everything that it was made of, by the list that Cargo writes
/// beside it. Asking Cargo itself would answer the same, but might build all dependencies again
/// with fewer features than a run of all tests has given them.
fn is_fresh(program: &Path) -> bool {
    let Some(made) = changed(program) else {
        return false;
    };
    let Ok(list) = fs::read_to_string(program.with_extension("d")) else {
        return false;
    };
    sources(&list).all(|source| changed(&source).is_some_and(|changed| changed <= made))
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

/// The sources in `program: source source …`, where a space in a path is written `\ `.
fn sources(list: &str) -> impl Iterator<Item = PathBuf> {
    let list = list.split_once(": ").map_or("", |(_, sources)| sources);
    list.trim_end()
        .replace("\\ ", "\0")
        .split_ascii_whitespace()
        .map(|source| PathBuf::from(source.replace('\0', " ")))
        .collect::<Vec<_>>()
        .into_iter()
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
    fn sources_may_have_spaces_in_their_names() {
        let list = "/t/engine-cli: /a/b.rs /with\\ space/c.rs\n";
        let found: Vec<PathBuf> = sources(list).collect();
        assert_eq!(found, ["/a/b.rs", "/with space/c.rs"].map(PathBuf::from));
        assert_eq!(sources("nonsense").count(), 0);
    }

    #[test]
    fn a_program_older_than_a_source_is_not_fresh() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let program = folder.path().join("program");
        let source = folder.path().join("source.rs");
        assert!(!is_fresh(&program), "it is not there");
        fs::write(&source, "").expect("write");
        fs::write(&program, "").expect("write");
        assert!(!is_fresh(&program), "nobody knows what it was made of");
        let list = format!("{}: {}\n", program.display(), source.display());
        fs::write(program.with_extension("d"), list).expect("write");
        assert!(is_fresh(&program));
        let made = fs::metadata(&program).and_then(|found| found.modified());
        let later = made.expect("it is there") + Duration::from_secs(1);
        let file = fs::File::options().write(true).open(&source);
        file.and_then(|file| file.set_modified(later))
            .expect("touch");
        assert!(!is_fresh(&program));
    }
}
