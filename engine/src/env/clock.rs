//! Time, as the engine sees it.

use std::fmt::Debug;
use std::time::Duration;

use parking_lot::Mutex;

/// Two clocks: one that never goes back, one that people read.
pub trait Clock: Debug + Send + Sync {
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since 1970-01-01 UTC; may jump either way.
    fn wall_ms(&self) -> u64;
}

pub use os::OsClock;

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock {
    hands: Mutex<Hands>,
}

#[derive(Debug)]
struct Hands {
    monotonic: Duration,
    wall_ms: u64,
}

impl ManualClock {
    /// A clock whose monotonic time is zero and whose wall shows `wall_ms`.
    pub fn new(wall_ms: u64) -> Self {
        Self {
            hands: Mutex::new(Hands {
                monotonic: Duration::ZERO,
                wall_ms,
            }),
        }
    }

    /// Moves both clocks forward. The wall counts whole milliseconds of the monotonic clock, so
    /// that many small steps move it as far as one large one.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock();
        let before = hands.monotonic;
        hands.monotonic = before.saturating_add(by);
        let passed_ms = hands.monotonic.as_millis() - before.as_millis();
        let passed_ms = u64::try_from(passed_ms).unwrap_or(u64::MAX);
        hands.wall_ms = hands.wall_ms.saturating_add(passed_ms);
    }

    /// Makes the wall clock jump, either way; the monotonic clock does not notice.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.hands.lock().wall_ms = wall_ms;
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        self.hands.lock().monotonic
    }

    fn wall_ms(&self) -> u64 {
        self.hands.lock().wall_ms
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the operating system"
)]
mod os {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use super::Clock;

    /// The operating system's clocks.
    #[derive(Debug)]
    pub struct OsClock {
        origin: Instant,
    }

    impl OsClock {
        /// A clock whose monotonic time starts now.
        pub fn new() -> Self {
            Self {
                origin: Instant::now(),
            }
        }
    }

    impl Default for OsClock {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Clock for OsClock {
        fn monotonic(&self) -> Duration {
            self.origin.elapsed()
        }

        fn wall_ms(&self) -> u64 {
            // A machine whose clock stands before 1970 shows zero: leases then last longer.
            let since_epoch = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(1_000);
        assert_eq!(
            (clock.monotonic(), clock.wall_ms()),
            (Duration::ZERO, 1_000)
        );
        clock.advance(Duration::from_millis(250));
        assert_eq!(
            (clock.monotonic(), clock.wall_ms()),
            (Duration::from_millis(250), 1_250)
        );
        clock.set_wall_ms(7);
        assert_eq!(
            (clock.monotonic(), clock.wall_ms()),
            (Duration::from_millis(250), 7)
        );
    }

    #[test]
    fn small_steps_of_a_manual_clock_add_up() {
        let clock = ManualClock::new(0);
        for _ in 0..10 {
            clock.advance(Duration::from_micros(500));
        }
        assert_eq!(clock.wall_ms(), 5);
    }

    #[test]
    fn the_system_clock_never_goes_back() {
        let clock = OsClock::new();
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
        assert!(clock.wall_ms() > 1_600_000_000_000, "after 2020");
    }
}
