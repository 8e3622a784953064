//! The dataset is bounded by the disk and not by memory. Alone in its process, so that its
//! resident memory is its own.

use bytes::Bytes;
use engine::command::{Command, Commit, Op, Outcome, RowRef};
use engine::query::ScanRequest;
use engine::{Engine, Options};

const MIB: u64 = 1024 * 1024;
const ROWS: u64 = 48 * 1024;

fn options() -> Options {
    const KIB: usize = 1024;
    Options {
        memtable_bytes: 4096 * KIB,
        table_bytes: 2 * MIB,
        level_base_bytes: 8 * MIB,
        block_cache_bytes: 4096 * KIB,
        row_cache_bytes: 4096 * KIB,
        log_tail_bytes: 4096 * KIB,
        checkpoint_bytes: 8 * MIB,
        ..Options::default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "resident memory is the system's to tell"
)]
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells it");
    let pages = statm
        .split_whitespace()
        .nth(1)
        .expect("the second field is resident pages");
    pages.parse::<u64>().expect("a number of pages") * 4096
}

fn row(number: u64) -> RowRef {
    RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from(format!("key-{number:08}")),
    }
}

/// A value that no compression shrinks.
fn value(number: u64) -> Bytes {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(1024);
    while out.len() < 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    Bytes::from(out)
}

#[test]
fn ten_times_the_memtable_is_served_from_tables_in_bounded_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = resident_bytes();
    let engine = Engine::open(folder.path(), options()).expect("a new folder opens");
    for first in (0..ROWS).step_by(64) {
        let put = |number| Op::put(row(number), value(number));
        let ops = (first..first + 64).map(put).collect();
        let outcome = engine
            .commit(Commit {
                ops,
                ..Commit::default()
            })
            .expect("a healthy disk");
        assert!(matches!(outcome, Outcome::Committed { .. }));
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(
        grown < 64 * MIB,
        "memory grew by {} MiB over 48 MiB of rows",
        grown / MIB
    );

    engine.replica().begin_checkpoint().expect("a healthy disk");
    engine
        .replica()
        .wait_for_checkpoint()
        .expect("a healthy disk");
    // One more entry, so that the purge behind the checkpoint is durable too.
    engine.execute(Command::Tick).expect("a healthy disk");
    let purged = engine.log_stats().recycled;
    engine.close().expect("a healthy engine closes");
    drop(engine);

    let engine = Engine::open(folder.path(), options()).expect("the folder opens again");
    let checkpoint = engine
        .replica()
        .checkpoint()
        .expect("one was made")
        .log_id
        .index;
    let applied = engine
        .replica()
        .applied()
        .expect("there were entries")
        .index;
    assert!(
        applied.0 - checkpoint.0 <= 1,
        "the log was purged up to the checkpoint"
    );
    assert!(purged <= ROWS, "segments are counted");
    for number in (0..ROWS).step_by(97) {
        let found = engine
            .replica()
            .get(&row(number), None)
            .expect("a healthy disk")
            .row;
        assert_eq!(
            found.expect("every row is there").value,
            value(number),
            "row {number}"
        );
    }
    let mut after = None;
    let mut count = 0;
    loop {
        let request = ScanRequest {
            keyspace: "default".to_owned(),
            after,
            ..ScanRequest::default()
        };
        let page = engine.replica().scan(&request).expect("a healthy disk");
        count += page.rows.len() as u64;
        after = page.rows.last().map(|row| row.key.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(count, ROWS);
    let grown = resident_bytes().saturating_sub(before);
    assert!(
        grown < 64 * MIB,
        "memory grew by {} MiB after a restart",
        grown / MIB
    );
}
