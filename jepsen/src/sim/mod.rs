//! Whole clusters in one process, decided by one number.
//!
//! ```text
//! seed ─► swarm: size, options, faults and when ─► the world, in ticks of one millisecond
//!
//!   clients ── HTTP/2 ── nodes ── HTTP/2 ── nodes       real code, real codecs
//!                 │                                     turmoil carries the bytes
//!                 └── SimVfs, stepped jobs, a clock that may be wrong
//!
//! faults ─► heal ─► writes go on, all states are equal ─► everything is read ─► checkers
//! ```
//!
//! After every tick the [`invariant`]s look into all nodes at once, which no client could.
//!
//! # Invariants
//! - The same seed gives the same [`trace`], byte for byte, in every process of one build.
//!   What would break that (another thread, the machine's clock or chance) is replaced below
//!   libc by the binary `sim`; without it this module must not be used.
//! - One process simulates one world: some libraries keep counters for the whole process.
//!
//! # Not here
//! Real disks, real kernels, data races: see `cluster`, and `docs/design/testing.md`.

pub mod now;
pub mod trace;

pub mod fault;
pub mod swarm;

mod clock;
mod failpoints;
mod jobs;
mod machine;
mod net;
mod operator;
mod population;

pub mod invariant;
mod world;

pub mod report;
pub mod run;

pub mod driver;

pub mod hunt;
pub mod plant;
