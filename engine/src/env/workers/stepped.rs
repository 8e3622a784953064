//! The simulator's workers: no thread, jobs run when somebody helps.
//!
//! # Which job is next
//! 1. [`Workers::help`] chooses by seed among the ready jobs: those that are new, woken, or
//!    answered [`Step::Again`].
//! 2. If none is ready, the sleeper ([`Step::IdleFor`]) that is due first is stepped, as if its
//!    time had passed. Each sleeper gets one such turn in a round.
//! 3. If every sleeper had its turn, `help` answers `false` and a new round begins.
//!
//! So `while workers.help() {}` ends, and whoever loops over `help` until something is done is
//! not stuck behind a timer.
//!
//! # Invariants
//! - No lock is held while a job is stepped or dropped: jobs may wake, spawn and help.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Job, JobControl, JobHandle, Step, Workers};
use crate::env::rng::SeededRng;

/// Steps jobs on the caller's thread, in an order decided by a seed.
///
/// A panic in a job goes through to whoever helped; the job is done then.
#[derive(Clone)]
pub struct SteppedWorkers {
    jobs: Arc<Jobs>,
}

impl SteppedWorkers {
    /// Workers without jobs; `seed` decides every later choice.
    pub fn new(seed: u64) -> Self {
        Self {
            jobs: Arc::new(Jobs {
                rng: SeededRng::new(seed ^ STEPPING),
                table: Mutex::default(),
                returned: Condvar::new(),
                on_ready: Mutex::default(),
            }),
        }
    }

    /// Steps ready jobs until none is ready; sleepers sleep on.
    pub fn run_until_idle(&self) {
        while self.step_ready() {}
    }

    /// Steps one ready job, chosen by seed; `false` if none is ready. Sleepers sleep on.
    pub fn step_ready(&self) -> bool {
        self.jobs.step_ready()
    }

    /// How long until the first sleeper is due, on the sleepers' own clock; `None` if none sleeps.
    pub fn next_due(&self) -> Option<Duration> {
        let table = self.jobs.table.lock();
        let due = table
            .entries
            .values()
            .filter_map(|entry| entry.sleeps_until);
        due.min().map(|due| due.saturating_sub(table.now))
    }

    /// Calls back whenever a job becomes ready: it is new, or it is woken. For whoever drives the
    /// jobs by a clock of its own; the listener must not step them itself.
    pub fn on_ready(&self, listener: Box<dyn Fn() + Send + Sync>) {
        *self.jobs.on_ready.lock() = Some(listener);
    }

    /// Lets time pass for sleepers: those due by then become ready.
    pub fn advance(&self, by: Duration) {
        let mut table = self.jobs.table.lock();
        table.now = table.now.saturating_add(by);
        let now = table.now;
        for entry in table.entries.values_mut() {
            if entry.sleeps_until.is_some_and(|due| due <= now) {
                entry.ready = true;
            }
        }
    }

    /// How many jobs are not done.
    pub fn job_count(&self) -> usize {
        self.jobs.table.lock().entries.len()
    }

    /// Drops every job where it stands, as the end of the process would.
    pub fn abandon(&self) {
        let entries = std::mem::take(&mut self.jobs.table.lock().entries);
        drop(entries);
        self.jobs.returned.notify_all();
    }
}

impl Workers for SteppedWorkers {
    fn spawn(&self, name: &str, job: Box<dyn Job>) -> JobHandle {
        let mut table = self.jobs.table.lock();
        let id = table.next_id;
        table.next_id += 1;
        let entry = Entry {
            name: name.to_owned(),
            job: Some(job),
            stepped_by: None,
            ready: true,
            sleeps_until: None,
            had_turn: false,
        };
        table.entries.insert(id, entry);
        drop(table);
        self.jobs.tell_ready();
        JobHandle::new(Arc::new(SteppedJob {
            jobs: Arc::clone(&self.jobs),
            id,
        }))
    }

    fn help(&self) -> bool {
        self.jobs.step_ready() || self.jobs.step_sleeper()
    }

    fn is_threadless(&self) -> bool {
        true
    }
}

impl Debug for SteppedWorkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = self.jobs.table.lock();
        let names: Vec<&str> = table
            .entries
            .values()
            .map(|entry| entry.name.as_str())
            .collect();
        f.debug_struct("SteppedWorkers")
            .field("jobs", &names)
            .finish_non_exhaustive()
    }
}

type JobId = u64;

/// Keeps these choices apart from those that others draw from the same seed.
const STEPPING: u64 = 0x5354_4550;

struct Jobs {
    rng: SeededRng,
    table: Mutex<Table>,
    /// A job came back from a step, or is gone.
    returned: Condvar,
    on_ready: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<JobId, Entry>,
    next_id: JobId,
    /// The sleepers' own time: moves when one is stepped early, and by `advance`.
    now: Duration,
}

struct Entry {
    name: String,
    /// `None` while it is being stepped.
    job: Option<Box<dyn Job>>,
    stepped_by: Option<ThreadId>,
    ready: bool,
    sleeps_until: Option<Duration>,
    had_turn: bool,
}

impl Jobs {
    fn tell_ready(&self) {
        if let Some(listener) = &*self.on_ready.lock() {
            listener();
        }
    }

    /// Steps one ready job chosen by seed; `false` if there is none.
    fn step_ready(&self) -> bool {
        let chosen = {
            let table = self.table.lock();
            let ready: Vec<JobId> = table
                .entries
                .iter()
                .filter(|(_, entry)| entry.ready && entry.job.is_some())
                .map(|(id, _)| *id)
                .collect();
            if ready.is_empty() {
                // Without drawing a number: asking in vain changes no later choice.
                return false;
            }
            ready[self.rng.index(ready.len())]
        };
        self.step(chosen);
        true
    }

    /// Steps the sleeper due first that had no turn in this round; `false` ends the round.
    fn step_sleeper(&self) -> bool {
        let chosen = {
            let mut table = self.table.lock();
            let first = table
                .entries
                .iter()
                .filter(|(_, entry)| !entry.had_turn && entry.job.is_some())
                .filter_map(|(id, entry)| Some((entry.sleeps_until?, *id)))
                .min();
            let Some((due, id)) = first else {
                for entry in table.entries.values_mut() {
                    entry.had_turn = false;
                }
                return false;
            };
            table.now = table.now.max(due);
            if let Some(entry) = table.entries.get_mut(&id) {
                entry.had_turn = true;
            }
            id
        };
        self.step(chosen);
        true
    }

    /// Steps this job unless it is gone or being stepped; answers what the step said.
    fn step(&self, id: JobId) -> Option<Step> {
        let (mut job, rested) = {
            let mut table = self.table.lock();
            let now = table.now;
            let entry = table.entries.get_mut(&id)?;
            let job = entry.job.take()?;
            entry.stepped_by = Some(thread::current().id());
            // Cleared before the step: a wake during it may concern what it did not see.
            entry.ready = false;
            let due = entry.sleeps_until.take();
            (job, due.is_some_and(|due| due <= now))
        };
        let unwinding = GoneOnDrop { jobs: self, id };
        if rested {
            job.rested();
        }
        let step = job.step();
        if step == Step::Done {
            drop(job);
            drop(unwinding);
        } else {
            std::mem::forget(unwinding);
            self.put_back(id, job, step);
        }
        Some(step)
    }

    fn put_back(&self, id: JobId, job: Box<dyn Job>, step: Step) {
        let mut table = self.table.lock();
        let now = table.now;
        if let Some(entry) = table.entries.get_mut(&id) {
            entry.job = Some(job);
            entry.stepped_by = None;
            match step {
                Step::Again => entry.ready = true,
                Step::IdleFor(limit) => entry.sleeps_until = Some(now.saturating_add(limit)),
                Step::Idle | Step::Done => {}
            }
        } else {
            // Abandoned during its step. Its drop may reach for this lock.
            drop(table);
            drop(job);
        }
        self.returned.notify_all();
    }
}

/// Forgets a job that is done or panicked.
struct GoneOnDrop<'a> {
    jobs: &'a Jobs,
    id: JobId,
}

impl Drop for GoneOnDrop<'_> {
    fn drop(&mut self) {
        self.jobs.table.lock().entries.remove(&self.id);
        self.jobs.returned.notify_all();
    }
}

struct SteppedJob {
    jobs: Arc<Jobs>,
    id: JobId,
}

impl JobControl for SteppedJob {
    fn wake(&self) {
        if let Some(entry) = self.jobs.table.lock().entries.get_mut(&self.id) {
            entry.ready = true;
        }
        self.jobs.tell_ready();
    }

    /// Steps the job until it is done, and others when it waits for them.
    fn join(&self) {
        loop {
            match self.jobs.step(self.id) {
                Some(Step::Done) => return,
                Some(Step::Again) => {}
                Some(Step::Idle | Step::IdleFor(_)) => {
                    self.jobs.step_ready();
                }
                None => {
                    let mut table = self.jobs.table.lock();
                    let Some(entry) = table.entries.get(&self.id) else {
                        return;
                    };
                    // A job that joins itself, at whatever depth, must not wait for itself.
                    if entry.stepped_by == Some(thread::current().id()) {
                        return;
                    }
                    if entry.job.is_none() {
                        self.jobs.returned.wait(&mut table);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct FromFn<F>(F);

    impl<F: FnMut() -> Step + Send> Job for FromFn<F> {
        fn step(&mut self) -> Step {
            (self.0)()
        }
    }

    fn spawn(workers: &SteppedWorkers, step: impl FnMut() -> Step + Send + 'static) -> JobHandle {
        workers.spawn("test-job", Box::new(FromFn(step)))
    }

    fn counting(workers: &SteppedWorkers, answer: Step) -> (JobHandle, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        let handle = spawn(workers, move || {
            counter.fetch_add(1, Ordering::Relaxed);
            answer
        });
        (handle, count)
    }

    #[test]
    fn a_job_steps_once_and_again_after_each_wake() {
        let workers = SteppedWorkers::new(1);
        let (handle, count) = counting(&workers, Step::Idle);
        for expected in 1..=100 {
            assert!(workers.help());
            assert!(!workers.help(), "idle until woken");
            assert_eq!(count.load(Ordering::Relaxed), expected);
            handle.wake();
            handle.wake();
        }
    }

    #[test]
    fn a_wake_during_the_step_is_not_lost() {
        let workers = SteppedWorkers::new(1);
        let own: Arc<Mutex<Option<JobHandle>>> = Arc::default();
        let (inside, count) = (Arc::clone(&own), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&count);
        let handle = spawn(&workers, move || {
            if counter.fetch_add(1, Ordering::Relaxed) == 0
                && let Some(handle) = &*inside.lock()
            {
                handle.wake();
            }
            Step::Idle
        });
        *own.lock() = Some(handle);
        workers.run_until_idle();
        assert_eq!(count.load(Ordering::Relaxed), 2);
        own.lock().take();
    }

    #[test]
    fn sleepers_wait_for_the_others_and_get_one_turn_in_a_round() {
        let workers = SteppedWorkers::new(1);
        let (_busy, busy) = counting(&workers, Step::Idle);
        let (_sleeper, sleeper) = counting(&workers, Step::IdleFor(Duration::from_secs(5)));
        workers.run_until_idle();
        let counts = || {
            (
                busy.load(Ordering::Relaxed),
                sleeper.load(Ordering::Relaxed),
            )
        };
        assert_eq!(counts(), (1, 1));
        while workers.help() {}
        assert_eq!(counts(), (1, 2));
        while workers.help() {}
        assert_eq!(counts(), (1, 3));
    }

    #[test]
    fn advance_makes_only_due_sleepers_ready() {
        let workers = SteppedWorkers::new(1);
        let (_short, short) = counting(&workers, Step::IdleFor(Duration::from_secs(1)));
        let (_long, long) = counting(&workers, Step::IdleFor(Duration::from_secs(10)));
        workers.run_until_idle();
        workers.advance(Duration::from_secs(2));
        workers.run_until_idle();
        assert_eq!(
            (short.load(Ordering::Relaxed), long.load(Ordering::Relaxed)),
            (2, 1)
        );
    }

    #[test]
    fn a_driver_hears_of_every_new_and_every_woken_job_and_when_the_next_is_due() {
        let workers = SteppedWorkers::new(1);
        let heard = Arc::new(AtomicU64::new(0));
        let hears = Arc::clone(&heard);
        workers.on_ready(Box::new(move || {
            hears.fetch_add(1, Ordering::Relaxed);
        }));
        let (job, _count) = counting(&workers, Step::IdleFor(Duration::from_secs(2)));
        assert_eq!(
            (heard.load(Ordering::Relaxed), workers.next_due()),
            (1, None)
        );
        assert!(workers.step_ready() && !workers.step_ready());
        workers.advance(Duration::from_millis(500));
        assert_eq!(workers.next_due(), Some(Duration::from_millis(1_500)));
        job.wake();
        assert_eq!(heard.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn join_steps_until_done_and_helps_the_jobs_it_waits_for() {
        let workers = SteppedWorkers::new(3);
        let (stopped, left) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(50)));
        let (seen, remaining) = (Arc::clone(&stopped), Arc::clone(&left));
        let waiting = spawn(&workers, move || {
            if seen.load(Ordering::Relaxed) == 1 && remaining.load(Ordering::Relaxed) == 0 {
                Step::Done
            } else {
                Step::Idle
            }
        });
        let other = Arc::clone(&left);
        spawn(&workers, move || match other.load(Ordering::Relaxed) {
            0 => Step::Idle,
            some => {
                other.store(some - 1, Ordering::Relaxed);
                Step::Again
            }
        });
        stopped.store(1, Ordering::Relaxed);
        waiting.join();
        assert_eq!((left.load(Ordering::Relaxed), workers.job_count()), (0, 1));
        waiting.join();
    }

    #[test]
    fn the_seed_decides_the_order() {
        let order = |seed| {
            let workers = SteppedWorkers::new(seed);
            let log: Arc<Mutex<Vec<u64>>> = Arc::default();
            for job in 0..4 {
                let (log, mut steps) = (Arc::clone(&log), 0);
                spawn(&workers, move || {
                    log.lock().push(job);
                    steps += 1;
                    if steps == 8 { Step::Done } else { Step::Again }
                });
            }
            workers.run_until_idle();
            assert_eq!(workers.job_count(), 0);
            std::mem::take(&mut *log.lock())
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn a_panic_reaches_the_helper_and_ends_the_job() {
        let workers = SteppedWorkers::new(1);
        let handle = spawn(&workers, || panic!("a broken job"));
        let helping = std::panic::AssertUnwindSafe(|| workers.help());
        std::panic::catch_unwind(helping).expect_err("the job panics");
        assert_eq!(workers.job_count(), 0);
        handle.join();
    }

    #[test]
    fn a_job_may_join_itself() {
        let workers = SteppedWorkers::new(1);
        let own: Arc<Mutex<Option<JobHandle>>> = Arc::default();
        let inside = Arc::clone(&own);
        let handle = spawn(&workers, move || {
            inside.lock().take().expect("the handle is there").join();
            Step::Done
        });
        *own.lock() = Some(handle.clone());
        handle.join();
        assert_eq!(workers.job_count(), 0);
    }

    #[test]
    fn jobs_may_spawn_help_and_be_abandoned() {
        let workers = SteppedWorkers::new(1);
        let (inner, count) = (workers.clone(), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&count);
        spawn(&workers, move || {
            let (_child, steps) = counting(&inner, Step::Done);
            while inner.help() {}
            counter.fetch_add(steps.load(Ordering::Relaxed), Ordering::Relaxed);
            Step::Idle
        });
        workers.run_until_idle();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        workers.abandon();
        assert_eq!(workers.job_count(), 0);
        assert!(!workers.help());
    }
}
