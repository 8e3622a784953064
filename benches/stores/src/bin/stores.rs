//! Compares the stores: every cell of every engine in its own process, one table at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use engine_stores::cell::{CELLS, Cell, Measures};
use engine_stores::line::{LINES, Line};
use engine_stores::machine;
use engine_stores::peer::{CACHE_BYTES, ENGINES};
use engine_stores::spread::Spread;
use engine_stores::workload::{BATCH_ROWS, KEY_BYTES, VALUE_BYTES};

/// Measures our store beside its peers.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    child: Option<Child>,
    /// Engines, in the order of the columns.
    #[arg(long, value_delimiter = ',', default_values_t = ENGINES.iter().map(|n| (*n).to_owned()))]
    engines: Vec<String>,
    /// Cells to run; later ones need those before them.
    #[arg(long, value_delimiter = ',', default_values_t = CELLS.iter().map(|n| (*n).to_owned()))]
    cells: Vec<String>,
    /// How often all is measured.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Where the results go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the data goes; a folder of the disk that is to be measured.
    #[arg(long, default_value = "stores-data")]
    data: PathBuf,
    #[command(flatten)]
    size: Size,
}

/// How much is done.
#[derive(Args, Clone)]
struct Size {
    /// Rows of the data set.
    #[arg(long, default_value_t = 2_000_000, global = true)]
    keys: u64,
    /// Seconds of a phase that has no end of its own.
    #[arg(long, default_value_t = 3.0, global = true)]
    seconds: f64,
}

#[derive(Subcommand)]
enum Child {
    /// One cell of one engine, in this process: for profilers. Prints its measures as JSON.
    Cell {
        engine: String,
        name: String,
        dir: PathBuf,
        /// Measures of the reading cell: hit1, hit2, miss1, miss2, scan.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
}

/// Values of all runs, by engine and `cell.measure`.
type Results = BTreeMap<String, BTreeMap<String, Vec<f64>>>;

/// The column that the others are compared with.
const OURS: &str = "ours";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Child::Cell {
        engine,
        name,
        dir,
        only,
    }) = arguments.child
    {
        let cell = Cell {
            engine,
            dir,
            keys: arguments.size.keys,
            seconds: arguments.size.seconds,
            only,
        };
        println!("{}", serde_json::to_string(&cell.run(&name)?)?);
        return Ok(());
    }
    compare(&arguments)
}

fn compare(arguments: &Arguments) -> Result<()> {
    let mut results: Results = Results::new();
    for run in 1..=arguments.runs {
        for engine in &arguments.engines {
            let dir = arguments.data.join(engine);
            for name in &arguments.cells {
                eprintln!("run {run} of {}: {engine} {name}", arguments.runs);
                let measures = run_cell(arguments, engine, name, &dir)?;
                let of_engine = results.entry(engine.clone()).or_default();
                for (measure, value) in measures {
                    let values = of_engine.entry(format!("{name}.{measure}")).or_default();
                    values.push(value);
                }
                if let Some(path) = &arguments.json {
                    fs::write(path, serde_json::to_string_pretty(&results)?)?;
                }
            }
            remove(&dir)?;
        }
    }
    print!("{}", table(arguments, &results)?);
    Ok(())
}

/// Runs a cell in a fresh process, on a disk without unwritten pages of the one before.
fn run_cell(arguments: &Arguments, engine: &str, name: &str, dir: &Path) -> Result<Measures> {
    if ["sync", "load4k", "load"].contains(&name) {
        remove(dir)?;
    }
    fs::create_dir_all(dir)?;
    rustix::fs::sync();
    let begun = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args(["cell", engine, name])
        .arg(dir)
        .args(["--keys", &arguments.size.keys.to_string()])
        .args(["--seconds", &arguments.size.seconds.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("read the child's output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if name == "kill" {
        ensure!(line == "ready\n", "{engine} was not ready to be killed");
        child.kill()?;
        child.wait()?;
        return Ok(Measures::new());
    }
    ensure!(child.wait()?.success(), "{engine} failed in {name}");
    eprintln!("  {:.1} s", begun.elapsed().as_secs_f64());
    Ok(serde_json::from_str(&line)?)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn table(arguments: &Arguments, results: &Results) -> Result<String> {
    let mut out = String::new();
    let engines = &arguments.engines;
    writeln!(out, "| measure | {} |", engines.join(" | "))?;
    writeln!(out, "|---|{}", "---|".repeat(engines.len()))?;
    for line in LINES {
        let cells = engines
            .iter()
            .map(|engine| cell_text(line, engine, results));
        let cells: Vec<String> = cells.collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            writeln!(out, "| {} | {} |", line.label, cells.join(" | "))?;
        }
    }
    writeln!(out)?;
    writeln!(
        out,
        "Median [min-max] of {} runs, (ratio to ours). {} keys of {KEY_BYTES} B in random order, \
         incompressible values of {VALUE_BYTES} B, batches of {BATCH_ROWS}, caches of {} MiB. \
         Machine: {}. Durability: only (a) \"synced\" waits for the disk; sled's flush is \
         `sync_file_range`, which is no such wait. Our log syncs everything in the background \
         even where nobody waits.",
        arguments.runs,
        arguments.size.keys,
        CACHE_BYTES >> 20,
        machine::describe(),
    )?;
    if let Some(ours) = results.get(OURS) {
        writeln!(out, "\n| only ours | |\n|---|---|")?;
        let own = ours
            .iter()
            .filter(|(id, _)| LINES.iter().all(|line| line.id != *id));
        for (id, values) in own {
            let text = Spread::of(values).map_or(String::new(), |spread| spread.text(1));
            writeln!(out, "| {id} | {text} |")?;
        }
    }
    Ok(out)
}

fn cell_text(line: &Line, engine: &str, results: &Results) -> String {
    let spread = |engine| Spread::of(results.get(engine)?.get(line.id)?);
    let Some(own) = spread(engine) else {
        return String::new();
    };
    let text = own.text(line.decimals);
    match spread(OURS) {
        Some(ours) if engine != OURS && ours.median != 0.0 => {
            format!("{text} ({:.2}x)", own.median / ours.median)
        }
        _ => text,
    }
}
