//! A running cluster with everything on it that is broken just now, and how to mend it.
//!
//! # Invariants
//! - After [`Field::heal`] nothing is broken: all nodes run, all links and disks are good, nobody
//!   is between two memberships.
//! - A node whose data was wiped never comes back under its id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use engine_client::{Client, ClientOptions};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::disk::Disk;
use super::ground::Ground;
use super::kernel::PowerCut;
use super::nemesis::members::Replacement;
use super::nemesis::rot::{self, Rot};
use super::nemesis::stall::Stall;
use crate::cluster::{Cluster, Node, Plan};

/// How long an orderly stop may take.
pub(super) const STOP_MAX: Duration = Duration::from_secs(30);
/// How long a change of members may take once everything else is healed.
const REPLACE_MAX: Duration = Duration::from_mins(1);
/// What a node says that found its data damaged, or broke.
const ALARMS: [&str; 3] = ["damaged", "corrupt", "panicked at"];

/// A cluster under faults.
#[derive(Debug)]
pub struct Field {
    /// The nodes.
    pub cluster: Cluster,
    /// Network and disks.
    pub ground: Arc<Ground>,
    /// Draws every choice.
    pub chance: StdRng,
    /// How often what was done.
    pub figures: BTreeMap<&'static str, u64>,
    /// What was done when, for people.
    pub story: Vec<String>,
    /// What must not have been.
    pub alarms: Vec<String>,
    /// By node: the number of its machine.
    machines: BTreeMap<u64, u64>,
    pub(super) paused: BTreeSet<u64>,
    unpowered: BTreeSet<u64>,
    /// Nodes whose files were damaged on purpose, and which.
    pub(super) rotten: BTreeMap<u64, Rot>,
    pub(super) replacement: Option<Replacement>,
    pub(super) stall: Option<Stall>,
    /// Whether a disk was full or hung since the last heal, so that a node may end itself.
    pub(super) disk_hurt: bool,
}

impl Field {
    /// Starts a cluster on `ground`.
    pub async fn start(plan: Plan, ground: Arc<Ground>, seed: u64) -> Result<Self> {
        let voters = plan.voters;
        let machines = Arc::clone(&ground);
        let cluster = Cluster::start(Plan { machines, ..plan }).await?;
        Ok(Self {
            cluster,
            ground,
            chance: StdRng::seed_from_u64(seed),
            figures: BTreeMap::new(),
            story: Vec::new(),
            alarms: Vec::new(),
            machines: (1..=voters).map(|id| (id, id)).collect(),
            paused: BTreeSet::new(),
            unpowered: BTreeSet::new(),
            rotten: BTreeMap::new(),
            replacement: None,
            stall: None,
            disk_hurt: false,
        })
    }

    /// One more of something.
    pub fn count(&mut self, what: &'static str, times: usize) {
        *self.figures.entry(what).or_default() += times as u64;
    }

    /// Nodes with a process, frozen or not.
    pub fn running(&self) -> Vec<u64> {
        let running = self.cluster.nodes().iter();
        let running = running.filter(|node| node.pid().is_some());
        running.map(|node| node.id).collect()
    }

    /// Whether more than half of the nodes run and are awake.
    pub fn has_majority(&self) -> bool {
        let awake = self.running().len() - self.paused.len();
        2 * awake > self.machines.len()
    }

    /// How many nodes may be lost while the others go on.
    pub fn minority(&self) -> usize {
        (self.machines.len() - 1) / 2
    }

    /// The machine of a node.
    pub fn machine(&self, node: u64) -> Result<u64> {
        let machine = self.machines.get(&node).copied();
        machine.with_context(|| format!("find the machine of node {node}"))
    }

    /// The port of a node's machine in the network.
    pub fn port(&self, node: u64) -> Result<u8> {
        u8::try_from(self.machine(node)?).context("a port is a small number")
    }

    /// Some running nodes: mostly one, else as many as may be lost, or all.
    pub fn some(&mut self) -> Vec<u64> {
        let count = match self.chance.random_range(0..10) {
            0..6 => 1,
            6..8 => self.minority(),
            _ => self.machines.len(),
        };
        self.pick(count)
    }

    /// So many running nodes, if there are so many.
    pub fn pick(&mut self, count: usize) -> Vec<u64> {
        let mut running = self.running();
        running.shuffle(&mut self.chance);
        running.truncate(count);
        running
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, these: &[T]) -> Result<T> {
        let one = these.choose(&mut self.chance).copied();
        one.context("choose from nothing")
    }

    /// The leader, if one can be asked soon.
    pub async fn leader(&mut self) -> Option<u64> {
        let patience = Duration::from_millis(500);
        self.cluster.wait_for_leader(patience).await.ok()
    }

    /// `kill -9` for these, as near to one moment as can be.
    pub fn kill(&mut self, nodes: &[u64]) -> Result<()> {
        for node in nodes {
            self.cluster.node(*node)?.strike()?;
        }
        for node in nodes {
            self.cluster.node_mut(*node)?.kill()?;
            self.paused.remove(node);
        }
        Ok(())
    }

    /// Freezes these.
    pub fn pause(&mut self, nodes: &[u64]) -> Result<()> {
        for node in nodes {
            self.cluster.node(*node)?.pause()?;
            self.paused.insert(*node);
        }
        Ok(())
    }

    /// Cuts the power of these at once: their processes stand still, then their disks are gone.
    ///
    /// In this order, for the kernel may answer a sync that is under way when the file system is
    /// shut down as done, though it is lost. A machine without power tells nobody.
    pub fn cut_power(&mut self, nodes: &[u64], how: PowerCut) -> Result<()> {
        self.cluster.halt(nodes)?;
        for node in nodes {
            let machine = self.machine(*node)?;
            let disks = self.ground.disks();
            let disk = disks.get(&machine).context("a machine has a disk")?;
            disk.cut(how)?;
            drop(disks);
            self.unpowered.insert(machine);
        }
        self.kill(nodes)
    }

    /// Mounts the disks again whose power was cut.
    pub fn power_on(&mut self) -> Result<()> {
        let disks = self.ground.disks();
        for machine in std::mem::take(&mut self.unpowered) {
            let disk = disks.get(&machine).context("a machine has a disk")?;
            disk.unmount()?;
            disk.mount()?;
        }
        Ok(())
    }

    /// Removes all data of a dead node.
    pub fn wipe(&mut self, node: u64) -> Result<()> {
        self.power_on()?;
        let data = self.cluster.node(node)?.machine().data.clone();
        fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))
    }

    /// A client of the operator's, who gives up after `patience`.
    pub async fn client(&self, patience: Duration) -> Result<Client> {
        let options = ClientOptions {
            deadline: patience,
            ..ClientOptions::new(self.cluster.client_addresses())
        };
        Ok(Client::connect(options).await?)
    }

    /// A new node runs on the machine of an old one.
    pub(super) fn move_in(&mut self, old: u64, new: u64) {
        if let Some(machine) = self.machines.remove(&old) {
            self.machines.insert(new, machine);
        }
        self.rotten.remove(&old);
    }

    /// Mends everything that is broken.
    pub async fn heal(&mut self) -> Result<()> {
        if let Some(stall) = self.stall.take() {
            stall.end().await?;
        }
        self.ground.heal_net();
        for node in std::mem::take(&mut self.paused) {
            self.cluster.node(node)?.resume()?;
        }
        self.power_on()?;
        self.ground.disks().values().try_for_each(Disk::empty)?;
        rot::collect(self)?;
        self.start_dead()?;
        rot::mend(self).await?;
        if let Some(replacement) = self.replacement.take() {
            self.complete(replacement).await?;
        }
        self.disk_hurt = false;
        Ok(())
    }

    /// Starts all dead nodes but the one that was wiped; who ended by itself is heard.
    fn start_dead(&mut self) -> Result<()> {
        let wiped = self.replacement.as_ref().map(|replacement| replacement.old);
        for node in self.running() {
            self.hear(node)?;
        }
        let nodes = self.cluster.nodes().iter();
        let dead = nodes.filter(|node| node.pid().is_none() && Some(node.id) != wiped);
        let dead: Vec<u64> = dead.map(|node| node.id).collect();
        for node in dead {
            self.cluster.node_mut(node)?.start()?;
        }
        Ok(())
    }

    /// Looks whether a node ended by itself, and whether it may have.
    fn hear(&mut self, id: u64) -> Result<bool> {
        let node = self.cluster.node_mut(id)?;
        let Some(status) = node.ended()? else {
            return Ok(false);
        };
        node.kill()?;
        let last_words = node.trace_tail(20);
        self.count("nodes that ended themselves", 1);
        let alarmed = ALARMS.iter().any(|alarm| last_words.contains(alarm));
        if alarmed || !self.disk_hurt {
            let alarm = format!("node {id} ended by itself with {status}:\n{last_words}");
            self.alarms.push(alarm);
        }
        Ok(true)
    }

    /// Hears what a damaged node had to say, then takes it out for good.
    pub(super) fn retire(&mut self, id: u64) -> Result<()> {
        let node = self.cluster.node_mut(id)?;
        let refused = node.pid().is_some() && node.ended()?.is_some();
        if node.pid().is_some() {
            node.kill()?;
        }
        let said = node.trace_tail(20);
        let found = ALARMS.iter().any(|alarm| said.contains(alarm));
        let what = match (refused, found) {
            (true, true) => "damage found, node stopped",
            (true, false) => "damage found, node stopped without naming it",
            (false, true) => "damage found, node served",
            (false, false) => "damage not met",
        };
        self.count(what, 1);
        if said.contains("panicked at") {
            self.alarms
                .push(format!("damaged node {id} panicked:\n{said}"));
        }
        self.wipe(id)?;
        self.replacement = Some(Replacement::of(id));
        Ok(())
    }

    /// Asks for the steps of a replacement until all are done.
    async fn complete(&mut self, mut replacement: Replacement) -> Result<()> {
        let until = Instant::now() + REPLACE_MAX;
        loop {
            let step = replacement.go_on(self, Duration::from_secs(5)).await;
            match step {
                Ok(()) => {
                    self.count("members replaced", 1);
                    return Ok(());
                }
                Err(error) if Instant::now() >= until => {
                    return Err(error.context(format!("replace node {}", replacement.old)));
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Whether the process of a node answers soon.
    pub async fn wait_for_answer(&self, id: u64, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        while self.cluster.status(id).await.is_err() {
            if Instant::now() >= until {
                let said = self
                    .cluster
                    .node(id)
                    .map(|node| Node::trace_tail(node, 10))?;
                bail!("node {id} answers nothing within {patience:?}:\n{said}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Field {
    /// Ends all processes and lets go of all disks; so nothing keeps the folder from going.
    fn drop(&mut self) {
        for node in std::mem::take(&mut self.paused) {
            if let Ok(node) = self.cluster.node(node) {
                // It is killed next, frozen or not.
                let _frozen = node.resume();
            }
        }
        // Who cannot be killed is killed again when the cluster is dropped.
        let _again = self.cluster.kill_all();
        self.ground.disks().clear();
    }
}
