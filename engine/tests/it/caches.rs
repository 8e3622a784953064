//! The store is the only source of truth: without its caches an engine answers the same.

use bytes::Bytes;
use engine::command::{Commit, Op, RowRef};
use engine::{Engine, Options};

const ROWS: u64 = 10_000;
const ROWS_A_COMMIT: usize = 100;

fn row(number: u64) -> RowRef {
    RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from(format!("key-{number:05}")),
    }
}

fn read_all(engine: &Engine) -> Vec<Bytes> {
    let get = |number| engine.replica().get(&row(number), None);
    (0..ROWS)
        .map(|number| {
            let answer = get(number).expect("the store is readable");
            answer.row.expect("it was written").value
        })
        .collect()
}

#[test]
fn dropped_caches_change_no_answer_and_each_row_comes_from_the_store_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = Options {
        memtable_bytes: 256 << 10,
        checkpoint_bytes: 256 << 10,
        ..Options::default()
    };
    let engine = Engine::open(folder.path(), options).expect("a new folder opens");
    let numbers: Vec<u64> = (0..ROWS).collect();
    for numbers in numbers.chunks(ROWS_A_COMMIT) {
        let put = |number: &u64| {
            Op::put(
                row(*number),
                Bytes::from(format!("value {number}").repeat(20)),
            )
        };
        let commit = Commit {
            ops: numbers.iter().map(put).collect(),
            ..Commit::default()
        };
        engine.commit(commit).expect("the disk works");
    }
    let values = read_all(&engine);
    let stats = || engine.replica().cache_stats();

    let warm = stats();
    assert_eq!(read_all(&engine), values);
    let cached = stats();
    assert_eq!(cached.hits - warm.hits, ROWS);
    assert_eq!(cached.misses, warm.misses);

    engine.replica().clear_caches();
    assert_eq!(stats().entries, 0);
    assert_eq!(read_all(&engine), values);
    let cold = stats();
    assert_eq!(cold.hits, cached.hits);
    assert_eq!(cold.misses - cached.misses, ROWS);
    engine.close().expect("the disk works");
}
