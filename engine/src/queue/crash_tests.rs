//! Generated workloads of partitions, and power cuts at each of their calls to the disk.
//!
//! A checkpoint holds the lengths; here the workload is the checkpoint. Whatever lengths were
//! synced last, and those before as long as the checkpoint that replaces them is not durable,
//! open the folder with exactly the messages below them.

use std::path::Path;

use super::tests::{ALL, DIR, GROUP, Model, NEWEST, at, expected, message};
use super::{PartitionLengths, PartitionRef, Partitions, QueueOptions, StoredMessage};
use crate::crash::{Process, Workload, World, survives_power_cuts};
use crate::ids::Offset;

#[test]
fn after_every_power_cut_the_messages_below_synced_lengths_are_there() {
    survives_power_cuts::<QueueWorkload>(12);
}

struct QueueWorkload;

/// What a workload does next.
#[derive(Clone, Copy)]
enum Op {
    Append,
    /// Writes the buffers and remembers the lengths.
    Flush,
    /// Syncs the remembered lengths.
    Sync,
    /// The checkpoint with the synced lengths is durable: the older ones are forgotten.
    Publish,
    /// Ends the process without notice and opens the folder again.
    Kill,
}

enum Event {
    Appended(PartitionRef, StoredMessage),
    Flushed(PartitionLengths),
    Synced,
    Published,
    /// The folder is about to be opened with the published lengths, or with those synced later.
    Opens {
        newer: bool,
    },
}

/// Lengths, and the messages below them.
#[derive(Clone, Default)]
struct Stand {
    lengths: PartitionLengths,
    model: Model,
}

#[derive(Clone, Default)]
struct Promise {
    appended: Model,
    flushed: Option<Stand>,
    synced: Option<Stand>,
    published: Stand,
}

impl Promise {
    fn stand(&self, newer: bool) -> &Stand {
        let synced = self.synced.as_ref().filter(|_| newer);
        synced.unwrap_or(&self.published)
    }
}

impl Workload for QueueWorkload {
    const NAME: &'static str = "queue";
    type Event = Event;
    type Promise = Promise;

    fn take_in(promise: &mut Promise, event: &Event) {
        match event {
            Event::Appended(at, message) => {
                let messages = promise.appended.entry(*at).or_default();
                messages.push(message.clone());
            }
            Event::Flushed(lengths) => {
                promise.flushed = Some(Stand {
                    lengths: lengths.clone(),
                    model: promise.appended.clone(),
                });
            }
            Event::Synced => promise.synced = promise.flushed.take(),
            Event::Published => {
                promise.published = promise.synced.take().expect("it was synced");
            }
            Event::Opens { newer } => {
                promise.published = promise.stand(*newer).clone();
                promise.appended = promise.published.model.clone();
                promise.flushed = None;
                promise.synced = None;
            }
        }
    }

    fn play(world: &World<Self>) {
        let options = QueueOptions {
            file_bytes: world.one_of(&[200, 300, 1000]),
            buffer_bytes: world.one_of(&[1, 120, 400]),
            open_files_max: world.one_of(&[1, 2, 8]),
            ..QueueOptions::default()
        };
        let ops = 15 + world.below(50);
        let mut life =
            Life::begin(world, options, Promise::default()).expect("an empty folder opens");
        for _ in 0..ops {
            let op = world.one_of(&[
                Op::Append,
                Op::Append,
                Op::Append,
                Op::Append,
                Op::Append,
                Op::Flush,
                Op::Flush,
                Op::Sync,
                Op::Sync,
                Op::Publish,
                Op::Kill,
            ]);
            if matches!(op, Op::Kill) && world.below(2) == 0 {
                let promise = life.promise;
                life = Life::begin(world, options, promise)
                    .expect("without a power cut nothing is lost");
            } else {
                life.step(op);
            }
        }
    }

    fn recover(world: &World<Self>, promise: &Promise, go_on: bool) -> Result<(), String> {
        let options = QueueOptions {
            file_bytes: 300,
            buffer_bytes: 120,
            ..QueueOptions::default()
        };
        if !go_on {
            let stand = promise.stand(world.below(2) == 0);
            return open_and_check(world, options, stand).map(drop);
        }
        let mut life = Life::begin(world, options, promise.clone())?;
        for op in [Op::Append, Op::Append, Op::Flush, Op::Append, Op::Sync] {
            life.step(op);
        }
        Ok(())
    }
}

fn open_and_check(
    world: &World<QueueWorkload>,
    options: QueueOptions,
    stand: &Stand,
) -> Result<(Partitions, Process), String> {
    let process = Process::start(world);
    let queue = Partitions::open(&process.env, Path::new(DIR), GROUP, options, &stand.lengths);
    let queue = queue.map_err(|error| format!("open: {error}"))?;
    for place in places() {
        let bounds = queue.bounds(place);
        let found = queue
            .fetch(place, Offset(0), NEWEST, ALL, ALL)
            .map_err(|error| format!("fetch {place:?}: {error}"))?;
        let expected = expected(&stand.model, place, 0, NEWEST);
        if found != expected || bounds != (Offset(0), Offset(found.len() as u64)) {
            return Err(format!("{place:?}: {bounds:?} {found:?}, not {expected:?}"));
        }
    }
    Ok((queue, process))
}

/// All partitions that workloads use.
fn places() -> impl Iterator<Item = PartitionRef> {
    (0..4).map(|n| at(1 + n % 2, n / 2))
}

/// An open folder, and what is known of it.
struct Life<'w> {
    world: &'w World<QueueWorkload>,
    queue: Partitions,
    promise: Promise,
    revision: u64,
    _process: Process,
}

impl<'w> Life<'w> {
    fn begin(
        world: &'w World<QueueWorkload>,
        options: QueueOptions,
        mut promise: Promise,
    ) -> Result<Self, String> {
        let newer = world.below(2) == 0;
        let event = Event::Opens { newer };
        QueueWorkload::take_in(&mut promise, &event);
        world.note(event);
        let (queue, process) = open_and_check(world, options, &promise.published)?;
        let messages = promise.appended.values().flatten();
        let revision = messages.map(|message| message.revision.0).max();
        Ok(Self {
            world,
            queue,
            promise,
            revision: revision.unwrap_or(0),
            _process: process,
        })
    }

    fn note(&mut self, event: Event) {
        QueueWorkload::take_in(&mut self.promise, &event);
        self.world.note(event);
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Append => self.append(),
            Op::Flush => {
                let lengths = self.queue.flush().expect("the power is on");
                self.note(Event::Flushed(lengths));
            }
            Op::Sync => {
                if let Some(stand) = &self.promise.flushed {
                    self.queue.sync(&stand.lengths).expect("the power is on");
                    self.note(Event::Synced);
                }
            }
            Op::Publish => {
                if self.promise.synced.is_some() {
                    self.note(Event::Published);
                }
            }
            Op::Kill => {}
        }
    }

    fn append(&mut self) {
        self.revision += 1;
        let len = usize::try_from(self.world.below(100)).expect("small");
        let message = message(self.revision, len);
        let at = at(
            1 + u32::try_from(self.world.below(2)).expect("small"),
            u32::try_from(self.world.below(2)).expect("small"),
        );
        let appended = self.queue.append(at, &message);
        appended.expect("the power is on");
        self.note(Event::Appended(at, message));
    }
}
