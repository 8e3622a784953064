//! The world's time, for the whole process.
//!
//! The tick gives the milliseconds. Every look at the clock within a tick shows a microsecond
//! more, so that what happens later in the order of execution is also later by the clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where the world's wall clock begins: 2001-09-09, so that times look like times.
pub const EPOCH: Duration = Duration::from_secs(1_000_000_000);

/// Looks within a tick that get a time of their own.
const LOOKS_MAX: u64 = 999;

static TICK_US: AtomicU64 = AtomicU64::new(0);
static LOOKS: AtomicU64 = AtomicU64::new(0);

/// A tick begins.
pub fn set(elapsed: Duration) {
    // One more, because zero means that there is no world.
    let us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX - 1);
    TICK_US.store(us + 1, Ordering::Relaxed);
    LOOKS.store(0, Ordering::Relaxed);
}

/// The time since the world began, as of the present tick.
pub fn elapsed() -> Duration {
    Duration::from_micros(TICK_US.load(Ordering::Relaxed).saturating_sub(1))
}

/// A look at the clock; `None` if there is no world.
pub fn look() -> Option<Duration> {
    let us = TICK_US.load(Ordering::Relaxed).checked_sub(1)?;
    let looks = LOOKS.fetch_add(1, Ordering::Relaxed).min(LOOKS_MAX);
    Some(Duration::from_micros(us + looks))
}
