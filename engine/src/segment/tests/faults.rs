//! Failed writes and syncs poison the log; a full disk does not.

use super::*;
use crate::ErrorKind;
use crate::env::vfs::sim::SimVfs;

fn start(seed: u64) -> (SimVfs, Process) {
    let vfs = SimVfs::new(seed);
    let process = Process::start(Arc::new(vfs.clone()), seed);
    (vfs, process)
}

#[test]
fn a_failed_sync_is_told_to_all_who_wait_and_never_retried() {
    let (vfs, process) = start(1);
    let log = process.open().expect("a new log opens");
    log.append_wait(GROUP, entries(1, 3, 100)).expect("durable");
    process.settle();
    let answers = Answers::default();
    vfs.fail_sync_once();
    log.append(GROUP, entries(4, 30, 100), answers.done(1));
    log.append(GROUP, entries(31, 31, 100), answers.done(2));
    process.settle();
    log.append(GROUP, entries(32, 32, 100), answers.done(3));
    let (io, stopped) = (ErrorKind::Io, ErrorKind::Stopped);
    assert_eq!(answers.bad(), [(1, io), (2, io), (3, stopped)]);
    assert_eq!(log.poisoned().map(|e| e.kind()), Some(io));
    assert_eq!(log.close().map_err(|e| e.kind()), Err(io));
    assert_eq!(log.synced(GROUP), LogIndex(3));

    drop(log);
    vfs.power_on();
    let process = Process::start(Arc::new(vfs), 9);
    let log = process.open().expect("the log opens after the power cut");
    assert!(indexes(&log, GROUP).starts_with(&[1, 2, 3]));
}

#[test]
fn what_an_open_found_survives_even_if_an_earlier_sync_had_lost_it() {
    // The pages of a failed sync look clean: the next process reads them, and a sync alone
    // would not bring them to the medium.
    for seed in 0..20 {
        let (vfs, process) = start(seed);
        let log = process.open().expect("a new log opens");
        log.append_wait(GROUP, entries(1, 1, 100)).expect("durable");
        process.settle();
        vfs.fail_sync_once();
        log.append_wait(GROUP, entries(2, 2, 900))
            .expect_err("the sync fails");
        drop(log);
        process.workers.abandon();

        let process = Process::start(Arc::new(vfs.clone()), seed);
        let log = process.open().expect("the log opens again");
        let found = indexes(&log, GROUP);
        process.workers.abandon();
        vfs.power_on();
        let process = Process::start(Arc::new(vfs), seed);
        let log = process.open().expect("the log opens after the power cut");
        assert_eq!(indexes(&log, GROUP), found);
        assert_eq!(found, [1, 2]);
    }
}

#[test]
fn a_failed_write_poisons() {
    let (vfs, process) = start(3);
    let log = process.open().expect("a new log opens");
    process.settle();
    vfs.fail_writes(std::io::ErrorKind::Other);
    let failed = log.append_wait(GROUP, entries(1, 1, 100));
    assert_eq!(failed.map_err(|e| e.kind()), Err(ErrorKind::Io));
    vfs.allow_writes();
    let late = log.append_wait(GROUP, entries(2, 2, 100));
    assert_eq!(late.map_err(|e| e.kind()), Err(ErrorKind::Stopped));
}

#[test]
fn a_full_disk_refuses_entries_and_purging_makes_room() {
    let (vfs, process) = start(4);
    let log = process.open().expect("a new log opens");
    process.settle();
    // The current segment and one spare exist; there is no room for a third.
    vfs.set_capacity(2 * 16 * 1024 + 4096);
    let mut last = 0;
    let refused = loop {
        match log.append_wait(GROUP, entries(last + 1, last + 1, 500)) {
            Ok(()) => last += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Full, "{refused}");
    assert!(log.poisoned().is_none());
    assert!(last > 20, "both segments were used: {last}");
    assert_eq!(log.group(GROUP).last, Some(LogId::new(1, last)));

    let vote = vec![Write::Vote(Bytes::from_static(b"vote"))];
    log.append_wait(GROUP, vote).expect("votes keep a reserve");
    log.append_wait(GROUP, vec![Write::Purge(LogId::new(1, last))])
        .expect("purges keep a reserve");
    process.settle();
    for index in last + 1..last + 50 {
        log.append_wait(GROUP, entries(index, index, 500))
            .expect("the purged segment is used again");
        log.append_wait(GROUP, vec![Write::Purge(LogId::new(1, index))])
            .expect("durable");
    }
    assert!(log.stats().recycled >= 1, "{:?}", log.stats());
}

#[test]
fn a_full_disk_that_got_room_again_is_noticed() {
    let (vfs, process) = start(5);
    let log = process.open().expect("a new log opens");
    process.settle();
    vfs.set_capacity(2 * 16 * 1024);
    let refused = (1..100).find(|index| {
        log.append_wait(GROUP, entries(*index, *index, 500))
            .is_err()
    });
    let next = refused.expect("the disk is full at some time");
    vfs.set_capacity(1 << 30);
    // This one is refused too, and makes the writer try again.
    let again = log.append_wait(GROUP, entries(next, next, 500));
    assert_eq!(again.map_err(|e| e.kind()), Err(ErrorKind::Full));
    process.settle();
    log.append_wait(GROUP, entries(next, next, 500))
        .expect("there is room");
}

#[test]
fn what_was_accepted_and_cannot_be_written_poisons_as_full() {
    let (vfs, process) = start(6);
    let log = process.open().expect("a new log opens");
    vfs.set_capacity(16 * 1024);
    let answers = Answers::default();
    log.append(GROUP, entries(1, 100, 500), answers.done(1));
    process.settle();
    assert_eq!(answers.bad(), [(1, ErrorKind::Full)]);
    assert_eq!(log.poisoned().map(|e| e.kind()), Some(ErrorKind::Full));
    drop(log);
    vfs.set_capacity(1 << 30);
    let log = process.open().expect("the log opens when there is room");
    let found = indexes(&log, GROUP);
    assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_change_of_names_that_a_killed_process_has_not_synced_shows_no_gap() {
    let options = LogOptions {
        spare_segments: 2,
        ..small()
    };
    let (vfs, process) = start(1);
    let log = process.open_with(options.clone()).expect("a new log opens");
    log.append_wait(GROUP, entries(1, 1, 100)).expect("durable");
    process.settle();
    // Both spares go when the log is opened, one after the other.
    drop((log, process));
    vfs.record();
    let process = Process::start(Arc::new(vfs.clone()), 2);
    let log = process.open_with(options.clone()).expect("all is there");
    for moment in vfs.recorded() {
        let killed = moment.killed(1);
        killed.record();
        let process = Process::start(Arc::new(killed.clone()), 3);
        drop(process.open().expect("nothing was lost with the process"));
        for moment in killed.recorded() {
            for seed in 0..10 {
                let disk = moment.crashed(seed).disk;
                let process = Process::start(Arc::new(disk), 4);
                process.open().expect("a power cut damages nothing");
            }
        }
    }
    drop(log);
}
