//! A cluster of in-process nodes on free ports, with scratch folders.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::ids::NodeId;
use engine_proto::v1 as pb;
use engine_proto::v1::cluster_client::ClusterClient;
use engine_proto::v1::commit_client::CommitClient;
use engine_proto::v1::keyspaces_client::KeyspacesClient;
use engine_proto::v1::kv_client::KvClient;
use engine_proto::v1::log_client::LogClient;
use engine_proto::v1::topics_client::TopicsClient;
use engine_server::{AdmissionLimits, BootstrapMember, Bound, ServerConfig, ServerHandle};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How long a cluster may take to elect a leader on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// One node and a connection to it.
pub(crate) struct Place {
    pub(crate) id: u64,
    pub(crate) dir: TempDir,
    pub(crate) server: ServerHandle,
    pub(crate) channel: Channel,
}

/// Some nodes.
pub(crate) struct Site {
    pub(crate) places: Vec<Place>,
}

/// A node's configuration, on free ports.
pub(crate) fn config(id: u64, dir: &std::path::Path) -> ServerConfig {
    let free = "127.0.0.1:0".parse().expect("an address");
    ServerConfig {
        node: NodeId(id),
        data: dir.to_owned(),
        listen: free,
        peer_listen: free,
        advertise: String::new(),
        peer_advertise: String::new(),
        bootstrap: None,
        cluster: 77,
        options: engine::Options::default(),
        timings: engine_raft::Timings::default(),
        scrub: engine_raft::ScrubPlan::never(),
        admission: AdmissionLimits::default(),
    }
}

impl Site {
    /// A cluster of one that serves.
    pub(crate) async fn one() -> Self {
        Self::of(1, |_| ()).await
    }

    /// A cluster of `count` that has a leader, each configuration touched up.
    pub(crate) async fn of(count: u64, touch: impl Fn(&mut ServerConfig)) -> Self {
        let mut bound = Vec::new();
        for id in 1..=count {
            let dir = tempfile::tempdir().expect("a scratch folder");
            let mut config = config(id, dir.path());
            touch(&mut config);
            let ports = Bound::bind(&config).await.expect("two free ports");
            bound.push((id, dir, config, ports));
        }
        let members: BTreeMap<_, _> = bound
            .iter()
            .map(|(id, _, _, ports)| {
                let member = BootstrapMember {
                    peer: ports.peer_address().to_string(),
                    client: ports.client_address().to_string(),
                };
                (*id, member)
            })
            .collect();
        let starting = bound.into_iter().map(|(id, dir, mut config, ports)| {
            config.bootstrap = Some(members.clone());
            async move {
                let server = ports
                    .serve(config, engine_server::World::os())
                    .await
                    .expect("the node starts");
                let channel = dial(&server);
                Place {
                    id,
                    dir,
                    server,
                    channel,
                }
            }
        });
        let places = futures::future::join_all(starting).await;
        for place in &places {
            ready(&place.channel).await;
        }
        Self { places }
    }

    /// The node that leads and one that follows.
    pub(crate) async fn leader_and_follower(&self) -> (&Place, &Place) {
        let first = self.places.first().expect("a site has nodes");
        let status = ClusterClient::new(first.channel.clone())
            .status(pb::StatusRequest {})
            .await
            .expect("a node tells its status")
            .into_inner();
        let leader = status.groups.first().and_then(|group| group.leader);
        let leader = leader.expect("a ready node knows its leader");
        let leads = |place: &&Place| place.id == leader;
        (
            self.places.iter().find(leads).expect("the leader is here"),
            self.places
                .iter()
                .find(|place| !leads(place))
                .expect("somebody follows"),
        )
    }

    pub(crate) fn keyspaces(&self) -> KeyspacesClient<Channel> {
        KeyspacesClient::new(self.channel())
    }

    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel())
    }

    pub(crate) fn commit(&self) -> CommitClient<Channel> {
        CommitClient::new(self.channel())
    }

    pub(crate) fn topics(&self) -> TopicsClient<Channel> {
        TopicsClient::new(self.channel())
    }

    pub(crate) fn log(&self) -> LogClient<Channel> {
        LogClient::new(self.channel())
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel())
    }

    /// A connection to the first node.
    pub(crate) fn channel(&self) -> Channel {
        let first = self.places.first().expect("a site has nodes");
        first.channel.clone()
    }

    /// Stops all nodes.
    pub(crate) async fn stop(self) {
        for place in self.places {
            drop(place.channel);
            place.server.stop().await.expect("the node stops cleanly");
        }
    }
}

/// A connection to a node, made when first used.
pub(crate) fn dial(server: &ServerHandle) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.client_address()))
        .expect("a bound address")
        .connect_lazy()
}

/// Asks until the node answers a linearizable read.
pub(crate) async fn ready(channel: &Channel) {
    let mut keyspaces = KeyspacesClient::new(channel.clone());
    let asking = async {
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        loop {
            beat.tick().await;
            match keyspaces.list(pb::ListKeyspacesRequest::default()).await {
                Ok(_) => return,
                Err(status) if status.code() == Code::Unavailable => {}
                Err(status) => panic!("a starting node answers {status:?}"),
            }
        }
    };
    tokio::time::timeout(READY_WITHIN, asking)
        .await
        .expect("a leader is elected");
}

/// A row of the default keyspace.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a message field is an Option in the generated code"
)]
pub(crate) fn row(key: &str) -> Option<pb::RowRef> {
    Some(pb::RowRef {
        keyspace: "default".to_owned(),
        key: key.to_owned().into(),
    })
}

/// A put without conditions.
pub(crate) fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        row: row(key),
        value: value.to_owned().into(),
        ..pb::PutRequest::default()
    }
}

/// A get of the newest.
pub(crate) fn get(key: &str) -> pb::GetRequest {
    pb::GetRequest {
        row: row(key),
        ..pb::GetRequest::default()
    }
}

/// A put inside of a commit.
pub(crate) fn put_op(key: &str, value: &str) -> pb::Op {
    pb::Op {
        op: Some(pb::op::Op::Put(pb::PutOp {
            row: row(key),
            value: value.to_owned().into(),
            expiry: None,
        })),
    }
}

/// The reason in a status, or an empty word.
pub(crate) fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// What ErrorInfo says under `key`.
pub(crate) fn detail(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.remove(key)
}
