//! Generated workloads of an embedded engine, and power cuts at each of their calls to the disk.
//!
//! What is found afterwards is the state after every answered command, or that and the one
//! command under way: rows, messages and offsets together. A client that repeats its request then
//! gets the one answer that it always was.

mod model;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::model::Model;
use super::*;
use crate::command::{
    Expiry, Guard, KeyspaceOptions, NewMessage, NumberChange, Op, Request, RowRef,
};
use crate::crash::{Process, Workload, World, survives_power_cuts};
use crate::env::Clock;
use crate::env::Workers;
use crate::ids::{Offset, PartitionId, Revision};
use crate::state::DEFAULT_KEYSPACE;

#[test]
fn every_acknowledged_commit_survives_every_power_cut_whole() {
    survives_power_cuts::<EngineWorkload>(3);
}

struct EngineWorkload;

/// What a workload does next.
#[derive(Clone, Copy)]
enum Act {
    Execute,
    /// Lets time pass.
    Wait,
    /// Begins a checkpoint.
    Checkpoint,
    /// Lets some job do one piece of work.
    Help,
    /// Lets all jobs do all they want.
    Settle,
    /// Ends the process without notice and opens the engine again.
    Kill,
    /// Ends the process in order and opens the engine again.
    Close,
}

enum Event {
    /// At this time, milliseconds since 1970.
    Asked(Command, u64),
    /// It was answered, and this is the digest after it.
    Answered(u64),
    /// The engine was opened, with what was asked or without it.
    Found { asked: bool },
}

#[derive(Clone, Default)]
struct Promise {
    durable: Model,
    /// The digest of the durable state, if somebody was told.
    digest: Option<u64>,
    asked: Option<Asked>,
    /// The last request of a session.
    last: Option<Commit>,
    requests: u64,
}

/// A command under way, its answer, and the state after it.
#[derive(Clone)]
struct Asked {
    command: Command,
    outcome: Outcome,
    state: Model,
}

impl Promise {
    fn take_asked(&mut self) {
        let asked = self.asked.take().expect("it was asked");
        self.durable = asked.state;
        self.digest = None;
    }

    /// Compares an engine that was just opened; whether it holds what was asked.
    fn check(&self, engine: &Engine, past: u64) -> Result<bool, String> {
        let view = engine.replica().view();
        let applied = view.applied.map_or(0, |applied| applied.index.0);
        if applied == self.durable.applied {
            if self.digest.is_some_and(|digest| digest != view.digest) {
                return Err(format!(
                    "{view:?} has another digest than {:?}",
                    self.digest
                ));
            }
            return self.durable.check(engine, past).map(|()| false);
        }
        match &self.asked {
            Some(asked) if asked.state.applied == applied => {
                asked.state.check(engine, past).map(|()| true)
            }
            _ => Err(format!(
                "{applied} entries; {} are durable",
                self.durable.applied
            )),
        }
    }
}

impl Workload for EngineWorkload {
    const NAME: &'static str = "engine";
    type Event = Event;
    type Promise = Promise;

    fn take_in(promise: &mut Promise, event: &Event) {
        match event {
            Event::Asked(command, now_ms) => {
                let mut state = promise.durable.clone();
                let outcome = state.apply(command, *now_ms);
                if let Command::Commit(commit) = command
                    && let Some(request) = commit.request
                {
                    promise.requests = promise.requests.max(request.number);
                    promise.last = Some(commit.clone());
                }
                promise.asked = Some(Asked {
                    command: command.clone(),
                    outcome,
                    state,
                });
            }
            Event::Answered(digest) => {
                promise.take_asked();
                promise.digest = Some(*digest);
            }
            Event::Found { asked: true } => promise.take_asked(),
            Event::Found { asked: false } => promise.asked = None,
        }
    }

    fn play(world: &World<Self>) {
        let options = draw_options(world);
        let acts = 10 + world.below(30);
        let mut life = Life::begin(world, &options, Promise::default())
            .expect("without a power cut every engine opens");
        for _ in 0..acts {
            let act = world.one_of(&[
                Act::Execute,
                Act::Execute,
                Act::Execute,
                Act::Execute,
                Act::Execute,
                Act::Execute,
                Act::Wait,
                Act::Help,
                Act::Help,
                Act::Help,
                Act::Checkpoint,
                Act::Settle,
                Act::Kill,
                Act::Close,
            ]);
            if !matches!(act, Act::Kill | Act::Close) {
                life.step(act);
            } else if world.below(2) == 0 {
                if matches!(act, Act::Close) {
                    life.engine.close().expect("the power is on");
                }
                let promise = life.end();
                life = Life::begin(world, &options, promise)
                    .expect("without a power cut nothing is lost");
            }
        }
    }

    fn recover(world: &World<Self>, promise: &Promise, go_on: bool) -> Result<(), String> {
        let options = small();
        if !go_on {
            let (process, engine) = open(world, &options)?;
            promise.check(&engine, world.below(9))?;
            // The end of the process, before that of its handles.
            drop(process);
            return Ok(());
        }
        let mut life = Life::begin(world, &options, promise.clone())?;
        // Whoever had no answer asks again, and so may whoever had one.
        if let Some(last) = life.promise.last.clone() {
            life.execute(Command::Commit(last));
        }
        for act in [Act::Execute, Act::Checkpoint, Act::Help, Act::Execute] {
            life.step(act);
        }
        Ok(())
    }
}

/// So small that a few commits make checkpoints, tables, partition files and log segments.
fn small() -> Options {
    Options {
        log_segment_bytes: 16 << 10,
        log_tail_bytes: 1024,
        checkpoint_bytes: 1500,
        memtable_bytes: 1000,
        table_bytes: 500,
        level_base_bytes: 1500,
        block_cache_bytes: 0,
        row_cache_bytes: 0,
        partition_file_bytes: 400,
        ..Options::default()
    }
}

fn draw_options(world: &World<EngineWorkload>) -> Options {
    Options {
        log_tail_bytes: world.one_of(&[0, 1024, 1 << 20]),
        checkpoint_bytes: world.one_of(&[600, 1500, 1 << 20]),
        memtable_bytes: world.one_of(&[500, 1000, 4000]),
        table_bytes: world.one_of(&[300, 1000]),
        block_cache_bytes: world.one_of(&[0, 1 << 20]),
        row_cache_bytes: world.one_of(&[0, 1 << 20]),
        partition_file_bytes: world.one_of(&[200, 1000]),
        blob_threshold_bytes: world.one_of(&[100, 64 << 10]),
        ..small()
    }
}

fn open(world: &World<EngineWorkload>, options: &Options) -> Result<(Process, Engine), String> {
    let process = Process::start(world);
    let options = ValidOptions::unchecked(options.clone());
    let engine = Engine::open_validated(process.env.clone(), Path::new("/data/node"), options);
    let engine = engine.map_err(|error| format!("open: {error}"))?;
    Ok((process, engine))
}

/// An open engine, and what is known of it. The process ends first, as by a kill: whoever
/// is dropped after it finds no job to wait for.
struct Life<'w> {
    process: Process,
    engine: Engine,
    world: &'w World<EngineWorkload>,
    promise: Promise,
}

impl<'w> Life<'w> {
    fn begin(
        world: &'w World<EngineWorkload>,
        options: &Options,
        promise: Promise,
    ) -> Result<Self, String> {
        let (process, engine) = open(world, options)?;
        let asked = promise.check(&engine, world.below(9))?;
        let mut life = Self {
            process,
            engine,
            world,
            promise,
        };
        life.note(Event::Found { asked });
        Ok(life)
    }

    fn end(self) -> Promise {
        self.promise
    }

    fn note(&mut self, event: Event) {
        EngineWorkload::take_in(&mut self.promise, &event);
        self.world.note(event);
    }

    fn step(&mut self, act: Act) {
        match act {
            Act::Execute => {
                let command = self.draw_command();
                self.execute(command);
            }
            Act::Checkpoint => {
                let begun = self.engine.replica().begin_checkpoint();
                begun.expect("the power is on");
            }
            Act::Wait => {
                let ms = self.world.below(300);
                self.process.clock.advance(Duration::from_millis(ms));
            }
            Act::Help => drop(self.process.workers.help()),
            Act::Settle => while self.process.workers.help() {},
            Act::Kill | Act::Close => {}
        }
    }

    fn execute(&mut self, command: Command) {
        let now_ms = self.process.clock.wall_ms();
        self.note(Event::Asked(command.clone(), now_ms));
        let outcome = self.engine.execute(command).expect("the power is on");
        let asked = self.promise.asked.as_ref().expect("it was just asked");
        assert_eq!(outcome, asked.outcome, "{:?}", asked.command);
        let digest = self.engine.replica().view().digest;
        self.note(Event::Answered(digest));
    }

    fn draw_command(&self) -> Command {
        let (world, state) = (self.world, &self.promise.durable);
        let (floor, revision) = (state.floor.0, state.revision.0);
        match world.below(20) {
            _ if state.topics.is_empty() => create_topic(0),
            // Before there are sets, which cannot be where there are versions or quotas.
            _ if state.applied == 1 && world.below(4) > 0 => {
                alter_keyspace(world, world.below(2) == 0)
            }
            0 => create_topic(world.below(3)),
            1 => Command::OpenSession,
            2 => Command::RaiseFloor {
                revision: Revision(floor + world.below(revision - floor + 1)),
            },
            3..=4 => Command::Tick,
            5 => alter_keyspace(world, world.below(4) > 0),
            _ => Command::Commit(self.draw_commit()),
        }
    }

    fn draw_commit(&self) -> Commit {
        let (world, promise) = (self.world, &self.promise);
        let number = promise.requests + 1;
        let request = promise.durable.session.map(|session| Request {
            session,
            number,
            acked_below: number.saturating_sub(1),
        });
        let guards = match world.below(8) {
            0 => vec![Guard::Exists(draw_row(world))],
            1 => vec![Guard::Absent(draw_row(world))],
            _ => Vec::new(),
        };
        let mut rows = BTreeMap::new();
        let mut ops = Vec::new();
        let mut offset = false;
        if world.below(8) == 0 {
            // Before the rows of the commit, which may lie in the range.
            ops.push(draw_range(world));
        }
        for _ in 0..=world.below(4) {
            match world.below(8) {
                0..=2 => {
                    let row = draw_row(world);
                    rows.insert(row.key.clone(), draw_change(world, row, number));
                }
                3 => {
                    let row = draw_row(world);
                    let key = row.key.clone();
                    // Nothing is restored in the range of its own commit.
                    let restore = ops.is_empty() && world.below(2) == 0;
                    let op = if restore {
                        self.draw_restore(row)
                    } else {
                        Op::Delete { row }
                    };
                    rows.insert(key, op);
                }
                4 if !offset => {
                    ops.push(self.draw_offset());
                    offset = true;
                }
                _ => ops.push(self.draw_publish(number)),
            }
        }
        for change in rows.into_values() {
            if world.below(4) == 0 {
                let row = draw_row(world);
                ops.push(Op::Read { row });
            }
            ops.push(change);
        }
        Commit {
            request,
            guards,
            ops,
        }
    }

    fn draw_restore(&self, row: RowRef) -> Op {
        let known = self.promise.durable.known_versions(&row.key);
        if known.is_empty() || self.world.below(2) == 0 {
            return Op::Undelete { row };
        }
        let to = known[self.world.rng.index(known.len())];
        Op::Revert { row, to }
    }

    /// A topic that is there, and one of its partitions.
    fn draw_partition(&self) -> (String, PartitionId, u64) {
        let topics = &self.promise.durable.topics;
        let index = self.world.rng.index(topics.len());
        let (name, topic) = topics.iter().nth(index).expect("there is one");
        let partition = self.world.rng.index(topic.partitions.len());
        let end = topic.partitions[partition].len() as u64;
        let partition = u32::try_from(partition).expect("few partitions");
        (name.clone(), PartitionId(partition), end)
    }

    fn draw_publish(&self, number: u64) -> Op {
        let (topic, partition, _) = self.draw_partition();
        Op::Publish {
            topic,
            partition: (self.world.below(2) == 0).then_some(partition),
            message: NewMessage {
                key: None,
                value: draw_value(self.world, number),
                headers: Vec::new(),
            },
        }
    }

    fn draw_offset(&self) -> Op {
        let (topic, partition, end) = self.draw_partition();
        Op::CommitOffset {
            topic,
            partition,
            consumer_group: format!("group-{}", self.world.below(2)),
            next: Offset(self.world.below(end + 1)),
        }
    }
}

/// How many rows there may be.
const KEYS: u64 = 8;

fn create_topic(number: u64) -> Command {
    Command::CreateTopic {
        name: format!("topic-{number}"),
        partitions: 2,
    }
}

fn alter_keyspace(world: &World<EngineWorkload>, versioned: bool) -> Command {
    Command::AlterKeyspace {
        name: DEFAULT_KEYSPACE.to_owned(),
        options: KeyspaceOptions {
            default_ttl_ms: world.one_of(&[None, None, Some(150)]),
            versioned,
            rows_max: world.one_of(&[None, Some(3), Some(6)]),
            bytes_max: world.one_of(&[None, None, Some(400)]),
            uncached: world.below(4) == 0,
        },
    }
}

fn draw_row(world: &World<EngineWorkload>) -> RowRef {
    RowRef {
        keyspace: DEFAULT_KEYSPACE.to_owned(),
        key: key(world.below(KEYS)),
    }
}

fn draw_range(world: &World<EngineWorkload>) -> Op {
    let start = world.below(KEYS);
    let end = start + 1 + world.below(KEYS);
    Op::DeleteRange {
        keyspace: DEFAULT_KEYSPACE.to_owned(),
        start: key(start),
        end: (end < KEYS).then(|| key(end)),
    }
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key-{number}"))
}

fn draw_value(world: &World<EngineWorkload>, number: u64) -> Bytes {
    let len = usize::try_from(world.below(200)).expect("small");
    Bytes::from(format!("{number} {}", "v".repeat(len)))
}

/// Something that may leave a row behind, of any kind.
fn draw_change(world: &World<EngineWorkload>, row: RowRef, number: u64) -> Op {
    let expiry = draw_expiry(world);
    let members = (0..world.below(4)).map(|_| draw_member(world));
    let members: Vec<Bytes> = members.chain([draw_member(world)]).collect();
    match world.below(12) {
        0..=3 => Op::Put {
            row,
            value: draw_value(world, number),
            expiry,
        },
        4 => Op::Put {
            row,
            value: "7".into(),
            expiry,
        },
        5 => Op::Number {
            row,
            change: world.one_of(&[
                NumberChange::Add(3),
                NumberChange::Add(i64::MAX),
                NumberChange::Max(9),
                NumberChange::Min(5),
            ]),
            expiry,
        },
        6 => Op::Append {
            row,
            suffix: draw_value(world, number),
            expiry,
        },
        7 => Op::Expire { row, expiry },
        8 => Op::SetAdd {
            row,
            members,
            expiry,
        },
        9 => Op::SetRemove { row, members },
        10 => Op::HashSet {
            row,
            fields: members
                .into_iter()
                .map(|field| (field, draw_value(world, number)))
                .collect(),
            expiry,
        },
        _ => Op::HashRemove {
            row,
            fields: members,
        },
    }
}

fn draw_expiry(world: &World<EngineWorkload>) -> Expiry {
    match world.below(10) {
        0..=3 => Expiry::Default,
        4 => Expiry::Never,
        5 => Expiry::Keep,
        6..=7 => Expiry::After(1 + world.below(400)),
        8 => Expiry::IfNew(1 + world.below(400)),
        _ => Expiry::At(900 + world.below(1_000)),
    }
}

/// Few, some of them with bytes that the order of keys must not mistake.
fn draw_member(world: &World<EngineWorkload>) -> Bytes {
    let member = world.below(6);
    Bytes::from(match member {
        0 => Vec::new(),
        1 => vec![0],
        _ => vec![u8::MAX, b'0' + member.to_le_bytes()[0]],
    })
}
