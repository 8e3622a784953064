//! Cuts the power before every call of one workload, and before those of some recoveries.

use std::collections::BTreeSet;
use std::fmt;

use super::workload::{Workload, World};
use crate::env::Rng;
use crate::env::rng::SeededRng;
use crate::env::vfs::sim::{Moment, SimVfs};

/// How often the power is cut at one moment of a workload, if anything changed since the last.
const CUTS: usize = 16;

/// One of so many recoveries of a workload's power cuts goes on and is cut itself…
const NESTED_ONE_IN: u64 = 96;

/// …and one of so many of those that follow, once more.
const NESTED_TWICE_ONE_IN: u64 = 192;

const POWER_CUT: &str = "power cut";

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) workloads: u64,
    /// Calls of workloads before which the power was cut.
    pub(super) calls: u64,
    /// Different disks or promises after a power cut in a workload.
    pub(super) states: u64,
    /// The same after a power cut in a recovery.
    pub(super) nested: u64,
}

/// Plays the workload of a seed, and recovers from its power cuts.
///
/// # Panics
/// If a recovery fails or finds what it must not; the seed and the cuts are printed then.
pub(super) fn explore<W: Workload>(seed: u64, tally: &mut Tally) {
    let mut trail = Trail {
        name: W::NAME,
        seed,
        number: 0,
        cuts: Vec::new(),
    };
    let disk = SimVfs::new(seed);
    disk.record();
    let world = World::<W>::new(disk.clone(), seed);
    W::play(&world);
    let mut story = Story::new(world, W::Promise::default());
    let rng = SeededRng::new(seed ^ CUTTING);
    for moment in disk.recorded() {
        let cuts = if story.advance(&moment) { CUTS } else { 1 };
        for _ in 0..cuts {
            if let Some(cut) = story.cut(&moment, rng.next_u64()) {
                visit::<W>(cut, &story.promise, &rng, &mut trail, tally);
            }
        }
        if cuts == CUTS && rng.below(KILL_ONE_IN) == 0 {
            let kill = Cut {
                disk: moment.killed(rng.next_u64()),
                kind: "process killed",
                io_count: moment.io_count(),
                seed: rng.next_u64(),
            };
            visit::<W>(kill, &story.promise, &rng, &mut trail, tally);
        }
        tally.calls += 1;
    }
    tally.workloads += 1;
}

/// At one of so many moments the process alone ends, and the power is cut while it recovers.
const KILL_ONE_IN: u64 = 12;

/// Keeps these choices apart from those of the workload.
const CUTTING: u64 = 0x4355_5453;

/// The end of a process, and what it left.
struct Cut {
    disk: SimVfs,
    kind: &'static str,
    io_count: u64,
    seed: u64,
}

/// Recovers from one power cut, and perhaps from power cuts during that.
fn visit<W: Workload>(
    cut: Cut,
    promise: &W::Promise,
    rng: &SeededRng,
    trail: &mut Trail,
    tally: &mut Tally,
) {
    let goes_on = match trail.cuts.len() {
        0 => {
            tally.states += 1;
            cut.kind != POWER_CUT || rng.below(NESTED_ONE_IN) == 0
        }
        depth => {
            tally.nested += 1;
            depth == 1 && rng.below(NESTED_TWICE_ONE_IN) == 0
        }
    };
    trail.number = tally.states + tally.nested;
    trail.cuts.push((cut.kind, cut.io_count, cut.seed));
    if goes_on {
        cut.disk.record();
    }
    let world = World::<W>::new(cut.disk.clone(), cut.seed);
    if let Err(violation) = W::recover(&world, promise, goes_on) {
        panic!("{violation}");
    }
    if goes_on {
        let mut story = Story::new(world, promise.clone());
        for moment in cut.disk.recorded() {
            story.advance(&moment);
            if let Some(cut) = story.cut(&moment, rng.next_u64()) {
                visit::<W>(cut, &story.promise, rng, trail, tally);
            }
        }
    }
    trail.cuts.pop();
}

/// A promise that follows the moments of a recording.
struct Story<W: Workload> {
    promise: W::Promise,
    events: std::iter::Peekable<std::vec::IntoIter<(u64, W::Event)>>,
    version: Option<u64>,
    /// What was lost in the power cuts since disk or promise changed.
    losses: BTreeSet<u64>,
}

impl<W: Workload> Story<W> {
    fn new(world: World<W>, promise: W::Promise) -> Self {
        Self {
            promise,
            events: world.into_events().into_iter().peekable(),
            version: None,
            losses: BTreeSet::new(),
        }
    }

    /// Goes on to a moment; whether anything has changed since the last.
    fn advance(&mut self, moment: &Moment) -> bool {
        let mut changed = self.version.replace(moment.version()) != Some(moment.version());
        while let Some((_, event)) = self.events.next_if(|(at, _)| *at <= moment.io_count()) {
            W::take_in(&mut self.promise, &event);
            changed = true;
        }
        if changed {
            self.losses.clear();
        }
        changed
    }

    /// Cuts the power, unless the same was lost at the same disk and promise before.
    fn cut(&mut self, moment: &Moment, seed: u64) -> Option<Cut> {
        let crashed = moment.crashed(seed);
        self.losses.insert(crashed.losses).then(|| Cut {
            disk: crashed.disk,
            kind: POWER_CUT,
            io_count: moment.io_count(),
            seed,
        })
    }
}

/// Where the explorer is; told when it panics there.
struct Trail {
    name: &'static str,
    seed: u64,
    /// Which crash state of the run it is.
    number: u64,
    cuts: Vec<(&'static str, u64, u64)>,
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crash state {}, ", self.number)?;
        write!(f, "{} workload, seed {}", self.name, self.seed)?;
        for (kind, call, seed) in &self.cuts {
            write!(f, ", {kind} after call {call} ({seed:#x})")?;
        }
        Ok(())
    }
}

impl Drop for Trail {
    #[expect(clippy::print_stderr, reason = "a seed that found something is told")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self}; ENGINE_CRASH_SEED={} repeats it", self.seed);
        }
    }
}
