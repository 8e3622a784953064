//! A keyspace with many rows gets its first quota: they are counted some at a time, whatever is
//! written meanwhile.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Command, Commit, Expiry, KeyspaceOptions, Op, Outcome, Refusal, RowRef};
use engine::env::Env;
use engine::env::clock::ManualClock;
use engine::limits::TICK_COUNTS_MAX;
use engine::query::{ScanRequest, UsageView};
use engine::{Engine, Options};

const KEYSPACE: &str = "many";

fn row(number: usize) -> RowRef {
    RowRef {
        keyspace: KEYSPACE.to_owned(),
        key: format!("{number:06}").into(),
    }
}

fn put(number: usize, value: &'static str) -> Op {
    Op::Put {
        row: row(number),
        value: Bytes::from_static(value.as_bytes()),
        expiry: Expiry::Default,
    }
}

fn commit(engine: &Engine, ops: Vec<Op>) -> Outcome {
    let commit = Commit {
        ops,
        ..Commit::default()
    };
    engine.commit(commit).expect("the disk works")
}

fn usage(engine: &Engine) -> UsageView {
    let keyspaces = engine.replica().keyspaces();
    let many = keyspaces.iter().find(|one| one.name == KEYSPACE);
    many.expect("it was made").usage.expect("it has a quota")
}

fn counted_by_hand(engine: &Engine) -> (u64, u64) {
    let (mut rows, mut bytes, mut after) = (0, 0, None);
    loop {
        let request = ScanRequest {
            keyspace: KEYSPACE.to_owned(),
            after: after.take(),
            ..ScanRequest::default()
        };
        let page = engine.replica().scan(&request).expect("the disk works");
        rows += page.rows.len() as u64;
        let sizes = page.rows.iter().map(|row| row.key.len() + row.value.len());
        bytes += sizes.sum::<usize>() as u64;
        if !page.more {
            return (rows, bytes);
        }
        after = page.rows.last().map(|row| row.key.clone());
    }
}

#[test]
fn many_rows_are_counted_while_they_change() {
    // The clock stands still, so that all ticks are the test's own.
    let env = Env {
        clock: Arc::new(ManualClock::new(0)),
        ..Env::memory()
    };
    let engine = Engine::open_in(env, Path::new("/engine"), Options::default());
    let engine = engine.expect("an empty folder");
    let options = KeyspaceOptions::default();
    let name = KEYSPACE.to_owned();
    let make = Command::CreateKeyspace { name, options };
    engine.execute(make).expect("the disk works");
    let rows = 2 * TICK_COUNTS_MAX + 100;
    for first in (0..rows).step_by(100) {
        commit(
            &engine,
            (first..first + 100).map(|one| put(one, "v")).collect(),
        );
    }
    let alter = Command::AlterKeyspace {
        name: KEYSPACE.to_owned(),
        options: KeyspaceOptions {
            rows_max: Some(rows as u64 + 1),
            ..KeyspaceOptions::default()
        },
    };
    engine.execute(alter).expect("the disk works");
    assert_eq!((usage(&engine).rows, usage(&engine).complete), (0, false));

    let last = rows - 1;
    let mut ticks = 0;
    while !usage(&engine).complete {
        // At both ends: what is written here has been counted after the first tick, or will be.
        commit(&engine, vec![put(0, "longer"), put(last, "longer still")]);
        let gone = |number| Op::Delete { row: row(number) };
        commit(&engine, vec![gone(1 + ticks), gone(last - 1 - ticks)]);
        commit(&engine, vec![put(rows + ticks, "new")]);
        engine.execute(Command::Tick).expect("the disk works");
        ticks += 1;
        assert!(ticks < 10, "{:?}", usage(&engine));
    }
    assert_eq!(ticks, 3, "so many rows at a time");
    let UsageView { rows, bytes, .. } = usage(&engine);
    assert_eq!((rows, bytes), counted_by_hand(&engine));

    // The quota holds from now on.
    let room = 2 * TICK_COUNTS_MAX + 101 - usize::try_from(rows).expect("few");
    commit(
        &engine,
        (0..room).map(|one| put(900_000 + one, "")).collect(),
    );
    let refused = commit(&engine, vec![put(999_999, "")]);
    let Outcome::Refused(Refusal::QuotaReached { max, wanted, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(wanted, max + 1);
}
