//! `dev status`: which nodes of the cluster on this machine run.

use std::path::{Path, PathBuf};

use engine_client::NodeStatus;
use futures::future::join_all;
use serde::Serialize;

use crate::command::Context;
use crate::command::cluster::role;
use crate::dev::folder::{DevCluster, DevFolder, DevNode, pointer};
use crate::dev::ready;
use crate::endpoints::DATA_DEFAULT;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Report, lines, table};

pub(crate) async fn run(data: Option<&Path>, context: &Context) -> Result<ExitCode> {
    let (folder, cluster) = find(data)?;
    let states = join_all(cluster.nodes.iter().map(|node| async {
        let status = ready::ask(&node.client.to_string()).await.ok();
        // Somebody else may sit on the address by now.
        let ours = status.filter(|status| status.cluster_id == cluster.cluster);
        NodeState::new(node, ours.as_ref())
    }))
    .await;
    let state = ClusterState::new(&folder, &cluster, states);
    let running = state.nodes.iter().any(|node| node.up);
    context.output.report(&state)?;
    Ok(if running {
        ExitCode::Done
    } else {
        ExitCode::Unavailable
    })
}

fn find(data: Option<&Path>) -> Result<(DevFolder, DevCluster)> {
    let mut folders = match data {
        Some(data) => vec![DevFolder::new(data)],
        None => vec![DevFolder::new(Path::new(DATA_DEFAULT))],
    };
    if data.is_none() {
        folders.extend(pointer());
    }
    for folder in folders {
        if let Some(cluster) = folder.read()? {
            return Ok((folder, cluster));
        }
    }
    Err(Failure::new(
        ExitCode::NotThere,
        format!(
            "there is no cluster of 'dev up' in {}",
            data.unwrap_or(Path::new(DATA_DEFAULT)).display()
        ),
    )
    .hint("start one with 'engine-cli dev up --nodes 3'"))
}

/// What `dev up` and `dev status` tell.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterState {
    cluster: u64,
    data: PathBuf,
    endpoints: Vec<String>,
    pub(crate) nodes: Vec<NodeState>,
    #[serde(skip)]
    first_steps: bool,
}

/// One node of it.
#[derive(Debug, Serialize)]
pub(crate) struct NodeState {
    node: u64,
    pub(crate) up: bool,
    role: Option<String>,
    term: Option<u64>,
    client: String,
    peer: String,
    pid: Option<u32>,
}

impl NodeState {
    pub(crate) fn new(node: &DevNode, status: Option<&NodeStatus>) -> Self {
        let group = status.and_then(ready::first_group);
        Self {
            node: node.node,
            up: status.is_some(),
            role: group.map(|group| group.role.clone()),
            term: group.map(|group| group.term),
            client: node.client.to_string(),
            peer: node.peer.to_string(),
            pid: status.map(|status| status.pid).or(node.pid),
        }
    }
}

impl ClusterState {
    pub(crate) fn new(folder: &DevFolder, cluster: &DevCluster, nodes: Vec<NodeState>) -> Self {
        Self {
            cluster: cluster.cluster,
            data: folder.path().to_owned(),
            endpoints: cluster.endpoints(),
            nodes,
            first_steps: false,
        }
    }

    /// The same, with commands to copy.
    pub(crate) fn with_first_steps(mut self) -> Self {
        self.first_steps = true;
        self
    }
}

impl Report for ClusterState {
    fn human(&self) -> String {
        let mut nodes = table(["node", "role", "term", "client", "peer", "pid"]);
        for node in &self.nodes {
            nodes.add_row([
                comfy_table::Cell::new(node.node),
                role(node.up, node.role.as_deref()),
                comfy_table::Cell::new(
                    node.term
                        .map_or_else(|| "-".to_owned(), |term| term.to_string()),
                ),
                comfy_table::Cell::new(&node.client),
                comfy_table::Cell::new(&node.peer),
                comfy_table::Cell::new(
                    node.pid
                        .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
                ),
            ]);
        }
        let mut text = format!(
            "{}\ncluster {} in {}",
            lines(&nodes),
            self.cluster,
            self.data.display()
        );
        if self.nodes.iter().all(|node| !node.up) {
            text.push_str("; it does not run: engine-cli dev up --data ");
            text.push_str(&self.data.display().to_string());
        }
        if self.first_steps {
            text.push_str("\n\n");
            text.push_str(FIRST_STEPS);
        }
        text
    }
}

const FIRST_STEPS: &str = "\
Try in another terminal:
  engine-cli keyspace create orders
  engine-cli kv put order-17 '{\"state\":\"new\"}' --keyspace orders
  engine-cli kv scan --keyspace orders
  engine-cli topic create order-events --partitions 3
  engine-cli topic produce order-events --key order-17 --value created
  engine-cli topic consume order-events --group billing
  engine-cli cluster status

Ctrl-C stops all nodes; their data stays.";
