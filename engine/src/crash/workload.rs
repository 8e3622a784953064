//! What is crashed: a part of the engine, told by a seed what to do.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::clock::ManualClock;
use crate::env::rng::SeededRng;
use crate::env::vfs::sim::SimVfs;
use crate::env::workers::SteppedWorkers;
use crate::env::{Env, Rng};

/// One kind of workload and its idea of what a disk must hold.
pub(crate) trait Workload: Sized + 'static {
    /// How it is called in reports.
    const NAME: &'static str;

    /// What has happened: something was asked, acknowledged, found.
    type Event: Send + 'static;

    /// What must and what may be found after a power cut.
    type Promise: Clone + Default;

    /// Takes in what happened.
    fn take_in(promise: &mut Self::Promise, event: &Self::Event);

    /// Does what the world's seed says, from an empty disk on.
    fn play(world: &World<Self>);

    /// Opens what a power cut left and compares it with the promise; if it is to go on, it then
    /// notes what it found and works some more.
    ///
    /// # Errors
    /// What is missing, or there though nobody asked for it.
    fn recover(world: &World<Self>, promise: &Self::Promise, go_on: bool) -> Result<(), String>;
}

/// A disk, choices, and what has happened so far.
pub(crate) struct World<W: Workload> {
    pub(crate) disk: SimVfs,
    /// Decides what the workload does.
    pub(crate) rng: SeededRng,
    events: Arc<Mutex<Events<W>>>,
}

/// Each event, and how many calls had reached the disk by then.
type Events<W> = Vec<(u64, <W as Workload>::Event)>;

impl<W: Workload> World<W> {
    pub(super) fn new(disk: SimVfs, seed: u64) -> Self {
        Self {
            disk,
            rng: SeededRng::new(seed),
            events: Arc::default(),
        }
    }

    /// Remembers what happened, and when.
    pub(crate) fn note(&self, event: W::Event) {
        let at = self.disk.io_count();
        self.events.lock().push((at, event));
    }

    /// Remembers what happens later, from whichever thread.
    pub(crate) fn notes(&self) -> impl Fn(W::Event) + Send + use<W> {
        let (disk, events) = (self.disk.clone(), Arc::clone(&self.events));
        move |event| events.lock().push((disk.io_count(), event))
    }

    /// What is promised now, if `before` was promised in the beginning.
    pub(crate) fn promise(&self, mut before: W::Promise) -> W::Promise {
        for (_, event) in &*self.events.lock() {
            W::take_in(&mut before, event);
        }
        before
    }

    /// A number below a bound.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    /// One of several.
    pub(crate) fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.rng.index(choices.len())]
    }

    pub(super) fn into_events(self) -> Events<W> {
        std::mem::take(&mut self.events.lock())
    }
}

/// A process: its jobs end with it, its disk does not.
pub(crate) struct Process {
    pub(crate) env: Env,
    /// Stands still until it is told to move.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) workers: SteppedWorkers,
}

impl Process {
    pub(crate) fn start<W: Workload>(world: &World<W>) -> Self {
        let seed = world.rng.next_u64();
        let workers = SteppedWorkers::new(seed);
        let clock = Arc::new(ManualClock::new(1_000));
        let env = Env {
            clock: clock.clone(),
            rng: Arc::new(SeededRng::new(seed)),
            vfs: Arc::new(world.disk.clone()),
            workers: Arc::new(workers.clone()),
        };
        Self {
            env,
            clock,
            workers,
        }
    }
}

impl Drop for Process {
    /// Without notice, as a kill would.
    fn drop(&mut self) {
        self.workers.abandon();
    }
}
