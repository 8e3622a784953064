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
fn what_was_accepted_and_finds_no_room_waits_for_it() {
    let (vfs, process) = start(6);
    let log = process.open().expect("a new log opens");
    vfs.set_capacity(16 * 1024);
    let answers = Answers::default();
    log.append(GROUP, entries(1, 100, 500), answers.done(1));
    process.settle();
    assert!(answers.bad().is_empty() && answers.good().is_empty());
    assert!(log.is_short() && log.poisoned().is_none());
    assert_eq!(indexes(&log, GROUP), (1..=100).collect::<Vec<_>>());
    log.append(GROUP, entries(101, 101, 500), answers.done(2));
    assert_eq!(answers.bad(), [(2, ErrorKind::Full)]);
    log.append_patiently(GROUP, entries(101, 101, 500), answers.done(3));

    vfs.make_room();
    process.settle();
    assert_eq!(answers.good(), [1, 3]);
    assert!(!log.is_short());
    log.close().expect("nothing failed");
    vfs.power_on();
    let process = Process::start(Arc::new(vfs), 7);
    let log = process.open().expect("the log opens");
    assert_eq!(indexes(&log, GROUP), (1..=101).collect::<Vec<_>>());
}

#[test]
fn a_log_that_waits_for_room_can_be_closed() {
    let (vfs, process) = start(8);
    let log = process.open().expect("a new log opens");
    vfs.set_capacity(16 * 1024);
    let answers = Answers::default();
    log.append(GROUP, entries(1, 100, 500), answers.done(1));
    process.settle();
    log.close().expect("a full disk is no failure");
    assert_eq!(answers.bad(), [(1, ErrorKind::Stopped)]);
    vfs.make_room();
    let log = process.open().expect("the log opens when there is room");
    let found = indexes(&log, GROUP);
    assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_spare_leaves_the_room_of_others() {
    let (vfs, process) = start(9);
    let options = LogOptions {
        keep_free_bytes: 100 * 1024,
        ..small()
    };
    let log = process.open_with(options).expect("a new log opens");
    let one = 16 * 1024;
    vfs.set_capacity(2 * one + 100 * 1024 - 1);
    process.settle();
    assert!(log.is_short(), "a spare would leave too little");
    vfs.set_capacity(2 * one + 100 * 1024);
    process.settle();
    assert!(!log.is_short(), "by itself, once there is room");
}

/// What one run of a log promised.
struct Told {
    /// The last entry whose sync was reported.
    durable: u64,
    /// Whether it ended by itself.
    failed: Option<crate::Error>,
}

/// Appends entries with votes and purges; a refused one is sent again once there is room.
fn story(process: &Process, vfs: &SimVfs) -> Told {
    let mut durable = 0;
    let failed = |durable, error| Told {
        durable,
        failed: Some(error),
    };
    let log = match process.open() {
        Ok(log) => log,
        Err(error) => return failed(0, error),
    };
    durable = durable.max(log.group(GROUP).last.map_or(0, |last| last.index.0));
    while durable < 120 {
        let mut writes = entries(durable + 1, durable + 1, 700);
        if durable % 9 == 8 {
            writes.push(Write::Vote(Bytes::from(vec![1; 9])));
            writes.push(Write::Purge(LogId::new(1, durable - 4)));
        }
        match log.append_wait(GROUP, writes) {
            Ok(()) => durable += 1,
            Err(error) if error.kind() == ErrorKind::Full => {
                read_all(&log, GROUP);
                vfs.make_room();
                process.settle();
            }
            Err(error) => return failed(durable, error),
        }
        process.workers.help();
    }
    process.settle();
    let failed = log.close().err();
    Told { durable, failed }
}

/// Tells the story on a disk that `spoil` spoils; afterwards nothing reported is missing.
fn survive(seed: u64, spoil: impl Fn(&SimVfs), context: &str) -> Told {
    let (vfs, process) = start(seed);
    spoil(&vfs);
    let told = story(&process, &vfs);
    process.workers.abandon();
    vfs.power_off();
    vfs.power_on();
    vfs.make_room();
    let process = Process::start(Arc::new(vfs.clone()), seed + 1);
    let log = process
        .open()
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let last = log.group(GROUP).last.map_or(0, |last| last.index.0);
    assert!(last >= told.durable, "{context}: {last}, {}", told.durable);
    log.close().expect("the disk is sound again");
    drop(log);
    let again = story(&process, &vfs);
    assert!(again.failed.is_none() && again.durable >= 120, "{context}");
    told
}

#[test]
fn a_log_on_a_disk_that_is_full_or_fails_at_any_call_keeps_what_it_reported() {
    let (vfs, process) = start(20);
    assert!(story(&process, &vfs).failed.is_none());
    let calls = vfs.io_count();
    let (mut went_on, mut poisoned) = (0, 0);
    for n in 1..=calls {
        let told = survive(20, |vfs| vfs.fill_at(n), &format!("full from call {n}"));
        match told.failed {
            None => went_on += 1,
            Some(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "full from call {n}: {error}");
                assert_eq!(told.durable, 0, "full from call {n}: {error}");
            }
        }
        for kind in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::Other] {
            let context = format!("call {n} fails with {kind}");
            let told = survive(20, |vfs| vfs.fail_call(n, kind), &context);
            if let Some(error) = told.failed.filter(|_| told.durable > 0) {
                assert_ne!(error.kind(), ErrorKind::Full, "{context}: {error}");
                let text = error.to_string();
                assert!(text.contains("restart the node"), "{context}: {text}");
                poisoned += 1;
            }
        }
    }
    assert!(went_on > 100 && poisoned > 100, "{went_on}, {poisoned}");
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
