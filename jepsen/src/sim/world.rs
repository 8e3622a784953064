//! The hosts, the network between them, and what is wrong with both.
//!
//! A fault begins when the schedule says so and leaves its end in `due`; after [`World::heal`]
//! nothing is wrong any more and every process runs.

mod ambush;
mod faults;
mod old_disk;
mod rot;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use engine::env::rng::SeededRng;
use engine_raft::{GroupStatus, MemberStatus};
use turmoil::{Builder, Sim};

use super::failpoints::Failpoints;
use super::fault::Who;
use super::invariant::{SeenDisk, SeenNode};
use super::machine::{Machine, address, name};
use super::net::CLIENT_PORT;
use super::now;
use super::operator::{self, Orders};
use super::population::{self, Progress};
use super::report::{Figures, Visits};
use super::swarm::Swarm;
use super::trace::Trace;
use ambush::Ambush;

/// One tick.
const TICK: Duration = Duration::from_millis(1);

/// Longer than any world lasts.
const DURATION_MAX: Duration = Duration::from_hours(1);

/// How long an ended process stays down: somebody looks at why.
const RESTART_AFTER_MS: u64 = 300;

/// What one connection buffers, in segments; more connections than ever wait to be accepted.
const TCP_SEGMENTS: usize = 4096;

/// A world at work.
pub(super) struct World {
    sim: Sim<'static>,
    swarm: Arc<Swarm>,
    machines: Vec<Arc<Machine>>,
    points: Failpoints,
    trace: Trace,
    rng: SeededRng,
    pub(super) progress: Progress,
    pub(super) orders: Orders,
    pub(super) figures: Figures,
    /// Ends of faults, by when and in which order they were planned.
    due: BTreeMap<(u64, u64), End>,
    planned: u64,
    ambush: Option<Ambush>,
}

/// The end of a fault.
#[derive(Clone, Copy, Debug)]
enum End {
    Start(usize),
    Link(u64, u64),
    Loss,
    Latency,
    Slow(usize),
    Full(usize),
    Writes(usize),
    Ambush,
    OldDisk(usize, u64),
}

impl World {
    /// Builds the hosts; nothing runs before the first tick.
    pub(super) fn new(swarm: Swarm, trace: &Trace) -> Self {
        now::set(Duration::ZERO);
        let swarm = Arc::new(swarm);
        let mut sim = Builder::new()
            .rng_seed(swarm.seed)
            .epoch(UNIX_EPOCH + now::EPOCH)
            .tick_duration(TICK)
            .simulation_duration(DURATION_MAX)
            .tcp_capacity(TCP_SEGMENTS)
            .min_message_latency(TICK)
            .max_message_latency(Duration::from_millis(swarm.latency_ms))
            .repair_rate(0.2)
            .enable_random_order()
            .build();
        let points = Failpoints::new(trace);
        let machines: Vec<Arc<Machine>> = (1..=swarm.nodes + swarm.spares)
            .map(|id| Machine::new(id, &swarm, &points, trace))
            .collect();
        for machine in &machines {
            let host = Arc::clone(machine);
            sim.host(machine.name.as_str(), move || {
                let machine = Arc::clone(&host);
                async move {
                    machine.live().await;
                    Ok(())
                }
            });
        }
        let progress = Progress::default();
        let clients = population::run(Arc::clone(&swarm), progress.clone(), trace.clone());
        sim.client(population::HOST, async move {
            clients.await;
            Ok(())
        });
        let orders = Orders::default();
        let seeds = (1..=swarm.nodes)
            .map(|id| address(id, CLIENT_PORT))
            .collect();
        let operator = operator::run(orders.clone(), seeds, trace.clone());
        sim.client(operator::HOST, async move { Ok(operator.await?) });
        Self {
            rng: SeededRng::new(swarm.seed ^ CHANCE),
            figures: Figures {
                nodes: swarm.nodes,
                ..Figures::default()
            },
            swarm,
            sim,
            machines,
            points,
            trace: trace.clone(),
            progress,
            orders,
            due: BTreeMap::new(),
            planned: 0,
            ambush: None,
        }
    }

    /// Milliseconds since the world began.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// One millisecond passes. `Err` tells of a process that ended itself and had no reason.
    pub(super) fn tick(&mut self) -> Result<(), String> {
        let now_ms = self.now_ms();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now_ms {
                break;
            }
            let end = entry.remove();
            self.end(end);
        }
        now::set(self.sim.elapsed());
        self.sim
            .step()
            .map_err(|error| format!("a host failed: {error}"))?;
        for index in 0..self.machines.len() {
            self.look_after(index)?;
        }
        Ok(())
    }

    /// All nodes that serve.
    pub(super) fn nodes(&self) -> Vec<SeenNode> {
        let serving = |machine: &Arc<Machine>| {
            let disk = SeenDisk {
                is_old: machine.is_old(),
                has_rotted: machine.has_rotted(),
            };
            SeenNode::look(machine.id, machine.life(), disk, machine.node()?)
        };
        self.machines.iter().filter_map(serving).collect()
    }

    /// How often each failpoint was visited, and how many nodes ended there.
    pub(super) fn visits(&self) -> BTreeMap<String, Visits> {
        self.points.visits()
    }

    /// The members, as the leader of the highest term knows them; empty if nobody leads.
    pub(super) fn members(&self) -> Vec<u64> {
        self.known_by_leader(|group| group.voters.into_iter().chain(group.learners).collect())
    }

    /// Those of them that vote.
    pub(super) fn voters(&self) -> Vec<u64> {
        self.known_by_leader(|group| group.voters)
    }

    fn known_by_leader(&self, wanted: impl Fn(GroupStatus) -> Vec<MemberStatus>) -> Vec<u64> {
        let leader = self.find(Who::Leader);
        let node = leader.and_then(|index| self.machines[index].node());
        let groups = node.map(|node| node.status().groups).unwrap_or_default();
        let members = groups.into_iter().flat_map(wanted);
        members.map(|member| member.node.0).collect()
    }

    fn plan(&mut self, in_ms: u64, end: End) {
        self.planned += 1;
        self.due.insert((self.now_ms() + in_ms, self.planned), end);
    }

    fn find(&self, who: Who) -> Option<usize> {
        match who {
            Who::Node(id) => self.machines.iter().position(|machine| machine.id == id),
            Who::Leader => {
                let leaders = self.nodes().into_iter().filter(|node| node.standing.leads);
                let newest = leaders.max_by_key(|node| node.standing.term)?;
                self.find(Who::Node(newest.id))
            }
        }
    }

    fn kill(&mut self, index: usize, down_ms: u64) {
        let machine = Arc::clone(&self.machines[index]);
        if !machine.is_alive() || machine.is_old() {
            return;
        }
        self.figures.kills += 1;
        let remains = machine.cut_off();
        self.sim.crash(machine.name.as_str());
        machine.keep(remains);
        self.plan(down_ms, End::Start(index));
    }

    /// Either nobody hears from the machine again, and what it sent last is lost with it; or all
    /// that it sent arrives, and its connections are closed, as when only the disk loses power.
    fn cut_power(&mut self, index: usize, down_ms: u64) {
        let machine = Arc::clone(&self.machines[index]);
        if !machine.is_alive() || machine.is_old() {
            return;
        }
        self.figures.power_cuts += 1;
        let remains = machine.cut_off();
        let mut others = Vec::new();
        if self.rng.chance(50) {
            others.extend(self.machines.iter().map(|other| other.name.clone()));
            others.retain(|other| *other != machine.name);
            others.extend([population::HOST.to_owned(), operator::HOST.to_owned()]);
        }
        for other in &others {
            self.sim
                .partition_oneway(machine.name.as_str(), other.as_str());
        }
        self.sim.crash(machine.name.as_str());
        for other in &others {
            self.sim
                .repair_oneway(machine.name.as_str(), other.as_str());
        }
        remains.lose();
        self.plan(down_ms, End::Start(index));
    }

    /// Sees to a machine whose power went during a call, or whose process ended itself.
    fn look_after(&mut self, index: usize) -> Result<(), String> {
        let machine = Arc::clone(&self.machines[index]);
        if machine.is_alive() && !machine.disk().is_powered() && !machine.is_old() {
            let down_ms = 100 + self.rng.below(2_000);
            if machine.was_killed_here() {
                self.kill(index, down_ms);
            } else {
                self.cut_power(index, down_ms);
            }
            return Ok(());
        }
        let Some(why) = machine.ended() else {
            return Ok(());
        };
        tracing::info!(
            at_ms = self.now_ms(),
            node = machine.id,
            why,
            "ended itself"
        );
        if machine.is_old() {
            self.retire(index);
            return Ok(());
        }
        let powered = machine.disk().is_powered();
        let remains = machine.cut_off();
        if powered {
            self.figures.ended += 1;
            machine.keep(remains);
        } else if machine.was_killed_here() {
            self.figures.kills += 1;
            machine.keep(remains);
        } else {
            self.figures.power_cuts += 1;
            remains.lose();
        }
        self.plan(RESTART_AFTER_MS, End::Start(index));
        judge(&machine, &why)
    }
}

/// A process may end itself because its disk fails it; never because of what it reads there, if
/// nothing rots.
fn judge(machine: &Machine, why: &str) -> Result<(), String> {
    let of_damage = ["damaged", "Corrupt", "corrupt"];
    let ever = ["old copy", "panic"];
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&ever) || says(&of_damage) && !machine.has_rotted() {
        return Err(format!("node {} ended itself: {why}", machine.id));
    }
    Ok(())
}

/// Keeps these choices apart from those that others draw from the same seed.
const CHANCE: u64 = 0x574F_524C_4400;

/// The host of a node; 0 is the clients'.
fn host(id: u64) -> String {
    if id == 0 {
        population::HOST.to_owned()
    } else {
        name(id)
    }
}
