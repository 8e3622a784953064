//! Fuzzing: any bytes whatever for every decoder, with coverage as the guide.
//!
//! Works with the stable toolchain: libFuzzer comes with `libfuzzer-sys`, and the compiler's own
//! coverage pass is switched on by flags. The folder `fuzz` is a workspace of its own.
//!
//! ```text
//! fuzz/corpus/TARGET/     kept inputs, few and small: committed, and replayed by the tests
//! target/fuzz/            the program, all inputs found so far, and what made it crash
//! ```

mod args;

use std::fs;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, say};
use args::Args;

/// Longest input: as long as anything that has structure needs to be.
const INPUT_BYTES_MAX: u64 = 4096;

/// Kept for one target, at most, besides those that have a name.
const CORPUS_INPUTS_MAX: usize = 40;
const CORPUS_BYTES_MAX: u64 = 15 * 1024;

/// Instruments every branch and comparison for libFuzzer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Build scripts are not instrumented if a target is named.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Runs all targets, or those that are named, for as long as the words say: as many at once as
/// there are processors.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let args = Args::parse(words)?;
    let chosen = args.choose(targets(root)?)?;
    let program = build(root)?;
    let seconds = args.seconds_each(chosen.len());
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let rest = Mutex::new(chosen.iter());
    let next = || rest.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(target) = next() {
            let fuzzer = Fuzzer::new(root, &program, target)?;
            fuzzer.run(seconds, args.seed)?;
            if args.keep {
                fuzzer.keep()?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(|worker| match worker.join() {
            Ok(end) => end,
            Err(panic) => resume_unwind(panic),
        });
        ends.collect()
    })
}

/// The names in every `TARGETS`, read from the text: this program does not link them.
fn targets(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for part in ["engine", "raft", "server"] {
        let path = root.join(part).join("src/fuzzing.rs");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        names.extend(names_in(&text));
    }
    Ok(names)
}

fn names_in(text: &str) -> impl Iterator<Item = String> {
    let lists = text.split("TARGETS: [Target;").skip(1);
    let lists = lists.filter_map(|list| list.split_once("];").map(|(list, _)| list));
    lists.flat_map(|list| {
        let entries = list.split("(\"").skip(1);
        entries.filter_map(|entry| Some(entry.split_once('"')?.0.to_owned()))
    })
}

fn build(root: &Path) -> Result<PathBuf> {
    let folder = target_folder(root).join("fuzz");
    let folder_text = folder.display().to_string();
    let words = [
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--target",
        TRIPLE,
        "--target-dir",
        &folder_text,
    ];
    cargo(root, &words, &[("RUSTFLAGS", FLAGS)])?;
    Ok(folder.join(TRIPLE).join("release/engine-fuzz"))
}

fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// One target and its folders.
struct Fuzzer<'a> {
    program: &'a Path,
    target: &'a str,
    /// What is committed.
    kept: PathBuf,
    /// What was ever found here.
    found: PathBuf,
    crashes: PathBuf,
}

impl<'a> Fuzzer<'a> {
    fn new(root: &Path, program: &'a Path, target: &'a str) -> Result<Self> {
        let work = target_folder(root).join("fuzz");
        let fuzzer = Self {
            program,
            target,
            kept: root.join("fuzz/corpus").join(target),
            found: work.join("corpus").join(target),
            crashes: work.join("crashes").join(target),
        };
        for folder in [&fuzzer.kept, &fuzzer.found, &fuzzer.crashes] {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(fuzzer)
    }

    /// Looks for new inputs for so long.
    fn run(&self, seconds: u64, seed: Option<NonZero<u32>>) -> Result<()> {
        // libFuzzer takes zero for a seed of its own choice.
        let seed = seed.map_or(0, NonZero::get);
        let output = self
            .command()
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-seed={seed}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .args(["-rss_limit_mb=512", "-malloc_limit_mb=256", "-timeout=10"])
            .args(["-print_final_stats=1", "-verbosity=0"])
            .arg(format!("-artifact_prefix={}/", self.crashes.display()))
            .args([&self.found, &self.kept])
            .output()
            .context("start the fuzzer")?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            say(&told);
            let crash = told
                .lines()
                .find_map(|line| line.split_once("Test unit written to "));
            let input = crash.map_or("its output above", |(_, path)| path);
            bail!("{} fails on {input}", self.target);
        }
        let count = told
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
            .map_or("?", str::trim);
        let target = self.target;
        say(&format!(
            "{target:<18} {count:>12} inputs in {seconds} s, no crash"
        ));
        Ok(())
    }

    /// Makes what is committed anew: the fewest small inputs that reach as much as all do.
    fn keep(&self) -> Result<()> {
        let fewest = self.found.with_extension("fewest");
        let _ = fs::remove_dir_all(&fewest);
        fs::create_dir_all(&fewest).with_context(|| format!("create {}", fewest.display()))?;
        let merged = self
            .command()
            .args(["-merge=1", "-verbosity=0"])
            .args([&fewest, &self.kept, &self.found])
            .output()
            .context("start the fuzzer to merge its inputs")?;
        if !merged.status.success() {
            say(&String::from_utf8_lossy(&merged.stderr));
            bail!("{}: its inputs cannot be merged", self.target);
        }
        let mut inputs = sizes(&fewest)?;
        inputs.sort();
        for (_, path) in sizes(&self.kept)? {
            if is_numbered(&path) {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        // Short ones and long ones alike.
        let step = inputs.len().div_ceil(CORPUS_INPUTS_MAX).max(1);
        let mut bytes = 0;
        for (size, path) in inputs.into_iter().step_by(step) {
            bytes += size;
            if bytes > CORPUS_BYTES_MAX {
                break;
            }
            let name = path.file_name().context("an input has a name")?;
            fs::copy(&path, self.kept.join(name))
                .with_context(|| format!("keep {}", path.display()))?;
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.env("ENGINE_FUZZ_TARGET", self.target);
        command
    }
}

/// Whether the fuzzer named an input, by its hash. One that a person named shows a bug that was
/// mended, and stays.
fn is_numbered(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.len() == 40 && name.chars().all(|sign| sign.is_ascii_hexdigit())
}

/// The files of a folder and their lengths.
fn sizes(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let path = entry.path();
        let bytes = entry
            .metadata()
            .with_context(|| format!("look at {}", path.display()))?;
        found.push((bytes.len(), path));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_found_and_has_kept_inputs() {
        let root = crate::root();
        let targets = targets(&root).expect("the sources are there");
        for one_of_each in ["log_frame", "outcome", "peer_append", "scan_cursor"] {
            assert!(targets.iter().any(|target| target == one_of_each));
        }
        let kept = fs::read_dir(root.join("fuzz/corpus")).expect("a folder");
        let mut kept: Vec<String> = kept
            .map(|entry| entry.expect("a name").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        kept.sort();
        let mut sorted = targets;
        sorted.sort();
        assert_eq!(sorted, kept);
    }

    #[test]
    fn only_what_the_fuzzer_named_is_replaced() {
        let hash = "085a172ab6b0d6c8bed82a574521858e57140ac0";
        assert!(is_numbered(Path::new(hash)));
        assert!(!is_numbered(Path::new("a-mark-ahead-of-its-frame")));
        assert!(!is_numbered(Path::new(
            "oom-85a172ab6b0d6c8bed82a574521858e57140ac"
        )));
    }
}
