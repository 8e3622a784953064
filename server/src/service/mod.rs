//! The gRPC services: each method decodes, proposes or reads, and encodes.
//!
//! ```text
//! request ─► wire: decode ─► desk: propose (or one hop to the leader) ─► wire: encode ─► answer
//!                       └──► desk: read barrier ─► query: read ──────┘
//! ```
//! What all methods share stands at the [`Desk`].

mod cluster;
mod commit;
mod desk;
mod keyspaces;
mod kv;
mod log;
mod maintenance;
mod pipeline;
mod scan_stream;
mod topics;
mod watch;

pub(crate) use cluster::ClusterService;
pub(crate) use commit::CommitService;
pub(crate) use desk::Desk;
pub(crate) use keyspaces::KeyspacesService;
pub(crate) use kv::KvService;
pub(crate) use log::LogService;
pub(crate) use maintenance::MaintenanceService;
pub(crate) use topics::TopicsService;
pub(crate) use watch::WatchService;
