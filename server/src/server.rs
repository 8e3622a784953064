//! A node's life: bind, open, serve, drain, close.
//!
//! 1. Both ports are bound, so that a taken one is noticed before anything is touched and a
//!    port 0 is known before it is advertised.
//! 2. The node is opened: it locks the data folder and replays its log.
//! 3. The peer port is served. The node takes part; if its state is damaged, it is repaired from
//!    a peer before, and meanwhile the client port answers for the status alone.
//! 4. The cluster is founded if this is its first start, and the client port is served.
//! 5. Asked to stop: waiting fetches and streams end, what was begun is answered, clients are
//!    told to leave; then the node closes, then the peer port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use engine::ids::{ClusterId, GroupId, NodeId};
use engine_raft::{Joining, Member, Node, NodeConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::closing::{Close, Closing, closing};
use crate::config::{BootstrapMember, ServerConfig};
use crate::front::{Front, client_routes, join};
use crate::port::{GivenPort, Port};
use crate::service::Desk;
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
    let mut shutdown = pin!(shutdown);
    let server = tokio::select! {
        started = start(config) => started?,
        // A start may last as long as a repair waits; to break it off is to crash, which is safe.
        () = &mut shutdown => return Ok(()),
    };
    let failure = tokio::select! {
        () = &mut shutdown => None,
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
        let joining = open(&self, &config, world).await?;
        let node = joining.node().clone();
        let stalls = Stalls::default();
        let (close, closed) = closing();
        let (peers_close, peers_closed) = closing();

        let peer_routes = Routes::new(node.peer_service());
        let peers = tokio::spawn(listen(self.peer, peer_routes, peers_closed));
        let desk = Desk::new(
            node.clone(),
            config.admission,
            closed.clone(),
            stalls.clone(),
        );
        let front = match client_routes(&desk) {
            Ok((routes, health)) => {
                let clients = Front::new(self.client, routes, closed);
                // Boxed: it happens once, and its state is large.
                Box::pin(join(joining, clients, &desk, &health, &config)).await
            }
            Err(error) => Err(error),
        };
        let clients = match front {
            Ok(clients) => clients,
            Err(error) => {
                peers.abort();
                node.shutdown().await.ok();
                return Err(error);
            }
        };
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

async fn open(bound: &Bound, config: &ServerConfig, world: World) -> anyhow::Result<Joining> {
    let advertised = |given: &str, bound: SocketAddr| match given {
        "" => bound.to_string(),
        given => given.to_owned(),
    };
    Joining::open(NodeConfig {
        node: config.node,
        cluster: ClusterId(config.cluster),
        dir: config.data.clone(),
        peer_address: advertised(&config.peer_advertise, bound.peer_address),
        client_address: advertised(&config.advertise, bound.client_address),
        groups: vec![GroupId(0)],
        timings: config.timings.clone(),
        options: config.options.clone(),
        scrub: config.scrub,
        env: world.env,
        dialer: world.dialer,
    })
    .await
    .with_context(|| opened(config))
}

/// What an error of the opening was about.
pub(crate) fn opened(config: &ServerConfig) -> String {
    format!("open node {} in {}", config.node, config.data.display())
}

/// Founds the cluster, if it is new.
pub(crate) async fn found(
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

/// Serves `routes` on `port` until `closing` becomes true and all connections are gone.
pub(crate) async fn listen(port: Port, routes: Routes, mut closing: Closing) -> anyhow::Result<()> {
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
