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
//! Networks between the nodes: all speak over the loopback interface.

pub mod binary;
mod node;
mod ports;
pub mod process;

pub use node::{Addresses, Node};
pub use process::{Cluster, Plan};
