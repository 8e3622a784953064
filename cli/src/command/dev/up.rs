//! `dev up`: starts the nodes, tells when they serve, watches them, stops them.

use std::path::Path;
use std::time::Duration;

use engine_client::NodeStatus;
use engine_server::StoreKind;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::command::Context;
use crate::command::dev::status::{ClusterState, NodeState};
use crate::dev::folder::{DevCluster, DevFolder, point_to};
use crate::dev::process::NodeProcess;
use crate::dev::{ports, ready};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Output;

const NODES_DEFAULT: u64 = 3;
/// Until all nodes serve: an election, and the replay of what was not in a checkpoint.
const START_WITHIN: Duration = Duration::from_mins(1);
/// Until a node that was asked to stop is made to.
const STOP_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(
    nodes: Option<u64>,
    data: &Path,
    store: StoreKind,
    context: &Context,
) -> Result<ExitCode> {
    store
        .check()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let folder = DevFolder::new(data);
    let _lock = folder.lock()?;
    let mut signals = Signals::listen()?;
    let mut cluster = plan(&folder, nodes)?;
    ports::check_free(&cluster.nodes)?;
    folder.write(&cluster)?;

    let mut processes = cluster
        .nodes
        .iter()
        .map(|node| NodeProcess::start(&folder, &cluster, node, store))
        .collect::<Result<Vec<_>>>()?;
    for (node, process) in cluster.nodes.iter_mut().zip(&processes) {
        node.pid = Some(process.pid);
    }
    cluster.supervisor_pid = Some(std::process::id());
    folder.write(&cluster)?;
    point_to(&folder)?;

    let result = supervise(&folder, &mut cluster, &mut processes, &mut signals, context).await;
    let killed = stop(&mut processes, &mut signals, context.output).await;
    let marked = mark_stopped(&folder, &mut cluster);
    result?;
    marked?;
    let count = processes.len();
    context.output.note(&format!(
        "stopped {count} {}{}; the data stays in {}",
        if count == 1 { "node" } else { "nodes" },
        if killed == 0 {
            String::new()
        } else {
            format!(", {killed} of them by force")
        },
        folder.path().display()
    ));
    Ok(ExitCode::Done)
}

/// What is to run: as the folder says, or anew.
fn plan(folder: &DevFolder, nodes: Option<u64>) -> Result<DevCluster> {
    let Some(mut cluster) = folder.read()? else {
        let nodes = ports::choose(nodes.unwrap_or(NODES_DEFAULT))?;
        // Below 2^53, so that every JSON reader gets it right; 0 is no id.
        let id = (rand::random::<u64>() >> 11).max(1);
        return Ok(DevCluster::new(id, nodes));
    };
    let count = u64::try_from(cluster.nodes.len()).unwrap_or(u64::MAX);
    if nodes.is_some_and(|nodes| nodes != count) {
        return Err(Failure::usage(format!(
            "{} holds a cluster of {count} nodes",
            folder.path().display()
        ))
        .hint(format!(
            "leave --nodes out or write --nodes {count}, or begin anew with another --data"
        )));
    }
    cluster.supervisor_pid = None;
    for node in &mut cluster.nodes {
        node.pid = None;
    }
    Ok(cluster)
}

/// From the first process to the signal that ends it all.
async fn supervise(
    folder: &DevFolder,
    cluster: &mut DevCluster,
    processes: &mut [NodeProcess],
    signals: &mut Signals,
    context: &Context,
) -> Result<()> {
    let output = context.output;
    let states = tokio::select! {
        states = timeout(START_WITHIN, all_serving(cluster, output)) => states.map_err(|_| {
            Failure::new(
                ExitCode::Unavailable,
                format!("the nodes do not serve after {START_WITHIN:?}"),
            )
            .hint(format!("look at {}", folder.node_log(1).display()))
        })?,
        ended = first_ended(processes) => return Err(died_at_start(ended?)),
        () = signals.next() => return Ok(()),
    };
    output.report(&ClusterState::new(folder, cluster, states).with_first_steps())?;
    let mut running: Vec<&mut NodeProcess> = processes.iter_mut().collect();
    while !running.is_empty() {
        let node = tokio::select! {
            ended = first_ended_of(&mut running) => ended?,
            () = signals.next() => return Ok(()),
        };
        let rest = running.len().saturating_sub(1);
        output.warn(&format!(
            "{}\n{rest} nodes go on{}",
            node.words,
            if rest * 2 > cluster.nodes.len() {
                ""
            } else {
                ", which is no majority: the cluster cannot serve"
            }
        ));
        running.retain(|process| process.node != node.node);
        if let Some(entry) = cluster
            .nodes
            .iter_mut()
            .find(|entry| entry.node == node.node)
        {
            entry.pid = None;
        }
        folder.write(cluster)?;
    }
    Err(Failure::new(ExitCode::Failed, "no node runs any longer")
        .hint("start again with 'engine-cli dev up': the data is there"))
}

/// A process that has ended, and what is to be told about it.
struct Ended {
    node: u64,
    words: String,
}

fn died_at_start(ended: Ended) -> Failure {
    Failure::new(ExitCode::Failed, ended.words).hint("mend the cause and start again")
}

async fn first_ended(processes: &mut [NodeProcess]) -> Result<Ended> {
    let mut all: Vec<&mut NodeProcess> = processes.iter_mut().collect();
    first_ended_of(&mut all).await
}

async fn first_ended_of(processes: &mut [&mut NodeProcess]) -> Result<Ended> {
    let waits: FuturesUnordered<_> = processes
        .iter_mut()
        .map(|process| async move {
            let status = process.ended().await?;
            Ok(Ended {
                node: process.node,
                words: format!(
                    "node {} (pid {}) has ended by itself: {status}\n{}",
                    process.node,
                    process.pid,
                    process.last_words()
                ),
            })
        })
        .collect();
    let mut waits = waits;
    match waits.next().await {
        Some(ended) => ended,
        None => std::future::pending().await,
    }
}

/// Waits until every node serves, and shows how it goes.
async fn all_serving(cluster: &DevCluster, output: Output) -> Vec<NodeState> {
    let bars = MultiProgress::new();
    if output.is_json() {
        bars.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let waits = cluster.nodes.iter().map(|node| {
        let bar = spinner(&bars, node.node);
        async move {
            let status: NodeStatus = ready::serving(&node.client.to_string()).await;
            bar.finish_with_message(format!("node {} serves at {}", node.node, node.client));
            NodeState::new(node, Some(&status))
        }
    });
    let states = futures::future::join_all(waits).await;
    // The table says it all.
    let _ = bars.clear();
    states
}

fn spinner(bars: &MultiProgress, node: u64) -> ProgressBar {
    let bar = bars.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(format!("node {node} starts"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Stops all nodes: asks, waits, and makes. A second signal shortens the waiting. Tells how many
/// had to be made.
async fn stop(processes: &mut [NodeProcess], signals: &mut Signals, output: Output) -> usize {
    output.note("stopping the nodes…");
    for process in processes.iter() {
        process.ask_to_stop();
    }
    let mut killed = 0;
    let patience = tokio::time::sleep(STOP_WITHIN);
    tokio::pin!(patience);
    for process in processes {
        let stopped = tokio::select! {
            ended = process.ended() => ended.is_ok(),
            () = &mut patience => false,
            () = signals.next() => false,
        };
        if !stopped {
            process.kill().await;
            killed += 1;
        }
    }
    killed
}

fn mark_stopped(folder: &DevFolder, cluster: &mut DevCluster) -> Result<()> {
    cluster.supervisor_pid = None;
    for node in &mut cluster.nodes {
        node.pid = None;
    }
    folder.write(cluster)
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::io("listen for the signals to stop", &error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
