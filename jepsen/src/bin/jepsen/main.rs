//! `jepsen`: real processes, real faults, and the verdict.
//!
//! The first process looks for the nodes' program and starts itself again in namespaces of its
//! own, where it is root of a small world that ends with it.

mod allowed;
mod args;
mod show;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use engine::env::Vfs as _;
use engine::env::vfs::os::OsVfs;
use engine_jepsen::cluster::binary;
use engine_jepsen::real::Need;
use engine_jepsen::real::report::Report;
use engine_jepsen::real::run::{Setup, run};
use tokio::signal::unix::{SignalKind, signal};

use allowed::Allowed;
use args::{Args, Output};

/// Where disks of machines are made if it is there: they lie in memory, and syncs are fast.
const MEMORY: &str = "/dev/shm";

/// Room for the disks of five machines and of those that replace some; containers often have less.
const MEMORY_FREE_BYTES_MIN: u64 = 4 << 30;

fn main() -> ExitCode {
    let args = Args::parse();
    match make(&args) {
        Ok(report) if report.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn make(args: &Args) -> Result<Report> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None => binary::built()?,
    };
    if !args.inside && !args.plain {
        allowed::go_inside(&program)?;
    }
    let setup = setup(args, program);
    if args.output == Output::Human {
        complain(&show::setup(&setup));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(4)
        .build()
        .context("start a runtime")?;
    let report = runtime.block_on(until_stopped(&setup, args.output))?;
    let text = match args.output {
        Output::Human => show::report(&report, &setup.out),
        Output::Json => serde_json::to_string(&report)?,
    };
    writeln!(std::io::stdout(), "{text}").context("write the report")?;
    Ok(report)
}

fn setup(args: &Args, program: PathBuf) -> Setup {
    let seed = args.seed.unwrap_or_else(|| rand::random_range(0..1 << 32));
    let memory = Some(PathBuf::from(MEMORY)).filter(|folder| has_room(folder));
    let place = args.place.clone().or(memory);
    let place = place.unwrap_or_else(std::env::temp_dir);
    let allowed = Allowed::probe(args.inside, &place);
    let (nemeses, limits) = allowed.divide(args.nemeses());
    let out = args.out.clone();
    Setup {
        program,
        nodes: args.nodes,
        duration: Duration::from_secs(args.seconds),
        seed,
        nemeses,
        limits,
        rush: args.rush,
        clients: args.clients,
        roles: args.roles(),
        rate_min: args.rate_min,
        has_net: allowed.may(Need::Net),
        has_disks: allowed.may(Need::Disks),
        place,
        out: out.unwrap_or_else(|| default_out(seed)),
    }
}

fn has_room(folder: &Path) -> bool {
    let space = OsVfs::new().space(folder);
    space.is_ok_and(|space| space.free_bytes >= MEMORY_FREE_BYTES_MIN)
}

fn default_out(seed: u64) -> PathBuf {
    let temporary = std::env::temp_dir();
    Path::new(&temporary).join(format!("engine-jepsen-run-{seed}"))
}

/// Runs until the end, or until somebody wants this process to stop.
async fn until_stopped(setup: &Setup, output: Output) -> Result<Report> {
    let mut interrupted = signal(SignalKind::interrupt()).context("hear SIGINT")?;
    let mut terminated = signal(SignalKind::terminate()).context("hear SIGTERM")?;
    let told = |what: &str| {
        if output == Output::Human {
            complain(what);
        }
    };
    tokio::select! {
        report = run(setup, told) => report,
        _ = interrupted.recv() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

fn complain(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _closed = writeln!(std::io::stderr(), "{text}");
}
