//! What a versioned keyspace keeps stays: through compaction, a raised floor, a checkpoint sent to
//! another replica. What one commit or tick keeps is bounded.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{
    Batch, Command, Commit, Expiry, KeyspaceOptions, Op, Outcome, Payload, Refusal, RowRef,
};
use engine::env::vfs::sim::SimVfs;
use engine::env::{Env, Workers};
use engine::ids::{LogId, Revision};
use engine::query::{VersionsPage, VersionsRequest};
use engine::replica::Replica;
use engine::{Engine, ErrorKind, Options};

use crate::install::{World, chunks, receive};

fn row(key: &str) -> RowRef {
    RowRef {
        keyspace: "docs".to_owned(),
        key: Bytes::from(key.to_owned()),
    }
}

fn create() -> Command {
    Command::CreateKeyspace {
        name: "docs".to_owned(),
        options: KeyspaceOptions {
            default_ttl_ms: None,
            versioned: true,
            ..KeyspaceOptions::default()
        },
    }
}

fn commit(ops: Vec<Op>) -> Command {
    Command::Commit(Commit {
        ops,
        ..Commit::default()
    })
}

/// Applies one command as the next entry, at a time.
fn apply(replica: &Replica, now_ms: u64, command: Command) -> Outcome {
    let index = replica.applied().map_or(1, |applied| applied.index.0 + 1);
    let payload = Payload::Batch(Batch {
        now_ms,
        commands: vec![command],
    });
    let outcomes = replica.apply(LogId::new(1, index), &payload);
    let mut outcomes = outcomes.expect("a healthy disk");
    outcomes.pop().expect("one for the command")
}

fn versions(replica: &Replica, key: &str) -> VersionsPage {
    let request = VersionsRequest {
        row: row(key),
        before: None,
        limit: 0,
    };
    replica.versions(&request).expect("readable")
}

fn value(number: u64) -> Bytes {
    Bytes::from(format!("{number:05}{}", "v".repeat(120)))
}

/// A row that was written at each of the revisions 2 to 200 and deleted at 201; no revision below
/// that can be read.
fn compacted(world: &World) -> Replica {
    let replica = world.open().expect("a new folder opens");
    apply(&replica, 1, create());
    for number in 2..=200 {
        apply(&replica, 1, commit(vec![Op::put(row("a"), value(number))]));
    }
    apply(&replica, 1, commit(vec![Op::Delete { row: row("a") }]));
    let revision = replica.revision();
    assert_eq!(revision, Revision(201));
    apply(&replica, 1, Command::RaiseFloor { revision });
    replica.begin_checkpoint().expect("a healthy disk");
    replica.wait_for_checkpoint().expect("a healthy disk");
    while world.workers.help() {}
    replica
}

fn assert_all_there(replica: &Replica) {
    let old = replica.get(&row("a"), Some(Revision(100)));
    assert_eq!(
        old.expect_err("below the floor").kind(),
        ErrorKind::OutOfRange
    );
    let page = versions(replica, "a");
    assert!(page.kept && !page.more);
    let found: Vec<_> = page
        .versions
        .iter()
        .map(|version| (version.revision.0, version.is_delete_marker))
        .collect();
    let expected = (2..=201).rev().map(|revision| (revision, revision == 201));
    assert_eq!(found, expected.collect::<Vec<_>>());
    let first = replica.version(&row("a"), Revision(2)).expect("readable");
    assert_eq!(first.version.expect("it is kept").value, value(2));
}

#[test]
fn neither_compaction_nor_a_raised_floor_nor_an_install_takes_a_version_away() {
    let world = World::new(Arc::new(SimVfs::new(1)), 1);
    let from = compacted(&world);
    assert_all_there(&from);

    let other = World::new(Arc::new(SimVfs::new(2)), 2);
    let to = other.open().expect("a new folder opens");
    receive(&to, &chunks(&from)).expect("a whole checkpoint");
    assert_all_there(&to);
    for replica in [&from, &to] {
        let undelete = commit(vec![Op::Undelete { row: row("a") }]);
        let done = apply(replica, 1, undelete);
        assert!(matches!(done, Outcome::Committed { .. }), "{done:?}");
        let read = replica.get(&row("a"), None).expect("readable");
        assert_eq!(read.row.expect("it is there again").value, value(200));
    }
    assert_eq!(from.view().digest, to.view().digest);
}

#[test]
fn a_commit_that_keeps_too_much_is_refused_whole() {
    let engine = Engine::open_in(Env::memory(), Path::new("/engine"), Options::default());
    let engine = engine.expect("a new folder opens");
    engine.execute(create()).expect("the disk works");
    for half in 0..3 {
        let keys = (0..7_000).map(|number| row(&format!("{half}/{number}")));
        let ops = keys.map(|row| Op::put(row, Bytes::new())).collect();
        engine.execute(commit(ops)).expect("the disk works");
    }
    let delete = |start: &str, end: Option<&str>| {
        let range = Op::DeleteRange {
            keyspace: "docs".to_owned(),
            start: Bytes::from(start.to_owned()),
            end: end.map(|end| Bytes::from(end.to_owned())),
        };
        engine.execute(commit(vec![range])).expect("the disk works")
    };
    let is_refused = |outcome: &Outcome, word: &str| matches!(outcome, Outcome::Refused(Refusal::Invalid { reason }) if reason.contains(word));
    let all = delete("", None);
    assert!(is_refused(&all, "40000 rows"), "{all:?}");
    let count = || engine.replica().count("docs", b"", None).expect("readable");
    assert_eq!(count().0, 21_000, "a refused commit removes nothing");
    delete("", Some("2"));
    assert_eq!(count().0, 7_000);

    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let keys: Vec<_> = (0..17).map(|number| format!("large-{number:02}")).collect();
    for key in &keys {
        let put = Op::put(row(key), large.clone());
        engine.execute(commit(vec![put])).expect("the disk works");
    }
    let one_by_one = keys.iter().map(|key| Op::Delete { row: row(key) });
    let refused = engine.execute(commit(one_by_one.collect()));
    let refused = refused.expect("the disk works");
    assert!(is_refused(&refused, "16 MiB"), "{refused:?}");
    let refused = delete("large", Some("large-99"));
    assert!(is_refused(&refused, "16 MiB"), "{refused:?}");
    let done = delete("large", Some("large-10"));
    assert!(matches!(done, Outcome::Committed { .. }), "{done:?}");
}

#[test]
fn a_tick_keeps_no_more_than_a_commit_may() {
    let world = World::new(Arc::new(SimVfs::new(1)), 1);
    let replica = world.open().expect("a new folder opens");
    apply(&replica, 1, create());
    for number in 0..20 {
        let put = Op::Put {
            row: row(&format!("large-{number:02}")),
            value: Bytes::from(vec![b'x'; 1 << 20]),
            expiry: Expiry::After(1_000),
        };
        apply(&replica, 1, commit(vec![put]));
        while world.workers.help() {}
    }
    let before = replica.revision();
    apply(&replica, 2_000, Command::Tick);
    assert_eq!(replica.next_due_ms(), Some(1_001), "some are left");
    apply(&replica, 2_000, Command::Tick);
    assert_eq!(replica.next_due_ms(), None);
    assert_eq!(replica.revision(), Revision(before.0 + 2));
    for number in 0..20 {
        let found = versions(&replica, &format!("large-{number:02}")).versions;
        let markers: Vec<_> = found.iter().map(|found| found.is_delete_marker).collect();
        assert_eq!(markers, [true, false]);
    }
}
