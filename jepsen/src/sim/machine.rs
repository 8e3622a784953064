//! One node's machine: its disk, its clock, and one process after another.
//!
//! ```text
//! down ─► starting ─► up ─► ended (the node stopped itself) ─┐
//!   ▲                  │ kill, power cut                      │
//!   └──────────────────┴──────────────────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use engine::env::rng::SeededRng;
use engine::env::vfs::sim::SimVfs;
use engine::env::workers::SteppedWorkers;
use engine::env::{Env, Vfs};
use engine::ids::{Boot, NodeId};
use engine_raft::{Node, ScrubPlan};
use engine_server::{AdmissionLimits, BootstrapMember, Bound, ServerConfig, World};
use parking_lot::Mutex;

use super::clock::NodeClock;
use super::failpoints::Failpoints;
use super::jobs::{self, Pace};
use super::net::{self, CLIENT_PORT, PEER_PORT};
use super::swarm::Swarm;
use super::trace::Trace;

/// A machine that a node's processes live on.
pub(super) struct Machine {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) clock: Arc<NodeClock>,
    pub(super) pace: Arc<Pace>,
    swarm: Arc<Swarm>,
    points: Failpoints,
    trace: Trace,
    state: Mutex<State>,
}

struct State {
    disk: SimVfs,
    /// A copy of the disk, made while the process ran.
    copy: Option<SimVfs>,
    /// The start in which the copy was made.
    copied_in: Option<Boot>,
    /// Who takes this node's place, once its disk is an old copy.
    successor: Option<u64>,
    /// Whether bits of its state have flipped.
    rotted: bool,
    life: u64,
    phase: Phase,
    workers: Option<SteppedWorkers>,
    /// How the process ended at a failpoint in this tick.
    ended_here: Option<How>,
}

/// How a process ends at a failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The power goes, and with it what was not synced.
    Power,
    /// It is killed: what it wrote stays.
    Kill,
}

/// Where a process is in its life.
#[derive(Clone)]
enum Phase {
    Down,
    Starting,
    Up(Node),
    Ended(String),
}

impl Machine {
    pub(super) fn new(
        id: u64,
        swarm: &Arc<Swarm>,
        points: &Failpoints,
        trace: &Trace,
    ) -> Arc<Self> {
        let seed = swarm.seed.wrapping_mul(31).wrapping_add(id);
        Arc::new(Self {
            id,
            name: name(id),
            clock: Arc::default(),
            pace: Arc::default(),
            swarm: Arc::clone(swarm),
            points: points.clone(),
            trace: trace.clone(),
            state: Mutex::new(State {
                disk: SimVfs::new(seed),
                copy: None,
                copied_in: None,
                successor: None,
                rotted: false,
                life: 0,
                phase: Phase::Down,
                workers: None,
                ended_here: None,
            }),
        })
    }

    /// One process, until it ends itself; a kill drops this future where it stands.
    pub(super) async fn live(self: Arc<Self>) {
        self.points.enter(&self);
        let why = match self.serve().await {
            Ok(failed) => failed,
            Err(error) => format!("{error:#}"),
        };
        self.trace.note("ended", &self.name, why.as_bytes());
        self.state.lock().phase = Phase::Ended(why);
    }

    async fn serve(&self) -> anyhow::Result<String> {
        let env = self.begin();
        let client = net::bind(&self.name, CLIENT_PORT, &self.trace).await?;
        let peer = net::bind(&self.name, PEER_PORT, &self.trace).await?;
        let world = World {
            env,
            dialer: net::dialer(&self.name, &self.trace),
        };
        let server = Bound::given(client, peer)
            .serve(self.config(), world)
            .await?;
        self.state.lock().phase = Phase::Up(server.node().clone());
        Ok(server.failed().await)
    }

    /// A new life: other chance, other workers, the same disk and clock.
    fn begin(&self) -> Env {
        let mut state = self.state.lock();
        state.life += 1;
        state.phase = Phase::Starting;
        let seed = self.swarm.seed ^ (self.id << 32) ^ (state.life << 40);
        let workers = SteppedWorkers::new(seed);
        let rng = SeededRng::new(seed.wrapping_add(1));
        tokio::spawn(jobs::drive(workers.clone(), Arc::clone(&self.pace), rng));
        state.workers = Some(workers.clone());
        Env {
            clock: Arc::clone(&self.clock) as _,
            rng: Arc::new(SeededRng::new(seed)),
            vfs: Arc::new(state.disk.clone()) as Arc<dyn Vfs>,
            workers: Arc::new(workers),
        }
    }

    fn config(&self) -> ServerConfig {
        let members = 1..=self.swarm.nodes;
        let bootstrap = members.contains(&self.id).then(|| {
            members
                .map(|id| {
                    let member = BootstrapMember {
                        peer: address(id, PEER_PORT),
                        client: address(id, CLIENT_PORT),
                    };
                    (id, member)
                })
                .collect::<BTreeMap<_, _>>()
        });
        let any = |port| ([0, 0, 0, 0], port).into();
        ServerConfig {
            node: NodeId(self.id),
            data: PathBuf::from("/node"),
            listen: any(CLIENT_PORT),
            peer_listen: any(PEER_PORT),
            advertise: address(self.id, CLIENT_PORT),
            peer_advertise: address(self.id, PEER_PORT),
            bootstrap,
            cluster: 1,
            options: self.swarm.options.clone(),
            timings: self.swarm.timings.clone(),
            scrub: ScrubPlan::never(),
            admission: AdmissionLimits::default(),
        }
    }

    /// The running node, once it serves.
    pub(super) fn node(&self) -> Option<Node> {
        match &self.state.lock().phase {
            Phase::Up(node) => Some(node.clone()),
            Phase::Down | Phase::Starting | Phase::Ended(_) => None,
        }
    }

    /// How many processes there were.
    pub(super) fn life(&self) -> u64 {
        self.state.lock().life
    }

    /// Whether there is a process.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Starting | Phase::Up(_))
    }

    /// Why the process has ended itself.
    pub(super) fn ended(&self) -> Option<String> {
        match &self.state.lock().phase {
            Phase::Ended(why) => Some(why.clone()),
            Phase::Down | Phase::Starting | Phase::Up(_) => None,
        }
    }

    /// The disk.
    pub(super) fn disk(&self) -> SimVfs {
        self.state.lock().disk.clone()
    }

    /// The process is about to be dropped: from here on it reaches neither disk nor threads.
    /// Answers the disk as the process leaves it.
    pub(super) fn cut_off(&self) -> Remains {
        let mut state = self.state.lock();
        let disk = state.disk.clone();
        let workers = state.workers.take();
        state.phase = Phase::Down;
        // Jobs that are dropped may look for their node.
        drop(state);
        let remains = Remains {
            kept: disk.moment().killed(self.swarm.seed ^ self.id),
            disk: disk.clone(),
        };
        disk.power_off();
        if let Some(workers) = workers {
            workers.abandon();
        }
        remains
    }

    /// The process ends here, in the midst of its work: from now on it reaches no disk, and in this
    /// tick it is gone. False if there is none, or its disk is out of service already.
    pub(super) fn end_here(&self, how: How) -> bool {
        let mut state = self.state.lock();
        let runs = matches!(state.phase, Phase::Starting | Phase::Up(_));
        let ends = runs && state.successor.is_none() && state.disk.is_powered();
        if ends {
            state.disk.power_off();
            state.ended_here = Some(how);
        }
        ends
    }

    /// Whether the process has been killed at a failpoint: then its disk has lost nothing.
    pub(super) fn was_killed_here(&self) -> bool {
        self.state.lock().ended_here.take() == Some(How::Kill)
    }

    /// Makes a copy of the disk as it is.
    pub(super) fn keep_copy(&self) {
        let Some(node) = self.node() else {
            return;
        };
        let mut state = self.state.lock();
        state.copied_in = Some(node.status().boot);
        state.copy = Some(state.disk.moment().killed(self.swarm.seed ^ self.id));
    }

    /// How often the running process's disk has been started from since the copy was made.
    pub(super) fn starts_since_copy(&self) -> u64 {
        let now = self.node().map(|node| node.status().boot);
        let copied_in = self.state.lock().copied_in;
        now.zip(copied_in).map_or(0, |(now, then)| now.0 - then.0)
    }

    /// Puts the copy back in place of the disk, for ever.
    pub(super) fn put_back_copy(&self, successor: u64) {
        let mut state = self.state.lock();
        if let Some(copy) = state.copy.take() {
            state.disk = copy;
            state.successor = Some(successor);
        }
    }

    /// Bits of its state have flipped.
    pub(super) fn set_rotten(&self) {
        self.state.lock().rotted = true;
    }

    /// Whether bits of its state have ever flipped.
    pub(super) fn has_rotted(&self) -> bool {
        self.state.lock().rotted
    }

    /// Whether the disk is an old copy.
    pub(super) fn is_old(&self) -> bool {
        self.successor().is_some()
    }

    /// Who takes this node's place, if its disk is an old copy.
    pub(super) fn successor(&self) -> Option<u64> {
        self.state.lock().successor
    }

    /// The machine's disk after a kill: as the process left it.
    pub(super) fn keep(&self, remains: Remains) {
        self.state.lock().disk = remains.kept;
    }
}

/// A disk at the end of a process.
pub(super) struct Remains {
    kept: SimVfs,
    disk: SimVfs,
}

impl Remains {
    /// The machine's disk, which stays its own, after a power cut: what was synced, and some of the
    /// rest.
    pub(super) fn lose(self) {
        self.disk.power_on();
    }
}

/// A node's host.
pub(super) fn name(id: u64) -> String {
    format!("n{id}")
}

/// Where a node is reached.
pub(super) fn address(id: u64, port: u16) -> String {
    format!("n{id}:{port}")
}
