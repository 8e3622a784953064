//! Durations of single operations, and their percentiles.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

/// Whatever takes longer counts as this: ten minutes.
const LONGEST_NANOSECONDS: u64 = 600_000_000_000;

/// Durations with three digits.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_NANOSECONDS, 3)?))
    }

    /// Notes one.
    pub fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds);
    }

    /// Takes over what another thread noted.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    /// The duration that this share of all, 0 to 1, does not exceed; microseconds.
    pub fn micros_at(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1e3
    }

    /// The longest, microseconds.
    pub fn micros_max(&self) -> f64 {
        self.0.max() as f64 / 1e3
    }
}
