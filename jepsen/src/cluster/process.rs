//! Starting the nodes, and waiting for what they say about themselves.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use engine_client::{Client, ClientOptions, GroupStatus, NodeStatus};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::machine::{Machine, Machines};
use super::node::Node;
use super::plan::Plan;

const OPTIONS: &str = "options.json";
/// Between two looks at a node's status.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A node that answers nothing for so long is asked again.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// Real nodes on this machine, in a folder that is removed with them; after a panic it is kept.
#[derive(Debug)]
pub struct Cluster {
    // Before the folder, so that no process is left when the folder is removed.
    nodes: Vec<Node>,
    program: PathBuf,
    identity: u64,
    machines: Arc<dyn Machines>,
    /// The highest id of a node that is no longer in the list.
    retired: u64,
    folder: Option<TempDir>,
}

impl Cluster {
    /// Starts all voters and waits until one of them leads.
    pub async fn start(plan: Plan) -> Result<Self> {
        let place = plan.place.unwrap_or_else(std::env::temp_dir);
        let folder = TempDir::with_prefix_in("engine-jepsen-", place).context("make a folder")?;
        fs::write(folder.path().join(OPTIONS), plan.options.to_string())
            .context("write the options")?;
        let machines: Vec<(u64, Machine)> = (1..=plan.voters)
            .map(|id| Ok((id, plan.machines.provide(id, folder.path())?)))
            .collect::<Result<_>>()?;
        let members: Vec<OsString> = machines
            .iter()
            .flat_map(|(id, Machine { addresses, .. })| {
                let member = format!("{id}={},{}", addresses.peer, addresses.client);
                [OsString::from("--member"), OsString::from(member)]
            })
            .collect();
        let mut cluster = Self {
            nodes: Vec::new(),
            program: plan.program,
            identity: rand::random_range(1..=u64::from(u32::MAX)),
            machines: plan.machines,
            retired: 0,
            folder: Some(folder),
        };
        for (id, machine) in machines {
            let node = cluster.make(id, machine, &members);
            cluster.nodes.push(node);
        }
        cluster.start_all()?;
        cluster.wait_for_leader(Duration::from_secs(30)).await?;
        Ok(cluster)
    }

    /// Where data and traces lie.
    pub fn folder(&self) -> &Path {
        self.folder
            .as_ref()
            .expect("the folder lives as long as the cluster")
            .path()
    }

    /// All nodes, running or not.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Freezes the processes of these nodes, as far as there are any.
    ///
    /// # Errors
    /// If one goes on for too long.
    pub fn halt(&self, nodes: &[u64]) -> Result<()> {
        let nodes = self.nodes().iter().filter(|node| nodes.contains(&node.id));
        let mut running = nodes.filter(|node| node.pid().is_some());
        running.try_for_each(Node::halt)
    }

    /// One node.
    pub fn node(&self, id: u64) -> Result<&Node> {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .with_context(|| format!("find node {id}"))
    }

    /// One node, to hurt it.
    pub fn node_mut(&mut self, id: u64) -> Result<&mut Node> {
        self.nodes
            .iter_mut()
            .find(|node| node.id == id)
            .with_context(|| format!("find node {id}"))
    }

    /// Where clients reach the nodes.
    pub fn client_addresses(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| node.addresses.client.clone())
            .collect()
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) -> Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.pid().is_none()) {
            node.start()?;
        }
        Ok(())
    }

    /// `kill -9` for all nodes, as near to one moment as can be.
    pub fn kill_all(&mut self) -> Result<()> {
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            node.strike()?;
        }
        for node in self.nodes.iter_mut().filter(|node| node.pid().is_some()) {
            node.kill()?;
        }
        Ok(())
    }

    /// Asks all nodes to end, as an operator would, and waits.
    ///
    /// # Errors
    /// If one of them had to be killed, or ended with a failure.
    pub async fn stop_all(&mut self, patience: Duration) -> Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.pid().is_some()) {
            node.stop(patience).await?;
        }
        Ok(())
    }

    /// Starts one more node, empty and in no group yet: `Cluster.AddLearner` invites it.
    pub async fn start_empty(&mut self) -> Result<u64> {
        let id = self.fresh_id();
        let machine = self.machines.provide(id, self.folder())?;
        let mut node = self.make(id, machine, &[]);
        node.start()?;
        self.nodes.push(node);
        let what = "answer of an empty node";
        let answer = async |cluster: &Self| Ok(cluster.status(id).await.ok());
        self.wait(Duration::from_secs(30), what, answer).await?;
        Ok(id)
    }

    /// Takes a dead node out of the list and starts an empty one on its machine, which must have
    /// been cleared; answers the new node's id.
    pub fn start_instead_of(&mut self, old: u64) -> Result<u64> {
        let machine = self.node(old)?.machine().clone();
        ensure!(self.node(old)?.pid().is_none(), "node {old} still runs");
        self.nodes.retain(|node| node.id != old);
        self.retired = self.retired.max(old);
        let id = self.fresh_id();
        let mut node = self.make(id, machine, &[]);
        let started = node.start();
        self.nodes.push(node);
        started.map(|()| id)
    }

    fn fresh_id(&self) -> u64 {
        let ids = self.nodes.iter().map(|node| node.id);
        ids.max().unwrap_or(0).max(self.retired) + 1
    }

    /// What a node says about itself now.
    pub async fn status(&self, id: u64) -> Result<NodeStatus> {
        let options = ClientOptions {
            deadline: LOOK_TIMEOUT,
            try_timeout: LOOK_TIMEOUT,
            connect_timeout: LOOK_TIMEOUT,
            follow_leader: false,
            ..ClientOptions::new([self.node(id)?.addresses.client.as_str()])
        };
        let client = Client::connect(options).await?;
        Ok(client.cluster().status().await?)
    }

    /// What each running node says about itself now; those that do not answer are left out.
    pub async fn statuses(&self) -> Vec<NodeStatus> {
        let mut statuses = Vec::new();
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            statuses.extend(self.status(node.id).await.ok());
        }
        statuses
    }

    /// Waits until a running node leads in the highest term that any node knows; answers its id.
    pub async fn wait_for_leader(&mut self, patience: Duration) -> Result<u64> {
        self.wait(patience, "leader", async |cluster| {
            let statuses = cluster.statuses().await;
            let newest = statuses
                .iter()
                .filter_map(main_group)
                .map(|group| group.term)
                .max();
            Ok(statuses
                .iter()
                .find(|status| {
                    main_group(status).is_some_and(|group| {
                        Some(group.term) == newest && group.leader == Some(status.node_id)
                    })
                })
                .map(|status| status.node_id))
        })
        .await
    }

    /// Waits until all running nodes have applied the same entries, and compares what came of
    /// them; answers the entry. Nobody may write meanwhile.
    ///
    /// # Errors
    /// If two nodes made different states of the same entries.
    pub async fn wait_for_agreement(&mut self, patience: Duration) -> Result<u64> {
        self.wait(patience, "agreement of all nodes", async |cluster| {
            let statuses = cluster.statuses().await;
            let running = cluster.nodes.iter().filter(|node| node.pid().is_some());
            let groups: Vec<&GroupStatus> = statuses.iter().filter_map(main_group).collect();
            let Some(first) = groups.first().filter(|_| groups.len() == running.count()) else {
                return Ok(None);
            };
            if groups
                .iter()
                .any(|group| group.applied_index != first.applied_index)
            {
                return Ok(None);
            }
            ensure!(
                groups.iter().all(|group| group.digest == first.digest),
                "the states at entry {} differ: {:?}",
                first.applied_index,
                groups.iter().map(|group| group.digest).collect::<Vec<_>>()
            );
            Ok(Some(first.applied_index))
        })
        .await
    }

    /// Waits until a node has applied an entry.
    pub async fn wait_for_applied(
        &mut self,
        id: u64,
        index: u64,
        patience: Duration,
    ) -> Result<GroupStatus> {
        let what = format!("entry {index} on node {id}");
        self.wait(patience, &what, async |cluster| {
            let Ok(status) = cluster.status(id).await else {
                return Ok(None);
            };
            Ok(main_group(&status)
                .filter(|group| group.applied_index >= index)
                .cloned())
        })
        .await
    }

    async fn wait<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut look: impl AsyncFnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let until = Instant::now() + patience;
        loop {
            if let Some(found) = look(self).await? {
                return Ok(found);
            }
            for node in &mut self.nodes {
                if let Some(status) = node.ended()? {
                    bail!(
                        "wait for {what}: node {} ended with {status}:\n{}",
                        node.id,
                        node.trace_tail(20)
                    );
                }
            }
            if Instant::now() >= until {
                let traces: Vec<String> = self
                    .nodes
                    .iter()
                    .map(|node| format!("node {}:\n{}", node.id, node.trace_tail(10)))
                    .collect();
                bail!("no {what} within {patience:?}\n{}", traces.join("\n"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn make(&self, id: u64, machine: Machine, members: &[OsString]) -> Node {
        let addresses = &machine.addresses;
        let folder = self.folder();
        let mut command: Vec<OsString> = vec![self.program.clone().into()];
        command.extend(["node", "run", "--node"].map(OsString::from));
        command.push(id.to_string().into());
        command.push("--data".into());
        command.push(machine.data.clone().into());
        command.push("--listen".into());
        command.push(addresses.client.clone().into());
        command.push("--peer-listen".into());
        command.push(machine.peer_listen.clone().into());
        command.push("--peer-advertise".into());
        command.push(addresses.peer.clone().into());
        command.push("--cluster".into());
        command.push(self.identity.to_string().into());
        command.extend(members.iter().cloned());
        command.push("--options".into());
        command.push(folder.join(OPTIONS).into());
        let trace = folder.join(format!("node-{id}.log"));
        Node::new(id, machine, command, trace)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            // The data and the traces tell what went wrong.
            let _ = folder.keep();
        }
    }
}

/// Group 0 of a node; there is no other yet.
pub fn main_group(status: &NodeStatus) -> Option<&GroupStatus> {
    status.groups.iter().find(|group| group.group == 0)
}
