//! What the log does when nothing fails.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::ErrorKind;
use crate::env::vfs::mem::MemVfs;
use crate::env::vfs::os::OsVfs;

fn start() -> (MemVfs, Process) {
    let vfs = MemVfs::new();
    let process = Process::start(Arc::new(vfs.clone()), 1);
    (vfs, process)
}

fn restart(vfs: &MemVfs) -> (Process, Log) {
    let process = Process::start(Arc::new(vfs.clone()), 2);
    let log = process.open().expect("the log opens again");
    (process, log)
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    let (vfs, process) = start();
    let log = process.open().expect("a new log opens");
    let other = GroupId(7);
    log.append_wait(GROUP, entries(1, 3, 10))
        .expect("entries are durable");
    let vote = Bytes::from_static(b"node 1 in term 4");
    log.append_wait(other, vec![Write::Vote(vote.clone()), entry(4, 1, b"x")])
        .expect("vote and entry are durable");
    let before = (log.group(GROUP), log.group(other), read_all(&log, GROUP));
    assert_eq!(before.0.last, Some(LogId::new(1, 3)));
    assert_eq!((before.0.synced, before.0.bytes), (LogIndex(3), 30));
    log.close().expect("the log closes");
    log.close().expect("closing twice is nothing");

    let (_process, log) = restart(&vfs);
    assert_eq!(
        (log.group(GROUP), log.group(other), read_all(&log, GROUP)),
        before
    );
    assert_eq!(log.group(other).vote, Some(vote));
    assert_eq!(log.group(GroupId(99)), super::super::GroupLog::default());
    assert_eq!(log.log_id_at(other, LogIndex(1)), Some(LogId::new(4, 1)));
    assert_eq!(log.log_id_at(other, LogIndex(2)), None);
}

#[test]
fn entries_are_readable_before_they_are_synced() {
    let (_vfs, process) = start();
    let log = process.open().expect("a new log opens");
    process.settle();
    let answers = Answers::default();
    log.append(GROUP, entries(1, 5, 100), answers.done(0));
    assert_eq!(indexes(&log, GROUP), [1, 2, 3, 4, 5]);
    assert_eq!(log.synced(GROUP), LogIndex(0));
    assert_eq!(log.pending_bytes(), 5 * 141);
    assert!(answers.good().is_empty());
    process.settle();
    assert_eq!((log.synced(GROUP), log.pending_bytes()), (LogIndex(5), 0));
    assert_eq!(answers.good(), [0]);
}

#[test]
fn whoever_waits_is_served_by_one_sync_in_order() {
    let (_vfs, process) = start();
    let log = process
        .open_with(LogOptions::default())
        .expect("a new log opens");
    let answers = Answers::default();
    let synced = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&synced);
    log.on_synced(
        GroupId(3),
        Box::new(move |index| told.store(index.0, Ordering::Relaxed)),
    );
    for number in 0..100 {
        let group = GroupId(u32::try_from(number % 10).expect("small"));
        let index = number as u64 / 10 + 1;
        log.append(group, entries(index, index, 50), answers.done(number));
    }
    process.settle();
    assert_eq!(answers.good(), (0..100).collect::<Vec<_>>());
    let stats = log.stats();
    assert_eq!((stats.appends, stats.frames), (100, 100));
    assert_eq!((stats.group_commits, stats.marks), (1, 1));
    assert_eq!(synced.load(Ordering::Relaxed), 10);
}

#[test]
fn threads_share_syncs_on_a_real_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut env = Env::memory();
    env.vfs = Arc::new(OsVfs::new());
    let dir = folder.path().join("log");
    let log = Log::open(&env, &dir, CLUSTER, LogOptions::default()).expect("a new log opens");
    std::thread::scope(|scope| {
        for group in 0..8 {
            let log = log.clone();
            scope.spawn(move || {
                for index in 1..=100 {
                    log.append_wait(GroupId(group), entries(index, index, 100))
                        .expect("the entry is durable");
                }
            });
        }
    });
    let stats = log.stats();
    assert_eq!((stats.appends, stats.frames), (800, 800));
    assert!(stats.group_commits < stats.appends, "{stats:?}");
    log.close().expect("the log closes");

    let log = Log::open(&env, &dir, CLUSTER, LogOptions::default()).expect("it opens again");
    for group in 0..8 {
        assert_eq!(log.group(GroupId(group)).last, Some(LogId::new(1, 100)));
        assert_eq!(indexes(&log, GroupId(group)).len(), 100);
    }
    log.close().expect("the log closes");
}

#[test]
fn a_lonely_waiter_writes_and_no_waiter_among_many_is_forgotten() {
    let mut env = Env::memory();
    env.vfs = Arc::new(MemVfs::new());
    // No timer wakes the job: a waiter that is forgotten waits for ever.
    let options = LogOptions {
        idle_mark_after: Duration::from_hours(1),
        ..LogOptions::default()
    };
    let log = Log::open(&env, dir(), CLUSTER, options).expect("a new log opens");
    let synced_by = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&synced_by);
    log.on_synced(
        GROUP,
        Box::new(move |_| told.lock().push(std::thread::current().id())),
    );
    let here = std::thread::current().id();
    for index in 1..=1_000 {
        log.append_wait(GROUP, entries(index, index, 100))
            .expect("durable");
    }
    let by_waiter = synced_by.lock().iter().filter(|by| **by == here).count();
    assert!(by_waiter > 500, "{by_waiter} of 1000");
    std::thread::scope(|scope| {
        for group in 10..14 {
            let log = log.clone();
            scope.spawn(move || {
                for index in 1..=2_000 {
                    log.append_wait(GroupId(group), entries(index, index, 100))
                        .expect("durable");
                }
            });
        }
    });
    log.close().expect("the log closes");
}

#[test]
fn an_append_that_does_not_fit_the_log_changes_nothing() {
    let (_vfs, process) = start();
    let log = process.open().expect("a new log opens");
    log.append_wait(GROUP, entries(1, 2, 10)).expect("durable");
    let before = log.group(GROUP);
    let too_long = vec![0; 4 * 1024];
    for writes in [
        vec![Write::Vote(Bytes::from_static(b"v")), entry(1, 4, b"gap")],
        entries(2, 2, 1),
        vec![entry(1, 3, &too_long)],
        vec![Write::Vote(Bytes::from(vec![0; 513]))],
        vec![Write::Reset(LogId::new(1, u64::MAX))],
        vec![Write::TruncateAfter(LogIndex(1)), entry(1, 3, b"gap")],
    ] {
        let refused = log.append_wait(GROUP, writes).expect_err("it is refused");
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
        assert_eq!(log.group(GROUP), before);
    }
    let many = (1..100).find_map(|group| log.append_wait(GroupId(group), entries(1, 1, 1)).err());
    assert_eq!(many.map(|e| e.kind()), Some(ErrorKind::Invalid));
    assert!(log.poisoned().is_none());
}

#[test]
fn truncation_reset_and_purge_are_replayed() {
    let (vfs, process) = start();
    let log = process.open().expect("a new log opens");
    let (cut, reset, purged, beyond) = (GroupId(1), GroupId(2), GroupId(3), GroupId(4));
    for group in [cut, reset, purged, beyond] {
        log.append_wait(group, entries(1, 9, 20)).expect("durable");
    }
    log.append_wait(
        cut,
        vec![
            Write::TruncateAfter(LogIndex(4)),
            entry(2, 5, b"again"),
            Write::TruncateAfter(LogIndex(4)),
            entry(3, 5, b"and again"),
        ],
    )
    .expect("durable");
    log.append_wait(
        reset,
        vec![Write::Reset(LogId::new(5, 50)), entry(5, 51, b"r")],
    )
    .expect("durable");
    log.append_wait(purged, vec![Write::Purge(LogId::new(1, 6))])
        .expect("durable");
    log.append_wait(beyond, vec![Write::Purge(LogId::new(2, 20))])
        .expect("durable");
    let check = |log: &Log| {
        assert_eq!(indexes(log, cut), [1, 2, 3, 4, 5]);
        assert_eq!(log.group(cut).last, Some(LogId::new(3, 5)));
        assert_eq!(log.synced(cut), LogIndex(5));
        assert_eq!(indexes(log, reset), [51]);
        assert_eq!(log.group(reset).purged, Some(LogId::new(5, 50)));
        assert_eq!(log.log_id_at(reset, LogIndex(50)), Some(LogId::new(5, 50)));
        assert_eq!(indexes(log, purged), [7, 8, 9]);
        assert_eq!(log.log_id_at(purged, LogIndex(6)), Some(LogId::new(1, 6)));
        assert_eq!(log.log_id_at(purged, LogIndex(5)), None);
        assert!(indexes(log, beyond).is_empty());
        assert_eq!(log.group(beyond).last, Some(LogId::new(2, 20)));
        assert_eq!(log.synced(beyond), LogIndex(20));
    };
    check(&log);
    log.append_wait(purged, vec![Write::TruncateAfter(LogIndex(0))])
        .expect("durable");
    assert_eq!(log.group(purged).last, Some(LogId::new(1, 6)));
    log.append_wait(purged, entries(7, 9, 20)).expect("durable");
    log.close().expect("the log closes");
    check(&restart(&vfs).1);
}

#[test]
fn a_truncation_takes_back_what_was_synced() {
    let (_vfs, process) = start();
    let log = process.open().expect("a new log opens");
    log.append_wait(GROUP, entries(1, 9, 20)).expect("durable");
    let answers = Answers::default();
    let again = vec![Write::TruncateAfter(LogIndex(4)), entry(2, 5, b"again")];
    log.append(GROUP, again, answers.done(0));
    assert_eq!(log.synced(GROUP), LogIndex(4));
    process.settle();
    assert_eq!(log.synced(GROUP), LogIndex(5));
}

#[test]
fn old_entries_are_read_from_disk_within_the_budget() {
    let (_vfs, process) = start();
    let log = process.open().expect("a new log opens");
    for index in 1..=60 {
        log.append_wait(GROUP, entries(index, index, 700))
            .expect("durable");
        log.append_wait(GroupId(1), entries(index, index, 5))
            .expect("durable");
    }
    process.settle();
    assert!(log.stats().segments > 2, "{:?}", log.stats());
    assert_eq!(indexes(&log, GROUP), (1..=60).collect::<Vec<_>>());
    assert_eq!(indexes(&log, GroupId(1)).len(), 60);
    let read = |from, until, bytes| {
        log.read(GROUP, LogIndex(from), LogIndex(until), bytes)
            .expect("it can be read")
    };
    let some = read(10, 13, usize::MAX);
    assert_eq!(some.len(), 3);
    for (entry, index) in some.iter().zip(10..) {
        assert_eq!(entry.log_id, LogId::new(1, index));
        assert_eq!(entry.body, body(index, 700));
    }
    assert_eq!(read(1, 100, 0).len(), 1, "at least one");
    assert_eq!(read(1, 100, 1400).len(), 2);
    assert_eq!(read(58, 100, 1400).len(), 2);
    assert_eq!(read(60, 61, 0).len(), 1);
    assert!(read(5, 5, 1000).is_empty());
    assert!(read(61, 100, 1000).is_empty());
}

#[test]
fn purged_segments_are_used_again_and_what_stood_there_never_parses() {
    let (vfs, process) = start();
    let log = process.open().expect("a new log opens");
    for index in 1..=300 {
        log.append_wait(GROUP, entries(index, index, 300))
            .expect("durable");
        if index % 10 == 0 {
            log.append_wait(GROUP, vec![Write::Purge(LogId::new(1, index - 5))])
                .expect("durable");
        }
    }
    process.settle();
    let stats = log.stats();
    assert!(stats.recycled > 3, "{stats:?}");
    assert!(stats.segments <= 3, "{stats:?}");
    assert!(names(&vfs).len() <= 5, "{:?}", names(&vfs));
    let before = (log.group(GROUP), read_all(&log, GROUP));
    // No close: the last segment ends in the middle of an older life.
    drop(log);
    process.workers.abandon();
    let (_process, log) = restart(&vfs);
    assert_eq!((log.group(GROUP), read_all(&log, GROUP)), before);
}

#[test]
fn an_idle_group_is_told_as_the_one_that_holds_the_log() {
    let (_vfs, process) = start();
    let log = process.open().expect("a new log opens");
    let idle = GroupId(5);
    log.append_wait(idle, entries(1, 1, 10)).expect("durable");
    for index in 1..=100 {
        log.append_wait(GROUP, entries(index, index, 500))
            .expect("durable");
    }
    log.append_wait(GROUP, vec![Write::Purge(LogId::new(1, 100))])
        .expect("durable");
    process.settle();
    let segments = log.stats().segments;
    assert!(segments > 3);
    assert_eq!(
        log.oldest_needed(),
        [(GROUP, 0), (idle, segments - 1)],
        "nothing is dropped while the idle group needs its entry"
    );
    log.append_wait(idle, vec![Write::Purge(LogId::new(1, 1))])
        .expect("durable");
    process.settle();
    assert_eq!(log.stats().segments, 1);
    assert_eq!(log.oldest_needed(), [(GROUP, 0), (idle, 0)]);
}

#[test]
fn votes_and_bounds_outlive_the_segments_they_were_written_in() {
    let (vfs, process) = start();
    let log = process.open().expect("a new log opens");
    let vote = Bytes::from_static(b"vote");
    log.append_wait(GroupId(3), vec![Write::Vote(vote.clone())])
        .expect("durable");
    for index in 1..=200 {
        log.append_wait(GROUP, entries(index, index, 500))
            .expect("durable");
    }
    log.append_wait(GROUP, vec![Write::Purge(LogId::new(1, 199))])
        .expect("durable");
    process.settle();
    assert!(!vfs.exists(&segment_path(1)).expect("it can be asked"));
    log.close().expect("the log closes");
    let (_process, log) = restart(&vfs);
    assert_eq!(log.group(GroupId(3)).vote, Some(vote));
    assert_eq!(log.group(GROUP).purged, Some(LogId::new(1, 199)));
    assert_eq!(indexes(&log, GROUP), [200]);
}

#[test]
fn a_large_append_spans_segments() {
    let (vfs, process) = start();
    let log = process.open().expect("a new log opens");
    let answers = Answers::default();
    log.append(GROUP, entries(1, 100, 1000), answers.done(1));
    log.append(GROUP, Vec::new(), answers.done(2));
    process.settle();
    assert_eq!(answers.good(), [1, 2]);
    assert!(log.stats().segments > 10);
    log.close().expect("the log closes");
    assert_eq!(indexes(&restart(&vfs).1, GROUP).len(), 100);
}

#[test]
fn starting_again_and_again_costs_little_room() {
    let (vfs, process) = start();
    process.open().expect("it opens").close().expect("closes");
    for _ in 0..10 {
        let (_process, log) = restart(&vfs);
        log.close().expect("the log closes");
    }
    let lens: Vec<usize> = (1..=11)
        .filter(|seq| vfs.exists(&segment_path(*seq)).expect("it can be asked"))
        .map(|seq| read_file(&vfs, &segment_path(seq)).len())
        .collect();
    assert!(lens.iter().sum::<usize>() < 11 * 9 * 1024, "{lens:?}");
}

#[test]
fn a_closed_log_answers_stopped_and_a_dropped_one_tells_who_waits() {
    let (_vfs, process) = start();
    let log = process.open().expect("a new log opens");
    let answers = Answers::default();
    log.append(GROUP, entries(1, 1, 10), answers.done(1));
    log.close().expect("the log closes");
    assert_eq!(answers.good(), [1], "what was queued is written");
    log.append(GROUP, entries(2, 2, 10), answers.done(2));
    assert_eq!(answers.bad(), [(2, ErrorKind::Stopped)]);
    assert!(log.poisoned().is_none());

    let log = process.open().expect("it opens again");
    log.append(GROUP, entries(2, 2, 10), answers.done(3));
    drop(log);
    process.settle();
    assert_eq!(
        answers.bad(),
        [(2, ErrorKind::Stopped), (3, ErrorKind::Stopped)]
    );
    assert_eq!(process.workers.job_count(), 0);
}

#[test]
fn the_log_of_another_cluster_is_refused() {
    let (vfs, process) = start();
    process.open().expect("it opens").close().expect("closes");
    let other = Log::open(&process.env, dir(), ClusterId(0xC2), small());
    assert_eq!(
        other.map(|_| ()).map_err(|e| e.kind()),
        Err(ErrorKind::Invalid)
    );
    assert!(names(&vfs).contains(&"0000000000000001.seg".to_owned()));
}

#[test]
fn reads_stand_firm_while_segments_are_purged_and_used_again() {
    let mut env = Env::memory();
    env.vfs = Arc::new(MemVfs::new());
    let log = Log::open(&env, dir(), CLUSTER, small()).expect("a new log opens");
    let last = 3_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in 1..=last {
                let mut writes = entries(index, index, 300);
                if index > 100 {
                    writes.push(Write::Purge(LogId::new(1, index - 100)));
                }
                log.append_wait(GROUP, writes).expect("durable");
            }
        });
        let mut seen = 0;
        while seen < last {
            let from = log.group(GROUP).purged.map_or(1, |id| id.index.0 + 1);
            let found = log
                .read(GROUP, LogIndex(from), LogIndex(from + 20), usize::MAX)
                .expect("what is there can be read");
            for pair in found.windows(2) {
                assert_eq!(pair[0].log_id.index.0 + 1, pair[1].log_id.index.0);
            }
            for entry in &found {
                assert_eq!(entry.body, body(entry.log_id.index.0, 300));
            }
            seen = log.group(GROUP).last.map_or(0, |id| id.index.0);
        }
    });
    assert!(log.stats().recycled > 10, "{:?}", log.stats());
    log.close().expect("the log closes");
}

#[test]
fn an_entry_replaced_while_it_is_written_is_not_taken_for_its_successor() {
    let (_vfs, process) = start();
    let log = process.open().expect("a new log opens");
    process.settle();
    let answers = Answers::default();
    log.append(GROUP, entries(1, 4, 700), answers.done(1));
    // The first group commit takes three entries; the third is replaced before that.
    let mut replaced = vec![Write::TruncateAfter(LogIndex(2))];
    replaced.extend((3..=5).map(|index| entry(1, index, &body(index + 100, 700))));
    log.append(GROUP, replaced, answers.done(2));
    process.workers.help();
    assert_eq!(log.stats().group_commits, 1);
    assert_eq!(
        log.synced(GROUP),
        LogIndex(2),
        "the new third is not written"
    );
    process.settle();
    assert_eq!(
        (log.synced(GROUP), answers.good()),
        (LogIndex(5), vec![1, 2])
    );
    // The budget of the tail holds but one of them: the others come from disk.
    let bodies: Vec<Bytes> = read_all(&log, GROUP).into_iter().map(|e| e.body).collect();
    assert_eq!(bodies, [1, 2, 103, 104, 105].map(|index| body(index, 700)));
}

#[test]
fn nothing_follows_an_entry_that_is_longer_than_a_read_may_be() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let process = Process::start(vfs, 1);
    let log = process.open().expect("a new log opens");
    let body = |index, len| {
        let body = Bytes::from(vec![7; len]);
        Write::Entry(LogEntry {
            log_id: LogId::new(1, index),
            body,
        })
    };
    let writes = vec![body(1, 1000), body(2, 0), body(3, 0)];
    log.append_wait(GROUP, writes).expect("durable");
    let read = |bytes| {
        let entries = log
            .read(GROUP, LogIndex(1), LogIndex(4), bytes)
            .expect("readable");
        entries.len()
    };
    assert_eq!([read(0), read(5), read(999), read(1000)], [1, 1, 1, 3]);
}
