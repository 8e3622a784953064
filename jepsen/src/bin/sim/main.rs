//! `sim`: whole clusters in one process, decided by a seed.
//!
//! One process plays one world; with `--seeds` and `--shrink` this one only starts others.

// Without it tokio draws its own random numbers, and a seed would mean nothing.
#[cfg(not(tokio_unstable))]
compile_error!(
    "sim needs `--cfg tokio_unstable`, which .cargo/config.toml sets for this workspace; \
     RUSTFLAGS in the environment replaces it: add the flag there"
);

mod args;
mod show;
mod system;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use engine_jepsen::sim::driver::Driver;
use engine_jepsen::sim::report::Summary;
use engine_jepsen::sim::run::{Played, play};
use engine_jepsen::sim::swarm::Swarm;
use engine_jepsen::sim::trace::Trace;
use engine_jepsen::sim::{hunt, plant};
use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

use args::{Args, Output};

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if args.plants {
        say(&show::plants())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &args.plant {
        plant::switch_on(name)?;
    }
    let good = match (args.seed, args.seeds.clone()) {
        (None, None) => hunt(&args)?,
        (Some(seed), _) if args.shrink => shrink(&args, seed)?,
        (Some(seed), _) => one(&args, seed)?,
        (None, seeds) => many(&args, seeds.unwrap_or_default())?,
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Plays one world here; whether it is good.
fn one(args: &Args, seed: u64) -> Result<bool> {
    system::seed(seed);
    let filter = EnvFilter::try_from_env("ENGINE_TRACE").unwrap_or_else(|_| "off".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let mut swarm = Swarm::draw(seed, Duration::from_secs(args.faults));
    let without = args.without();
    swarm.leave_out(&without);
    let trace = Trace::new(args.trace.as_deref()).context("make the file for the story")?;
    let Played { report, history } = play(&swarm, &trace);
    if let Some(path) = &args.history {
        let file = File::create(path).with_context(|| format!("make {}", path.display()))?;
        history.write_jsonl(BufWriter::new(file))?;
    }
    if args.trace_hash {
        say(&report.trace_hash)?;
    } else if args.output == Output::Json {
        say(&serde_json::to_string(&report)?)?;
    } else {
        say(&show::world(&report))?;
    }
    let good = report.violations.is_empty();
    if !good && args.output == Output::Human {
        let replay = show::replay(args, seed, &without);
        complain(&show::bad(&report, &replay))?;
    }
    Ok(good)
}

/// Plays many worlds elsewhere; whether all are good.
fn many(args: &Args, seeds: Range<u64>) -> Result<bool> {
    let began = Instant::now();
    let bar = match args.output {
        Output::Human => ProgressBar::new(seeds.end.saturating_sub(seeds.start)),
        Output::Json => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} worlds, {msg} bad, {elapsed} gone, {eta} to go",
    )?);
    bar.set_message("0");
    let bad = std::sync::atomic::AtomicU64::new(0);
    let reports = driver(args)?.play_all(seeds, |report| {
        bar.inc(1);
        if args.output == Output::Json {
            // At once: a long run that is stopped has not run in vain.
            say(&serde_json::to_string(report).unwrap_or_default()).ok();
            return;
        }
        if !report.violations.is_empty() {
            let count = bad.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            bar.set_message(count.to_string());
            let replay = show::replay(args, report.seed, &BTreeSet::new());
            bar.suspend(|| complain(&show::bad(report, &replay)).ok());
        }
    })?;
    bar.finish_and_clear();
    match args.output {
        Output::Human => say(&show::summary(&reports, began.elapsed()))?,
        Output::Json => {
            let summary = serde_json::json!({ "summary": Summary::of(&reports) });
            say(&summary.to_string())?;
        }
    }
    Ok(reports.iter().all(|report| report.violations.is_empty()))
}

/// Looks for planted bugs; whether all were found.
fn hunt(args: &Args) -> Result<bool> {
    let plants = plant::named(args.hunt.as_deref().unwrap_or_default())?;
    let driver = driver(args)?;
    let hunts = hunt::all(&driver, &plants, args.worlds, |hunt| {
        complain(&show::hunt(hunt)).ok();
    })?;
    say(&show::hunts(&hunts))?;
    Ok(hunts.iter().all(|hunt| hunt.found.is_some()))
}

/// Looks for the faults that a bad world needs; whether it was good to begin with.
fn shrink(args: &Args, seed: u64) -> Result<bool> {
    let shrunk = driver(args)?.shrink(seed, |left| {
        complain(&format!("still bad with {left} faults")).ok();
    })?;
    let Some((without, report)) = shrunk else {
        say(&format!("seed {seed} is good"))?;
        return Ok(true);
    };
    let schedule = Swarm::draw(seed, Duration::from_secs(args.faults)).schedule;
    say(&show::bad(&report, &show::replay(args, seed, &without)))?;
    say(&show::schedule(&schedule, &without))?;
    Ok(false)
}

fn driver(args: &Args) -> Result<Driver> {
    Ok(Driver {
        program: std::env::current_exe().context("find this program")?,
        faults: Duration::from_secs(args.faults),
        jobs: args.jobs,
        plant: args.plant.clone(),
    })
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

fn complain(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stderr(), "{text}")
}
