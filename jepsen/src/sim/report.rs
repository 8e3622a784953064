//! What came of a world.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One seed's outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The whole story as a number, in hexadecimal.
    pub trace_hash: String,
    /// What must not have been; empty if all is well.
    pub violations: Vec<String>,
    /// What happened, in figures.
    pub figures: Figures,
    /// By name, each failpoint of the product; empty if the build has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub points: BTreeMap<String, Visits>,
}

/// What happened at a failpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visits {
    /// How often somebody came by.
    pub hits: u64,
    /// How many nodes ended there, by a power cut or a kill.
    pub ends: u64,
}

/// Many worlds together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many they were.
    pub worlds: u64,
    /// The seeds of those that were bad.
    pub bad: Vec<u64>,
    /// What happened, in figures.
    pub figures: Figures,
    /// By name, each failpoint of the product; empty if the build has none.
    pub points: BTreeMap<String, Visits>,
    /// The failpoints that nobody came by.
    pub points_never_hit: Vec<String>,
}

impl Summary {
    /// Of all these worlds.
    pub fn of(reports: &[Report]) -> Self {
        let mut all = Self::default();
        for report in reports {
            all.worlds += 1;
            all.figures = all.figures.plus(&report.figures);
            if !report.violations.is_empty() {
                all.bad.push(report.seed);
            }
            for (point, visits) in &report.points {
                let sum = all.points.entry(point.clone()).or_default();
                sum.hits += visits.hits;
                sum.ends += visits.ends;
            }
        }
        let never = all.points.iter().filter(|(_, visits)| visits.hits == 0);
        all.points_never_hit = never.map(|(point, _)| point.clone()).collect();
        all
    }
}

/// What happened, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Nodes of the first membership.
    pub nodes: u64,
    /// Operations that clients began.
    pub ops: u64,
    /// Those that happened.
    pub ok: u64,
    /// Those that did not.
    pub fail: u64,
    /// Those of which nobody knows.
    pub unknown: u64,
    /// What checkers could not decide.
    #[serde(default)]
    pub undecided: u64,
    /// Events of the story: bytes that arrived, faults, answers.
    pub events: u64,
    /// Processes killed.
    pub kills: u64,
    /// Nodes whose power was cut.
    pub power_cuts: u64,
    /// Whole clusters that went down at once.
    pub blackouts: u64,
    /// Links cut or held, nodes isolated, clusters split.
    pub partitions: u64,
    /// Slow, full and failing disks.
    pub disk_faults: u64,
    /// Nodes in whose state bits flipped.
    #[serde(default)]
    pub rotted: u64,
    /// Processes that ended themselves because their disk had failed them.
    pub ended: u64,
    /// Jumps of clocks.
    pub clock_jumps: u64,
    /// Steps of changes to the cluster that were carried out.
    pub changes: u64,
    /// Terms in which somebody led.
    pub elections: u64,
    /// From the end of the faults to the first write that began after it, milliseconds.
    pub healed_in_ms: u64,
    /// From the end of the work to equal states, milliseconds.
    pub agreed_in_ms: u64,
}

impl Figures {
    /// Both together; the slowest healing is kept.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            simulated_ms: self.simulated_ms + other.simulated_ms,
            nodes: self.nodes + other.nodes,
            ops: self.ops + other.ops,
            ok: self.ok + other.ok,
            fail: self.fail + other.fail,
            unknown: self.unknown + other.unknown,
            undecided: self.undecided + other.undecided,
            events: self.events + other.events,
            kills: self.kills + other.kills,
            power_cuts: self.power_cuts + other.power_cuts,
            blackouts: self.blackouts + other.blackouts,
            partitions: self.partitions + other.partitions,
            disk_faults: self.disk_faults + other.disk_faults,
            rotted: self.rotted + other.rotted,
            ended: self.ended + other.ended,
            clock_jumps: self.clock_jumps + other.clock_jumps,
            changes: self.changes + other.changes,
            elections: self.elections + other.elections,
            healed_in_ms: self.healed_in_ms.max(other.healed_in_ms),
            agreed_in_ms: self.agreed_in_ms.max(other.agreed_in_ms),
        }
    }
}
