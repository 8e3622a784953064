//! Every byte of every file of an engine flipped, and every file cut at every length: what is
//! then read is exactly right, or an error names the file. And a look at the files says the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Command, Commit, NewMessage, Op, RowRef};
use engine::env::vfs::OpenMode;
use engine::env::vfs::mem::MemVfs;
use engine::env::{Env, Vfs};
use engine::ids::{Offset, PartitionId, Revision};
use engine::inspect::{Problem, Seen, Severity};
use engine::query::{FetchRequest, ScanRequest};
use engine::{Engine, ErrorKind, Options};

const NODE: &str = "/node";
const STATE: &str = "/node/group-0/state-000001";

/// In each of them some bit is flipped: the lowest, the highest, all.
const MASKS: [u8; 3] = [0x01, 0x80, 0xff];

/// All files of a node, to be put on fresh disks.
struct Image(Vec<(PathBuf, Bytes)>);

impl Image {
    fn take(vfs: &MemVfs) -> Self {
        let mut image = Self(Vec::new());
        image.walk(vfs, Path::new(NODE));
        image
    }

    fn walk(&mut self, vfs: &MemVfs, dir: &Path) {
        for entry in vfs.list(dir).expect("a folder") {
            let path = dir.join(entry.name);
            if entry.is_dir {
                self.walk(vfs, &path);
                continue;
            }
            let file = vfs.open(&path, OpenMode::Read).expect("the file is there");
            let len = usize::try_from(file.len().expect("a length")).expect("it is small");
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0).expect("its bytes");
            if path.extension().is_some_and(|kind| kind == "seg") {
                // Seventeen million zeroes prove no more than some.
                let used = bytes.iter().rposition(|byte| *byte != 0);
                bytes.truncate(used.map_or(0, |last| last + 60));
            }
            self.0.push((path, bytes.into()));
        }
    }

    /// A disk on which one file is another.
    fn restore(&self, path: &Path, instead: &[u8]) -> Arc<dyn Vfs> {
        let vfs = MemVfs::new();
        for (name, bytes) in &self.0 {
            let parent = name.parent().expect("a folder holds it");
            vfs.create_dir_all(parent).expect("a folder");
            let file = vfs.open(name, OpenMode::CreateNew).expect("a new file");
            let bytes = if name == path { instead } else { bytes };
            file.write_at(bytes, 0).expect("there is room");
        }
        Arc::new(vfs)
    }
}

fn open(vfs: &Arc<dyn Vfs>) -> engine::Result<Engine> {
    let options = Options {
        memtable_bytes: 4096,
        table_bytes: 4096,
        log_segment_bytes: 17 << 20,
        log_tail_bytes: 1,
        ..Options::default()
    };
    Engine::open_in(Env::simulated(vfs.clone(), 3), Path::new(NODE), options)
}

fn commit(number: u64) -> Commit {
    let ops = vec![
        Op::Put {
            row: RowRef {
                keyspace: "default".to_owned(),
                key: Bytes::from(format!("row {}", number % 5)),
            },
            value: Bytes::from(format!("value {number}")),
        },
        Op::Publish {
            topic: "events".to_owned(),
            partition: None,
            message: NewMessage {
                key: None,
                value: Bytes::from(format!("message {number}")),
                headers: Vec::new(),
            },
        },
    ];
    Commit {
        ops,
        ..Commit::default()
    }
}

/// A checkpoint of some commits, and some more of which only the log knows.
fn small_node() -> (Image, String) {
    let vfs = MemVfs::new();
    let disk: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let engine = open(&disk).expect("a new folder opens");
    engine
        .execute(Command::CreateTopic {
            name: "events".to_owned(),
            partitions: 1,
        })
        .expect("the disk works");
    for number in 0..8 {
        if number == 6 {
            let replica = engine.replica();
            replica.begin_checkpoint().expect("the disk works");
            replica.wait_for_checkpoint().expect("the disk works");
        }
        engine.commit(commit(number)).expect("the disk works");
    }
    let told = read_all(&engine).expect("nothing is damaged");
    engine.close().expect("the engine closes");
    drop(engine);
    (Image::take(&vfs), told)
}

/// Everything that can be read, at every revision.
fn read_all(engine: &Engine) -> engine::Result<String> {
    let replica = engine.replica();
    let mut told = format!("{:?}", replica.view());
    for at in 2..=replica.view().revision.0 {
        let page = replica.scan(&ScanRequest {
            keyspace: "default".to_owned(),
            at: Some(Revision(at)),
            ..ScanRequest::default()
        })?;
        told += &format!("{:?}", page.rows);
    }
    for key in 0..5 {
        let row = RowRef {
            keyspace: "default".to_owned(),
            key: Bytes::from(format!("row {key}")),
        };
        told += &format!("{:?}", replica.get(&row, None)?.row);
    }
    let messages = replica.fetch(&FetchRequest {
        topic: "events".to_owned(),
        partition: PartitionId(0),
        from: Offset(0),
        limit: 0,
    })?;
    Ok(told + &format!("{:?}", messages.messages))
}

/// The damage that a look at the files of one kind sees; `None` for a kind without a look.
fn look(vfs: &Arc<dyn Vfs>, path: &Path) -> Option<Vec<Problem>> {
    fn only<T>(damage: &mut Vec<Problem>) -> impl FnMut(Seen<T>) {
        |seen| match seen {
            Seen::Problem(problem) if problem.severity == Severity::Damage => damage.push(problem),
            Seen::Problem(_) | Seen::Item(_) => {}
        }
    }
    let mut damage = Vec::new();
    let name = path.file_name()?.to_str()?;
    let kind = path.extension().and_then(|kind| kind.to_str());
    let state = Path::new(STATE);
    let looked = match kind {
        Some("seg") => {
            engine::inspect::log(vfs, &Path::new(NODE).join("log"), &mut only(&mut damage)).map(drop)
        }
        Some("table") => engine::inspect::manifest(vfs, &state.join("store"), &mut only(&mut damage))
            .and_then(|_| engine::inspect::table(vfs, path, &mut only(&mut damage))),
        Some("part") => {
            let dir = state.join("partitions");
            engine::inspect::partition(vfs, &dir, &mut only(&mut damage)).map(drop)
        }
        _ if name == "CURRENT" || name.starts_with("MANIFEST") => {
            engine::inspect::manifest(vfs, &state.join("store"), &mut only(&mut damage)).map(drop)
        }
        _ => return None,
    };
    looked.expect("damage is no error of a look");
    Some(damage)
}

/// What became of a node with a changed file: whether it was harmless.
fn judge(image: &Image, path: &Path, bytes: &[u8], expected: &str, what: &str) -> bool {
    let vfs = image.restore(path, bytes);
    let seen = look(&vfs, path);
    match open(&vfs).and_then(|engine| read_all(&engine)) {
        Ok(told) => {
            assert_eq!(told, expected, "other data: {what}");
            assert!(seen.unwrap_or_default().is_empty(), "harmless: {what}");
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}: {what}");
            let name = path.file_name().expect("a name").to_string_lossy();
            assert!(text.contains(&*name), "{text}: {what}");
            if let Some(seen) = seen {
                assert!(!seen.is_empty(), "not seen by a look, {text}: {what}");
                assert!(seen.iter().any(|problem| problem.path == path), "{seen:?}: {what}");
            }
            false
        }
    }
}

/// The bytes of a segment that may say something: headers and frames.
fn counts(path: &Path, at: usize) -> bool {
    let is_segment = path.extension().is_some_and(|kind| kind == "seg");
    !is_segment || at < 43 || (4095..4139).contains(&at) || at >= 8191
}

#[test]
fn every_flipped_byte_of_every_file_is_named_or_harmless() {
    let (image, expected) = small_node();
    let mut files = 0;
    for (path, bytes) in &image.0 {
        let (mut harmless, mut told) = (0, 0);
        for at in (0..bytes.len()).filter(|at| counts(path, *at)) {
            for mask in MASKS {
                let mut changed = bytes.to_vec();
                changed[at] ^= mask;
                let what = format!("byte {at} of {} ^ {mask:#x}", path.display());
                let fine = judge(&image, path, &changed, &expected, &what);
                *(if fine { &mut harmless } else { &mut told }) += 1;
            }
        }
        let kind = path.extension().and_then(|kind| kind.to_str());
        let name = path.file_name().expect("a name").to_string_lossy();
        // One of two headers, the last mark, and zeroes; the last seal; no byte of other files.
        let harmless_max = match kind {
            Some("seg") => 3 * (2 * 44 + 41 + 60 + 2),
            _ if name.starts_with("MANIFEST") => 3 * 13,
            _ => 0,
        };
        assert!(harmless <= harmless_max, "{}: {harmless} unseen", path.display());
        files += usize::from(told > 0);
    }
    // Identity, log, CURRENT, manifest, table, partition file; the lock holds nothing.
    assert_eq!(files, 6);
}

#[test]
fn every_file_cut_at_every_length_is_named_or_harmless() {
    let (image, expected) = small_node();
    for (path, bytes) in &image.0 {
        // A cut log or manifest is told from a torn one only by what else the node holds.
        let kind = path.extension().and_then(|kind| kind.to_str());
        if kind == Some("seg") {
            continue;
        }
        for len in 0..bytes.len() {
            let what = format!("{} cut to {len} bytes", path.display());
            judge(&image, path, &bytes[..len], &expected, &what);
        }
    }
}
