//! The only doors to the world: clock, chance, disk and threads.
//!
//! Everything else in this crate is a function of what it is given. Production passes the
//! operating system through these doors; tests and the simulator pass what they decide.

pub mod clock;
pub mod rng;
pub mod vfs;
pub mod workers;

use std::sync::Arc;

use clock::{ManualClock, OsClock};
use rng::{OsRng, SeededRng};
use vfs::mem::MemVfs;
use vfs::os::OsVfs;
use workers::{SteppedWorkers, ThreadWorkers};

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

impl Env {
    /// The operating system's clock, chance, disk and threads.
    pub fn os() -> Self {
        Self {
            clock: Arc::new(OsClock::new()),
            rng: Arc::new(OsRng),
            vfs: Arc::new(OsVfs::new()),
            workers: Arc::new(ThreadWorkers::new()),
        }
    }

    /// A world that is a function of `seed` and of what is done to `vfs`: a clock that stands
    /// still, seeded chance, and jobs that run only when somebody helps.
    ///
    /// Whoever must move the clock or drive the jobs replaces those fields by its own.
    pub fn simulated(vfs: Arc<dyn Vfs>, seed: u64) -> Self {
        Self {
            clock: Arc::new(ManualClock::new(SIMULATED_WALL_MS)),
            rng: Arc::new(SeededRng::new(seed)),
            vfs,
            workers: Arc::new(SteppedWorkers::new(seed)),
        }
    }

    /// A disk in memory and real threads: for tests that are about neither.
    pub fn memory() -> Self {
        Self {
            clock: Arc::new(ManualClock::new(SIMULATED_WALL_MS)),
            rng: Arc::new(SeededRng::new(0)),
            vfs: Arc::new(MemVfs::new()),
            workers: Arc::new(ThreadWorkers::new()),
        }
    }
}

/// Where clocks of simulated worlds start: 2001-09-09, so that times look like times.
const SIMULATED_WALL_MS: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_worlds_of_one_seed_are_the_same() {
        let world = || Env::simulated(Arc::new(MemVfs::new()), 7);
        assert_eq!(world().rng.next_u64(), world().rng.next_u64());
        assert_eq!(world().clock.wall_ms(), SIMULATED_WALL_MS);
        assert!(!world().workers.help(), "no job");
    }
}
