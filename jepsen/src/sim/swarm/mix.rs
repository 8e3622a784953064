//! Which faults a world has, and when they come.

use engine::env::rng::{Rng as _, SeededRng};
use engine::failpoint::Point;

use super::super::fault::{Fault, Planned, Victims, When, Who};
use super::Swarm;

/// Which kinds of faults a world has, and how often.
pub(super) struct Mix {
    kinds: Vec<Kind>,
    /// The longest time between two.
    every_ms: u64,
    until_ms: u64,
    nodes: u64,
    spares: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Kill,
    PowerCut,
    Blackout,
    Ambush,
    Failpoint,
    OldDisk,
    Rot,
    RaiseFloor,
    Cut,
    Isolate,
    Split,
    Loss,
    Latency,
    SlowDisk,
    FullDisk,
    SyncFails,
    WritesFail,
    ClockJump,
    ClockDrift,
    Transfer,
    Replace,
}

impl Kind {
    pub(super) const ALL: [Self; 21] = [
        Self::Kill,
        Self::PowerCut,
        Self::Blackout,
        Self::Ambush,
        Self::Failpoint,
        Self::OldDisk,
        Self::Rot,
        Self::RaiseFloor,
        Self::Cut,
        Self::Isolate,
        Self::Split,
        Self::Loss,
        Self::Latency,
        Self::SlowDisk,
        Self::FullDisk,
        Self::SyncFails,
        Self::WritesFail,
        Self::ClockJump,
        Self::ClockDrift,
        Self::Transfer,
        Self::Replace,
    ];

    /// Of a hundred worlds, so many have it.
    fn percent(self) -> u64 {
        match self {
            Self::Kill | Self::PowerCut | Self::Failpoint => 70,
            Self::Cut | Self::Isolate | Self::Split | Self::Ambush => 50,
            Self::Blackout | Self::Latency | Self::SlowDisk | Self::Transfer => 40,
            Self::ClockJump
            | Self::ClockDrift
            | Self::Replace
            | Self::OldDisk
            | Self::Rot
            | Self::FullDisk
            | Self::RaiseFloor => 30,
            Self::Loss | Self::SyncFails | Self::WritesFail => 20,
        }
    }
}

impl Mix {
    pub(super) fn draw(rng: &SeededRng, swarm: &Swarm) -> Self {
        let mut kinds: Vec<Kind> = Kind::ALL.into();
        kinds.retain(|kind| rng.chance(kind.percent()));
        Self {
            kinds,
            every_ms: 300 + rng.below(3_000),
            until_ms: swarm.faults_ms,
            nodes: swarm.nodes,
            spares: swarm.spares,
        }
    }

    pub(super) fn schedule(&self, rng: &SeededRng) -> Vec<Planned> {
        let mut schedule = Vec::new();
        let mut spares = self.nodes + 1..=self.nodes + self.spares;
        let mut at_ms = rng.below(self.every_ms);
        while at_ms < self.until_ms && !self.kinds.is_empty() {
            let kind = self.kinds.get(rng.index(self.kinds.len()));
            let fault = kind.and_then(|kind| self.fault(*kind, rng, &mut spares));
            schedule.extend(fault.map(|fault| Planned { at_ms, fault }));
            at_ms += 1 + rng.below(self.every_ms);
        }
        schedule
    }

    fn fault(
        &self,
        kind: Kind,
        rng: &SeededRng,
        spares: &mut impl Iterator<Item = u64>,
    ) -> Option<Fault> {
        let node = || 1 + rng.below(self.nodes);
        let who = || {
            if rng.chance(40) {
                Who::Leader
            } else {
                Who::Node(node())
            }
        };
        let span = |max: u64| 100 + rng.below(max);
        Some(match kind {
            Kind::Kill => Fault::Kill {
                who: who(),
                down_ms: span(3_000),
            },
            Kind::PowerCut => Fault::PowerCut {
                who: who(),
                down_ms: span(3_000),
                after_calls: rng.chance(60).then(|| 1 + rng.below(60)),
            },
            Kind::Blackout => Fault::Blackout {
                down_ms: span(2_000),
                power: rng.chance(70),
            },
            Kind::Ambush => ambush(rng),
            Kind::Failpoint => failpoint(rng),
            Kind::OldDisk => Fault::OldDisk {
                old: node(),
                new: spares.next()?,
            },
            Kind::Rot => Fault::Rot {
                node: node(),
                down_ms: span(2_000),
            },
            Kind::RaiseFloor => Fault::RaiseFloor,
            Kind::ClockDrift => Fault::ClockDrift {
                who: who(),
                by_per_mille: signed(rng, 200),
            },
            Kind::Cut => self.cut(rng),
            Kind::Isolate => Fault::Isolate {
                who: who(),
                hold: rng.chance(50),
                ms: span(5_000),
            },
            Kind::Split => self.split(rng),
            Kind::Loss => Fault::Loss {
                per_million: u32::try_from(100 + rng.below(10_000)).unwrap_or(100),
                ms: span(4_000),
            },
            Kind::Latency => Fault::Latency {
                max_ms: 20 + rng.below(400),
                ms: span(4_000),
            },
            Kind::SlowDisk => Fault::SlowDisk {
                who: who(),
                step_ms: 20 + rng.below(800),
                ms: span(5_000),
            },
            Kind::FullDisk => Fault::FullDisk {
                who: who(),
                ms: span(4_000),
            },
            Kind::SyncFails => Fault::SyncFails { who: who() },
            Kind::WritesFail => Fault::WritesFail {
                who: who(),
                ms: span(1_000),
            },
            Kind::ClockJump => Fault::ClockJump {
                who: who(),
                by_ms: signed(rng, 120_000),
            },
            Kind::Transfer => Fault::Transfer { to: node() },
            Kind::Replace => Fault::Replace {
                old: node(),
                new: spares.next()?,
            },
        })
    }
}

impl Mix {
    /// Into any two sides.
    fn split(&self, rng: &SeededRng) -> Fault {
        let mask = rng.next_u64();
        Fault::Split {
            side: (1..=self.nodes).filter(|id| mask >> id & 1 == 1).collect(),
            hold: rng.chance(50),
            ms: 100 + rng.below(5_000),
        }
    }

    /// Of a link between two nodes, or between the clients and a node.
    fn cut(&self, rng: &SeededRng) -> Fault {
        let from = rng.below(self.nodes + 1);
        Fault::Cut {
            from,
            to: 1 + (from + rng.below(self.nodes - 1)) % self.nodes,
            one_way: rng.chance(50),
            ms: 100 + rng.below(6_000),
        }
    }
}

/// A number below `max`, or its negative.
fn signed(rng: &SeededRng, max: u64) -> i64 {
    let far = i64::try_from(rng.below(max)).unwrap_or(0);
    if rng.chance(50) { far } else { -far }
}

fn ambush(rng: &SeededRng) -> Fault {
    Fault::Ambush {
        when: if rng.chance(60) {
            When::Elected
        } else {
            When::Acknowledged
        },
        victims: match rng.below(3) {
            0 => Victims::Leader,
            1 => Victims::Majority,
            _ => Victims::All,
        },
        step_ms: rng.below(400),
        down_ms: 10 + rng.below(400),
        ms: 100 + rng.below(5_000),
    }
}

/// Most points are visited often, some once in a world: few visits are spared.
fn failpoint(rng: &SeededRng) -> Fault {
    let point = Point::ALL.get(rng.index(Point::ALL.len()));
    Fault::Failpoint {
        point: point.map_or("", |point| point.name()).to_owned(),
        spared: if rng.chance(50) { 0 } else { rng.below(10) },
        power: rng.chance(60),
    }
}
