//! `engine-bench-watch`: how long a change takes to all who watch it.
//!
//! ```text
//! one writer, so many commits a second ──► nodes ──► every watcher of the row: received − sent
//! ```
//! Writer and watchers are one process with one clock: a value is the time at which it was sent, so
//! the latency includes the commit itself.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use engine_benches::machine::Machine;
use engine_benches::nodes::Nodes;
use engine_client::{
    Change, Client, ClientOptions, Commit, PipelineOptions, Watch, Watcher, reason,
};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

const KEYSPACE: &str = "bench-watch";
/// Writes in flight; more would only wait for each other.
const IN_FLIGHT: usize = 256;
/// How long the last changes may take.
const REST: Duration = Duration::from_secs(5);

/// Measures how long changes take to those who watch them
#[derive(Clone, Debug, Parser)]
#[command(after_help = "\
Example, with a cluster of 'engine-cli dev up':
  engine-bench-watch --endpoints 127.0.0.1:7101 --watchers 1000 --rows 100 --rate 1000")]
struct Arguments {
    /// Client addresses of the nodes
    #[arg(long, value_delimiter = ',', required = true, env = "ENGINE_ENDPOINTS")]
    endpoints: Vec<String>,
    /// Watchers; each watches one row
    #[arg(long, default_value_t = 1000)]
    watchers: usize,
    /// Rows; each has as many watchers as the others
    #[arg(long, default_value_t = 1000)]
    rows: usize,
    /// Commits a second
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// Length
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections that the watchers share
    #[arg(long, default_value_t = 8)]
    connections: usize,
}

#[tokio::main]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("engine-bench-watch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<String> {
    ensure!(
        arguments.rows > 0 && arguments.connections > 0,
        "at least one"
    );
    let client = connect(arguments).await?;
    match client.keyspaces().create(KEYSPACE).await {
        Err(error) if !error.is(reason::KEYSPACE_EXISTS) => return Err(error.into()),
        _ => {}
    }
    let epoch = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let mut watchers = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..arguments.connections {
        clients.push(connect(arguments).await?);
    }
    for place in 0..arguments.watchers {
        let client = &clients[place % clients.len()];
        let watch = Watch::new(KEYSPACE).key(key(place % arguments.rows));
        let watcher = client.watch(watch).await.context("begin a watch")?;
        watchers.spawn(receive(watcher, epoch, stop.clone()));
    }
    let before = Nodes::look(&client).await?;
    let sent = write(&client, arguments, epoch).await?;
    tokio::time::sleep(REST).await;
    stop.store(true, Ordering::Relaxed);
    // A last change of each row wakes those who wait for it.
    for row in 0..arguments.rows {
        client.kv().put(KEYSPACE, key(row), "").await?;
    }
    let mut latencies = Histogram::<u64>::new(3)?;
    while let Some(received) = watchers.join_next().await {
        latencies.add(received.context("a watcher panicked")??)?;
    }
    let used = Nodes::look(&client).await?.since(&before)?;
    Ok(report(arguments, sent, &latencies, used.rss_bytes_max))
}

fn report(arguments: &Arguments, sent: u64, latencies: &Histogram<u64>, rss: u64) -> String {
    let Arguments {
        watchers,
        rows,
        rate,
        ..
    } = arguments;
    let (machine, seconds) = (Machine::look(), arguments.seconds);
    let expected = sent * *watchers as u64 / *rows as u64;
    let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e6;
    format!(
        "{machine:?}\n\
         | watchers | rows | commits/s | seconds | sent | received | expected | p50 ms | p99 ms | max ms | node MiB |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n\
         | {watchers} | {rows} | {rate} | {seconds} | {sent} | {} | {expected} | {:.1} | {:.1} | {:.1} | {} |",
        latencies.len(),
        ms(0.5),
        ms(0.99),
        ms(1.0),
        rss >> 20,
    )
}

async fn connect(arguments: &Arguments) -> Result<Client> {
    let options = ClientOptions::new(arguments.endpoints.clone());
    Client::connect(options).await.context("reach the nodes")
}

/// Writes at an even pace; how many commits were acknowledged.
async fn write(client: &Client, arguments: &Arguments, epoch: Instant) -> Result<u64> {
    let pipeline = client.pipeline(PipelineOptions {
        in_flight: IN_FLIGHT,
    });
    let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::try_from(arguments.rate)?);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = arguments.rate * arguments.seconds;
    let mut open = JoinSet::new();
    for number in 0..count {
        pace.tick().await;
        let row = usize::try_from(number)? % arguments.rows;
        let sent = u64::try_from(epoch.elapsed().as_nanos())?;
        let commit = Commit::new().put(KEYSPACE, key(row), sent.to_le_bytes().to_vec());
        let pending = pipeline.send(commit).await?;
        open.spawn(async move { pending.await.map(|_| ()) });
        while let Some(done) = open.try_join_next() {
            done??;
        }
    }
    while let Some(done) = open.join_next().await {
        done??;
    }
    Ok(count)
}

async fn receive(
    mut watcher: Watcher,
    epoch: Instant,
    stop: Arc<AtomicBool>,
) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new(3)?;
    while !stop.load(Ordering::Relaxed) {
        let watched = watcher.next().await?.context("the keyspace is there")?;
        let now = u64::try_from(epoch.elapsed().as_nanos())?;
        for event in watched.commits.iter().flat_map(|commit| &commit.events) {
            let Change::Put(row) = &event.change else {
                continue;
            };
            if let Ok(sent) = row.value[..].try_into() {
                latencies.record(now.saturating_sub(u64::from_le_bytes(sent)))?;
            }
        }
    }
    Ok(latencies)
}

fn key(row: usize) -> String {
    format!("row-{row:06}")
}
