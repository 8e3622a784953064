//! The only doors to the world: clock, chance, disk and threads.
//!
//! Everything else in this crate is a function of what it is given. Production passes the
//! operating system through these doors; tests and the simulator pass what they decide.

pub mod clock;
pub mod rng;
pub mod vfs;
pub mod workers;

use std::sync::Arc;

pub use clock::Clock;
pub use rng::Rng;
pub use vfs::{File, Vfs};
pub use workers::{Job, JobHandle, Step, Workers};

/// The four doors, passed together.
#[derive(Clone, Debug)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
    /// The disk.
    pub vfs: Arc<dyn Vfs>,
    /// Threads for long work.
    pub workers: Arc<dyn Workers>,
}
