//! Judges a recorded history again: `check history.jsonl`.
//!
//! Exit code 0 if nothing is wrong, 1 if something is, 2 if the file could not be judged.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use comfy_table::{LineStyle, Table, TableStyle};
use engine_jepsen::checker::{self, Report, Verdict, liveness};
use engine_jepsen::history::History;

/// So many violations of one checker are shown in a table.
const SHOWN_MAX: usize = 20;

/// A line below the header, and nothing else.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Judges a recorded history with all checkers.
#[derive(Debug, Parser)]
struct Args {
    /// The history: lines of JSON.
    path: PathBuf,
    /// How to say what was found.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Writes the history as Jepsen's EDN too, for Elle and Knossos.
    #[arg(long, value_name = "PATH")]
    edn: Option<PathBuf>,
    /// The longest time from a heal to the first answer, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    recover_max_ms: u64,
    /// The fewest answered operations a second.
    #[arg(long, default_value_t = 0.0)]
    rate_min: f64,
    /// The smallest share of operations that is answered during a fault.
    #[arg(long, default_value_t = 0.0)]
    availability_min: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match judge(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _closed = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing is wrong.
fn judge(args: &Args) -> Result<bool> {
    let history = read(&args.path)?;
    if let Some(path) = &args.edn {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        let written = history.write_edn(io::BufWriter::new(file));
        written.with_context(|| format!("write {}", path.display()))?;
    }
    let bounds = liveness::Bounds {
        recover_max: Duration::from_millis(args.recover_max_ms),
        rate_min: args.rate_min,
        availability_min: args.availability_min,
    };
    let mut reports = checker::check(&history);
    reports.push(liveness::check(&history, &bounds));
    let mut stdout = io::stdout().lock();
    match args.output {
        Output::Table => writeln!(stdout, "{}", table(&reports))?,
        Output::Json => writeln!(stdout, "{}", json(&reports)?)?,
    }
    Ok(reports
        .iter()
        .all(|report| report.verdict() != Verdict::Violated))
}

fn read(path: &Path) -> Result<History> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    History::read_jsonl(BufReader::new(file)).with_context(|| format!("read {}", path.display()))
}

/// A row for each checker, and what was found below it.
fn table(reports: &[Report]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["checker", "verdict", "judged", "violations", "undecided"]);
    for report in reports {
        table.add_row([
            report.checker.to_owned(),
            report.verdict().to_string(),
            report.judged.to_string(),
            report.violations.len().to_string(),
            report.undecided.len().to_string(),
        ]);
    }
    let mut lines = vec![table.trim_fmt()];
    for report in reports {
        let name = report.checker;
        let shown = report.violations.iter().take(SHOWN_MAX);
        lines.extend(shown.map(|violation| format!("{name}: {violation}")));
        if report.violations.len() > SHOWN_MAX {
            let more = report.violations.len() - SHOWN_MAX;
            lines.push(format!("{name}: and {more} more"));
        }
        let undecided = report.undecided.iter();
        lines.extend(undecided.map(|what| format!("{name}: unknown: {what}")));
    }
    lines.join("\n")
}

/// All reports, each with its verdict.
fn json(reports: &[Report]) -> Result<String> {
    let values: Vec<serde_json::Value> = reports
        .iter()
        .map(|report| {
            let mut value = serde_json::to_value(report)?;
            value["verdict"] = serde_json::to_value(report.verdict())?;
            Ok(value)
        })
        .collect::<serde_json::Result<_>>()?;
    serde_json::to_string_pretty(&values).context("write reports as JSON")
}
