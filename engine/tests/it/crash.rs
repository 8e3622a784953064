//! Power cuts at any call to the disk: what was acknowledged is there, and nothing by halves.
//!
//! Each life runs the same commits on a simulated disk whose power goes off at one I/O. After
//! the restart every acknowledged commit is there, whole; the one that was under way is there
//! whole or not at all; and the engine goes on working.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Command, Commit, NewMessage, Op, Outcome, RowRef};
use engine::env::Env;
use engine::env::rng::SeededRng;
use engine::env::vfs::sim::SimVfs;
use engine::env::workers::{SteppedWorkers, Workers};
use engine::ids::{Offset, PartitionId};
use engine::query::FetchRequest;
use engine::{Engine, Options, StoreKind};

const COMMITS: u64 = 60;
const KEYS: u64 = 7;

struct Life {
    vfs: Arc<SimVfs>,
    workers: Arc<SteppedWorkers>,
    env: Env,
    store: StoreKind,
}

impl Life {
    fn new(vfs: Arc<SimVfs>, seed: u64, store: StoreKind) -> Self {
        let workers = Arc::new(SteppedWorkers::new(seed));
        let env = Env {
            workers: workers.clone(),
            ..Env::simulated(vfs.clone(), seed)
        };
        Self {
            vfs,
            workers,
            env,
            store,
        }
    }

    fn open(&self) -> engine::Result<Engine> {
        let options = Options {
            store: self.store,
            memtable_bytes: 4096,
            table_bytes: 4096,
            level_base_bytes: 16_384,
            checkpoint_bytes: 4096,
            partition_file_bytes: 4096,
            log_segment_bytes: 17 << 20,
            ..Options::default()
        };
        Engine::open_in(self.env.clone(), Path::new("/node"), options)
    }
}

/// Commit `number`: a row that says which commit wrote it, and a message that says the same.
fn commit(number: u64) -> Command {
    let row = RowRef {
        keyspace: "default".to_owned(),
        key: key(number),
    };
    let value = value(number);
    let message = NewMessage {
        key: None,
        value: value.clone(),
        headers: Vec::new(),
    };
    let publish = Op::Publish {
        topic: "t".to_owned(),
        partition: Some(PartitionId(0)),
        message,
    };
    Command::Commit(Commit {
        ops: vec![Op::Put { row, value }, publish],
        ..Commit::default()
    })
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key-{}", number % KEYS))
}

fn value(number: u64) -> Bytes {
    Bytes::from(format!("{number:06}{}", "x".repeat(200)))
}

/// Runs commits from `from` on; answers how many of all were acknowledged before the power went.
fn run(life: &Life, from: u64) -> u64 {
    let mut acknowledged = from;
    let Ok(engine) = life.open() else {
        return acknowledged;
    };
    if from == 0 {
        let name = "t".to_owned();
        if engine
            .execute(Command::CreateTopic {
                name,
                partitions: 1,
            })
            .is_err()
        {
            return acknowledged;
        }
    }
    for number in from..COMMITS {
        match engine.execute(commit(number)) {
            Ok(Outcome::Committed { .. }) => acknowledged = number + 1,
            // The topic's creation was cut off in the life before.
            Ok(Outcome::Refused(_)) => {
                let name = "t".to_owned();
                let made = engine.execute(Command::CreateTopic {
                    name,
                    partitions: 1,
                });
                let again = made.and_then(|_| engine.execute(commit(number)));
                if !matches!(again, Ok(Outcome::Committed { .. })) {
                    return acknowledged;
                }
                acknowledged = number + 1;
            }
            Ok(other) => panic!("a commit answered {other:?}"),
            Err(_) => return acknowledged,
        }
        life.workers.help();
    }
    acknowledged
}

/// Opens after the power came back; answers how many commits are there.
fn verify(life: &Life, acknowledged: u64, context: &str) -> u64 {
    let engine = life
        .open()
        .unwrap_or_else(|error| panic!("{context}: open: {error}"));
    let replica = engine.replica();
    let messages = match replica.topic("t") {
        Ok(_) => {
            let request = FetchRequest {
                topic: "t".to_owned(),
                partition: PartitionId(0),
                from: Offset(0),
                limit: 0,
            };
            replica
                .fetch(&request)
                .expect("the partition is readable")
                .messages
        }
        Err(_) => Vec::new(),
    };
    let there = messages.len() as u64;
    assert!(
        there >= acknowledged,
        "{context}: {acknowledged} acknowledged, {there} there"
    );
    assert!(
        there <= acknowledged + 1,
        "{context}: {there} there, {acknowledged} acknowledged"
    );
    for (number, message) in (0..).zip(&messages) {
        assert_eq!(
            message.body.value,
            value(number),
            "{context}: message {number}"
        );
    }
    for number in there.saturating_sub(KEYS)..there {
        let row = RowRef {
            keyspace: "default".to_owned(),
            key: key(number),
        };
        let found = replica.get(&row, None).expect("rows are readable").row;
        let found = found.unwrap_or_else(|| panic!("{context}: the row of commit {number}"));
        assert_eq!(
            found.value,
            value(number),
            "{context}: the row of commit {number}"
        );
        let message = messages
            .iter()
            .find(|message| message.body.value == found.value);
        let revision = message.expect("checked above").revision;
        assert_eq!(
            found.mod_revision, revision,
            "{context}: row and message are one commit"
        );
    }
    there
}

fn survive(store: StoreKind, seed: u64, crash_at: u64) {
    let context = format!("seed {seed}, power off at I/O {crash_at}");
    // Another disk for each cut, so that each loses something else.
    let vfs = Arc::new(SimVfs::new(1_000_000 * seed + crash_at));
    vfs.crash_at(crash_at);
    let life = Life::new(vfs.clone(), seed, store);
    let acknowledged = run(&life, 0);
    life.workers.abandon();
    if life.vfs.is_powered() {
        life.vfs.power_off();
    }
    vfs.power_on();
    let life = Life::new(vfs.clone(), seed + 1, store);
    let there = verify(&life, acknowledged, &context);
    life.workers.abandon();
    let life = Life::new(vfs, seed + 2, store);
    let all = run(&life, there);
    assert_eq!(all, COMMITS, "{context}: the engine works on");
    verify(&life, all, &context);
    life.workers.abandon();
}

#[test]
fn every_acknowledged_commit_survives_a_power_cut_at_any_io() {
    cut_the_power_200_times(StoreKind::Lsm);
}

/// sled's own files are not on the simulated disk: after each cut they are gone altogether.
#[cfg(feature = "sled")]
#[test]
fn every_acknowledged_commit_survives_a_power_cut_at_any_io_with_sled() {
    cut_the_power_200_times(StoreKind::Sled);
}

fn cut_the_power_200_times(store: StoreKind) {
    let rng = SeededRng::new(20_261_121);
    let mut cuts = 0;
    for seed in 0..5 {
        let vfs = Arc::new(SimVfs::new(seed));
        let life = Life::new(vfs.clone(), seed, store);
        assert_eq!(
            run(&life, 0),
            COMMITS,
            "without a power cut everything is acknowledged"
        );
        life.workers.abandon();
        let calls = vfs.io_count();
        for _ in 0..40 {
            survive(store, seed, 1 + rng.below(calls));
            cuts += 1;
        }
    }
    assert_eq!(cuts, 200);
}
