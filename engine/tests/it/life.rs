//! An engine on a simulated disk, and commits whose survival can be checked.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Command, Commit, NewMessage, Op, RowRef};
use engine::env::vfs::sim::SimVfs;
use engine::env::workers::SteppedWorkers;
use engine::env::{Env, Vfs};
use engine::ids::{Offset, PartitionId};
use engine::query::FetchRequest;
use engine::{Engine, Options, StoreKind};

const KEYS: u64 = 7;

pub(crate) struct Life {
    pub(crate) vfs: Arc<SimVfs>,
    pub(crate) workers: Arc<SteppedWorkers>,
    env: Env,
    store: StoreKind,
}

impl Life {
    pub(crate) fn new(vfs: Arc<SimVfs>, seed: u64, store: StoreKind) -> Self {
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

    pub(crate) fn open(&self) -> engine::Result<Engine> {
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
pub(crate) fn commit(number: u64) -> Command {
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
        ops: vec![Op::put(row, value), publish],
        ..Commit::default()
    })
}

pub(crate) fn key(number: u64) -> Bytes {
    Bytes::from(format!("key-{}", number % KEYS))
}

pub(crate) fn value(number: u64) -> Bytes {
    Bytes::from(format!("{number:06}{}", "x".repeat(200)))
}

/// Opens after the power came back; answers how many commits are there.
pub(crate) fn verify(life: &Life, acknowledged: u64, context: &str) -> u64 {
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

/// How many tables stand in L0.
pub(crate) fn l0_tables(vfs: &Arc<SimVfs>) -> usize {
    let vfs: Arc<dyn Vfs> = vfs.clone();
    let store = Path::new("/node/group-0/state-000001/store");
    let seen = engine::inspect::manifest(&vfs, store, &mut |_| {}).expect("the folder is there");
    seen.tables.iter().filter(|table| table.level == 0).count()
}
