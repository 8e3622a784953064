//! One commit does not remove more than an apply can do soon.

use std::path::Path;

use bytes::Bytes;
use engine::command::{Commit, Expiry, Op, Outcome, Refusal, RowRef};
use engine::env::Env;
use engine::query::ScanRequest;
use engine::{Engine, Options};

fn row(number: u64) -> RowRef {
    RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from(format!("set-{number:04}")),
    }
}

/// An engine with so many sets of so many members.
fn with_sets(sets: u64, members: u64) -> Engine {
    let engine = Engine::open_in(Env::memory(), Path::new("/engine"), Options::default());
    let engine = engine.expect("a new folder opens");
    let members: Vec<Bytes> = (0..members).map(|n| Bytes::from(n.to_string())).collect();
    for number in 0..sets {
        let commit = Commit {
            ops: vec![Op::SetAdd {
                row: row(number),
                members: members.clone(),
                expiry: Expiry::Default,
            }],
            ..Commit::default()
        };
        engine.commit(commit).expect("the disk works");
    }
    engine
}

fn delete(engine: &Engine, sets: std::ops::Range<u64>) -> Outcome {
    let commit = Commit {
        ops: sets.map(|number| Op::Delete { row: row(number) }).collect(),
        ..Commit::default()
    };
    engine.commit(commit).expect("the disk works")
}

fn is_refused(outcome: &Outcome, word: &str) -> bool {
    matches!(outcome, Outcome::Refused(Refusal::Invalid { reason }) if reason.contains(word))
}

#[test]
fn a_commit_removes_at_most_64_large_sets() {
    let engine = with_sets(65, 65);
    let refused = delete(&engine, 0..65);
    assert!(is_refused(&refused, "64 ranges"), "{refused:?}");
    let request = ScanRequest {
        keyspace: "default".to_owned(),
        ..ScanRequest::default()
    };
    let page = engine.replica().scan(&request).expect("the disk works");
    assert_eq!(page.rows.len(), 65, "a refused commit removes nothing");
    let done = delete(&engine, 0..64);
    assert!(matches!(done, Outcome::Committed { .. }), "{done:?}");
}

#[test]
fn a_commit_removes_at_most_40_000_members() {
    let engine = with_sets(620, 64);
    let refused = delete(&engine, 0..620);
    assert!(is_refused(&refused, "40000 rows"), "{refused:?}");
    for half in [0..310, 310..620] {
        let done = delete(&engine, half);
        assert!(matches!(done, Outcome::Committed { .. }), "{done:?}");
    }
}
