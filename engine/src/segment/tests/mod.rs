//! The log against an obvious model: in order, under damage, and with the power cut anywhere.

mod behaviour;
mod crash;
mod damage;
mod faults;
mod model;
mod properties;
mod scrub;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Done, Log, LogEntry, LogOptions, Write};
use crate::Result;
use crate::env::clock::ManualClock;
use crate::env::rng::SeededRng;
use crate::env::vfs::OpenMode;
use crate::env::workers::SteppedWorkers;
use crate::env::{Env, Vfs, Workers};
use crate::ids::{ClusterId, GroupId, LogId, LogIndex};

const CLUSTER: ClusterId = ClusterId(0xC1);
const GROUP: GroupId = GroupId(0);

fn dir() -> &'static Path {
    Path::new("/data/log")
}

fn segment_path(seq: u64) -> PathBuf {
    dir().join(format!("{seq:016x}.seg"))
}

/// Small everything, so that a short story rotates, recycles and reads from disk.
fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 16 * 1024,
        group_commit_bytes_max: 2 * 1024,
        idle_mark_after: Duration::from_millis(100),
        tail_bytes: 1024,
        spare_segments: 1,
        keep_free_bytes: 0,
    }
}

/// A process: its workers die with it, the disk does not.
struct Process {
    env: Env,
    workers: SteppedWorkers,
}

impl Process {
    fn start(vfs: Arc<dyn Vfs>, seed: u64) -> Self {
        let workers = SteppedWorkers::new(seed);
        let env = Env {
            clock: Arc::new(ManualClock::new(0)),
            rng: Arc::new(SeededRng::new(seed)),
            vfs,
            workers: Arc::new(workers.clone()),
        };
        Self { env, workers }
    }

    fn open(&self) -> Result<Log> {
        self.open_with(small())
    }

    fn open_with(&self, options: LogOptions) -> Result<Log> {
        Log::open(&self.env, dir(), CLUSTER, options)
    }

    /// Lets the writer do all it wants, marks in quiet included.
    fn settle(&self) {
        while self.workers.help() {}
    }
}

fn entry(term: u64, index: u64, body: &[u8]) -> Write {
    Write::Entry(LogEntry {
        log_id: LogId::new(term, index),
        body: Bytes::copy_from_slice(body),
    })
}

/// Entries `from..=to` of term 1 with bodies of `len` bytes that tell them apart.
fn entries(from: u64, to: u64, len: usize) -> Vec<Write> {
    (from..=to)
        .map(|index| entry(1, index, &body(index, len)))
        .collect()
}

fn body(index: u64, len: usize) -> Vec<u8> {
    index.to_le_bytes().into_iter().cycle().take(len).collect()
}

fn read_all(log: &Log, group: GroupId) -> Vec<LogEntry> {
    log.read(group, LogIndex(0), LogIndex(u64::MAX), usize::MAX)
        .expect("the entries can be read")
}

fn indexes(log: &Log, group: GroupId) -> Vec<u64> {
    read_all(log, group)
        .iter()
        .map(|entry| entry.log_id.index.0)
        .collect()
}

/// Answers of appends, in the order in which they came.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<Vec<Answer>>>);

type Answer = (usize, Result<()>);

impl Answers {
    fn done(&self, number: usize) -> Done {
        let answers = Arc::clone(&self.0);
        Box::new(move |result| answers.lock().push((number, result)))
    }

    /// Numbers of the appends that were answered with success.
    fn good(&self) -> Vec<usize> {
        let answers = self.0.lock();
        let good = answers.iter().filter(|(_, result)| result.is_ok());
        good.map(|(number, _)| *number).collect()
    }

    fn bad(&self) -> Vec<(usize, crate::ErrorKind)> {
        let answers = self.0.lock();
        answers
            .iter()
            .filter_map(|(number, result)| Some((*number, result.as_ref().err()?.kind())))
            .collect()
    }
}

fn names(vfs: &dyn Vfs) -> Vec<String> {
    let names = vfs.list(dir()).expect("the folder is there");
    names.into_iter().map(|entry| entry.name).collect()
}

fn read_file(vfs: &dyn Vfs, path: &Path) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::Read).expect("the file is there");
    let len = usize::try_from(file.len().expect("it has a length")).expect("it is small");
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).expect("it can be read");
    bytes
}
