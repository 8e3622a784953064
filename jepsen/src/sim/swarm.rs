//! What a seed decides before the world begins: its size, its options, its faults.
//!
//! Each seed draws not only when faults come but also which kinds there are: a world with
//! everything at once would rarely show what only kills and slow disks do together.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::Options;
use engine::env::rng::{Rng as _, SeededRng};
use engine_raft::Timings;

use super::fault::{Fault, Planned, Victims, When, Who};
use crate::workload::{Part, Role};

/// One world's settings.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// The seed that all of it comes from.
    pub seed: u64,
    /// Nodes of the first membership: 3 or 5.
    pub nodes: u64,
    /// Nodes that wait to be added.
    pub spares: u64,
    /// What each client does.
    pub parts: Vec<Part>,
    /// Partitions of their topic.
    pub partitions: u32,
    /// Every node's sizes and budgets.
    pub options: Options,
    /// Every node's patience.
    pub timings: Timings,
    /// The longest that a message takes while nothing is wrong.
    pub latency_ms: u64,
    /// How long faults come.
    pub faults_ms: u64,
    /// The faults, in the order of time.
    pub schedule: Vec<Planned>,
}

/// Keeps these choices apart from those that others draw from the same seed.
const SWARM: u64 = 0x5357_4152_4D00;

/// How long faults come, if nobody says otherwise.
pub const FAULTS_DEFAULT: Duration = Duration::from_secs(20);

impl Swarm {
    /// Draws everything.
    pub fn draw(seed: u64, faults: Duration) -> Self {
        let rng = SeededRng::new(seed ^ SWARM);
        let nodes = if rng.chance(60) { 3 } else { 5 };
        let faults_ms = u64::try_from(faults.as_millis()).unwrap_or(u64::MAX);
        let mut swarm = Self {
            seed,
            nodes,
            spares: rng.below(3),
            parts: parts(&rng, nodes),
            partitions: 1 + u32::from(rng.chance(60)) * 3,
            options: options(&rng),
            timings: Timings {
                entries_kept: rng.below(200),
                request: Duration::from_millis(2_000 + rng.below(4_000)),
                ..Timings::default()
            },
            latency_ms: 2 + rng.below(10),
            faults_ms,
            schedule: Vec::new(),
        };
        swarm.schedule = Mix::draw(&rng, &swarm).schedule(&rng);
        swarm
    }
}

impl Swarm {
    /// Leaves out some faults, by their place in the schedule.
    pub fn leave_out(&mut self, without: &BTreeSet<usize>) {
        let mut place = 0..;
        self.schedule
            .retain(|_| place.next().is_some_and(|place| !without.contains(&place)));
    }
}

/// A writer of each kind, a reader at each node that stays there whoever leads, and some more
/// clients of any kind.
fn parts(rng: &SeededRng, nodes: u64) -> Vec<Part> {
    let nodes = usize::try_from(nodes).unwrap_or(usize::MAX);
    let more = 1 + rng.index(6);
    let drawn = (0..more).filter_map(|_| Role::ALL.get(rng.index(Role::ALL.len())).copied());
    let mut parts: Vec<Part> = [Role::Rows, Role::Messages]
        .into_iter()
        .chain(drawn)
        .map(|role| Part {
            role,
            node: rng.chance(35).then(|| rng.index(nodes)),
            numbered: rng.chance(75),
        })
        .collect();
    parts.extend((0..nodes).map(|node| Part {
        node: Some(node),
        ..Part::new(Role::Reader)
    }));
    parts
}

/// Everything tiny, so that segments turn, tables are flushed and checkpoints are made often.
fn options(rng: &SeededRng) -> Options {
    let among = |sizes: &[u64]| sizes.get(rng.index(sizes.len())).copied().unwrap_or(4096);
    let memory = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let table_bytes = among(&[4096, 16 * 1024, 64 * 1024]);
    Options {
        log_segment_bytes: u32::try_from(among(&[64, 128, 512])).unwrap_or(64) * 1024,
        log_tail_bytes: memory(among(&[8, 64, 1024]) * 1024),
        log_idle_mark_ms: among(&[20, 100, 1000]),
        checkpoint_bytes: among(&[4, 16, 64, 512]) * 1024,
        memtable_bytes: memory(among(&[4, 16, 128]) * 1024),
        table_bytes,
        level_base_bytes: table_bytes * among(&[1, 4]),
        block_cache_bytes: memory(among(&[0, 16, 1024]) * 1024),
        row_cache_bytes: memory(among(&[0, 4, 1024]) * 1024),
        partition_file_bytes: among(&[4, 32, 256]) * 1024,
        small_segments: true,
        ..Options::default()
    }
}

/// Which kinds of faults a world has, and how often.
struct Mix {
    kinds: Vec<Kind>,
    /// The longest time between two.
    every_ms: u64,
    until_ms: u64,
    nodes: u64,
    spares: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kill,
    PowerCut,
    Blackout,
    Ambush,
    OldDisk,
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
    const ALL: [Self; 19] = [
        Self::Kill,
        Self::PowerCut,
        Self::Blackout,
        Self::Ambush,
        Self::OldDisk,
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
            Self::Kill | Self::PowerCut => 70,
            Self::Cut | Self::Isolate | Self::Split | Self::Ambush => 50,
            Self::Blackout | Self::Latency | Self::SlowDisk | Self::Transfer => 40,
            Self::ClockJump
            | Self::ClockDrift
            | Self::Replace
            | Self::OldDisk
            | Self::FullDisk
            | Self::RaiseFloor => 30,
            Self::Loss | Self::SyncFails | Self::WritesFail => 20,
        }
    }
}

impl Mix {
    fn draw(rng: &SeededRng, swarm: &Swarm) -> Self {
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

    fn schedule(&self, rng: &SeededRng) -> Vec<Planned> {
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
            Kind::OldDisk => Fault::OldDisk {
                old: node(),
                new: spares.next()?,
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
            Kind::Split => {
                let mask = rng.next_u64();
                Fault::Split {
                    side: (1..=self.nodes).filter(|id| mask >> id & 1 == 1).collect(),
                    hold: rng.chance(50),
                    ms: span(5_000),
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same_world() {
        let draw = |seed| Swarm::draw(seed, FAULTS_DEFAULT);
        assert_eq!(draw(3).schedule, draw(3).schedule);
        assert_ne!(draw(3).schedule, draw(4).schedule);
    }

    #[test]
    fn every_kind_of_fault_is_drawn_and_all_settings_are_valid() {
        let mut kinds = BTreeSet::new();
        for seed in 0..200 {
            let swarm = Swarm::draw(seed, FAULTS_DEFAULT);
            swarm.options.clone().validate().expect("valid options");
            assert!([3, 5].contains(&swarm.nodes));
            for planned in &swarm.schedule {
                let json = serde_json::to_value(planned).expect("plain data");
                kinds.insert(json["fault"]["fault"].to_string());
                if let Fault::Cut { from, to, .. } = planned.fault {
                    assert!(from != to && from <= swarm.nodes && (1..=swarm.nodes).contains(&to));
                }
            }
        }
        assert_eq!(kinds.len(), Kind::ALL.len());
    }
}
