//! How long nobody could write: the longest time between two acknowledged writes of any client.

use std::time::Duration;

use crate::history::Call;

/// A time without an acknowledged write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The acknowledgement before it, in the history's microseconds.
    pub from_us: u64,
    /// The acknowledgement after it.
    pub until_us: u64,
}

impl Gap {
    /// Its length.
    pub fn length(&self) -> Duration {
        Duration::from_micros(self.until_us.saturating_sub(self.from_us))
    }
}

/// The longest gap that ends after `from_us` and begins before `until_us`; none if writes were
/// never acknowledged both before and after a moment of that time.
pub fn longest(calls: &[Call], from_us: u64, until_us: u64) -> Option<Gap> {
    let mut acknowledged: Vec<u64> = calls
        .iter()
        .filter(|call| call.act.is_write())
        .filter_map(Call::acknowledged_us)
        .collect();
    acknowledged.sort_unstable();
    acknowledged
        .iter()
        .zip(acknowledged.iter().skip(1))
        .map(|(from_us, until_us)| Gap {
            from_us: *from_us,
            until_us: *until_us,
        })
        .filter(|gap| gap.until_us > from_us && gap.from_us < until_us)
        .max_by_key(Gap::length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::notation;

    #[test]
    fn the_longest_gap_between_any_clients_is_found() {
        let history = notation::parse(
            "1 put a 1; 2 put b 2; 1 -> ok; 1 put a 3 -> ok; 3 put c 4 -> fail; 4 put d 5 -> info
             +100; 1 read a -> 3; +300; 2 -> ok; 1 put a 6 -> ok",
        );
        let gap = longest(&history.calls(), 0, 600_000);
        assert_eq!(
            gap,
            Some(Gap {
                from_us: 4_000,
                until_us: 410_000
            }),
            "failed and unknown writes and reads do not count"
        );
        assert_eq!(
            gap.map(|gap| gap.length()),
            Some(Duration::from_millis(406))
        );
    }

    #[test]
    fn a_window_sees_the_gaps_that_touch_it() {
        let history =
            notation::parse("1 put a 1 -> ok; +490; 1 put a 2 -> ok; +10; 1 put a 3 -> ok");
        let calls = history.calls();
        let gap = longest(&calls, 493_000, 600_000);
        assert_eq!(gap.map(|gap| gap.length()), Some(Duration::from_millis(12)));
        assert_eq!(longest(&calls, 505_000, 600_000), None);
        assert_eq!(longest(&[], 0, 1), None);
    }
}
