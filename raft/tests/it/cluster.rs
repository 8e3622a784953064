//! Nodes that the tests start, stop and start again on the same disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::Options;
use engine::command::{Command, Commit, Op, Outcome, RowRef};
use engine::env::Env;
use engine::env::clock::OsClock;
use engine::env::vfs::mem::MemVfs;
use engine::env::vfs::sim::SimVfs;
use engine::ids::{ClusterId, GroupId, NodeId};
use engine_raft::{Error, Member, Node, NodeConfig, ScrubPlan, Timings};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// Nothing in these tests takes longer, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const GROUP: GroupId = GroupId(0);

/// How the nodes of a test differ from the usual.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) groups: Vec<GroupId>,
    pub(crate) options: Options,
    pub(crate) timings: Timings,
    /// Disks that the test spoils; a node without one has an endless one in memory.
    pub(crate) disks: BTreeMap<NodeId, SimVfs>,
    pub(crate) scrub: ScrubPlan,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            groups: vec![GROUP],
            options: Options {
                log_segment_bytes: 32 * 1024 * 1024,
                ..Options::default()
            },
            timings: patient(),
            disks: BTreeMap::new(),
            scrub: ScrubPlan::never(),
        }
    }
}

/// One node's disk and place, whether it runs or not.
pub(crate) struct Place {
    pub(crate) id: NodeId,
    pub(crate) env: Env,
    pub(crate) address: SocketAddr,
    pub(crate) setup: Setup,
}

/// A node at work.
pub(crate) struct Running {
    pub(crate) node: Node,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Place {
    /// A new disk and a free port.
    pub(crate) async fn new(id: u64, setup: &Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self {
            id: NodeId(id),
            env: match setup.disks.get(&NodeId(id)) {
                Some(disk) => Env {
                    vfs: Arc::new(disk.clone()),
                    ..env()
                },
                None => env(),
            },
            address: listener.local_addr().expect("a bound port"),
            setup: setup.clone(),
        }
    }

    pub(crate) fn member(&self) -> Member {
        Member {
            peer_address: self.address.to_string(),
            client_address: format!("client-of-{}", self.id),
        }
    }

    /// Starts the node on whatever its disk holds.
    pub(crate) async fn start(&self) -> Running {
        self.try_start().await.expect("the node starts")
    }

    pub(crate) async fn try_start(&self) -> Result<Running, Error> {
        let node = Node::start(self.config()).await?;
        Ok(self.serve(node).await)
    }

    pub(crate) fn config(&self) -> NodeConfig {
        NodeConfig {
            node: self.id,
            cluster: ClusterId(7),
            dir: PathBuf::from("/node"),
            peer_address: self.member().peer_address,
            client_address: self.member().client_address,
            groups: self.setup.groups.clone(),
            timings: self.setup.timings.clone(),
            options: self.setup.options.clone(),
            scrub: self.setup.scrub,
            env: self.env.clone(),
            dialer: engine_proto::Dialer::default(),
        }
    }

    /// Serves a node's peers on its port.
    pub(crate) async fn serve(&self, node: Node) -> Running {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("its port is free");
        let (stop, stopped) = oneshot::channel::<()>();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let served = Server::builder()
            .add_service(node.peer_service())
            .serve_with_incoming_shutdown(incoming, async {
                // A dropped sender says the same.
                stopped.await.ok();
            });
        let served = tokio::spawn(async move { served.await.expect("the port is served") });
        Running { node, stop, served }
    }
}

impl Running {
    /// Closes the port and stops the node.
    pub(crate) async fn stop(self) {
        self.try_stop().await.expect("the node closes");
    }

    /// The same for a node that may have failed; answers how it closed.
    pub(crate) async fn try_stop(self) -> Result<(), Error> {
        drop(self.stop);
        let closed = self.node.shutdown().await;
        let served = timeout(PATIENCE, self.served).await;
        served
            .expect("no connection stays")
            .expect("the port's task ends");
        closed
    }
}

/// Timings for a machine that is busy with other tests.
pub(crate) fn patient() -> Timings {
    Timings {
        election_min: Duration::from_secs(1),
        election_max: Duration::from_secs(2),
        ..Timings::default()
    }
}

/// A world of its own: a disk in memory, real time and threads.
pub(crate) fn env() -> Env {
    Env {
        vfs: Arc::new(MemVfs::new()),
        clock: Arc::new(OsClock::new()),
        ..Env::os()
    }
}

/// Several nodes; a stopped one leaves its place empty.
pub(crate) struct Cluster {
    pub(crate) places: Vec<Place>,
    pub(crate) running: BTreeMap<NodeId, Running>,
}

impl Cluster {
    /// Founds a cluster and waits until it has a leader.
    pub(crate) async fn found(count: u64, setup: &Setup) -> Self {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init()
            .ok();
        let mut places = Vec::new();
        for id in 1..=count {
            places.push(Place::new(id, setup).await);
        }
        let mut cluster = Self {
            places,
            running: BTreeMap::new(),
        };
        let members = cluster.members();
        for place in &cluster.places {
            let running = place.start().await;
            running
                .node
                .bootstrap(members.clone())
                .await
                .expect("a new cluster is founded");
            cluster.running.insert(place.id, running);
        }
        cluster.leader(GROUP).await;
        cluster
    }

    pub(crate) fn members(&self) -> BTreeMap<NodeId, Member> {
        self.places
            .iter()
            .map(|place| (place.id, place.member()))
            .collect()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.running.get(&id).expect("the node runs").node
    }

    pub(crate) fn place(&self, id: NodeId) -> &Place {
        let place = self.places.iter().find(|place| place.id == id);
        place.expect("the node has a place")
    }

    /// A running leader that answers.
    pub(crate) async fn leader(&self, group: GroupId) -> &Node {
        let find = async {
            loop {
                for running in self.running.values() {
                    let leader = running.node.leader(group).map(|(leader, _)| leader);
                    if leader == Some(running.node.status().node) {
                        return &running.node;
                    }
                }
                // Somebody's metrics change before somebody leads; asking is cheap.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, find).await.expect("somebody leads")
    }

    /// Somebody who follows.
    pub(crate) async fn follower(&self) -> &Node {
        let leader = self.leader(GROUP).await.status().node;
        let follower = self.running.iter().find(|(id, _)| **id != leader);
        &follower.expect("there are several nodes").1.node
    }

    /// Proposes on whoever leads, again while nobody does.
    pub(crate) async fn write(&self, group: GroupId, key: &str, value: &str) -> Outcome {
        let write = async {
            loop {
                let leader = self.leader(group).await;
                match leader.propose(group, put(key, value)).await {
                    Ok(outcome) => return outcome,
                    Err(error) => tracing::debug!(%error, "again"),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, write)
            .await
            .expect("the write is decided")
    }

    pub(crate) async fn stop(&mut self, id: NodeId) {
        let running = self.running.remove(&id).expect("the node runs");
        running.stop().await;
    }

    pub(crate) async fn start(&mut self, id: NodeId) {
        let running = self.place(id).start().await;
        self.running.insert(id, running);
    }

    pub(crate) async fn stop_all(&mut self) {
        for (_, running) in std::mem::take(&mut self.running) {
            running.stop().await;
        }
    }
}

/// Proposes on `node` until it is decided: a busy machine may make a leader doubt its office.
pub(crate) async fn decide(node: &Node, group: GroupId, key: &str, value: &str) -> Outcome {
    let decide = async {
        loop {
            match node.propose(group, put(key, value)).await {
                Ok(outcome) => return outcome,
                Err(error) => tracing::info!(%error, "again"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, decide).await.expect("it is decided")
}

pub(crate) fn put(key: &str, value: &str) -> Command {
    Command::Commit(Commit {
        ops: vec![Op::put(row(key), value.to_owned().into())],
        ..Commit::default()
    })
}

pub(crate) fn row(key: &str) -> RowRef {
    RowRef {
        keyspace: "default".to_owned(),
        key: key.to_owned().into(),
    }
}

/// A local read, after a barrier.
pub(crate) async fn read(node: &Node, group: GroupId, key: &str) -> Option<String> {
    let barrier = timeout(PATIENCE, node.read_barrier(group)).await;
    barrier
        .expect("the barrier ends")
        .expect("the barrier holds");
    read_local(node, group, key)
}

pub(crate) fn read_local(node: &Node, group: GroupId, key: &str) -> Option<String> {
    let replica = node.replica(group).expect("the group is there");
    let answer = replica.get(&row(key), None).expect("the read is possible");
    answer
        .row
        .map(|row| String::from_utf8(row.value.to_vec()).expect("text was written"))
}
