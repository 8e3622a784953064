//! One node's state: everything between the Raft log and an answer.
//!
//! # Not here
//! Networks, consensus, processes: see `engine-raft` and `engine-server`. No tokio, no tonic.

#![deny(clippy::iter_over_hash_type)]

pub mod command;
pub mod ids;
pub mod limits;
pub mod query;

pub mod cache;
pub mod queue;
pub mod segment;
pub mod store;

pub mod codec;
pub mod env;
mod error;

pub use error::{Error, ErrorKind, Result};
