//! Compares the logs: many appenders of small entries, each waiting until its entry is durable.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use engine_stores::log::{self, Driver, LOGS};
use engine_stores::machine;
use engine_stores::spread::Spread;

/// Measures our log beside its peers.
#[derive(Parser)]
struct Arguments {
    /// Logs to measure.
    #[arg(long, value_delimiter = ',', default_values_t = LOGS.iter().map(|n| (*n).to_owned()))]
    logs: Vec<String>,
    /// How many appenders wait at the same time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 1024])]
    appenders: Vec<usize>,
    /// Who appends: `tasks` on one thread, or a thread for each.
    #[arg(long, value_delimiter = ',', default_values_t = [Driver::Tasks, Driver::Threads])]
    drivers: Vec<Driver>,
    /// How often all is measured.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Where the results go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the data goes; a folder of the disk that is to be measured.
    #[arg(long, default_value = "logs-data")]
    data: PathBuf,
}

/// Values of all runs, by cell and measure.
type Results = BTreeMap<Cell, BTreeMap<&'static str, Vec<f64>>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    driver: Driver,
    appenders: usize,
    /// The place among the logs that were asked for.
    log: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut results = Results::new();
    for run in 1..=arguments.runs {
        for &driver in &arguments.drivers {
            for &appenders in &arguments.appenders {
                for (index, name) in arguments.logs.iter().enumerate() {
                    eprintln!(
                        "run {run} of {}: {name}, {appenders} {driver}",
                        arguments.runs
                    );
                    let dir = arguments.data.join(name);
                    remove(&dir)?;
                    fs::create_dir_all(&dir)?;
                    rustix::fs::sync();
                    let measures = log::measure(name, driver, appenders, arguments.seconds, &dir)?;
                    remove(&dir)?;
                    let cell = Cell {
                        driver,
                        appenders,
                        log: index,
                    };
                    let of_cell = results.entry(cell).or_default();
                    for (measure, value) in measures {
                        of_cell.entry(measure).or_default().push(value);
                    }
                }
            }
        }
        if let Some(path) = &arguments.json {
            fs::write(path, json(&arguments, &results)?)?;
        }
    }
    print!("{}", table(&arguments, &results)?);
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn table(arguments: &Arguments, results: &Results) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "| appenders | log | entries/s | syncs/s | entries/sync | p50 ms | p99 ms |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for (cell, measures) in results {
        let spread = |measure| Spread::of(measures.get(measure)?);
        let text = |measure, decimals| {
            spread(measure).map_or_else(|| "-".to_owned(), |spread| spread.text(decimals))
        };
        let per_sync = match (spread("entries_s"), spread("syncs_s")) {
            (Some(entries), Some(syncs)) if syncs.median > 0.0 => {
                format!("{:.0}", entries.median / syncs.median)
            }
            _ => "-".to_owned(),
        };
        writeln!(
            out,
            "| {} {} | {} | {}{} | {} | {per_sync} | {} | {} |",
            cell.appenders,
            cell.driver,
            arguments.logs[cell.log],
            text("entries_s", 0),
            ratio(arguments, results, cell).map_or(String::new(), |x| format!(" ({x:.2}x)")),
            text("syncs_s", 0),
            text("p50_ms", 2),
            text("p99_ms", 2),
        )?;
    }
    writeln!(
        out,
        "\nMedian [min-max] of {} runs of {} s, (entries/s as a ratio to ours). Entries of {} B \
         that cannot be compressed, each durable by fdatasync before its appender goes on. \
         Machine: {}.",
        arguments.runs,
        arguments.seconds,
        log::ENTRY_BYTES,
        machine::describe()
    )?;
    Ok(out)
}

/// Entries per second as a share of ours in the same cell.
fn ratio(arguments: &Arguments, results: &Results, cell: &Cell) -> Option<f64> {
    let ours = arguments.logs.iter().position(|name| name == "ours")?;
    if cell.log == ours {
        return None;
    }
    let of = |cell: &Cell| Some(Spread::of(results.get(cell)?.get("entries_s")?)?.median);
    let own = Cell {
        log: ours,
        ..cell.clone()
    };
    Some(of(cell)? / of(&own)?)
}

fn json(arguments: &Arguments, results: &Results) -> Result<String> {
    let named: BTreeMap<String, _> = results
        .iter()
        .map(|(cell, measures)| {
            let log = &arguments.logs[cell.log];
            let name = format!("{log} {} {}", cell.appenders, cell.driver);
            (name, measures)
        })
        .collect();
    Ok(serde_json::to_string_pretty(&named)?)
}
