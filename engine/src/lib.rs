//! One node's state: everything between the Raft log and an answer.
//!
//! ```text
//!              Engine (embedded)      engine-raft (a cluster's node)
//!                        │                   │
//!   segment::Log ◄───────┴───── entries ─────┤        the only write-ahead log
//!                                            ▼
//!                                  Replica::apply          a pure function
//!                     ┌───────────────┬──────┴──────┬──────────────┐
//!                   store           queue         cache        state, sessions
//! ```
//!
//! Changes are [`command::Command`]s, reads are in [`query`], limits in [`limits`].
//!
//! # Not here
//! Networks, consensus, processes: see `engine-raft` and `engine-server`. No tokio, no tonic, and
//! no clock, chance, disk or thread but through [`mod@env`].

#![deny(clippy::iter_over_hash_type)]

pub mod command;

pub mod query;

pub mod limits;

pub mod ids;

mod engine;

pub mod replica;

mod apply;

mod changes;

mod state;

mod usage;

mod session;

pub mod checkpoint;

pub mod segment;

pub mod disk;

pub mod store;

pub mod queue;

pub mod cache;

pub mod inspect;

pub mod scrub;

#[doc(hidden)]
pub mod planted;

#[doc(hidden)]
pub mod failpoint;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

mod options;

mod error;

pub mod codec;

pub mod env;

#[cfg(test)]
mod crash;

pub use engine::Engine;
pub use error::{Damage, Error, ErrorKind, Result};
pub use options::{Options, ValidOptions};
pub use state::DEFAULT_KEYSPACE;
pub use store::StoreKind;
