//! Faults on purpose: real clusters are hurt while clients write, and the history is judged.
//!
//! ```text
//! workload ──► history (invoke, ok, fail, info) ──┐
//!    │                                            ├──► checkers ──► violations
//! cluster ◄── kill, pause, restart                │
//!    └─────────► state read at the end ───────────┘
//! ```
//!
//! The words are Jepsen's: an operation ends as `ok` (it happened), `fail` (it did not) or `info`
//! (nobody knows). A checker sees nothing but the history and the state that is left.
//!
//! # Invariants
//! - A process has at most one open operation; after an `info` it never speaks again.
//! - Values are unique for each key, so that what is read names the write that made it.
//!
//! There are two kinds of clusters: real processes ([`cluster`]), whose machines, networks and
//! disks [`real`] hurts, and simulated worlds in which a seed decides everything, lost syncs
//! included ([`sim`]).
//!
//! # Not here
//! What a node does inside (see `engine-raft`).

pub mod checker;
pub mod cluster;
pub mod history;
pub mod real;
pub mod sim;
pub mod state;
pub mod workload;
