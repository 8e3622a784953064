//! A scrub of a state at work: every file is looked at, and what is damaged is told by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use engine::command::{Batch, Command, Commit, NewMessage, Op, Payload, RowRef};
use engine::env::vfs::OpenMode;
use engine::env::vfs::mem::MemVfs;
use engine::env::{Env, Vfs};
use engine::ids::{GroupId, LogId};
use engine::replica::{Replica, Shared};
use engine::scrub::Overseer;
use engine::{Damage, ErrorKind, Options};
use parking_lot::Mutex;

use super::install;

const GROUP: &str = "/node/group-0";

/// Hears everything, and ends a scrub after so many reads.
#[derive(Debug)]
pub(super) struct Ear {
    reads_max: u64,
    reads: AtomicU64,
    bytes: AtomicU64,
    found: Mutex<Vec<Damage>>,
}

impl Ear {
    pub(super) fn new(reads_max: u64) -> Arc<Self> {
        Arc::new(Self {
            reads_max,
            reads: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            found: Mutex::default(),
        })
    }
}

impl Overseer for Ear {
    fn may_read(&self, _: &Path, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed) < self.reads_max
    }

    fn found(&self, damage: &Damage) {
        self.found.lock().push(damage.clone());
    }
}

/// A replica at work with a file of each kind: tables, blob files, partition files, a manifest.
struct AtWork {
    vfs: Arc<dyn Vfs>,
    replica: Replica,
    applied: u64,
}

impl AtWork {
    fn new() -> Self {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let options = Options {
            memtable_bytes: 16 * 1024,
            table_bytes: 4096,
            blob_threshold_bytes: 1024,
            partition_file_bytes: 8192,
            ..Options::default()
        };
        let options = options.validate().expect("options that can be used");
        let shared = Shared::new(Env::simulated(vfs.clone(), 3), options);
        let replica = Replica::open(&shared, GroupId(3), Path::new(GROUP), None);
        let mut work = Self {
            vfs,
            replica: replica.expect("a new folder opens"),
            applied: 0,
        };
        work.apply(Command::CreateTopic {
            name: "events".to_owned(),
            partitions: 2,
        });
        for number in 0..60 {
            work.write(number);
        }
        work.checkpoint();
        // Something that no checkpoint covers.
        work.write(60);
        work
    }

    fn write(&mut self, number: u64) {
        let put = |key: String, bytes: usize| {
            let row = RowRef {
                keyspace: "default".to_owned(),
                key: key.into(),
            };
            Op::put(row, format!("{number:05}").repeat(bytes / 5).into())
        };
        let message = NewMessage {
            key: None,
            value: Bytes::from(format!("message {number}").repeat(10)),
            headers: Vec::new(),
        };
        self.apply(Command::Commit(Commit {
            ops: vec![
                put(format!("row-{number:05}"), 200),
                put(format!("large-{:05}", number % 9), 2000),
                Op::Publish {
                    topic: "events".to_owned(),
                    partition: None,
                    message,
                },
            ],
            ..Commit::default()
        }));
    }

    fn apply(&mut self, command: Command) {
        self.applied += 1;
        let batch = Payload::Batch(Batch {
            now_ms: 1_000,
            commands: vec![command],
        });
        let applied = self.replica.apply(LogId::new(1, self.applied), &batch);
        applied.expect("the disk works");
    }

    fn checkpoint(&self) {
        self.replica.begin_checkpoint().expect("the disk works");
        self.replica.wait_for_checkpoint().expect("the disk works");
    }

    fn scrub(&self) -> Vec<Damage> {
        let ear = Ear::new(u64::MAX);
        let overseer: Arc<dyn Overseer> = ear.clone();
        self.replica.scrub(&overseer).expect("it comes to its end");
        let found = ear.found.lock();
        found.clone()
    }

    /// All files below a folder.
    fn files(&self, dir: &Path) -> Vec<PathBuf> {
        let entries = self.vfs.list(dir).expect("a folder");
        let files = entries.into_iter().flat_map(|entry| {
            let path = dir.join(entry.name);
            if entry.is_dir {
                self.files(&path)
            } else {
                vec![path]
            }
        });
        files.collect()
    }

    /// Changes a byte; answers what it was.
    fn set(&self, path: &Path, at: u64, change: impl FnOnce(u8) -> u8) -> u8 {
        let file = self.vfs.open(path, OpenMode::ReadWrite);
        let file = file.expect("the file is there");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("its byte");
        file.write_at(&[change(byte[0])], at)
            .expect("it is changed");
        byte[0]
    }

    fn len(&self, path: &Path) -> u64 {
        let file = self.vfs.open(path, OpenMode::Read).expect("it is there");
        file.len().expect("a length")
    }
}

#[test]
fn a_healthy_state_at_work_is_read_whole_and_nothing_is_found() {
    let work = AtWork::new();
    assert_eq!(work.scrub(), vec![]);
    let ear = Ear::new(u64::MAX);
    let overseer: Arc<dyn Overseer> = ear.clone();
    work.replica.scrub(&overseer).expect("it comes to its end");
    let expected = work.replica.scrub_bytes();
    let read = ear.bytes.load(Ordering::Relaxed);
    assert!(read >= expected * 3 / 4, "{read} of {expected} bytes");
}

#[test]
fn a_flipped_byte_anywhere_is_found_with_its_file_and_the_state_stops_only_if_it_can_be_repaired() {
    let work = AtWork::new();
    let mut kinds = std::collections::BTreeSet::new();
    for path in work.files(Path::new(GROUP)) {
        let name = path.file_name().expect("a file's name").to_string_lossy();
        let kind = name.rsplit(['.', '-']).next().expect("a kind").to_owned();
        // The last partition files go on behind what the checkpoint records.
        let len = match kind.as_str() {
            "part" => work.len(&path) / 2,
            _ => work.len(&path),
        };
        for place in 0..12 {
            let at = (len - 1) * place / 11;
            let before = work.set(&path, at, |byte| byte ^ 0x10);
            let found = work.scrub();
            let named = found.iter().any(|damage| damage.path == path);
            assert!(named, "{} byte {at}: {found:?}", path.display());
            work.set(&path, at, |_| before);
        }
        kinds.insert(kind.trim_start_matches('0').to_owned());
    }
    for kind in ["table", "blob", "part", "CURRENT", "1"] {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    assert_eq!(work.scrub(), vec![], "all bytes are as they were");
}

#[test]
fn damage_stops_a_state_only_where_it_can_be_had_again() {
    let mut work = AtWork::new();
    let damage = Damage {
        path: PathBuf::from("state-000001/store/CURRENT"),
        offset: 3,
        what: "rot".to_owned(),
    };
    assert!(!work.replica.stop_for(&damage), "it is alone");
    work.write(61);
    work.replica.stop_at_damage(true);
    assert!(work.replica.stop_for(&damage), "a peer has it");
    let fault = work.replica.fault().expect("it has stopped");
    assert_eq!(fault.damage(), Some(&damage));
}

#[test]
fn a_missing_file_is_found() {
    let work = AtWork::new();
    let table = work
        .files(Path::new(GROUP))
        .into_iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "table"))
        .expect("a table");
    work.vfs.remove(&table).expect("it can be removed");
    let found = work.scrub();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found.first().map(|damage| &damage.path), Some(&table));
}

#[test]
fn an_overseer_ends_a_scrub_at_any_read() {
    let work = AtWork::new();
    let ear = Ear::new(u64::MAX);
    let overseer: Arc<dyn Overseer> = ear.clone();
    work.replica.scrub(&overseer).expect("it comes to its end");
    let reads = ear.reads.load(Ordering::Relaxed);
    assert!(reads > 20, "{reads}");
    for reads_max in 0..reads {
        let ear = Ear::new(reads_max);
        let overseer: Arc<dyn Overseer> = ear.clone();
        let error = work.replica.scrub(&overseer).expect_err("it is ended");
        assert_eq!(error.kind(), ErrorKind::Stopped);
        assert_eq!(ear.reads.load(Ordering::Relaxed), reads_max + 1);
        assert!(ear.found.lock().is_empty(), "nothing is damaged");
    }
}

/// Installs a checkpoint in the middle of a scrub.
#[derive(Debug)]
struct Replaces {
    replica: Replica,
    chunks: Mutex<Vec<Bytes>>,
    found: Mutex<Vec<Damage>>,
}

impl Overseer for Replaces {
    fn may_read(&self, _: &Path, _: u64) -> bool {
        let chunks = std::mem::take(&mut *self.chunks.lock());
        if !chunks.is_empty() {
            let mut writer = self.replica.begin_install().expect("the disk works");
            for chunk in chunks {
                writer.write(chunk).expect("a whole chunk");
            }
            self.replica.install(writer).expect("a whole checkpoint");
        }
        true
    }

    fn found(&self, damage: &Damage) {
        self.found.lock().push(damage.clone());
    }
}

#[test]
fn a_state_that_is_replaced_meanwhile_is_not_taken_for_a_damaged_one() {
    let work = AtWork::new();
    let (_world, _sender, chunks) = install::sender();
    let replaces = Arc::new(Replaces {
        replica: work.replica.clone(),
        chunks: Mutex::new(chunks),
        found: Mutex::default(),
    });
    let overseer: Arc<dyn Overseer> = replaces.clone();
    work.replica.scrub(&overseer).expect("it comes to its end");
    assert!(replaces.chunks.lock().is_empty(), "it was replaced");
    let found = replaces.found.lock().clone();
    assert_eq!(found, vec![]);
    assert_eq!(work.scrub(), vec![], "the new one is whole");
}
