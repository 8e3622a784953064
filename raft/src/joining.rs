//! The way from a folder to a node that takes part: opened, perhaps repaired, joined.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use engine::ErrorKind;
use engine::ids::GroupId;
use engine::replica::Shared;
use engine::segment::Log;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::blocking::blocking;
use crate::boot::{Boots, Home, Identity};
use crate::config::NodeConfig;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::group::{Common, Group};
use crate::network::Peers;
use crate::node::{Inner, Node};
use crate::repair::Repairs;
use crate::scrub::{self, Scrubs};

/// A node that has its folder, its log and its identity, and is in no group yet.
///
/// Its status can be asked, and peers are answered that it has no group. That may last: a state
/// that is damaged is fetched from a peer first.
pub struct Joining {
    node: Node,
    common: Common,
    config: NodeConfig,
    groups: Vec<GroupId>,
}

impl Joining {
    /// Opens the node's folder.
    ///
    /// # Durability
    /// The start is counted on disk before this returns.
    ///
    /// # Errors
    /// As [`Node::start`], but for damaged states, which are not looked at yet.
    pub async fn open(config: NodeConfig) -> Result<Self> {
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
        let (lock, identity, log, scrubs) = opened.map_err(ended)??;
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
        let stopping = watch::Sender::new(false);
        let common = Common {
            shared: shared.clone(),
            log: log.clone(),
            peers: Arc::clone(&peers),
            boots,
            timings,
            raft_config,
            failure: failure.clone(),
            counters: Arc::default(),
            repairs: Repairs::default(),
            stopping: stopping.subscribe(),
        };
        let node = Node::opened(Inner {
            peers,
            groups: OnceLock::new(),
            shared,
            log,
            failure,
            counters: Arc::clone(&common.counters),
            repairs: common.repairs.clone(),
            scrubs,
            tasks: tokio::sync::Mutex::default(),
            stopping,
            lock: Mutex::new(Some(lock)),
        });
        Ok(Self {
            node,
            common,
            config,
            groups,
        })
    }

    /// The node; it is in its groups once [`Joining::join`] has answered it.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Takes part in all groups. A group whose state is damaged is repaired before, however long
    /// its peers are waited for; [`Node::shutdown`] ends the waiting.
    ///
    /// # Errors
    /// As [`Node::start`]; the node is then shut down.
    pub async fn join(self) -> Result<Node> {
        if let Err(error) = self.start_groups().await {
            self.node.shutdown().await.ok();
            return Err(error);
        }
        let identity = self.common.peers.identity;
        tracing::info!(
            node = identity.node.0,
            cluster = identity.cluster.0,
            boot = identity.boot.0,
            groups = self.groups.len(),
            "started"
        );
        Ok(self.node)
    }

    async fn start_groups(&self) -> Result<()> {
        let inner = self.node.inner();
        let mut tasks = inner.tasks.lock().await;
        let mut groups = BTreeMap::new();
        let mut result = Ok(());
        for id in &self.groups {
            let dir = self.config.dir.join(format!("group-{id}"));
            match Group::start(&self.common, *id, &dir, &mut tasks).await {
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
        inner.groups.get_or_init(|| groups);
        if result.is_ok() {
            tasks.spawn(scrub::schedule(Arc::clone(inner)));
        }
        result
    }
}

impl fmt::Debug for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joining")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

type Opened = (Box<dyn fmt::Debug + Send + Sync>, Identity, Log, Scrubs);

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
    let scrubs = Scrubs::open(config.scrub, env, dir);
    Ok((lock, identity, log, scrubs))
}
