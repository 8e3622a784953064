//! A scrub of a log at work: what was synced and is still needed is judged, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::env::vfs::mem::MemVfs;
use crate::scrub::Overseer;
use crate::segment::file::FRAMES_AT;
use crate::{Damage, ErrorKind};

type Between = Box<dyn Fn(u64) + Send + Sync>;

/// Hears everything, and lets something happen before each read.
struct Ear {
    reads: AtomicU64,
    before_read: Between,
    found: Mutex<Vec<Damage>>,
    reads_max: u64,
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ear")
    }
}

impl Overseer for Ear {
    fn may_read(&self, _: &Path, _: u64) -> bool {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        (self.before_read)(read);
        read < self.reads_max
    }

    fn found(&self, damage: &Damage) {
        self.found.lock().push(damage.clone());
    }
}

fn scrub_with(
    log: &Log,
    vfs: &MemVfs,
    reads_max: u64,
    before_read: Between,
) -> Result<Vec<Damage>> {
    let ear = Arc::new(Ear {
        reads: AtomicU64::new(0),
        before_read,
        found: Mutex::default(),
        reads_max,
    });
    let overseer: Arc<dyn Overseer> = ear.clone();
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    log.scrub(&vfs, &overseer)?;
    let found = ear.found.lock().clone();
    Ok(found)
}

fn scrub(log: &Log, vfs: &MemVfs) -> Vec<Damage> {
    scrub_with(log, vfs, u64::MAX, Box::new(|_| {})).expect("it comes to its end")
}

/// A log of several segments, at work.
fn at_work(vfs: &MemVfs) -> (Process, Log) {
    let process = Process::start(Arc::new(vfs.clone()), 4);
    let log = process.open().expect("a new log opens");
    for index in 1..=40 {
        log.append_wait(GROUP, entries(index, index, 900))
            .expect("durable");
    }
    (process, log)
}

fn flip(vfs: &MemVfs, path: &Path, at: u64) {
    let file = vfs.open(path, OpenMode::ReadWrite).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("its byte");
    file.write_at(&[byte[0] ^ 0x10], at).expect("it is changed");
}

#[test]
fn a_flipped_byte_of_what_was_synced_is_found_with_its_file() {
    let vfs = MemVfs::new();
    let (_process, log) = at_work(&vfs);
    assert_eq!(scrub(&log, &vfs), vec![]);
    let (paths, synced) = log.in_use();
    assert!(paths.len() > 3, "{paths:?}");
    for path in &paths {
        let newest = segment_path(synced.segment) == *path;
        let until = if newest {
            u64::from(synced.offset)
        } else {
            // The last frame may end before the file does.
            13_000
        };
        for place in 0..10 {
            let at = u64::from(FRAMES_AT) + (until - 1 - u64::from(FRAMES_AT)) * place / 9;
            flip(&vfs, path, at);
            let found = scrub(&log, &vfs);
            let named = found.iter().any(|damage| damage.path == *path);
            assert!(named, "{} byte {at}: {found:?}", path.display());
            flip(&vfs, path, at);
        }
    }
    assert_eq!(scrub(&log, &vfs), vec![], "all bytes are as they were");
}

#[test]
fn a_missing_segment_is_found() {
    let vfs = MemVfs::new();
    let (_process, log) = at_work(&vfs);
    vfs.remove(&segment_path(2)).expect("it can be removed");
    let found = scrub(&log, &vfs);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn what_is_written_and_given_back_meanwhile_is_no_find() {
    let vfs = MemVfs::new();
    // Whatever the read before which it happens.
    for at in 0..60 {
        let vfs = if at == 0 { vfs.clone() } else { MemVfs::new() };
        let (process, log) = at_work(&vfs);
        let writer = log.clone();
        let workers = process.workers.clone();
        let happen: Between = Box::new(move |read| {
            if read == at {
                let purge = vec![Write::Purge(LogId::new(1, 30))];
                writer.append_wait(GROUP, purge).expect("durable");
                while workers.help() {}
                for index in 41..=80 {
                    let entries = entries(index, index, 900);
                    writer.append_wait(GROUP, entries).expect("durable");
                }
            }
        });
        let found = scrub_with(&log, &vfs, u64::MAX, happen).expect("it comes to its end");
        assert_eq!(found, vec![], "before read {at}");
    }
}

#[test]
fn an_overseer_ends_it() {
    let vfs = MemVfs::new();
    let (_process, log) = at_work(&vfs);
    let ended = scrub_with(&log, &vfs, 5, Box::new(|_| {}));
    assert_eq!(ended.expect_err("it is ended").kind(), ErrorKind::Stopped);
}
