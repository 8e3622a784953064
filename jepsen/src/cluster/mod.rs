//! A cluster of real processes on this machine, and what can be done to it.
//!
//! ```text
//! Cluster ── Node 1 ── process (engine-cli node run) ── folder/node-1, folder/node-1.log
//!         ├─ Node 2 …
//!         └─ Node 3 …        each: start, kill -9, pause, resume, stop
//! ```
//!
//! # Invariants
//! - What was started is stopped by its process id when the cluster is dropped, paused or not.
//! - A node keeps its ports and its folder over restarts.
//!
//! # Not here
//! Networks and disks that can be hurt: those are [`machine`]s of [`real`](crate::real).

pub mod binary;
pub mod machine;
mod node;
mod plan;
mod ports;
pub mod process;

pub use machine::Addresses;
pub use node::Node;
pub use plan::Plan;
pub use process::Cluster;
