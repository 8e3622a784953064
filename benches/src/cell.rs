//! One cell of the table: a workload with a number of clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine_client::{Client, ClientOptions};
use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;
use crate::cpu;
use crate::load::Load;
use crate::nodes::Nodes;
use crate::workload::{Worker, Workload};

/// What was measured. Ratios are `None` where there is nothing to divide by, or nothing to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The kind of request.
    pub workload: Workload,
    /// Requests in flight.
    pub clients: usize,
    /// Connections that carried them.
    pub connections: usize,
    /// Length, in seconds.
    pub seconds: f64,
    /// Answered requests.
    pub operations: u64,
    /// Failed requests, warm-up included.
    pub errors: u64,
    /// One of the failures.
    pub first_error: Option<String>,
    /// Answered requests in a second.
    pub operations_per_second: f64,
    /// Latency that half of the requests did not exceed, in milliseconds.
    pub p50_ms: f64,
    /// The same for 95 of 100 requests.
    pub p95_ms: f64,
    /// The same for 99 of 100 requests.
    pub p99_ms: f64,
    /// The longest latency.
    pub max_ms: f64,
    /// Processor time of this program for a request, in microseconds.
    pub client_cpu_us: Option<f64>,
    /// Processor time of the leader for a request, in microseconds.
    pub leader_cpu_us: Option<f64>,
    /// Processor time of all other nodes together for a request, in microseconds.
    pub followers_cpu_us: Option<f64>,
    /// `fdatasync`s of the Raft logs of all nodes for a command.
    pub log_syncs_per_command: Option<f64>,
    /// Commands in one Raft entry.
    pub commands_per_entry: Option<f64>,
    /// Bytes appended to the Raft logs of all nodes for a command.
    pub log_bytes_per_command: Option<f64>,
    /// Resident memory of the largest node afterwards, in bytes.
    pub rss_bytes_max: u64,
    /// The longest time that a node's event loop stood still since the node started, in
    /// milliseconds.
    pub stall_ms_max: u64,
}

/// Measures one cell.
pub async fn measure(
    endpoints: &[String],
    workload: Workload,
    clients: usize,
    arguments: &Arguments,
) -> Result<Cell> {
    let workers = workers(endpoints, workload, clients, arguments).await?;
    let observer = connect(endpoints, 0, arguments).await?;
    let beside = match arguments.beside {
        Some(beside) => {
            let clients = arguments.beside_clients;
            let workers = self::workers(endpoints, beside, clients, arguments).await?;
            Some(Load::start(&workers, clients))
        }
        None => None,
    };

    let load = Load::start(&workers, clients);
    tokio::time::sleep(arguments.warm_up).await;
    let mut before = Nodes::look(&observer).await?;
    let own_before = cpu::used(std::process::id());
    before.look_at_cpu();
    let began = Instant::now();
    load.count();
    tokio::time::sleep(arguments.seconds).await;
    load.stop();
    let length = began.elapsed();
    let own_after = cpu::used(std::process::id());
    let mut cpu_after = before.clone();
    cpu_after.look_at_cpu();
    let outcome = load.finish().await?;
    if let Some(beside) = beside {
        beside.stop();
        beside.finish().await?;
    }
    let after = Nodes::look(&observer).await?;
    ensure!(
        outcome.operations > 0,
        "{} with {clients} clients: nothing was answered: {}",
        workload.name(),
        outcome
            .first_error
            .as_deref()
            .unwrap_or("too slow for the time given")
    );

    let operations = outcome.operations as f64;
    let micros = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e6 / operations);
    let millis = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    let cpu = cpu_after.since(&before)?;
    let used = after.since(&before)?;
    let per_command = |count: u64| (used.commands > 0).then(|| count as f64 / used.commands as f64);
    Ok(Cell {
        workload,
        clients,
        connections: workers.len(),
        seconds: length.as_secs_f64(),
        operations: outcome.operations,
        errors: outcome.errors,
        first_error: outcome.first_error,
        operations_per_second: operations / length.as_secs_f64(),
        p50_ms: millis(outcome.latencies.value_at_quantile(0.50)),
        p95_ms: millis(outcome.latencies.value_at_quantile(0.95)),
        p99_ms: millis(outcome.latencies.value_at_quantile(0.99)),
        max_ms: millis(outcome.latencies.max()),
        client_cpu_us: micros(
            own_after
                .zip(own_before)
                .map(|(after, before)| after.saturating_sub(before)),
        ),
        leader_cpu_us: micros(cpu.leader_cpu),
        followers_cpu_us: micros(cpu.followers_cpu),
        log_syncs_per_command: per_command(used.log_syncs),
        log_bytes_per_command: per_command(used.log_bytes),
        commands_per_entry: (used.entries > 0).then(|| used.commands as f64 / used.entries as f64),
        rss_bytes_max: used.rss_bytes_max,
        stall_ms_max: used.stall_ms_max,
    })
}

/// One for each connection.
async fn workers(
    endpoints: &[String],
    workload: Workload,
    clients: usize,
    arguments: &Arguments,
) -> Result<Vec<Arc<Worker>>> {
    let connections = arguments.connections.min(clients);
    let mut workers = Vec::with_capacity(connections);
    for connection in 0..connections {
        let client = connect(endpoints, connection, arguments).await?;
        let share = clients.div_ceil(connections);
        workers.push(Arc::new(Worker::new(workload, client, share, arguments)));
    }
    Ok(workers)
}

/// Connections begin at different nodes, so that local reads spread evenly.
pub async fn connect(
    endpoints: &[String],
    connection: usize,
    arguments: &Arguments,
) -> Result<Client> {
    let mut seeds = endpoints.to_vec();
    let count = seeds.len().max(1);
    seeds.rotate_left(connection % count);
    let options = ClientOptions {
        sessions: !arguments.no_sessions,
        ..ClientOptions::new(seeds)
    };
    Client::connect(options).await.context("connect")
}
