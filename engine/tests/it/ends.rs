//! Time passes in an embedded engine, without anybody's help.

use std::time::{Duration, Instant};

use engine::command::{Commit, Expiry, Op, RowRef};
use engine::{Engine, Options};

#[test]
#[expect(clippy::disallowed_methods, reason = "real time is what is tested")]
fn a_row_that_ends_is_removed_while_nobody_writes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::open(folder.path(), Options::default()).expect("a new folder");
    let row = RowRef {
        keyspace: "default".to_owned(),
        key: "short".into(),
    };
    let put = Op::Put {
        row: row.clone(),
        value: "v".into(),
        expiry: Expiry::After(50),
    };
    let commit = Commit {
        ops: vec![put],
        ..Commit::default()
    };
    engine.commit(commit).expect("a commit");
    let begun = Instant::now();
    let is_there = || {
        let answer = engine.replica().get(&row, None).expect("a read");
        answer.row.is_some()
    };
    while is_there() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(
        engine.replica().next_due_ms().is_none(),
        "nothing is left to do"
    );
    engine.close().expect("the engine runs");
    drop(engine);
    Engine::open(folder.path(), Options::default()).expect("its folder is free");
}
