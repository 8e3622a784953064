//! Many worlds: one process each, some at a time, and the search for the smallest bad one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use parking_lot::Mutex;

use super::report::Report;
use super::swarm::Swarm;

/// Lines of a panicked world that are kept.
const LAST_LINES: usize = 12;

/// How worlds are played.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The binary `sim`.
    pub program: PathBuf,
    /// How long faults come in each world.
    pub faults: Duration,
    /// How many worlds at a time.
    pub jobs: usize,
    /// The bug on purpose that all worlds have.
    pub plant: Option<String>,
}

impl Driver {
    /// Plays one world, without some faults of its schedule, in a process of its own.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn play(&self, seed: u64, without: &BTreeSet<usize>) -> Result<Report> {
        let mut command = Command::new(&self.program);
        command
            .args(["--seed", &seed.to_string()])
            .args(["--faults", &self.faults.as_secs().to_string()])
            .args(["--output", "json"]);
        if let Some(plant) = &self.plant {
            command.args(["--plant", plant]);
        }
        if !without.is_empty() {
            command.args(["--without", &list(without)]);
        }
        let output = command
            .output()
            .with_context(|| format!("start {}", self.program.display()))?;
        Ok(report(seed, &output))
    }

    /// Plays all worlds of `seeds`; `told` hears of each, in any order.
    ///
    /// # Errors
    /// If a process cannot be started.
    pub fn play_all(
        &self,
        seeds: Range<u64>,
        told: impl Fn(&Report) + Sync,
    ) -> Result<Vec<Report>> {
        let reports = Mutex::new(BTreeMap::new());
        self.share(seeds, |seed| {
            let report = self.play(seed, &BTreeSet::new())?;
            told(&report);
            reports.lock().insert(seed, report);
            Ok(())
        })?;
        Ok(reports.into_inner().into_values().collect())
    }

    /// Does all the work there is, so many pieces at a time as worlds may be played.
    pub(super) fn share(
        &self,
        pieces: Range<u64>,
        work: impl Fn(u64) -> Result<()> + Sync,
    ) -> Result<()> {
        let next = AtomicU64::new(pieces.start);
        let until_none_is_left = || -> Result<()> {
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= pieces.end {
                    return Ok(());
                }
                work(piece)?;
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs.max(1))
                .map(|_| scope.spawn(until_none_is_left))
                .collect();
            let mut workers = workers.into_iter();
            workers.try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }

    /// Leaves out faults of a bad world while it stays bad; answers those that are left out, and
    /// the last bad report. `told` hears how many faults are left.
    ///
    /// # Errors
    /// If a process cannot be started.
    pub fn shrink(
        &self,
        seed: u64,
        told: impl Fn(usize),
    ) -> Result<Option<(BTreeSet<usize>, Report)>> {
        let count = Swarm::draw(seed, self.faults).schedule.len();
        let mut without = BTreeSet::new();
        let mut bad = self.play(seed, &without)?;
        if bad.violations.is_empty() {
            return Ok(None);
        }
        let mut piece = count.div_ceil(2);
        while piece > 0 {
            let left: Vec<usize> = (0..count).filter(|at| !without.contains(at)).collect();
            for dropped in left.chunks(piece) {
                let mut fewer = without.clone();
                fewer.extend(dropped);
                let report = self.play(seed, &fewer)?;
                if !report.violations.is_empty() {
                    (without, bad) = (fewer, report);
                    told(count - without.len());
                }
            }
            piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
        }
        Ok(Some((without, bad)))
    }
}

/// Numbers as the command line takes them.
pub fn list(numbers: &BTreeSet<usize>) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// What a world's process said; one that did not come to its end has said why elsewhere.
fn report(seed: u64, output: &Output) -> Report {
    if let Ok(report) = serde_json::from_slice(&output.stdout) {
        return report;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LAST_LINES)..);
    Report {
        seed,
        violations: vec![format!(
            "the world ended with {}: {}",
            output.status,
            last.unwrap_or_default().join(" | ")
        )],
        ..Report::default()
    }
}
