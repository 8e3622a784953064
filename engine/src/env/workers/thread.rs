//! Production's workers: one named thread for each job.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, ThreadId};

use parking_lot::{Condvar, Mutex};
use rustix::process::{getpriority_process, setpriority_process};

use super::{Job, JobControl, JobHandle, Step, Workers};

/// A third of the weight of a thread that serves requests, when both want one processor.
const PATIENT_NICENESS: i32 = 5;

/// The smallest share that there is.
const NICENESS_MAX: i32 = 19;

/// Runs each job on a thread of its own.
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
        let parking = Arc::new(Parking::default());
        let its_parking = Arc::clone(&parking);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(job, &its_parking))
            .expect("the system grants one more thread");
        JobHandle::new(parking)
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

fn run(job: Box<dyn Job>, parking: &Parking) {
    if job.is_patient() {
        be_patient();
    }
    parking.state.lock().thread = Some(thread::current().id());
    let _done = DoneOnDrop(parking);
    // The job is dropped inside: whatever it owns is gone before `join` returns.
    let outcome = catch_unwind(AssertUnwindSafe(move || step_until_done(job, parking)));
    if let Err(panic) = outcome {
        let message = panic_message(panic.as_ref());
        tracing::error!(
            job = thread::current().name(),
            panic = message,
            "job panicked"
        );
    }
}

fn step_until_done(mut job: Box<dyn Job>, parking: &Parking) {
    loop {
        // Cleared before the step: a wake from here on may concern what this step did not see.
        parking.state.lock().woken = false;
        match job.step() {
            Step::Again => {}
            Step::Done => return,
            Step::Idle => {
                let mut state = parking.state.lock();
                while !state.woken {
                    parking.changed.wait(&mut state);
                }
            }
            Step::IdleFor(limit) => {
                let mut state = parking.state.lock();
                // A spurious wake-up only makes the job look around early.
                let mut rested = false;
                if !state.woken {
                    let waited = parking.changed.wait_for(&mut state, limit);
                    rested = waited.timed_out() && !state.woken;
                }
                drop(state);
                if rested {
                    job.rested();
                }
            }
        }
    }
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

/// Where a job's thread sleeps, and where its owner waits for the end.
#[derive(Default)]
struct Parking {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    woken: bool,
    done: bool,
    thread: Option<ThreadId>,
}

impl JobControl for Parking {
    fn wake(&self) {
        self.state.lock().woken = true;
        self.changed.notify_all();
    }

    fn join(&self) {
        let mut state = self.state.lock();
        // A job that drops the last handle of its own owner must not wait for itself.
        if state.thread == Some(thread::current().id()) {
            return;
        }
        while !state.done {
            self.changed.wait(&mut state);
        }
    }
}

/// Marks the job done however its thread ends.
struct DoneOnDrop<'a>(&'a Parking);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state.lock().done = true;
        self.0.changed.notify_all();
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
