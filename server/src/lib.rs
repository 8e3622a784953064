//! One node as a process: configuration, gRPC services, start and stop.
//!
//! ```text
//!   NodeArgs ─► ServerConfig ─► Bound ─► ServerHandle        config → ports → serving → stopped
//!
//!   client port   Commit Kv Topics Log Cluster · health · reflection
//!   peer port     Peer, for the other nodes alone
//! ```
//! A request walks from [`service`](self) through `wire` (checked, protobuf becomes commands) to
//! `engine_raft::Node` and back; what goes wrong becomes a status in `status` alone.
//!
//! # Invariants
//! - Only `wire` and `status` know both protobuf and the domain.
//! - Everything that waits or is held has a bound: [`AdmissionLimits`], the streams' in-flight
//!   limit, the transport's limits in `server`.
//!
//! # Not here
//! Consensus (`engine-raft`), state (`engine`), authentication and TLS.

mod config;
mod front;
mod port;
mod server;
mod world;

mod query;
mod service;
mod watchdog;
mod wire;

mod admission;
mod closing;
mod forward;

mod error;
mod status;

pub mod shutdown;
pub mod telemetry;

mod process;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use admission::{AdmissionLimits, DEADLINE_DEFAULT};
pub use config::{BootstrapMember, MemberArg, NodeArgs, ServerConfig};
pub use engine::StoreKind;
pub use forward::FORWARDED;
pub use port::{Accepted, GivenPort, Incoming};
pub use server::{Bound, ServerHandle, run, start};
pub use status::DOMAIN;
pub use world::World;
