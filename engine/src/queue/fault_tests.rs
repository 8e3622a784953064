//! The partitions on a disk that fails: writing stops, what `sync` promised is there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::tests::{ALL, DIR, NEWEST, at, fill, message, open, revisions};
use super::{PartitionLengths, PartitionRef, Partitions, QueueOptions};
use crate::env::vfs::sim::SimVfs;
use crate::env::{Env, Vfs};
use crate::ids::Offset;
use crate::{ErrorKind, Result};

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

/// Small files, small buffers, few open files.
fn crowded() -> QueueOptions {
    QueueOptions {
        file_bytes: 300,
        buffer_bytes: 120,
        open_files_max: 2,
        ..QueueOptions::default()
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
