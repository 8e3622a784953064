//! A node's clocks: one that all share, and one on the wall that may be wrong.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use engine::env::Clock;

use super::now;

/// The world's time, as one node sees it.
#[derive(Debug, Default)]
pub(super) struct NodeClock {
    /// How far the wall clock is ahead of the world's; negative if behind.
    wrong_by_ms: AtomicI64,
    /// By how many thousandths it is too fast, and since when.
    fast_per_mille: AtomicI64,
    fast_since_ms: AtomicU64,
}

impl NodeClock {
    /// Makes the wall clock jump.
    pub(super) fn jump(&self, by_ms: i64) {
        self.wrong_by_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Gives the wall clock another speed.
    pub(super) fn drift(&self, by_per_mille: i64) {
        self.jump(self.drifted_ms());
        let now_ms = u64::try_from(now::elapsed().as_millis()).unwrap_or(u64::MAX);
        self.fast_since_ms.store(now_ms, Ordering::Relaxed);
        self.fast_per_mille.store(by_per_mille, Ordering::Relaxed);
    }

    fn drifted_ms(&self) -> i64 {
        let now_ms = i64::try_from(now::elapsed().as_millis()).unwrap_or(i64::MAX);
        let since_ms = self.fast_since_ms.load(Ordering::Relaxed);
        let since_ms = i64::try_from(since_ms).unwrap_or(i64::MAX);
        (now_ms - since_ms) * self.fast_per_mille.load(Ordering::Relaxed) / 1_000
    }
}

impl Clock for NodeClock {
    fn monotonic(&self) -> Duration {
        now::elapsed()
    }

    fn wall_ms(&self) -> u64 {
        let right = now::EPOCH + now::elapsed();
        let right_ms = u64::try_from(right.as_millis()).unwrap_or(u64::MAX);
        let wrong_by_ms = self.wrong_by_ms.load(Ordering::Relaxed) + self.drifted_ms();
        right_ms.saturating_add_signed(wrong_by_ms)
    }
}
