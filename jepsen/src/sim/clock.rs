//! A node's clocks: one that all share, and one on the wall that may be wrong.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use engine::env::Clock;

use super::now;

/// The world's time, as one node sees it.
#[derive(Debug, Default)]
pub(super) struct NodeClock {
    /// How far the wall clock is ahead of the world's; negative if behind.
    wrong_by_ms: AtomicI64,
}

impl NodeClock {
    /// Makes the wall clock jump.
    pub(super) fn jump(&self, by_ms: i64) {
        self.wrong_by_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn monotonic(&self) -> Duration {
        now::elapsed()
    }

    fn wall_ms(&self) -> u64 {
        let right = now::EPOCH + now::elapsed();
        let right_ms = u64::try_from(right.as_millis()).unwrap_or(u64::MAX);
        right_ms.saturating_add_signed(self.wrong_by_ms.load(Ordering::Relaxed))
    }
}
