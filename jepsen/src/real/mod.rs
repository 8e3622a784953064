//! Real processes under real faults: a seed draws which and when, clients write all the while,
//! and the history is judged.
//!
//! ```text
//! ┌ own network, mounts and processes, all gone with this process ──────────────────┐
//! │ clients ── switch ── node 1 (network 1, ext4 on disk 1)                         │
//! │                 └─── node 2 …                                                   │
//! │ nemesis: one or two kinds at a time ─► hold ─► heal ─► a fresh write ─► again   │
//! └─────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The seed draws the faults; when the kernel does what is its own affair, so a run cannot be
//! played again as a simulated world can ([`sim`](crate::sim)). Its history can be judged again.
//!
//! # Not here
//! What a test may be allowed to do on this machine: the binary `jepsen` asks.

mod disk;
mod field;
mod ground;
mod kernel;
mod nemesis;
mod net;
pub mod plot;
pub mod probe;
mod proxy;
pub mod report;
pub mod run;

pub use nemesis::{Need, Nemesis};
