//! What a request costs: closed-loop clients against a running cluster, told in figures.
//!
//! ```text
//! arguments ──► target (told, dev.json, or three nodes of its own)
//!                 └─► for each workload and number of clients: a cell
//!                        load (clients, latencies) + nodes (CPU, syncs, memory, before and after)
//!                              └─► report: a table for people, JSON for programs
//! ```
//!
//! A client has one request open at a time, so `clients` is the number of requests in flight.
//!
//! # Not here
//! Other products: their figures stand in `docs/benchmarks/`, measured by their own tools.

pub mod arguments;
pub mod cell;
pub mod cpu;
pub mod load;
pub mod machine;
pub mod nodes;
pub mod report;
pub mod run;
pub mod target;
pub mod workload;
