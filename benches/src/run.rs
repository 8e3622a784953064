//! All cells, one after the other.

use std::fs;

use anyhow::{Context as _, Result};

use crate::arguments::Arguments;
use crate::cell::{connect, measure};
use crate::machine::Machine;
use crate::nodes::Nodes;
use crate::report::{Report, Settings};
use crate::target::Target;
use crate::workload::{Workload, load, prepare};

/// Measures everything that was asked for, tells `progress` what it is at, and writes the JSON.
pub async fn run(arguments: &Arguments, mut progress: impl FnMut(&str)) -> Result<Report> {
    let machine = Machine::look();
    let target = Target::find(arguments).await?;
    let endpoints = &target.endpoints;
    let client = connect(endpoints, 0, arguments).await?;
    prepare(&client, arguments).await?;
    let nodes = Nodes::look(&client).await?.count();
    if arguments.workloads.iter().copied().any(Workload::reads) {
        progress(&format!("loading {} rows", arguments.keys));
        load(&client, arguments).await?;
    }
    let mut report = Report {
        machine,
        settings: Settings::of(arguments, nodes),
        cells: Vec::new(),
    };
    for workload in arguments.workloads.iter().copied() {
        for clients in arguments.clients.iter().copied() {
            progress(&format!("{} with {clients} clients", workload.name()));
            let cell = measure(endpoints, workload, clients, arguments).await?;
            report.cells.push(cell);
        }
    }
    if let Some(file) = &arguments.out {
        let json = serde_json::to_string_pretty(&report).context("write the figures as JSON")?;
        fs::write(file, json + "\n").with_context(|| format!("write {}", file.display()))?;
    }
    Ok(report)
}
