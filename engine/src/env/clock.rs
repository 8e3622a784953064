//! Time, as the engine sees it.

use std::fmt::Debug;
use std::time::Duration;

/// Two clocks: one that never goes back, one that people read.
pub trait Clock: Debug + Send + Sync {
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since 1970-01-01 UTC; may jump either way.
    fn wall_ms(&self) -> u64;
}
