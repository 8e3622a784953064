//! What is measured: nodes that were named, those of `engine-cli dev up`, or some of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use engine_jepsen::cluster::{Cluster, Plan, binary};
use serde::Deserialize;

use crate::arguments::Arguments;

/// Where `engine-cli dev up` tells about its nodes.
const DEV_FILE: &str = "data/dev.json";

/// A cluster to measure.
#[derive(Debug)]
pub struct Target {
    /// Client addresses of its nodes.
    pub endpoints: Vec<String>,
    /// Its nodes, if they are ours; they end with it.
    pub spawned: Option<Cluster>,
}

/// The part of `dev.json` that matters here.
#[derive(Deserialize)]
struct DevCluster {
    nodes: Vec<DevNode>,
}

#[derive(Deserialize)]
struct DevNode {
    client: String,
}

impl Target {
    /// Finds it, or starts it.
    pub async fn find(arguments: &Arguments) -> Result<Self> {
        if arguments.spawn {
            let program = match &arguments.program {
                Some(program) => program.clone(),
                None => binary::beside()?,
            };
            let plan = Plan {
                voters: arguments.nodes,
                ..Plan::new(program)
            };
            let cluster = Cluster::start(plan).await?;
            return Ok(Self {
                endpoints: cluster.client_addresses(),
                spawned: Some(cluster),
            });
        }
        let endpoints = if arguments.endpoints.is_empty() {
            dev_endpoints(Path::new(DEV_FILE))?
        } else {
            arguments.endpoints.clone()
        };
        Ok(Self {
            endpoints,
            spawned: None,
        })
    }
}

fn dev_endpoints(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| {
        format!(
            "read {}: name the nodes with --endpoints, or start some with --spawn",
            file.display()
        )
    })?;
    let cluster: DevCluster =
        serde_json::from_str(&text).with_context(|| format!("read {} as JSON", file.display()))?;
    ensure!(
        !cluster.nodes.is_empty(),
        "{} names no node",
        file.display()
    );
    Ok(cluster.nodes.into_iter().map(|node| node.client).collect())
}
