//! The partitions on a disk that loses power or fails: what `sync` promised is there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::tests::{ALL, DIR, GROUP, Model, NEWEST, at, expected, fill, message, open, revisions};
use super::{PartitionLengths, PartitionRef, Partitions, QueueOptions};
use crate::env::vfs::sim::SimVfs;
use crate::env::{Env, Vfs};
use crate::ids::Offset;
use crate::{ErrorKind, Result};

/// So few open files that syncing out of turn is common.
fn crowded() -> QueueOptions {
    QueueOptions {
        file_bytes: 300,
        buffer_bytes: 120,
        open_files_max: 1,
        ..QueueOptions::default()
    }
}

/// A disk whose folder above the queue's is durable.
fn disk(seed: u64) -> (SimVfs, Env) {
    let disk = SimVfs::new(seed);
    let above = Path::new(DIR).parent().expect("the queue has a parent");
    disk.create_dir_all(above).expect("the power is on");
    for folder in above.ancestors() {
        disk.sync_dir(folder).expect("the power is on");
    }
    let env = Env::simulated(Arc::new(disk.clone()), seed);
    (disk, env)
}

/// What a checkpoint would know: the lengths, and the messages that they promise.
#[derive(Clone, Default)]
struct Promise {
    lengths: PartitionLengths,
    model: Model,
}

/// Lives that append, checkpoint and end without a power cut, one after the other.
fn live(env: &Env, promise: &mut Promise, revision: &mut u64) -> Result<()> {
    for life in 0..3 {
        let lengths = &promise.lengths;
        let queue = Partitions::open(env, Path::new(DIR), GROUP, crowded(), lengths)?;
        let mut model = promise.model.clone();
        for round in 0..3 {
            append(&queue, &mut model, revision, 5)?;
            let lengths = queue.flush()?;
            let promised = model.clone();
            if round > 0 {
                // Apply does not wait for the checkpoint.
                append(&queue, &mut model, revision, 4)?;
            }
            if life + round < 4 {
                queue.sync(&lengths)?;
                let model = promised;
                *promise = Promise { lengths, model };
            }
        }
    }
    Ok(())
}

fn append(queue: &Partitions, model: &mut Model, revision: &mut u64, count: u32) -> Result<()> {
    for turn in 0..count {
        *revision += 1;
        let at = at(1 + turn % 2, turn % 3);
        let message = message(*revision, usize::try_from(*revision % 60).expect("small"));
        queue.append(at, &message)?;
        model.entry(at).or_default().push(message);
    }
    Ok(())
}

fn verify(queue: &Partitions, model: &Model, n: u64) {
    for &at in model.keys() {
        let all = queue.fetch(at, Offset(0), NEWEST, ALL, ALL);
        let all = all.unwrap_or_else(|error| panic!("after a power cut in call {n}: {error}"));
        assert_eq!(all, expected(model, at, 0, NEWEST), "power cut in call {n}");
        assert_eq!(queue.bounds(at).1, Offset(all.len() as u64));
    }
}

#[test]
fn what_was_synced_survives_a_power_cut_in_any_call() {
    let (whole, env) = disk(0);
    let before = whole.io_count();
    live(&env, &mut Promise::default(), &mut 0).expect("the disk is sound");
    let calls = whole.io_count() - before;
    assert!(calls > 150, "only {calls} calls");

    for n in 1..=calls {
        let (disk, env) = disk(n);
        disk.crash_at(disk.io_count() + n);
        let (mut promise, mut revision) = (Promise::default(), 0);
        live(&env, &mut promise, &mut revision).expect_err("the power went");
        for _ in 0..2 {
            disk.power_on();
            let queue = open(&env, crowded(), &promise.lengths);
            verify(&queue, &promise.model, n);
            drop(queue);
            live(&env, &mut promise, &mut revision).expect("the power stays on");
        }
    }
}

fn stopped<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("the queue has stopped");
    assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
}

fn stays_readable_but_stopped(queue: &Partitions, at: PartitionRef, count: u64) {
    stopped(queue.append(at, &message(99, 1)));
    stopped(queue.flush());
    stopped(queue.sync(&PartitionLengths::default()));
    let all = queue.fetch(at, Offset(0), NEWEST, ALL, ALL);
    let all = revisions(&all.expect("reads go on"));
    assert_eq!(all, (0..count).collect::<Vec<_>>());
}

#[test]
fn a_failed_sync_stops_the_queue_and_the_last_promise_holds() {
    let (disk, env) = disk(1);
    let queue = open(&env, QueueOptions::default(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..10);
    let promised = queue.flush().expect("the disk has room");
    queue.sync(&promised).expect("the disk is sound");
    fill(&queue, at(1, 0), 10..20);
    let lengths = queue.flush().expect("the disk has room");
    disk.fail_sync_once();
    let error = queue.sync(&lengths).expect_err("the disk failed");
    assert_eq!(error.kind(), ErrorKind::Io);
    stays_readable_but_stopped(&queue, at(1, 0), 20);

    drop(queue);
    disk.power_on();
    let queue = open(&env, QueueOptions::default(), &promised);
    fill(&queue, at(1, 0), 10..12);
    let all = queue.fetch(at(1, 0), Offset(0), NEWEST, ALL, ALL);
    let all = revisions(&all.expect("the files are sound"));
    assert_eq!(all, (0..12).collect::<Vec<_>>());
}

#[test]
fn a_failed_write_stops_the_queue_and_loses_nothing_in_memory() {
    let (disk, env) = disk(2);
    let queue = open(&env, QueueOptions::default(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..10);
    queue.flush().expect("the disk has room");
    fill(&queue, at(1, 0), 10..20);
    disk.fail_writes(io::ErrorKind::Other);
    let error = queue.flush().expect_err("the disk failed");
    assert_eq!(error.kind(), ErrorKind::Io);
    disk.allow_writes();
    stays_readable_but_stopped(&queue, at(1, 0), 20);
}

#[test]
fn on_a_full_disk_messages_stay_in_memory_and_are_written_when_there_is_room() {
    let (disk, env) = disk(3);
    let queue = open(&env, crowded(), &PartitionLengths::default());
    let all = |queue: &Partitions| {
        let all = queue.fetch(at(1, 0), Offset(0), NEWEST, ALL, ALL);
        revisions(&all.expect("reads go on"))
    };
    for (first, count) in [(0, 3), (3, 20)] {
        // The first time not even the file can be created.
        disk.fill_at(0);
        fill(&queue, at(1, 0), first..count);
        assert!(queue.is_full());
        let error = queue.flush().expect_err("the disk is full");
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(all(&queue), (0..count).collect::<Vec<_>>());
        disk.make_room();
        let lengths = queue.flush().expect("there is room");
        assert!(!queue.is_full());
        queue.sync(&lengths).expect("the disk is sound");
    }
    fill(&queue, at(1, 0), 20..30);
    let lengths = queue.flush().expect("there is room");
    queue.sync(&lengths).expect("the disk is sound");
    drop(queue);
    disk.power_on();
    let queue = open(&env, crowded(), &lengths);
    assert_eq!(all(&queue), (0..30).collect::<Vec<_>>());
}
