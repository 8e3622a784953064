//! A long run: fresh simulated worlds on all processors, then real nodes, until the time is over or
//! something is wrong.
//!
//! ```text
//! build ─► worlds, batch after batch ─► runs of real nodes ─► one row for the track record
//!                    └── the first violation ends it, with the command that plays it again
//! ```
//!
//! The row is printed after each batch, too: a run that is interrupted has not run in vain.

mod args;

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::steps::{cargo, say};
use args::Args;

/// How long a world has faults, in simulated seconds: shorter worlds have shown far less.
const FAULT_SECONDS: u64 = 60;

/// Worlds of a batch, for each processor.
const WORLDS_EACH: u64 = 10;

/// The longest run of real nodes; the shortest that shows anything.
const REAL_MAX: Duration = Duration::from_mins(10);
const REAL_MIN: Duration = Duration::from_secs(30);

/// What has been done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    commit: String,
    /// The first world, and the one after the last.
    seeds: (u64, u64),
    worlds: u64,
    simulated_ms: u64,
    /// Operations of simulated clients.
    operations: u64,
    real_seconds: u64,
    /// Operations of clients of real nodes.
    real_operations: u64,
    violations: u64,
}

/// Runs for as long as the words say.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let args = Args::parse(words)?;
    let (sim, jepsen) = build(root)?;
    let from = args.from.map_or_else(fresh_seed, Ok)?;
    let mut tally = Tally {
        commit: commit(root)?,
        seeds: (from, from),
        ..Tally::default()
    };
    let begun = Instant::now();
    let mut wrong = None;
    while wrong.is_none() && begun.elapsed() < args.time.saturating_sub(args.real_time()) {
        let left = args.time.saturating_sub(args.real_time());
        wrong = worlds(&sim, &mut tally, left.saturating_sub(begun.elapsed()))?;
        say(&tally.row());
    }
    while wrong.is_none() {
        let left = args.time.saturating_sub(begun.elapsed()).min(REAL_MAX);
        if args.real_percent == 0 || left < REAL_MIN {
            break;
        }
        wrong = real_nodes(&jepsen, &mut tally, left)?;
        say(&tally.row());
    }
    if let Some(path) = &args.record {
        append(path, &tally.row())?;
    }
    match wrong {
        Some(wrong) => bail!("{wrong}"),
        None => Ok(()),
    }
}

/// Plays one batch; answers what is wrong, and how to see it again.
fn worlds(sim: &Path, tally: &mut Tally, left: Duration) -> Result<Option<String>> {
    let until = Instant::now() + left;
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let end = tally.seeds.1 + WORLDS_EACH * processors as u64;
    let mut child = Command::new(sim)
        .args(["--seeds", &format!("{}..{end}", tally.seeds.1)])
        .args(["--faults", &FAULT_SECONDS.to_string()])
        .args(["--jobs", &processors.to_string(), "--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", sim.display()))?;
    let lines = BufReader::new(child.stdout.take().context("its output is piped")?);
    let mut wrong = None;
    for line in lines.lines() {
        let line = line.context("read a world's report")?;
        let report: Value = serde_json::from_str(&line).context("read a world's report")?;
        if let Some(world) = tally.add(&report) {
            wrong = Some(world);
        }
        if wrong.is_some() || Instant::now() >= until {
            // The worlds that it has begun end by themselves; nobody hears of them.
            child.kill().context("stop the worlds")?;
            break;
        }
    }
    child.wait().context("wait for the worlds")?;
    tally.seeds.1 = end;
    Ok(wrong)
}

/// Hurts real nodes for a while; answers what is wrong.
fn real_nodes(jepsen: &Path, tally: &mut Tally, left: Duration) -> Result<Option<String>> {
    let seed = fresh_seed()? % (1 << 32);
    // Starting, healing and judging take their time, too.
    let seconds = left.mul_f64(0.8).as_secs();
    let words = format!("--seconds {seconds} --seed {seed}");
    let output = Command::new(jepsen)
        .args(words.split(' '))
        .args(["--output", "json"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {}", jepsen.display()))?;
    let Ok(report) = serde_json::from_slice::<Value>(&output.stdout) else {
        bail!("jepsen {words} ended with {} and no report", output.status);
    };
    tally.real_seconds += seconds;
    tally.real_operations += number(&report, "ok");
    let violations = texts(&report, "violations");
    if output.status.success() && violations.is_empty() {
        return Ok(None);
    }
    tally.violations += violations.len().max(1) as u64;
    Ok(Some(format!(
        "real nodes: {}\nthe same faults again: cargo run --release -p engine-jepsen --bin jepsen \
         -- {words}\nits history and traces lie in the folder engine-jepsen-run-{seed} among the \
         temporary files",
        violations.join("\n  ")
    )))
}

impl Tally {
    /// Adds a world's report; answers what is wrong with it. What is no world's report is passed by.
    fn add(&mut self, report: &Value) -> Option<String> {
        let seed = report.get("seed")?.as_u64()?;
        let figures = report.get("figures")?;
        self.worlds += 1;
        self.simulated_ms += number(figures, "simulated_ms");
        self.operations += number(figures, "ops");
        let violations = texts(report, "violations");
        self.violations += violations.len() as u64;
        (!violations.is_empty()).then(|| {
            format!(
                "world {seed} is bad:\n  {}\nplay it again: cargo run --profile sim -p \
                 engine-jepsen --features failpoints --bin sim -- --seed {seed} --faults \
                 {FAULT_SECONDS}",
                violations.join("\n  ")
            )
        })
    }

    /// As the table of `docs/track-record.md` has it.
    fn row(&self) -> String {
        let (first, end) = self.seeds;
        format!(
            "| `{}` | {first}..{end} | {} | {:.2} | {} | {:.1} | {} | {} |",
            self.commit,
            self.worlds,
            self.simulated_ms as f64 / 3_600_000.0,
            self.operations,
            self.real_seconds as f64 / 60.0,
            self.real_operations,
            self.violations
        )
    }
}

/// Worlds with every assertion and all failpoints; real nodes as they would be released.
fn build(root: &Path) -> Result<(PathBuf, PathBuf)> {
    let sim = "build --profile sim -p engine-jepsen --features failpoints --bin sim";
    cargo(root, &sim.split(' ').collect::<Vec<_>>(), &[])?;
    let real = "build --release -p engine-jepsen -p engine-cli --bin jepsen --bin engine-cli";
    cargo(root, &real.split(' ').collect::<Vec<_>>(), &[])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| root.join("target"));
    Ok((target.join("sim/sim"), target.join("release/jepsen")))
}

/// A seed that no run before had: they are counted by the clock.
fn fresh_seed() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let milliseconds = now.context("read the clock")?.as_millis();
    u64::try_from(milliseconds).context("read the clock")
}

fn commit(root: &Path) -> Result<String> {
    let git = |words: &[&str]| -> Result<String> {
        let output = Command::new("git").args(words).current_dir(root).output();
        let output = output.context("start git")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Ok(if changed.is_empty() {
        commit
    } else {
        format!("{commit}, changed")
    })
}

fn append(path: &Path, row: &str) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    let mut file = file.with_context(|| format!("open {}", path.display()))?;
    writeln!(file, "{row}").with_context(|| format!("write {}", path.display()))
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    let found = value.get(name).and_then(Value::as_array);
    let found = found.into_iter().flatten().filter_map(Value::as_str);
    found.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn worlds_are_counted_and_a_bad_one_tells_how_to_see_it_again() {
        let mut tally = Tally {
            commit: "abc".to_owned(),
            seeds: (5, 7),
            ..Tally::default()
        };
        let figures = json!({ "simulated_ms": 1_800_000, "ops": 40 });
        let good = json!({ "seed": 5, "violations": [], "figures": figures });
        assert_eq!(tally.add(&good), None);
        assert_eq!(
            tally.add(&json!({ "summary": { "figures": figures } })),
            None
        );
        let bad = json!({ "seed": 6, "violations": ["lost"], "figures": figures });
        let wrong = tally.add(&bad).expect("it is bad");
        assert!(wrong.contains("lost") && wrong.ends_with("--seed 6 --faults 60"));
        assert_eq!(
            tally.row(),
            "| `abc` | 5..7 | 2 | 1.00 | 80 | 0.0 | 0 | 1 |"
        );
    }

    #[test]
    fn rows_are_appended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.md");
        append(&path, "| a |").expect("it can be written");
        append(&path, "| b |").expect("it can be written");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text, "| a |\n| b |\n");
    }
}
