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
    use super::super::planted::{put, read, written};
    use super::*;
    use crate::history::End;

    #[test]
    fn the_longest_gap_between_any_clients_is_found() {
        let calls = [
            put("a", "1", 0, written(10, 1)),
            put("b", "2", 0, written(500, 1)),
            put("a", "3", 11, written(20, 2)),
            put("c", "4", 30, End::Fail),
            put("d", "5", 40, End::Unknown),
            read("a", Some("3"), 100, 200),
            put("a", "6", 600, written(900, 3)),
        ];
        let gap = longest(&calls, 0, 600);
        assert_eq!(
            gap,
            Some(Gap {
                from_us: 20,
                until_us: 500
            }),
            "failed and unknown writes and reads do not count"
        );
        assert_eq!(
            gap.map(|gap| gap.length()),
            Some(Duration::from_micros(480))
        );
    }

    #[test]
    fn a_window_sees_the_gaps_that_touch_it() {
        let calls = [
            put("a", "1", 0, written(10, 1)),
            put("a", "2", 0, written(500, 2)),
            put("a", "3", 0, written(510, 3)),
        ];
        let gap = longest(&calls, 500, 600);
        assert_eq!(gap.map(|gap| gap.length()), Some(Duration::from_micros(10)));
        assert_eq!(longest(&calls, 510, 600), None);
        assert_eq!(longest(&[], 0, 1), None);
    }
}
