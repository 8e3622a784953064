//! The handle of a running node.
//!
//! 1. The folder is locked and this start is counted (`boot`).
//! 2. The log and each group's state are opened; openraft replays what is committed.
//! 3. Peers are answered, this start is announced, reads wait until the node has recovered.
//! 4. On shutdown openraft stops first, then the tasks, the states, the log, the lock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use engine::command::{Command, Outcome};
use engine::disk::DiskWatch;
use engine::env::Env;
use engine::ids::{GroupId, LogId, LogIndex, NodeId, Term};
use engine::replica::{Replica, Shared};
use engine::segment::Log;
use engine_proto::Dialer;
use engine_proto::v1::peer_server::PeerServer;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::blocking::blocking;
use crate::config::NodeConfig;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::group::{Counters, Group};
use crate::joining::Joining;
use crate::membership;
use crate::network::Peers;
use crate::reads;
use crate::repair::Repairs;
use crate::scrub::{self, ScrubStatus, Scrubbing, Scrubs};
use crate::service::{self, PeerService};
use crate::standing::Standing;
use crate::status::{GroupStatus, NodeMetrics, NodeStatus};
use crate::tasks::Tasks;
use crate::types::Member;

/// A node of a cluster; clones are the same node.
///
/// A node works until [`Node::shutdown`]; merely dropping it leaves its tasks at work.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

/// What the handle and the service share.
pub(crate) struct Inner {
    pub(crate) peers: Arc<Peers>,
    pub(crate) groups: OnceLock<BTreeMap<GroupId, Arc<Group>>>,
    pub(crate) shared: Shared,
    pub(crate) log: Log,
    pub(crate) failure: Failure,
    pub(crate) counters: Arc<Counters>,
    pub(crate) repairs: Repairs,
    pub(crate) scrubs: Scrubs,
    pub(crate) tasks: tokio::sync::Mutex<Tasks>,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) lock: Mutex<Option<Box<dyn fmt::Debug + Send + Sync>>>,
}

impl Inner {
    /// The watch over the node's disk.
    pub(crate) fn disk(&self) -> &DiskWatch {
        &self.shared.disk
    }

    pub(crate) fn groups(&self) -> &BTreeMap<GroupId, Arc<Group>> {
        static NONE: BTreeMap<GroupId, Arc<Group>> = BTreeMap::new();
        self.groups.get().unwrap_or(&NONE)
    }
}

impl Node {
    /// Opens the node's folder and begins to take part; serve [`Node::peer_service`] next.
    ///
    /// # Durability
    /// The start is counted on disk before this returns.
    ///
    /// # Errors
    /// [`Error::Engine`] if the folder is in use, damaged or cannot be written;
    /// [`Error::Invalid`] if it belongs to another node or cluster, or the configuration is wrong.
    pub async fn start(config: NodeConfig) -> Result<Self> {
        Joining::open(config).await?.join().await
    }

    /// The handle of a node that has been opened, and is in no group yet.
    pub(crate) fn opened(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the handle stands for.
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Waits until a group is found damaged at this start; see [`NodeStatus::repairs`].
    pub async fn repair_begun(&self) {
        self.inner.repairs.any().await;
    }

    /// What the peer port serves.
    pub fn peer_service(&self) -> PeerServer<PeerService> {
        service::server(Arc::clone(&self.inner))
    }

    /// Founds a new cluster of `members`, this node among them; every first member may call it
    /// with the same list. On a cluster that exists it does nothing.
    pub async fn bootstrap(&self, members: BTreeMap<NodeId, Member>) -> Result<()> {
        let node = self.inner.peers.identity.node;
        membership::bootstrap(self.inner.groups(), node, members).await
    }

    /// Proposes a command and waits for its outcome, which every replica computes alike.
    ///
    /// # Durability
    /// Once this answers an outcome, a quorum of voters has the command on disk.
    ///
    /// # Errors
    /// After [`Error::NotLeader`], [`Error::Overloaded`] and an [`Error::Engine`] that says `Full`
    /// it was not and will not be done; after the others that is unknown.
    pub async fn propose(&self, group: GroupId, command: Command) -> Result<Outcome> {
        self.check_failure()?;
        let group = self.group(group)?;
        let proposed = group.propose(command);
        match timeout(group.timings.request, proposed).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Timeout),
        }
    }

    /// Waits until reads on [`Node::replica`] see everything acknowledged before this call, by
    /// any node. Works on every node that reaches the leader.
    ///
    /// # Errors
    /// [`Error::NoQuorum`] if that was not confirmed within `Timings::request`.
    pub async fn read_barrier(&self, group: GroupId) -> Result<()> {
        self.check_failure()?;
        reads::barrier(self.group(group)?).await
    }

    /// The group's state on this node, for reads; without a barrier they may be behind.
    pub fn replica(&self, group: GroupId) -> Result<Replica> {
        Ok(self.group(group)?.replica.clone())
    }

    /// Whether the state is again at least what this node has shown before its last stop.
    pub fn recovered(&self, group: GroupId) -> bool {
        self.group(group)
            .is_ok_and(|group| *group.recovered.borrow())
    }

    /// The group's term as this node knows it; 0 for a group it does not hold.
    pub fn term(&self, group: GroupId) -> Term {
        self.group(group)
            .map_or(Term(0), |group| Term(group.metrics().current_term))
    }

    /// The group's leader as this node knows it, and where it is reached.
    pub fn leader(&self, group: GroupId) -> Option<(NodeId, Member)> {
        self.group(group).ok()?.leader()
    }

    /// The last entry of the group that this node's log has forgotten; a checkpoint covers it.
    pub fn purged(&self, group: GroupId) -> Option<LogId> {
        self.inner.log.group(group).purged
    }

    /// Waits until the node knows a leader of the group.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`] if it stops before.
    pub async fn wait_leader(&self, group: GroupId) -> Result<NodeId> {
        let group = self.group(group)?;
        let known = group.wait_for(|metrics| metrics.current_leader.is_some());
        known
            .await
            .and_then(|metrics| metrics.current_leader)
            .ok_or(Error::ShuttingDown)
    }

    /// What this node knows; served without a quorum.
    pub fn status(&self) -> NodeStatus {
        let identity = self.inner.peers.identity;
        NodeStatus {
            cluster: identity.cluster,
            node: identity.node,
            boot: identity.boot,
            groups: self
                .inner
                .groups()
                .values()
                .map(|group| GroupStatus::of(group))
                .collect(),
            disk: self.inner.disk().status(),
            repairs: self.inner.repairs.list(),
            metrics: self.metrics(),
        }
    }

    /// Where a group stands here.
    ///
    /// # Errors
    /// [`Error::UnknownGroup`] if this node does not hold it.
    pub fn standing(&self, group: GroupId) -> Result<Standing> {
        Ok(Standing::of(self.group(group)?))
    }

    /// The id of the entry at `index` in this node's log; `None` if it is not there.
    pub fn log_id_at(&self, group: GroupId, index: LogIndex) -> Option<LogId> {
        self.group(group).ok()?.log.log_id_at(index)
    }

    /// Reads and checks everything on the node's disk, at so many bytes a second (`None`: as
    /// configured; 0: without a limit); a scrub that is at work already is followed instead. What is
    /// damaged is counted; a group's state is then repaired from a peer, if there is one: the node
    /// fails, and the next start repairs.
    ///
    /// # Errors
    /// The failure that stops the node.
    pub fn scrub(&self, bytes_per_second: Option<u64>) -> Result<Scrubbing> {
        self.check_failure()?;
        Ok(scrub::scrub(&self.inner, bytes_per_second))
    }

    /// How far the last scrub has come.
    pub fn scrub_status(&self) -> ScrubStatus {
        self.inner.scrubs.status()
    }

    /// Adds a node without a vote; its id must never have been used. On the leader.
    pub async fn add_learner(&self, node: NodeId, member: Member) -> Result<()> {
        membership::add_learner(self.inner.groups(), node, member).await
    }

    /// Gives a learner that has caught up a vote. On the leader.
    pub async fn promote(&self, node: NodeId) -> Result<()> {
        membership::promote(self.inner.groups(), node).await
    }

    /// Takes a node out for ever. On the leader, which may be that node.
    pub async fn remove(&self, node: NodeId) -> Result<()> {
        membership::remove(self.inner.groups(), node).await
    }

    /// Hands leadership to another voter and waits until it leads. On the leader.
    pub async fn transfer_leader(&self, node: NodeId) -> Result<()> {
        membership::transfer_leader(self.inner.groups(), node).await
    }

    /// Counters since the start.
    pub fn metrics(&self) -> NodeMetrics {
        let log = self.inner.log.stats();
        let cache = self.inner.shared.rows.stats();
        let counters = &self.inner.counters;
        let (scrub_errors, scrub_finished_ms) = self.inner.scrubs.counters();
        NodeMetrics {
            commands: counters.commands.load(Ordering::Relaxed),
            entries: counters.entries.load(Ordering::Relaxed),
            log_syncs: log.group_commits,
            log_bytes: log.bytes,
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            repairs: self.inner.repairs.done(),
            scrub_errors,
            scrub_finished_ms,
        }
    }

    /// Becomes `Some` when the node is hurt and its process must stop, with the reason.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.inner.failure.watch()
    }

    /// Stops in order; the folder is free when this returns. Further calls do nothing.
    ///
    /// # Errors
    /// The failure that stopped the log or a state before; the data is then as after a crash.
    pub async fn shutdown(&self) -> Result<()> {
        self.inner.stopping.send_replace(true);
        let mut tasks = self.inner.tasks.lock().await;
        for group in self.inner.groups().values() {
            // It fails only if openraft has stopped already.
            group.raft.shutdown().await.ok();
        }
        tasks.stop().await;
        let inner = Arc::clone(&self.inner);
        match self.blocking(move || inner.close()).await {
            Ok(closed) => closed,
            Err(error) => Err(Error::Fatal(format!("closing did not end: {error}"))),
        }
    }

    /// Does work that may wait for the disk or the state, away from the threads that answer.
    ///
    /// # Errors
    /// If the work panicked.
    pub async fn blocking<A: Send + 'static>(
        &self,
        work: impl FnOnce() -> A + Send + 'static,
    ) -> std::io::Result<A> {
        blocking(self.inner.shared.env.workers.as_ref(), work).await
    }

    /// Connections to where this node's peers and their clients are.
    pub fn dialer(&self) -> &Dialer {
        &self.inner.peers.dialer
    }

    /// The doors to the world that the node was started with.
    pub fn env(&self) -> &Env {
        &self.inner.shared.env
    }

    fn check_failure(&self) -> Result<()> {
        match self.inner.failure.reason() {
            Some(reason) => Err(Error::Fatal(reason)),
            None => Ok(()),
        }
    }

    fn group(&self, group: GroupId) -> Result<&Arc<Group>> {
        self.inner.groups().get(&group).ok_or(Error::UnknownGroup)
    }
}

impl Inner {
    /// Whether the node stops; peers are then answered no more.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    fn close(&self) -> Result<()> {
        self.shared.disk.stop();
        let mut result = Ok(());
        for group in self.groups().values() {
            result = result.and(group.replica.close());
        }
        result = result.and(self.log.close());
        *self.lock.lock() = None;
        Ok(result?)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("identity", &self.inner.peers.identity)
            .finish_non_exhaustive()
    }
}
