//! The client port: what is served on it, and from when.
//!
//! ```text
//! opened ─► a state is damaged ─► status alone, health says not serving ─► repaired ─┐
//!    └───────────────────────────────────────────────────────────────────────────────┴► everything
//! ```

use anyhow::Context;
use engine::limits::REQUEST_BYTES_MAX;
use engine_proto::v1::cluster_server::ClusterServer;
use engine_proto::v1::commit_server::CommitServer;
use engine_proto::v1::keyspaces_server::KeyspacesServer;
use engine_proto::v1::kv_server::KvServer;
use engine_proto::v1::log_server::LogServer;
use engine_proto::v1::maintenance_server::MaintenanceServer;
use engine_proto::v1::topics_server::TopicsServer;
use engine_proto::v1::watch_server::WatchServer;
use engine_raft::Joining;
use tokio::task::JoinHandle;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Error as ReflectionError;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::closing::Closing;
use crate::config::ServerConfig;
use crate::port::Port;
use crate::server::{found, listen, opened};
use crate::service::{
    ClusterService, CommitService, Desk, KeyspacesService, KvService, LogService,
    MaintenanceService, TopicsService, WatchService,
};

/// The client port, served from the moment when somebody may have to ask what keeps the node.
pub(crate) struct Front {
    waiting: Option<(Port, Routes, Closing)>,
    serving: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Front {
    pub(crate) fn new(port: Port, routes: Routes, closing: Closing) -> Self {
        Self {
            waiting: Some((port, routes, closing)),
            serving: None,
        }
    }

    fn serve(&mut self) {
        if let Some((port, routes, closing)) = self.waiting.take() {
            self.serving = Some(tokio::spawn(listen(port, routes, closing)));
        }
    }

    fn served(mut self) -> JoinHandle<anyhow::Result<()>> {
        self.serve();
        let serving = self.serving.take();
        serving.expect("the port is served or waits to be")
    }
}

/// Lets the node take part and clients come in; while its state is repaired they get its status.
pub(crate) async fn join(
    joining: Joining,
    mut front: Front,
    desk: &Desk,
    health: &HealthReporter,
    config: &ServerConfig,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let node = joining.node().clone();
    let joined = async {
        let mut joined = Box::pin(joining.join());
        tokio::select! {
            biased;
            joined = &mut joined => joined,
            () = node.repair_begun() => {
                front.serve();
                joined.await
            }
        }
    };
    let served = async {
        let node = joined.await.with_context(|| opened(config))?;
        found(&node, config.bootstrap.as_ref()).await?;
        desk.open().context("look at the node")
    };
    if let Err(error) = served.await {
        if let Some(clients) = front.serving {
            clients.abort();
        }
        return Err(error);
    }
    health.set_serving::<CommitServer<CommitService>>().await;
    health.set_serving::<KvServer<KvService>>().await;
    health
        .set_serving::<KeyspacesServer<KeyspacesService>>()
        .await;
    health.set_serving::<TopicsServer<TopicsService>>().await;
    health.set_serving::<LogServer<LogService>>().await;
    health.set_serving::<WatchServer<WatchService>>().await;
    health.set_serving::<ClusterServer<ClusterService>>().await;
    health
        .set_serving::<MaintenanceServer<MaintenanceService>>()
        .await;
    Ok(front.served())
}

/// Everything on the client port, and who tells of its health: not serving yet.
pub(crate) fn client_routes(desk: &Desk) -> anyhow::Result<(Routes, HealthReporter)> {
    let (health, health_service) = tonic_health::server::health_reporter();
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
            KeyspacesServer::new(KeyspacesService(desk.clone()))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            TopicsServer::new(TopicsService(desk.clone()))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            LogServer::new(LogService(desk.clone())).max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            WatchServer::new(WatchService(desk.clone()))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            ClusterServer::new(ClusterService(desk.clone()))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(
            MaintenanceServer::new(MaintenanceService::new(desk.clone()))
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        );
    Ok((routes.routes(), health))
}

/// Reflection over what the client port serves; the peers' service is nobody else's business.
fn reflection() -> Result<ServerReflectionServer<impl ServerReflection>, ReflectionError> {
    [
        CommitServer::<CommitService>::NAME,
        KvServer::<KvService>::NAME,
        KeyspacesServer::<KeyspacesService>::NAME,
        TopicsServer::<TopicsService>::NAME,
        LogServer::<LogService>::NAME,
        WatchServer::<WatchService>::NAME,
        ClusterServer::<ClusterService>::NAME,
        MaintenanceServer::<MaintenanceService>::NAME,
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
