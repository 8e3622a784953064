//! `kill -9` at any moment: what the process had acknowledged is there after the restart.
//!
//! The test starts itself as a second process, which commits and says what was acknowledged; it
//! is killed after a while, and the folder is opened here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command as Program, Stdio};

use bytes::Bytes;
use engine::command::{Command, Commit, Op, Outcome, RowRef};
use engine::env::rng::SeededRng;
use engine::{Engine, Options, StoreKind};

const FOLDER: &str = "ENGINE_TEST_KILL_FOLDER";
const ACKNOWLEDGED: &str = "acknowledged ";
const KILLS: u64 = 8;
const KEYS: u64 = 50;

fn open(folder: &Path, store: StoreKind) -> Engine {
    let options = Options {
        store,
        memtable_bytes: 16 << 10,
        table_bytes: 8 << 10,
        level_base_bytes: 32 << 10,
        checkpoint_bytes: 32 << 10,
        log_segment_bytes: 17 << 20,
        ..Options::default()
    };
    Engine::open(folder, options).expect("the folder opens after every kill")
}

fn row(number: u64) -> RowRef {
    RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from(format!("key-{:02}", number % KEYS)),
    }
}

/// Commit `number` writes its own row, and the number of the last commit.
fn commit(engine: &Engine, number: u64) {
    let value = Bytes::from(format!("{number:08}{}", "x".repeat(300)));
    let last = RowRef {
        keyspace: "default".to_owned(),
        key: "last".into(),
    };
    let put = |row| Op::put(row, value.clone());
    let commit = Commit {
        ops: vec![put(row(number)), put(last)],
        ..Commit::default()
    };
    let outcome = engine.execute(Command::Commit(commit)).expect("committed");
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// The number that a row holds.
fn number(engine: &Engine, row: &RowRef) -> Option<u64> {
    let found = engine.replica().get(row, None).expect("readable").row?;
    let text = std::str::from_utf8(&found.value[..8]).expect("digits");
    Some(text.parse().expect("a number"))
}

/// Every row as the commits up to the last one left it; answers the next number.
fn verify(engine: &Engine) -> u64 {
    let last = RowRef {
        keyspace: "default".to_owned(),
        key: "last".into(),
    };
    let Some(last) = number(engine, &last) else {
        return 0;
    };
    for expected in last.saturating_sub(KEYS - 1)..=last {
        assert_eq!(number(engine, &row(expected)), Some(expected));
    }
    last + 1
}

/// The second process: commits until it is killed.
fn commit_for_ever(folder: &Path, store: StoreKind) -> ! {
    let engine = open(folder, store);
    let mut out = std::io::stdout();
    for next in verify(&engine).. {
        commit(&engine, next);
        writeln!(out, "{ACKNOWLEDGED}{next}").expect("somebody listens");
    }
    unreachable!("the numbers do not end")
}

fn survive(test: &str, store: StoreKind) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        commit_for_ever(Path::new(&folder), store);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rng = SeededRng::new(9);
    let mut next = 0;
    for kill in 0..KILLS {
        let mut child = Program::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let commits = 100 + rng.below(400);
        let acknowledged = out
            .lines()
            .map(|line| line.expect("lines of text"))
            .filter_map(|line| line.strip_prefix(ACKNOWLEDGED)?.parse::<u64>().ok())
            .find(|number| *number >= next + commits)
            .expect("it commits until it is killed");
        child.kill().expect("it runs");
        child.wait().expect("it was started here");
        let engine = open(folder.path(), store);
        next = verify(&engine);
        assert!(next > acknowledged, "kill {kill}: {acknowledged} is lost");
        if kill % 2 == 0 {
            engine.close().expect("a healthy engine");
        }
    }
    assert!(next >= KILLS * 100);
}

#[test]
fn nothing_acknowledged_is_lost() {
    survive("kill::nothing_acknowledged_is_lost", StoreKind::Lsm);
}

#[cfg(feature = "sled")]
#[test]
fn nothing_acknowledged_is_lost_with_sled() {
    survive(
        "kill::nothing_acknowledged_is_lost_with_sled",
        StoreKind::Sled,
    );
}
