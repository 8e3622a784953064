//! Generated workloads of a log, and power cuts at each of their calls to the disk.
//!
//! What is found afterwards must be what some beginning of the list of all writes means, and
//! that beginning must hold every append that was answered with success.

use std::collections::VecDeque;

use super::model::Model;
use super::*;
use crate::crash::{self, Workload, World, survives_power_cuts};
use crate::env::Rng;

const GROUPS: u32 = 3;

#[test]
fn no_power_cut_loses_what_the_log_acknowledged() {
    survives_power_cuts::<LogWorkload>(12);
}

struct LogWorkload;

/// What a workload does next.
#[derive(Clone, Copy)]
enum Op {
    Append,
    /// Lets the writer do one piece of work.
    Help,
    /// Lets the writer do all it wants, the mark in quiet included.
    Settle,
    /// Ends the process without notice and opens the log again.
    Kill,
    /// Ends the process in order and opens the log again.
    Close,
}

enum Event {
    /// An append was handed over, with its number.
    Asked(u64, GroupId, Vec<Write>),
    /// The append of this number was answered with success.
    Durable(u64),
    /// This was found when the log was opened, so all of it is durable.
    Found(Model),
}

/// Some of `asked` may be found after `durable`: a beginning of its writes.
#[derive(Clone, Default)]
struct Promise {
    durable: Model,
    asked: VecDeque<(u64, GroupId, Vec<Write>)>,
}

impl Promise {
    /// The states that may be found, each with one more write than the one before.
    fn check(&self, found: &Model) -> Result<(), String> {
        let mut state = self.durable.clone();
        if state.is(found, GROUPS) {
            return Ok(());
        }
        for (_, group, writes) in &self.asked {
            for write in writes {
                state.apply(*group, write);
                if state.is(found, GROUPS) {
                    return Ok(());
                }
            }
        }
        let (durable, asked) = (&self.durable, &self.asked);
        Err(format!(
            "found {found:?}\nwhich is no beginning of {asked:?}\nafter {durable:?}"
        ))
    }
}

impl Workload for LogWorkload {
    const NAME: &'static str = "log";
    type Event = Event;
    type Promise = Promise;

    fn take_in(promise: &mut Promise, event: &Event) {
        match event {
            Event::Asked(number, group, writes) => {
                promise.asked.push_back((*number, *group, writes.clone()));
            }
            Event::Durable(number) => {
                let (first, group, writes) = promise.asked.pop_front().expect("it was asked");
                assert_eq!(first, *number, "appends are answered in order");
                promise.durable.apply_all(group, &writes);
            }
            Event::Found(found) => {
                promise.durable = found.clone();
                promise.asked.clear();
            }
        }
    }

    fn play(world: &World<Self>) {
        let options = draw_options(world);
        let body_bytes_max = world.one_of(&[30, 300, 900, 2500]);
        let ops = 10 + world.below(40);
        let mut life = Life::begin(world, &options, &Promise::default(), body_bytes_max)
            .expect("without a power cut every log opens");
        for _ in 0..ops {
            let op = world.one_of(&[
                Op::Append,
                Op::Append,
                Op::Append,
                Op::Append,
                Op::Append,
                Op::Append,
                Op::Help,
                Op::Help,
                Op::Help,
                Op::Help,
                Op::Help,
                Op::Settle,
                Op::Kill,
                Op::Close,
            ]);
            if matches!(op, Op::Close) {
                life.log.close().expect("the power is on");
                let promise = world.promise(Promise::default());
                assert!(promise.asked.is_empty(), "a closed log has answered all");
            }
            if matches!(op, Op::Close | Op::Kill) {
                drop(life);
                let promise = world.promise(Promise::default());
                life = Life::begin(world, &options, &promise, body_bytes_max)
                    .expect("without a power cut nothing is lost");
            } else {
                life.step(op);
            }
        }
    }

    fn recover(world: &World<Self>, promise: &Promise, go_on: bool) -> Result<(), String> {
        let mut life = Life::begin(world, &small(), promise, 900)?;
        if go_on {
            for op in [Op::Append, Op::Help, Op::Append, Op::Settle, Op::Append] {
                life.step(op);
            }
        }
        Ok(())
    }
}

fn draw_options(world: &World<LogWorkload>) -> LogOptions {
    LogOptions {
        group_commit_bytes_max: world.one_of(&[500, 2048, 8192]),
        tail_bytes: world.one_of(&[0, 1024, 1 << 20]),
        spare_segments: world.one_of(&[1, 1, 2]),
        ..small()
    }
}

/// An open log, and what it was asked for.
struct Life<'w> {
    world: &'w World<LogWorkload>,
    log: Log,
    asked: Model,
    body_bytes_max: u64,
    process: crash::Process,
}

impl<'w> Life<'w> {
    /// Opens the log and checks that it is what was promised.
    fn begin(
        world: &'w World<LogWorkload>,
        options: &LogOptions,
        promise: &Promise,
        body_bytes_max: u64,
    ) -> Result<Self, String> {
        let process = crash::Process::start(world);
        let log = Log::open(&process.env, dir(), CLUSTER, options.clone());
        let log = log.map_err(|error| format!("open: {error}"))?;
        let found = Model::read(&log, GROUPS)?;
        promise.check(&found)?;
        world.note(Event::Found(found.clone()));
        Ok(Self {
            world,
            log,
            asked: found,
            body_bytes_max,
            process,
        })
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Append => self.append(),
            Op::Help => drop(self.process.workers.help()),
            Op::Settle => while self.process.workers.help() {},
            Op::Kill | Op::Close => unreachable!("whoever owns the life ends it"),
        }
    }

    fn append(&mut self) {
        let (rng, groups) = (&self.world.rng, u64::from(GROUPS));
        let (group, writes) = self.asked.next_writes(rng, groups, self.body_bytes_max);
        self.asked.apply_all(group, &writes);
        let number = rng.next_u64();
        self.world.note(Event::Asked(number, group, writes.clone()));
        let notes = self.world.notes();
        let done = move |result: Result<()>| {
            if result.is_ok() {
                notes(Event::Durable(number));
            }
        };
        self.log.append(group, writes, Box::new(done));
    }
}
