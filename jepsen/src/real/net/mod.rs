//! A network of taps: each machine has a network namespace of its own, and every frame between
//! them passes through this process, which may lose, delay, double or reorder it.
//!
//! ```text
//! node ── namespace 1 ── tap ─┐
//! node ── namespace 2 ── tap ─┼── switch: a rule for each direction of each link
//! clients ────────────── tap ─┘
//! ```
//!
//! # Invariants
//! - A namespace lives as long as its host's thread and the processes in it; nothing is left
//!   behind, however this process ends.

mod host;
mod switch;

pub(super) use host::Host;
pub(super) use switch::{Link, Switch};

/// The port of the clients, and of this process.
pub(super) const CLIENTS: u8 = 254;

/// The address of a port.
pub(super) fn address(port: u8) -> String {
    format!("10.77.0.{port}")
}
