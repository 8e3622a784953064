//! Production's workers: one named thread for each job.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::process::{getpriority_process, setpriority_process};

use super::{Job, JobControl, JobHandle, Step, Workers};

/// A third of the weight of a thread that serves requests, when both want one processor.
const PATIENT_NICENESS: i32 = 5;

/// The smallest share that there is.
const NICENESS_MAX: i32 = 19;

/// Runs each job on a thread of its own, or on that of whoever waits for it.
///
/// A job that panics is logged at ERROR and is done: its owner's `join` returns. What the job
/// kept must notice by itself (a drop guard that poisons it).
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadWorkers;

impl ThreadWorkers {
    /// Workers without threads yet.
    pub fn new() -> Self {
        Self
    }
}

impl Workers for ThreadWorkers {
    /// # Panics
    /// If the system refuses another thread: the engine cannot work with a job missing.
    fn spawn(&self, name: &str, job: Box<dyn Job>) -> JobHandle {
        let bench = Arc::new(Bench {
            is_patient: job.is_patient(),
            job: Mutex::new(Some(job)),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let its_bench = Arc::clone(&bench);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || its_bench.run())
            .expect("the system grants one more thread");
        JobHandle::new(bench)
    }

    fn help(&self) -> bool {
        false
    }
}

/// Gives the calling thread a smaller share of the processors, for the rest of its life.
pub fn be_patient() {
    // Of the thread alone: Linux keeps a niceness for each.
    let patient = getpriority_process(None)
        .and_then(|usual| setpriority_process(None, (usual + PATIENT_NICENESS).min(NICENESS_MAX)));
    if let Err(error) = patient {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

/// What a piece of a job answers; `None` if it panicked.
fn caught<A>(piece: impl FnOnce() -> A) -> Option<A> {
    let outcome = catch_unwind(AssertUnwindSafe(piece));
    if let Err(panic) = &outcome {
        let message = panic_message(panic.as_ref());
        let thread = thread::current();
        tracing::error!(job = thread.name(), panic = message, "job panicked");
    }
    outcome.ok()
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(message) = panic.downcast_ref::<&str>() {
        message
    } else if let Some(message) = panic.downcast_ref::<String>() {
        message
    } else {
        "a value that is no text"
    }
}

/// Where a job is stepped, by its own thread or by whoever waits for it.
struct Bench {
    /// Held during a step; empty once the job is done.
    job: Mutex<Option<Box<dyn Job>>>,
    is_patient: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    woken: bool,
    done: bool,
    /// Who steps the job.
    stepped_by: Option<ThreadId>,
    sleep: Sleep,
}

/// What the job's own thread does.
#[derive(Clone, Copy, Default)]
enum Sleep {
    /// It steps, or it will before it sleeps.
    #[default]
    No,
    For(Duration),
    UntilWoken,
}

impl Bench {
    /// What the job's own thread does.
    fn run(&self) {
        if self.is_patient {
            be_patient();
        }
        let mut step = self.step_again();
        loop {
            let limit = match step {
                Step::Done => break,
                Step::Again => {
                    step = self.step_again();
                    continue;
                }
                Step::Idle => None,
                Step::IdleFor(limit) => Some(limit),
            };
            let rested = self.sleep(limit);
            if !rested {
                step = self.step_again();
            } else if let Some(mut job) = self.job.try_lock() {
                step = self.step(&mut job, true);
            }
            // Else somebody else steps it, and sees to it that the thread sleeps no longer than it
            // may.
        }
        // The job was dropped before: whatever it owned is gone before `join` returns.
        self.state.lock().done = true;
        self.changed.notify_all();
    }

    /// Steps the job on its own thread.
    fn step_again(&self) -> Step {
        let mut job = self.job.lock();
        // Cleared before the step: a wake from here on may concern what this step does not see.
        self.state.lock().woken = false;
        self.step(&mut job, false)
    }

    /// Steps the job. However that ends it, it is dropped here.
    fn step(&self, job: &mut Option<Box<dyn Job>>, rested: bool) -> Step {
        let Some(stepped) = job else {
            return Step::Done;
        };
        self.state.lock().stepped_by = Some(thread::current().id());
        let step = caught(|| {
            if rested {
                stepped.rested();
            }
            stepped.step()
        });
        let step = step.unwrap_or(Step::Done);
        if step == Step::Done {
            caught(|| drop(job.take()));
        }
        self.state.lock().stepped_by = None;
        step
    }

    /// Sleeps until woken, or for some time; whether that time has passed undisturbed.
    fn sleep(&self, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        let mut rested = false;
        if !state.woken {
            if let Some(limit) = limit {
                state.sleep = Sleep::For(limit);
                // A spurious wake-up only makes the job look around early.
                let waited = self.changed.wait_for(&mut state, limit);
                rested = waited.timed_out() && !state.woken;
            } else {
                state.sleep = Sleep::UntilWoken;
                while !state.woken {
                    self.changed.wait(&mut state);
                }
            }
        }
        state.sleep = Sleep::No;
        rested
    }

    /// Sees to it that the job's own thread does not sleep longer than for `limit`.
    fn sleep_at_most(&self, limit: Duration) {
        // A sleep that has begun ends before one of the same length that begins now.
        let sleeps = self.state.lock().sleep;
        if !matches!(sleeps, Sleep::For(begun) if begun <= limit) {
            self.wake();
        }
    }
}

impl JobControl for Bench {
    fn wake(&self) {
        self.state.lock().woken = true;
        self.changed.notify_all();
    }

    fn join(&self) {
        let mut state = self.state.lock();
        // A job that drops the last handle of its own owner must not wait for itself.
        if state.stepped_by == Some(thread::current().id()) {
            return;
        }
        while !state.done {
            self.changed.wait(&mut state);
        }
    }

    fn step_here(&self) -> Option<Step> {
        let mut job = self.job.try_lock()?;
        let step = self.step(&mut job, false);
        drop(job);
        match step {
            Step::Again | Step::Idle => {}
            Step::IdleFor(limit) => self.sleep_at_most(limit),
            // The thread ends.
            Step::Done => self.wake(),
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    struct FromFn<F>(F);

    impl<F: FnMut() -> Step + Send> Job for FromFn<F> {
        fn step(&mut self) -> Step {
            (self.0)()
        }
    }

    fn spawn(step: impl FnMut() -> Step + Send + 'static) -> JobHandle {
        ThreadWorkers::new().spawn("test-job", Box::new(FromFn(step)))
    }

    #[test]
    fn no_wake_is_lost() {
        // The owner publishes a number and wakes; the job answers each number it has seen. A
        // lost wake would leave the owner waiting for an answer for ever.
        let published = Arc::new(AtomicU64::new(0));
        let (answers, answered) = mpsc::channel();
        let (seen, mut last) = (Arc::clone(&published), 0);
        let handle = spawn(move || match seen.load(Ordering::Acquire) {
            u64::MAX => Step::Done,
            number if number == last => Step::Idle,
            number => {
                last = number;
                answers.send(number).expect("the test listens");
                Step::Idle
            }
        });
        for number in 1..=20_000 {
            published.store(number, Ordering::Release);
            handle.wake();
            assert_eq!(answered.recv().expect("the job answers"), number);
        }
        published.store(u64::MAX, Ordering::Release);
        handle.wake();
        handle.join();
    }

    #[test]
    fn a_job_is_told_of_a_rest_that_nobody_disturbed() {
        struct Rests(u64, bool, mpsc::Sender<bool>);
        impl Job for Rests {
            fn rested(&mut self) {
                self.1 = true;
            }

            fn step(&mut self) -> Step {
                let rested = std::mem::take(&mut self.1);
                self.2.send(rested).expect("the test listens");
                self.0 += 1;
                match self.0 {
                    1 => Step::IdleFor(Duration::from_hours(1)),
                    2 => Step::IdleFor(Duration::from_millis(1)),
                    _ => Step::Done,
                }
            }
        }
        let (answers, answered) = mpsc::channel();
        let handle = ThreadWorkers::new().spawn("test-job", Box::new(Rests(0, false, answers)));
        let rested = || answered.recv().expect("the job answers");
        assert!(!rested());
        handle.wake();
        assert!(!rested());
        assert!(rested());
        handle.join();
    }

    #[test]
    fn only_the_thread_of_a_patient_job_has_a_smaller_share() {
        struct Asks(bool, mpsc::Sender<i32>);
        impl Job for Asks {
            fn is_patient(&self) -> bool {
                self.0
            }

            fn step(&mut self) -> Step {
                let niceness = getpriority_process(None);
                let niceness = niceness.expect("a thread may ask for its own");
                self.1.send(niceness).expect("the test listens");
                Step::Done
            }
        }
        let niceness = |patient| {
            let (answers, answered) = mpsc::channel();
            let job = Box::new(Asks(patient, answers));
            ThreadWorkers::new().spawn("test-job", job).join();
            answered.recv().expect("the job answers")
        };
        let usual = niceness(false);
        assert_eq!(niceness(true), (usual + PATIENT_NICENESS).min(NICENESS_MAX));
        assert_eq!(niceness(false), usual);
    }

    #[test]
    fn join_waits_for_done_and_for_the_drop_of_the_job() {
        struct CountsItsDrop(Arc<AtomicU64>, u64);
        impl Job for CountsItsDrop {
            fn step(&mut self) -> Step {
                self.1 += 1;
                if self.1 == 1_000 {
                    Step::Done
                } else {
                    Step::Again
                }
            }
        }
        impl Drop for CountsItsDrop {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::Release);
            }
        }
        let steps_at_drop = Arc::new(AtomicU64::new(0));
        let job = CountsItsDrop(Arc::clone(&steps_at_drop), 0);
        let handle = ThreadWorkers::new().spawn("test-job", Box::new(job));
        handle.join();
        assert_eq!(steps_at_drop.load(Ordering::Acquire), 1_000);
        handle.join();
    }

    #[test]
    fn idle_for_steps_again_without_a_wake() {
        let mut steps = 0;
        let handle = spawn(move || {
            steps += 1;
            if steps == 3 {
                Step::Done
            } else {
                Step::IdleFor(Duration::from_millis(1))
            }
        });
        handle.join();
    }

    #[test]
    fn a_wake_ends_idle_for() {
        let (entered, enters) = mpsc::channel();
        let mut steps = 0;
        let handle = spawn(move || {
            steps += 1;
            entered.send(()).expect("the test listens");
            if steps == 2 {
                Step::Done
            } else {
                Step::IdleFor(Duration::from_hours(1))
            }
        });
        enters.recv().expect("the first step runs");
        handle.wake();
        handle.join();
    }

    #[test]
    fn whoever_waits_steps_an_idle_job_and_its_thread_sees_to_the_rest() {
        // Each step answers where it ran; the thread's own come when the time has passed.
        let (answers, answered) = mpsc::channel();
        let mut steps = 0;
        let handle = spawn(move || {
            steps += 1;
            answers
                .send(thread::current().id())
                .expect("the test listens");
            match steps {
                1 => Step::Idle,
                2 => Step::IdleFor(Duration::from_millis(1)),
                3 => Step::IdleFor(Duration::from_hours(1)),
                _ => Step::Done,
            }
        });
        let here = thread::current().id();
        let stepped = || answered.recv().expect("the job answers");
        assert_ne!(stepped(), here);
        let step_here = || loop {
            // It may not have gone to sleep yet.
            if let Some(step) = handle.step_here() {
                return step;
            }
        };
        assert_eq!(step_here(), Step::IdleFor(Duration::from_millis(1)));
        assert_eq!(stepped(), here);
        assert_ne!(stepped(), here);
        assert_eq!(step_here(), Step::Done);
        assert_eq!(stepped(), here);
        handle.join();
        assert_eq!(handle.step_here(), Some(Step::Done));
    }

    #[test]
    fn nobody_steps_a_job_that_is_being_stepped() {
        let (entered, enters) = mpsc::channel();
        let (leave, leaves) = mpsc::channel();
        let handle = spawn(move || {
            entered.send(()).expect("the test listens");
            leaves.recv().expect("the test sends");
            Step::Done
        });
        enters.recv().expect("the step begins");
        assert_eq!(handle.step_here(), None);
        leave.send(()).expect("the job listens");
        handle.join();
    }

    #[test]
    fn a_job_that_panics_where_somebody_waits_is_done() {
        let mut steps = 0;
        let (entered, enters) = mpsc::channel();
        let handle = spawn(move || {
            steps += 1;
            entered.send(()).expect("the test listens");
            assert!(steps == 1, "a broken job");
            Step::Idle
        });
        enters.recv().expect("the first step runs");
        while handle.step_here().is_none() {}
        handle.join();
    }

    #[test]
    fn a_panic_ends_the_job_and_join_returns() {
        let handle = spawn(|| panic!("a broken job"));
        handle.join();
    }

    #[test]
    fn a_job_may_join_itself() {
        let (sender, handle_for_job) = mpsc::channel::<JobHandle>();
        let handle = spawn(move || {
            handle_for_job
                .recv()
                .expect("the test sends the handle")
                .join();
            Step::Done
        });
        sender.send(handle.clone()).expect("the job listens");
        handle.join();
    }
}
