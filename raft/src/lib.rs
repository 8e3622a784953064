//! Replication: several engines that are one.
//!
//! ```text
//! propose ─► batcher ─► openraft ─┬─► log_store ─► engine::segment      (this node's disk)
//!                                 ├─► network ──► other nodes
//!                                 └─► state_machine ─► engine::replica  (once committed)
//! read_barrier ─► reads ─► replica
//! ```
//!
//! # What openraft asks of us, and who keeps it
//! - `append` returns at once, entries are readable then, their sync is reported later, in order:
//!   `log_store` over the log's in-memory tail; `batcher` bounds the bytes before openraft.
//! - A vote is on disk before it is answered: `LogStore::save_vote`.
//! - Truncation and purge leave no hole: they are marks in the same ordered log.
//! - Nothing is applied that this node's own log has not synced: `StateMachine::wait_synced`.
//! - What is purged is in a durable checkpoint: `snapshot` makes each one openraft's snapshot.
//! - State and log agree after a crash during an install: `LogStore::agree_with`.
//! - Reads after a restart wait until everything ever shown is applied again: `reads`.
//! - A node never comes back with less log than it acknowledged: `boot`, `announce`.
//! - A node with a damaged state takes no part before it has a peer's: `repair`; damage that nobody
//!   reads is looked for: `scrub`.
//! - Pre-votes are really asked, and heartbeats have a connection of their own: `network`.
//!
//! # Invariants
//! - `applied <= synced` on every node; `checkpoint <= applied`; `purged <= checkpoint`.
//! - Only this crate names openraft.
//!
//! # Not here
//! What a command does (see `engine`); what clients speak (see `engine-server`).

mod node;

mod joining;

mod group;

mod batcher;

mod ticker;

mod reads;

mod membership;

mod state_machine;

mod snapshot;

mod log_store;

mod repair;

mod scrub;

mod fetch;

mod member_list;

mod network;

mod service;

mod boot;

mod announce;

mod view;

mod tasks;

mod blocking;

mod failure;

mod types;

mod status;

mod standing;

mod config;

mod error;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod storage_suite;

pub use config::{NodeConfig, Timings};
pub use error::{Error, Result};
pub use joining::Joining;
pub use node::Node;
pub use repair::{RepairProgress, RepairStatus};
pub use scrub::{ScrubPlan, ScrubState, ScrubStatus, Scrubbing};
pub use service::PeerService;
pub use standing::Standing;
pub use status::{GroupStatus, MemberStatus, NodeMetrics, NodeStatus, Role};
pub use types::Member;
