//! Several measurements of one thing.

use std::fmt::Write as _;

/// The middle and the ends of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle value; of an even count, the mean of the two in the middle.
    pub median: f64,
    min: f64,
    max: f64,
    count: usize,
}

impl Spread {
    /// `None` for no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        Some(Self {
            median: if sorted.len().is_multiple_of(2) {
                f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *sorted.get(middle)?)
            } else {
                *sorted.get(middle)?
            },
            min: *sorted.first()?,
            max: *sorted.last()?,
            count: sorted.len(),
        })
    }

    /// `median [min-max]`, the range only of several values.
    pub fn text(&self, decimals: usize) -> String {
        let mut text = format!("{:.decimals$}", self.median);
        if self.count > 1 {
            write!(text, " [{:.decimals$}-{:.decimals$}]", self.min, self.max)
                .expect("a string takes everything");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let text = |values: &[f64]| Spread::of(values).map(|spread| spread.text(1));
        assert_eq!(text(&[]), None);
        assert_eq!(text(&[2.0]).as_deref(), Some("2.0"));
        assert_eq!(text(&[9.0, 1.0, 2.0]).as_deref(), Some("2.0 [1.0-9.0]"));
        assert_eq!(
            text(&[4.0, 1.0, 2.0, 8.0]).as_deref(),
            Some("3.0 [1.0-8.0]")
        );
    }
}
