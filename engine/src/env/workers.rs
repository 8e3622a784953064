//! Long work, cut into steps: threads in production, the simulator's choice in tests.
//!
//! A [`Job`] is a small state machine. Production gives each its own named thread, which steps
//! it until it is idle and then parks until it is woken. The simulator has no thread at all: it
//! picks a job by seed and steps it between other events.
//!
//! Whoever must wait for a job's effect loops over [`Workers::help`]: stepped workers run a
//! step and answer `true`; threads answer `false`, and the caller waits on its condition variable,
//! unless nobody steps the job just now: [`JobHandle::step_here`] then saves two changes of threads.
//!
//! # Invariants
//! - A job is stepped by one thread at a time, and never again after [`Step::Done`].
//! - A wake between two steps is never lost.

mod stepped;
mod thread;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

pub use stepped::SteppedWorkers;
pub use thread::{ThreadWorkers, be_patient};

/// What a step left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More work is ready now.
    Again,
    /// Nothing to do until woken.
    Idle,
    /// Nothing to do until woken or until this much time has passed.
    IdleFor(Duration),
    /// Finished for ever.
    Done,
}

/// Work that outlives a request: flush, compaction, checkpoint, the log writer.
pub trait Job: Send {
    /// Does a bounded piece of work.
    fn step(&mut self) -> Step;

    /// Told before the next step if the time of [`Step::IdleFor`] has passed and nobody woke it.
    fn rested(&mut self) {}

    /// Whether nobody waits for it, so that requests should have the processors first.
    fn is_patient(&self) -> bool {
        false
    }
}

/// Where jobs run.
pub trait Workers: Debug + Send + Sync {
    /// Runs `job` until it is [`Step::Done`]; `name` is its thread's.
    fn spawn(&self, name: &str, job: Box<dyn Job>) -> JobHandle;

    /// Steps some ready job on the caller's thread; `false` where threads do the work
    /// or no job is ready.
    fn help(&self) -> bool;

    /// Whether there is no other thread than the caller's: long work is then done there and then.
    fn is_threadless(&self) -> bool {
        false
    }
}

/// The owner's side of a running job.
#[derive(Clone)]
pub struct JobHandle {
    control: Arc<dyn JobControl>,
}

/// What a [`Workers`] implementation provides behind a [`JobHandle`].
pub trait JobControl: Send + Sync {
    /// Makes an idle job step again.
    fn wake(&self);

    /// Waits until the job is done; the owner has told it to stop before.
    fn join(&self);

    /// See [`JobHandle::step_here`].
    fn step_here(&self) -> Option<Step> {
        None
    }
}

impl JobHandle {
    /// Wraps an implementation's control.
    pub fn new(control: Arc<dyn JobControl>) -> Self {
        Self { control }
    }

    /// Makes an idle job step again; never lost, never blocks.
    pub fn wake(&self) {
        self.control.wake();
    }

    /// Steps the job on the caller's thread, if it is not being stepped: for whoever would wait for
    /// the step. What the job calls back runs there, too. `None` if somebody else steps it, or it is
    /// stepped nowhere but in [`Workers::help`]. After [`Step::Again`] the caller goes on, or wakes
    /// it; its thread sees to the rest.
    pub fn step_here(&self) -> Option<Step> {
        self.control.step_here()
    }

    /// Waits until the job is [`Step::Done`]; tell it to stop first.
    pub fn join(&self) {
        self.control.join();
    }
}

impl Debug for JobHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobHandle").finish_non_exhaustive()
    }
}
