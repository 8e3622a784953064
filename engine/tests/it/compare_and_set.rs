//! Of many who change one row under the same guard at once, one succeeds.

use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};

use bytes::Bytes;
use engine::command::{Commit, Guard, Op, Outcome, Refusal, RowRef};
use engine::{Engine, Options};

const CALLERS: usize = 100;

fn put(row: &RowRef, value: impl Into<Bytes>, guards: Vec<Guard>) -> Commit {
    let op = Op::put(row.clone(), value.into());
    Commit {
        guards,
        ops: vec![op],
        ..Commit::default()
    }
}

#[test]
fn one_of_a_hundred_concurrent_compare_and_sets_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::open(folder.path(), Options::default()).expect("a new folder opens");
    let row = RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from_static(b"row"),
    };
    let first = put(&row, "first", Vec::new());
    engine.commit(first).expect("the disk works");
    let get = || {
        let answer = engine.replica().get(&row, None);
        answer.expect("the store is readable").row.expect("written")
    };
    let before = get();

    let together = Barrier::new(CALLERS);
    let call = |caller: usize| {
        let guard = Guard::RevisionIs(row.clone(), before.mod_revision);
        let commit = put(&row, caller.to_string(), vec![guard]);
        together.wait();
        engine.commit(commit).expect("the disk works")
    };
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let call = &call;
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| scope.spawn(move || call(caller)))
            .collect();
        let joined = callers.into_iter().map(ScopedJoinHandle::join);
        joined.map(|outcome| outcome.expect("no panic")).collect()
    });

    let after = get();
    assert_eq!(after.version, before.version + 1);
    let mut winners = Vec::new();
    for (caller, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Refused(Refusal::GuardFailed { guard: 0, actual }) => {
                assert_eq!(*actual, Some(after.mod_revision));
            }
            _ => winners.push(caller.to_string()),
        }
    }
    assert_eq!(winners, [String::from_utf8_lossy(&after.value)]);
    engine.close().expect("the disk works");
}
