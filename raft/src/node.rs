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

use engine::ErrorKind;
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
use crate::boot::{Boots, Home, Identity};
use crate::config::NodeConfig;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::group::{Common, Counters, Group};
use crate::membership;
use crate::network::Peers;
use crate::reads;
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
    groups: OnceLock<BTreeMap<GroupId, Arc<Group>>>,
    shared: Shared,
    log: Log,
    failure: Failure,
    counters: Arc<Counters>,
    tasks: tokio::sync::Mutex<Tasks>,
    stopping: watch::Sender<bool>,
    lock: Mutex<Option<Box<dyn fmt::Debug + Send + Sync>>>,
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
        let raft_config = config.timings.raft(config.cluster)?;
        let options = config.options.clone().validate()?;
        let mut groups = config.groups.clone();
        groups.push(GroupId(0));
        groups.sort_unstable();
        groups.dedup();
        let shared = Shared::new(config.env.clone(), options);
        let opening = (config.clone(), shared.clone());
        let open = move || open(&opening.0, &opening.1);
        let opened = blocking(config.env.workers.as_ref(), open).await;
        let ended = |error| Error::Fatal(format!("opening did not end: {error}"));
        let (lock, identity, log) = opened.map_err(ended)??;
        let failure = Failure::new();
        let boots = Arc::new(Boots::default());
        boots.note([(identity.node, identity.boot)]);
        let timings = config.timings.clone();
        let peers = Arc::new(Peers::new(
            identity,
            Arc::clone(&boots),
            timings.clone(),
            failure.clone(),
            Home::new(&config.env, &config.dir),
            config.dialer.clone(),
            Arc::clone(&config.env.workers),
        ));
        let common = Common {
            shared: shared.clone(),
            log: log.clone(),
            peers: Arc::clone(&peers),
            boots,
            timings,
            raft_config,
            failure: failure.clone(),
            counters: Arc::default(),
        };
        let node = Self {
            inner: Arc::new(Inner {
                peers,
                groups: OnceLock::new(),
                shared,
                log,
                failure,
                counters: Arc::clone(&common.counters),
                tasks: tokio::sync::Mutex::default(),
                stopping: watch::Sender::new(false),
                lock: Mutex::new(Some(lock)),
            }),
        };
        let started = node.start_groups(&common, &config, &groups).await;
        if let Err(error) = started {
            node.shutdown().await.ok();
            return Err(error);
        }
        tracing::info!(
            node = identity.node.0,
            cluster = identity.cluster.0,
            boot = identity.boot.0,
            groups = groups.len(),
            "started"
        );
        Ok(node)
    }

    async fn start_groups(
        &self,
        common: &Common,
        config: &NodeConfig,
        ids: &[GroupId],
    ) -> Result<()> {
        let mut tasks = self.inner.tasks.lock().await;
        let mut groups = BTreeMap::new();
        let mut result = Ok(());
        for id in ids {
            let dir = config.dir.join(format!("group-{id}"));
            match Group::start(common, *id, &dir, &mut tasks).await {
                Ok(group) => {
                    groups.insert(*id, group);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        // Those that have started are kept even then: shutting down must find them.
        self.inner.groups.get_or_init(|| groups);
        result
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
        NodeMetrics {
            commands: counters.commands.load(Ordering::Relaxed),
            entries: counters.entries.load(Ordering::Relaxed),
            log_syncs: log.group_commits,
            log_bytes: log.bytes,
            cache_hits: cache.hits,
            cache_misses: cache.misses,
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

type Opened = (Box<dyn fmt::Debug + Send + Sync>, Identity, Log);

fn open(config: &NodeConfig, shared: &Shared) -> Result<Opened> {
    let (env, dir) = (&config.env, &config.dir);
    let failed = |source| engine::Error::io(format!("open {}", dir.display()), source);
    engine::env::vfs::create_dir_durable(env.vfs.as_ref(), dir).map_err(failed)?;
    let lock = env.vfs.lock(&dir.join("LOCK")).map_err(|source| {
        let context = format!("{} is in use by another process", dir.display());
        engine::Error::with_source(ErrorKind::Locked, context, source)
    })?;
    // The log first: a node that cannot read its log has not started.
    let log = Log::open(env, &dir.join("log"), config.cluster, shared.options.log())?;
    shared.disk.start(env, dir, &log);
    let identity = Identity::start(env.vfs.as_ref(), dir, config.cluster, config.node)?;
    Ok((lock, identity, log))
}
