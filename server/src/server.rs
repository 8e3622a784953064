//! A node's life: bind, open, serve, drain, close.
//!
//! 1. Both ports are bound, so that a taken one is noticed before anything is touched and a
//!    port 0 is known before it is advertised.
//! 2. The node is opened: it locks the data folder and replays its log.
//! 3. The peer port is served, then the cluster is founded if this is its first start.
//! 4. The client port is served.
//! 5. Asked to stop: waiting fetches and streams end, what was begun is answered, clients are
//!    told to leave; then the node closes, then the peer port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use engine::ids::{ClusterId, GroupId, NodeId};
use engine::limits::REQUEST_BYTES_MAX;
use engine_proto::v1::cluster_server::ClusterServer;
use engine_proto::v1::commit_server::CommitServer;
use engine_proto::v1::kv_server::KvServer;
use engine_proto::v1::log_server::LogServer;
use engine_proto::v1::topics_server::TopicsServer;
use engine_raft::{Member, Node, NodeConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_reflection::server::Error as ReflectionError;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::closing::{Close, Closing, closing};
use crate::config::{BootstrapMember, ServerConfig};
use crate::port::{GivenPort, Port};
use crate::service::{ClusterService, CommitService, Desk, KvService, LogService, TopicsService};
use crate::watchdog::Stalls;
use crate::world::World;

/// Most requests at once on one connection.
const STREAMS_MAX: u32 = 1024;

/// What one stream and one connection may send ahead: the largest request flows in one go.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Most bytes of a request's headers.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// A silent connection is asked, and dropped if it does not answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long clients have to take their answers and leave.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long peers have: they come back by themselves.
const PEER_DRAIN_MAX: Duration = Duration::from_millis(500);

/// Serves until `shutdown` ends, then stops in order.
///
/// # Errors
/// If the node cannot start (a taken port, a folder in use, damaged data), and if it fails while
/// serving: it must then be looked at before it is started again.
pub async fn run(config: ServerConfig, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let server = start(config).await?;
    let failure = tokio::select! {
        () = shutdown => None,
        failure = server.failed() => Some(failure),
    };
    let stopped = server.stop().await;
    match failure {
        Some(failure) => Err(anyhow!("the node failed: {failure}")),
        None => stopped,
    }
}

/// Starts a node and answers when it serves.
///
/// # Errors
/// As [`run`].
pub async fn start(config: ServerConfig) -> anyhow::Result<ServerHandle> {
    Bound::bind(&config).await?.serve(config, World::os()).await
}

/// Two bound ports that nobody is served on yet.
#[derive(Debug)]
pub struct Bound {
    client: Port,
    peer: Port,
    client_address: SocketAddr,
    peer_address: SocketAddr,
}

impl Bound {
    /// Ports that somebody else has bound.
    pub fn given(client: GivenPort, peer: GivenPort) -> Self {
        Self {
            client_address: client.address,
            peer_address: peer.address,
            client: Port::Given(client.incoming),
            peer: Port::Given(peer.incoming),
        }
    }

    /// Binds `listen` and `peer_listen`.
    ///
    /// # Errors
    /// Names the address that cannot be had.
    pub async fn bind(config: &ServerConfig) -> anyhow::Result<Self> {
        let bind = async |address: SocketAddr, name: &str| {
            TcpListener::bind(address).await.with_context(|| {
                format!("bind {address}: choose another --{name}, or stop its user")
            })
        };
        let client = bind(config.listen, "listen").await?;
        let peer = bind(config.peer_listen, "peer-listen").await?;
        Ok(Self {
            client_address: client.local_addr().context("read the client port")?,
            peer_address: peer.local_addr().context("read the peer port")?,
            client: Port::Tcp(client),
            peer: Port::Tcp(peer),
        })
    }

    /// Where clients will be served.
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Where the other nodes will be served.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// Opens the node and serves it on the bound ports.
    ///
    /// # Errors
    /// If the data folder is in use or damaged, or the configuration does not hold.
    pub async fn serve(self, config: ServerConfig, world: World) -> anyhow::Result<ServerHandle> {
        let node = open(&self, &config, world).await?;
        let stalls = Stalls::default();
        let (close, closed) = closing();
        let (peers_close, peers_closed) = closing();

        let peer_routes = Routes::new(node.peer_service());
        let peers = tokio::spawn(listen(self.peer, peer_routes, peers_closed));
        let founded = found(&node, config.bootstrap.as_ref()).await;
        let routes = match founded {
            Ok(()) => client_routes(&node, &config, closed.clone(), stalls.clone()).await,
            Err(error) => Err(error),
        };
        let routes = match routes {
            Ok(routes) => routes,
            Err(error) => {
                peers.abort();
                node.shutdown().await.ok();
                return Err(error);
            }
        };
        let clients = tokio::spawn(listen(self.client, routes, closed));
        // In simulated time nothing is ever late.
        let watchdog = node.env().vfs.is_system().then(|| stalls.watch());
        tracing::info!(
            node = config.node.0,
            cluster = config.cluster,
            clients = %self.client_address,
            peers = %self.peer_address,
            "serving"
        );
        Ok(ServerHandle {
            client_address: self.client_address,
            peer_address: self.peer_address,
            node,
            close,
            peers_close,
            clients,
            peers,
            watchdog,
        })
    }
}

/// A node that serves.
pub struct ServerHandle {
    client_address: SocketAddr,
    peer_address: SocketAddr,
    node: Node,
    close: Close,
    peers_close: Close,
    clients: JoinHandle<anyhow::Result<()>>,
    peers: JoinHandle<anyhow::Result<()>>,
    watchdog: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// Where clients are served.
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Where the other nodes are served.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// The node that is served.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Ends when the node can serve no longer, with the reason; usually never.
    pub async fn failed(&self) -> String {
        let mut failed = self.node.failed();
        let reason = failed.wait_for(Option::is_some).await;
        match reason.as_deref() {
            Ok(Some(reason)) => reason.clone(),
            Ok(None) | Err(_) => "its tasks are gone".to_owned(),
        }
    }

    /// Answers what was begun, then closes the node.
    ///
    /// # Errors
    /// If the node does not close cleanly; its data is then as after a crash, and whole.
    pub async fn stop(self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        if let Some(watchdog) = &self.watchdog {
            watchdog.abort();
        }
        self.close.close();
        let served = drain(self.clients, DRAIN_MAX, "client").await;
        let closed = self.node.shutdown().await.context("close the node");
        self.peers_close.close();
        let peers_served = drain(self.peers, PEER_DRAIN_MAX, "peer").await;
        tracing::info!("stopped");
        served.and(closed).and(peers_served)
    }
}

async fn open(bound: &Bound, config: &ServerConfig, world: World) -> anyhow::Result<Node> {
    let advertised = |given: &str, bound: SocketAddr| match given {
        "" => bound.to_string(),
        given => given.to_owned(),
    };
    Node::start(NodeConfig {
        node: config.node,
        cluster: ClusterId(config.cluster),
        dir: config.data.clone(),
        peer_address: advertised(&config.peer_advertise, bound.peer_address),
        client_address: advertised(&config.advertise, bound.client_address),
        groups: vec![GroupId(0)],
        timings: config.timings.clone(),
        options: config.options.clone(),
        env: world.env,
        dialer: world.dialer,
    })
    .await
    .with_context(|| format!("open node {} in {}", config.node, config.data.display()))
}

/// Founds the cluster, if it is new.
async fn found(
    node: &Node,
    members: Option<&BTreeMap<u64, BootstrapMember>>,
) -> anyhow::Result<()> {
    let Some(members) = members else {
        return Ok(());
    };
    let members = members
        .iter()
        .map(|(id, member)| {
            let member = Member {
                peer_address: member.peer.clone(),
                client_address: member.client.clone(),
            };
            (NodeId(*id), member)
        })
        .collect();
    node.bootstrap(members)
        .await
        .context("found the cluster of the --member named")
}

/// Everything on the client port.
async fn client_routes(
    node: &Node,
    config: &ServerConfig,
    closing: Closing,
    stalls: Stalls,
) -> anyhow::Result<Routes> {
    let desk = Desk::new(node.clone(), config.admission, closing, stalls)
        .context("look at the node")?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<CommitServer<CommitService>>().await;
    health.set_serving::<KvServer<KvService>>().await;
    health.set_serving::<TopicsServer<TopicsService>>().await;
    health.set_serving::<LogServer<LogService>>().await;
    health.set_serving::<ClusterServer<ClusterService>>().await;
    let reflection = reflection().context("read the services' descriptors")?;

    let mut routes = Routes::builder();
    routes
        .add_service(health_service)
        .add_service(reflection)
        .add_service(
            CommitServer::new(CommitService(desk.clone()))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            KvServer::new(KvService(desk.clone())).max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            TopicsServer::new(TopicsService(desk.clone()))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            LogServer::new(LogService(desk.clone())).max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            ClusterServer::new(ClusterService(desk)).max_decoding_message_size(REQUEST_BYTES_MAX),
        );
    Ok(routes.routes())
}

/// Reflection over what the client port serves; the peers' service is nobody else's business.
fn reflection() -> Result<ServerReflectionServer<impl ServerReflection>, ReflectionError> {
    [
        CommitServer::<CommitService>::NAME,
        KvServer::<KvService>::NAME,
        TopicsServer::<TopicsService>::NAME,
        LogServer::<LogService>::NAME,
        ClusterServer::<ClusterService>::NAME,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ]
    .into_iter()
    .fold(
        tonic_reflection::server::Builder::configure(),
        tonic_reflection::server::Builder::with_service_name,
    )
    .register_encoded_file_descriptor_set(engine_proto::FILE_DESCRIPTOR_SET)
    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    .build_v1()
}

/// Serves `routes` on `port` until `closing` becomes true and all connections are gone.
async fn listen(port: Port, routes: Routes, mut closing: Closing) -> anyhow::Result<()> {
    let router = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .trace_fn(request_span)
        .add_routes(routes);
    let closed = async move { closing.wait().await };
    let served = match port {
        Port::Tcp(listener) => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            router.serve_with_incoming_shutdown(incoming, closed).await
        }
        Port::Given(incoming) => router.serve_with_incoming_shutdown(incoming, closed).await,
    };
    served.context("serve connections")
}

fn request_span(request: &tonic::codegen::http::Request<()>) -> tracing::Span {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let request_id = REQUESTS.fetch_add(1, Ordering::Relaxed);
    tracing::debug_span!("request", request_id, path = request.uri().path())
}

/// Waits for a port's connections to leave, and cuts off those that do not.
async fn drain(
    mut served: JoinHandle<anyhow::Result<()>>,
    longest: Duration,
    port: &'static str,
) -> anyhow::Result<()> {
    match timeout(longest, &mut served).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(error).with_context(|| format!("join the {port} port's task")),
        Err(_) => {
            served.abort();
            tracing::debug!(port, "connections that did not leave are cut off");
            Ok(())
        }
    }
}
