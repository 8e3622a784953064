//! What came of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checker;
use crate::checker::liveness::Outage;

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Draws the faults.
    pub seed: u64,
    /// How many nodes.
    pub nodes: u64,
    /// How long clients worked.
    pub seconds: f64,
    /// What is not allowed here, and so was left out or done in part.
    pub limits: Vec<String>,
    /// How often what was done.
    pub figures: BTreeMap<&'static str, u64>,
    /// Operations by how they ended.
    pub ok: usize,
    /// Certainly not done.
    pub fail: usize,
    /// Nobody knows.
    pub unknown: usize,
    /// Acknowledged operations for each second.
    pub rate: f64,
    /// From a heal to the first answer, at worst.
    pub recovered_ms_max: u64,
    /// Time during which no write was acknowledged, at worst.
    pub gap_ms_max: u64,
    /// Each time from a fault to its heal.
    pub outages: Vec<Outage>,
    /// What must not be.
    pub violations: Vec<String>,
    /// What the checkers say.
    pub checkers: Vec<checker::Report>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }
}
