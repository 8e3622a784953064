//! One world from its first tick to the verdict.
//!
//! ```text
//! begin ─► faults, while clients work ─► heal ─► a write that began after it is acknowledged
//!   ─► clients stop ─► all members have applied the same entries and are in the same state
//!   ─► everything is read ─► checkers
//! ```

use std::collections::BTreeMap;

use super::fault::Planned;
use super::invariant::{self, Invariant, Seen, SeenNode};
use super::population::Stage;
use super::report::Report;
use super::swarm::Swarm;
use super::trace::Trace;
use super::world::World;
use crate::checker;
use crate::history::{History, Op, Phase};

/// How long the cluster may take to serve for the first time.
const BEGIN_MS_MAX: u64 = 60_000;

/// From the end of the faults to the first write that began after it. Connections that were cut
/// without a word are noticed after eight seconds, some calls end only then.
const HEAL_MS_MAX: u64 = 30_000;

/// How long clients may take to end their last calls.
const STOP_MS_MAX: u64 = 30_000;

/// From there to equal states.
const AGREE_MS_MAX: u64 = 60_000;

/// How long reading everything may take.
const READ_MS_MAX: u64 = 60_000;

/// Violations of one checker that are told.
const VIOLATIONS_MAX: usize = 20;

/// A simulated second, in ticks: some questions cost too much for each tick.
const SECOND: u64 = 1_000;

/// A world that has ended.
#[derive(Clone, Debug)]
pub struct Played {
    /// What came of it.
    pub report: Report,
    /// What clients asked and heard.
    pub history: History,
}

/// Plays the world of `swarm`; what happens goes to `trace`.
pub fn play(swarm: &Swarm, trace: &Trace) -> Played {
    let mut play = Play {
        world: World::new(swarm.clone(), trace),
        invariants: invariant::all(),
        trace: trace.clone(),
        majority: usize::try_from(swarm.nodes / 2 + 1).unwrap_or(usize::MAX),
        heard: 0,
        ticks: 0,
        terms: BTreeMap::new(),
        history: History::default(),
    };
    let violations = match play.all(&swarm.schedule) {
        Ok(violations) => violations,
        Err(violation) => vec![violation],
    };
    let mut figures = play.world.figures;
    figures.simulated_ms = play.world.now_ms();
    figures.events = trace.events();
    figures.elections = play.terms.len() as u64;
    figures.changes = play.world.orders.done();
    let mut history = play.history;
    if history.ops.is_empty()
        && let Some(recorder) = play.world.progress.recorder()
    {
        // The world was bad before the clients had stopped.
        history = recorder.history();
    }
    Played {
        report: Report {
            seed: swarm.seed,
            trace_hash: format!("{:016x}", trace.hash()),
            violations,
            figures,
            points: play.world.visits(),
        },
        history,
    }
}

struct Play {
    world: World,
    invariants: Vec<Box<dyn Invariant>>,
    trace: Trace,
    majority: usize,
    /// How many lines of the history were looked at.
    heard: usize,
    ticks: u64,
    /// Terms in which somebody led.
    terms: BTreeMap<u64, u64>,
    /// What clients asked and heard, and what is left, once they have stopped.
    history: History,
}

impl Play {
    fn all(&mut self, schedule: &[Planned]) -> Result<Vec<String>, String> {
        self.until("clients begin", BEGIN_MS_MAX, |play, _| {
            play.world.progress.recorder().is_some()
        })?;
        self.faults(schedule)?;
        self.world.heal();
        self.healed()?;
        self.world.progress.tell(Stage::Stop);
        let mut history = None;
        self.until("clients end their last calls", STOP_MS_MAX, |play, _| {
            history = play.world.progress.take_history();
            history.is_some()
        })?;
        self.history = history.unwrap_or_default();
        self.agreed()?;
        self.judge()
    }

    fn faults(&mut self, schedule: &[Planned]) -> Result<(), String> {
        let began_ms = self.world.now_ms();
        for planned in schedule {
            while self.world.now_ms() < began_ms + planned.at_ms {
                self.tick()?;
            }
            self.world.begin(planned);
        }
        // The last fault has its time too.
        for _ in 0..SECOND {
            self.tick()?;
        }
        Ok(())
    }

    fn healed(&mut self) -> Result<(), String> {
        let healed_ms = self.world.now_ms();
        let mut begun = BTreeMap::new();
        self.until("a fresh write is acknowledged", HEAL_MS_MAX, |_, ops| {
            ops.iter().any(|op| match op.phase {
                Phase::Invoke => {
                    begun.insert(op.process, op.act.clone());
                    false
                }
                Phase::Ok => begun.remove(&op.process).is_some_and(|act| act.is_write()),
                Phase::Fail | Phase::Info => false,
            })
        })?;
        self.world.figures.healed_in_ms = self.world.now_ms() - healed_ms;
        Ok(())
    }

    fn agreed(&mut self) -> Result<(), String> {
        let stopped_ms = self.world.now_ms();
        self.until(
            "orders are carried out and all members are in one state",
            AGREE_MS_MAX,
            |play, _| {
                play.ticks.is_multiple_of(100)
                    && play.world.orders.is_idle()
                    && !play.world.has_old_node()
                    && agree(&play.world.nodes(), &play.world.members())
            },
        )?;
        self.world.figures.agreed_in_ms = self.world.now_ms() - stopped_ms;
        Ok(())
    }

    fn judge(&mut self) -> Result<Vec<String>, String> {
        self.world.progress.tell(Stage::Read);
        let mut state = None;
        self.until("everything is read", READ_MS_MAX, |play, _| {
            state = play.world.progress.take_state();
            state.is_some()
        })?;
        let state = state.unwrap_or_default();
        self.trace
            .note("state", "clients", format!("{state:?}").as_bytes());
        state.append_to(&mut self.history);
        let reports = checker::check(&self.history);
        let undecided = reports.iter().map(|report| report.undecided.len() as u64);
        self.world.figures.undecided = undecided.sum();
        let violations = reports.iter().flat_map(|report| {
            let told = report.violations.iter().take(VIOLATIONS_MAX);
            told.map(|violation| format!("{}: {violation}", report.checker))
        });
        Ok(violations.collect())
    }

    /// Ticks until `done`; `Err` after too long, or if something is wrong.
    fn until(
        &mut self,
        what: &str,
        ms_max: u64,
        mut done: impl FnMut(&mut Self, &[Op]) -> bool,
    ) -> Result<(), String> {
        let until_ms = self.world.now_ms() + ms_max;
        loop {
            let ops = self.tick()?;
            if done(self, &ops) {
                return Ok(());
            }
            if let Some(trouble) = self.world.progress.trouble() {
                return Err(format!("not live: until {what}: {trouble}"));
            }
            if self.world.now_ms() >= until_ms {
                let nodes = self.world.nodes();
                let stand: Vec<_> = nodes.iter().map(|node| (node.id, node.standing)).collect();
                return Err(format!(
                    "not live: {ms_max} ms were not enough until {what}; {stand:?}"
                ));
            }
        }
    }

    /// One millisecond; answers what clients asked and heard in it.
    fn tick(&mut self) -> Result<Vec<Op>, String> {
        self.world.tick()?;
        self.ticks += 1;
        let recorder = self.world.progress.recorder();
        let ops = recorder.map_or_else(Vec::new, |recorder| recorder.since(self.heard));
        self.heard += ops.len();
        for op in &ops {
            self.count(op);
            let line = serde_json::to_string(op).unwrap_or_default();
            self.trace.note("op", "clients", line.as_bytes());
        }
        self.world.spring(&ops);
        let nodes = self.world.nodes();
        for node in &nodes {
            self.note(node);
        }
        let seen = Seen {
            nodes: &nodes,
            ops: &ops,
            majority: self.majority,
            tick: self.ticks,
        };
        for invariant in &mut self.invariants {
            invariant.check(&seen).map_err(|wrong| {
                format!(
                    "{} (at {} ms): {wrong}",
                    invariant.name(),
                    self.world.now_ms()
                )
            })?;
        }
        Ok(ops)
    }

    fn count(&mut self, op: &Op) {
        let figures = &mut self.world.figures;
        match op.phase {
            Phase::Invoke => figures.ops += 1,
            Phase::Ok => figures.ok += 1,
            Phase::Fail => figures.fail += 1,
            Phase::Info => figures.unknown += 1,
        }
    }

    /// Each new state is part of the story.
    fn note(&mut self, node: &SeenNode) {
        let standing = &node.standing;
        if standing.leads {
            self.terms.insert(standing.term.0, node.id);
        }
        if self.ticks.is_multiple_of(100) {
            let text = format!("{:?} {:016x}", standing.applied, standing.digest);
            let who = node.id.to_string();
            self.trace.note("state", &who, text.as_bytes());
        }
    }
}

/// Whether all members serve, have applied the same, and nothing is left to apply.
fn agree(nodes: &[SeenNode], members: &[u64]) -> bool {
    let Some(leader) = nodes
        .iter()
        .filter(|node| node.standing.leads)
        .max_by_key(|node| node.standing.term)
    else {
        return false;
    };
    let wanted = (leader.standing.last, leader.standing.digest);
    let is_there = |id: &u64| {
        nodes
            .iter()
            .any(|node| node.id == *id && (node.standing.applied, node.standing.digest) == wanted)
    };
    !members.is_empty() && members.iter().all(is_there)
}
