//! What a seed decides before the world begins: its size, its options, its faults.
//!
//! Each seed draws not only when faults come but also which kinds there are: a world with
//! everything at once would rarely show what only kills and slow disks do together.

mod mix;

use std::collections::BTreeSet;
use std::time::Duration;

use engine::Options;
use engine::env::rng::SeededRng;
use engine_raft::Timings;

use super::fault::{Fault, Planned};
use crate::workload::{Part, Role};
use mix::Mix;

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

/// From one end of old revisions to the next, where tombstones are made.
const FLOOR_EVERY_MS: u64 = 1_500;

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
            parts: Vec::new(),
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
        swarm.parts = parts(&rng, nodes);
        swarm.schedule = Mix::draw(&rng, &swarm).schedule(&rng);
        if swarm.parts.iter().any(|part| part.role == Role::Deleter) {
            swarm.sink_old_versions();
        }
        swarm
    }
}

impl Swarm {
    /// Tables and levels are as small as can be, so that written versions soon lie deep; and a
    /// compaction drops a tombstone only if no revision needs it any more.
    fn sink_old_versions(&mut self) {
        self.options.checkpoint_bytes = 4096;
        self.options.table_bytes = 4096;
        self.options.level_base_bytes = 4096;
        let times = (1..).map(|count| count * FLOOR_EVERY_MS);
        let fault = Fault::RaiseFloor;
        self.schedule.extend(
            times
                .take_while(|at_ms| *at_ms < self.faults_ms)
                .map(|at_ms| Planned {
                    at_ms,
                    fault: fault.clone(),
                }),
        );
        self.schedule.sort_by_key(|planned| planned.at_ms);
    }

    /// Leaves out some faults, by their place in the schedule.
    pub fn leave_out(&mut self, without: &BTreeSet<usize>) {
        let mut place = 0..;
        self.schedule
            .retain(|_| place.next().is_some_and(|place| !without.contains(&place)));
    }
}

fn writes_wherever_the_leader_is(part: &Part) -> bool {
    part.node.is_none() && !matches!(part.role, Role::Reader | Role::Cached | Role::Watcher)
}

/// A writer of each kind, readers at each node that stay there whoever leads, and some more
/// clients of any kind.
fn parts(rng: &SeededRng, nodes: u64) -> Vec<Part> {
    let nodes = usize::try_from(nodes).unwrap_or(usize::MAX);
    let more = 1 + rng.index(6);
    let drawn = (0..more).filter_map(|_| Role::ALL.get(rng.index(Role::ALL.len())).copied());
    let mut parts: Vec<Part> = [Role::Rows, Role::Messages]
        .into_iter()
        .chain(rng.chance(35).then_some(Role::Deleter))
        .chain(drawn)
        .map(|role| Part {
            role,
            node: rng.chance(35).then(|| rng.index(nodes)),
            numbered: rng.chance(75),
            ..Part::new(role)
        })
        .collect();
    // Nodes may be gone for good, and somebody must show that the others still take writes.
    if !parts.iter().any(writes_wherever_the_leader_is) {
        parts[0].node = None;
    }
    // Who watches wants something to see, and who is watched somebody who looks.
    let has = |role| parts.iter().any(|part: &Part| part.role == role);
    if has(Role::Watched) || has(Role::Watcher) {
        parts.push(Part::new(Role::Watched));
        parts.extend((0..2).map(|_| Part {
            node: Some(rng.index(nodes)),
            ..Part::new(Role::Watcher)
        }));
    }
    let readers = [Some(Role::Reader), rng.chance(50).then_some(Role::Cached)];
    for role in readers.into_iter().flatten() {
        parts.extend((0..nodes).map(|node| Part {
            node: Some(node),
            ..Part::new(role)
        }));
    }
    let think = pace(rng).map_or(Duration::ZERO, |every| {
        every * u32::try_from(parts.len()).unwrap_or(u32::MAX)
    });
    for part in &mut parts {
        part.think = match part.role {
            Role::Deleter => think / 4,
            _ => think,
        };
    }
    parts
}

/// From one operation of all clients to the next, on average. An operation costs far more to play
/// than the time between two, in which faults happen just as well: most worlds have few of them,
/// and a few worlds as many as there can be.
fn pace(rng: &SeededRng) -> Option<Duration> {
    let a_second = 60 + rng.below(80);
    (!rng.chance(4)).then(|| Duration::from_micros(1_000_000 / a_second))
}

/// Everything tiny, so that segments turn, tables are flushed and checkpoints are made often.
fn options(rng: &SeededRng) -> Options {
    let among = |sizes: &[u64]| sizes.get(rng.index(sizes.len())).copied().unwrap_or(4096);
    let memory = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let table_bytes = among(&[4096, 16 * 1024, 64 * 1024]);
    Options {
        log_segment_bytes: u32::try_from(among(&[32, 64, 256])).unwrap_or(64) * 1024,
        log_tail_bytes: memory(among(&[8, 64, 1024]) * 1024),
        log_idle_mark_ms: among(&[20, 100, 1000]),
        checkpoint_bytes: among(&[4, 8, 16, 128]) * 1024,
        memtable_bytes: memory(among(&[4, 8, 64]) * 1024),
        table_bytes,
        level_base_bytes: table_bytes * among(&[1, 4]),
        blob_threshold_bytes: memory(among(&[1, 4]) * 1024),
        block_cache_bytes: memory(among(&[0, 16, 1024]) * 1024),
        row_cache_bytes: memory(among(&[0, 4, 1024]) * 1024),
        partition_file_bytes: among(&[4, 8, 64]) * 1024,
        small_segments: true,
        ..Options::default()
    }
}

#[cfg(test)]
mod tests {
    use super::mix::Kind;
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same_world() {
        let draw = |seed| Swarm::draw(seed, FAULTS_DEFAULT);
        assert_eq!(draw(3).schedule, draw(3).schedule);
        assert_ne!(draw(3).schedule, draw(4).schedule);
    }

    #[test]
    fn somebody_who_writes_follows_the_leader() {
        for seed in 0..500 {
            let parts = Swarm::draw(seed, FAULTS_DEFAULT).parts;
            assert!(
                parts.iter().any(writes_wherever_the_leader_is),
                "{seed}: {parts:?}"
            );
        }
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
