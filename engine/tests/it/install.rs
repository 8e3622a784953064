//! A checkpoint sent from one replica to another: whole, or not at all.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Batch, Command, Commit, NewMessage, Op, Payload, RowRef};
use engine::env::rng::SeededRng;
use engine::env::vfs::sim::SimVfs;
use engine::env::workers::SteppedWorkers;
use engine::env::{Env, Vfs};
use engine::ids::{GroupId, LogId, Offset, PartitionId};
use engine::query::{FetchRequest, ScanRequest};
use engine::replica::{Replica, Shared};
use engine::{ErrorKind, Options, StoreKind};

const GROUP: GroupId = GroupId(3);

pub(super) const DIR: &str = "/node/group-3";

pub(super) struct World {
    pub(super) vfs: Arc<SimVfs>,
    pub(super) workers: Arc<SteppedWorkers>,
    pub(super) shared: Shared,
}

impl World {
    pub(super) fn new(vfs: Arc<SimVfs>, seed: u64) -> Self {
        Self::with_store(vfs, seed, StoreKind::Lsm)
    }

    fn with_store(vfs: Arc<SimVfs>, seed: u64, store: StoreKind) -> Self {
        let workers = Arc::new(SteppedWorkers::new(seed));
        let env = Env {
            workers: workers.clone(),
            ..Env::simulated(vfs.clone(), seed)
        };
        let options = Options {
            store,
            memtable_bytes: 8192,
            table_bytes: 4096,
            level_base_bytes: 16_384,
            partition_file_bytes: 8192,
            ..Options::default()
        };
        let options = options.validate().expect("the options are valid");
        Self {
            vfs,
            workers,
            shared: Shared::new(env, options),
        }
    }

    pub(super) fn open(&self) -> engine::Result<Replica> {
        Replica::open(&self.shared, GROUP, Path::new(DIR), None)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.workers.abandon();
    }
}

/// Entry `index` of a log that any replica may apply.
fn entry(index: u64) -> (LogId, Payload) {
    let commands = if index == 1 {
        vec![
            Command::CreateTopic {
                name: "t".to_owned(),
                partitions: 2,
            },
            Command::OpenSession,
        ]
    } else {
        let row = RowRef {
            keyspace: "default".to_owned(),
            key: Bytes::from(format!("key-{:02}", index % 37)),
        };
        let value = Bytes::from(format!("{index:05}{}", "y".repeat(120)));
        let message = NewMessage {
            key: Some(row.key.clone()),
            value: value.clone(),
            headers: vec![("h".to_owned(), Bytes::from_static(b"1"))],
        };
        let publish = Op::Publish {
            topic: "t".to_owned(),
            partition: None,
            message,
        };
        vec![Command::Commit(Commit {
            ops: vec![Op::put(row, value), publish],
            ..Commit::default()
        })]
    };
    (
        LogId::new(1, index),
        Payload::Batch(Batch {
            now_ms: index,
            commands,
        }),
    )
}

pub(super) fn apply(replica: &Replica, entries: std::ops::RangeInclusive<u64>) {
    for index in entries {
        let (log_id, payload) = entry(index);
        replica.apply(log_id, &payload).expect("a healthy disk");
    }
}

pub(super) fn chunks(replica: &Replica) -> Vec<Bytes> {
    let mut reader = replica.read_checkpoint().expect("a checkpoint was made");
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk().expect("a healthy disk") {
        chunks.push(chunk);
    }
    chunks
}

/// A replica with a checkpoint at entry 300, and its chunks.
pub(super) fn sender() -> (World, Replica, Vec<Bytes>) {
    let world = World::new(Arc::new(SimVfs::new(1)), 1);
    let replica = world.open().expect("a new folder opens");
    apply(&replica, 1..=300);
    replica.begin_checkpoint().expect("a healthy disk");
    replica.wait_for_checkpoint().expect("a healthy disk");
    let chunks = chunks(&replica);
    (world, replica, chunks)
}

pub(super) fn receive(replica: &Replica, chunks: &[Bytes]) -> engine::Result<()> {
    let mut writer = replica.begin_install()?;
    for chunk in chunks {
        writer.write(chunk.clone())?;
    }
    replica.install(writer)
}

pub(super) fn assert_same(left: &Replica, right: &Replica) {
    let (l, r) = (left.view(), right.view());
    assert_eq!(
        (l.applied, l.revision, l.digest),
        (r.applied, r.revision, r.digest)
    );
    let all = ScanRequest {
        keyspace: "default".to_owned(),
        ..ScanRequest::default()
    };
    assert_eq!(
        left.scan(&all).expect("readable"),
        right.scan(&all).expect("readable")
    );
    for partition in [PartitionId(0), PartitionId(1)] {
        let topic = "t".to_owned();
        let request = FetchRequest {
            topic,
            partition,
            from: Offset(0),
            limit: 0,
        };
        let (left, right) = (left.fetch(&request), right.fetch(&request));
        assert_eq!(left.expect("readable"), right.expect("readable"));
    }
}

#[test]
fn a_received_checkpoint_is_the_senders_state_and_goes_on_from_there() {
    receive_and_go_on(StoreKind::Lsm);
}

/// A follower may keep another store than its leader.
#[cfg(feature = "sled")]
#[test]
fn a_received_checkpoint_fills_sled() {
    receive_and_go_on(StoreKind::Sled);
}

fn receive_and_go_on(store: StoreKind) {
    let (_world, from, chunks) = sender();
    let world = World::with_store(Arc::new(SimVfs::new(2)), 2, store);
    let to = world.open().expect("a new folder opens");
    apply(&to, 1..=40);
    receive(&to, &chunks).expect("a whole checkpoint");
    assert_same(&from, &to);
    apply(&from, 301..=400);
    apply(&to, 301..=400);
    assert_same(&from, &to);
    to.close().expect("a healthy replica closes");
    drop(to);
    let to = world.open().expect("the folder opens again");
    let applied = to.applied().expect("the checkpoint is durable").index.0;
    apply(&to, applied + 1..=400);
    assert_same(&from, &to);
}

#[test]
fn a_damaged_or_incomplete_checkpoint_changes_nothing() {
    let (_world, _from, chunks) = sender();
    let world = World::new(Arc::new(SimVfs::new(2)), 2);
    let to = world.open().expect("a new folder opens");
    apply(&to, 1..=40);
    let before = to.view();
    let rng = SeededRng::new(7);
    for _ in 0..200 {
        let mut bad = chunks.clone();
        let place = rng.index(bad.len());
        match rng.below(4) {
            0 => {
                let mut chunk = bad[place].to_vec();
                let byte = rng.index(chunk.len());
                chunk[byte] ^= 1 << rng.below(8);
                bad[place] = Bytes::from(chunk);
            }
            1 => drop(bad.remove(place)),
            2 => bad.insert(place, bad[place].clone()),
            _ => bad.truncate(place),
        }
        let error = receive(&to, &bad).expect_err("it is not what was sent");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(to.view(), before);
    }
    receive(&to, &chunks).expect("a whole checkpoint still installs");
}

#[test]
fn a_power_cut_while_installing_leaves_the_old_state_or_the_new() {
    let (_world, from, chunks) = sender();
    // Played once: the disk keeps a copy of itself before each call, and each is cut by itself.
    let vfs = Arc::new(SimVfs::new(9));
    // Whoever opens a replica has made the folder above it durable.
    vfs.create_dir_all(Path::new("/node")).expect("a folder");
    vfs.sync_dir(Path::new("/")).expect("a healthy disk");
    vfs.record();
    let finished = {
        let world = World::new(vfs.clone(), 5);
        let to = world.open().expect("a new folder opens");
        apply(&to, 1..=40);
        to.begin_checkpoint().expect("a healthy disk");
        to.wait_for_checkpoint().expect("a healthy disk");
        receive(&to, &chunks).expect("a healthy disk");
        vfs.io_count()
    };
    let (mut old, mut new) = (0, 0);
    let mut seen = BTreeSet::new();
    for moment in vfs.recorded() {
        let at = moment.io_count();
        let crashed = moment.crashed(at);
        let installed = at >= finished;
        // The same disk with the same losses and promises is the same state.
        if !seen.insert((moment.version(), crashed.losses, installed)) {
            continue;
        }
        let world = World::new(Arc::new(crashed.disk), at + 1);
        let to = world
            .open()
            .unwrap_or_else(|error| panic!("I/O {at}: open: {error}"));
        let applied = to.applied().map_or(0, |applied| applied.index.0);
        assert!(
            !installed || applied == 300,
            "I/O {at}: an installed checkpoint is durable"
        );
        assert!(
            applied <= 40 || applied == 300,
            "I/O {at}: at entry {applied}"
        );
        if applied == 300 {
            new += 1;
        } else {
            old += 1;
        }
        apply(&to, applied + 1..=300);
        assert_same(&from, &to);
        assert!(world.vfs.is_powered());
    }
    assert!(
        old > 100 && new > 0,
        "{old} old and {new} new states were seen"
    );
}
