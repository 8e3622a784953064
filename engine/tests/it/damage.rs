//! Every byte of every file of an engine flipped, and every file cut at every length: what is
//! then read is exactly right, or an error names the file. And a look at the files says the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Batch, Command, Commit, Expiry, NewMessage, Op, Payload, RowRef};
use engine::env::vfs::OpenMode;
use engine::env::vfs::mem::MemVfs;
use engine::env::{Env, Vfs};
use engine::ids::{GroupId, LogId, Offset, PartitionId, Revision};
use engine::inspect::{Problem, Seen, Severity};
use engine::query::{FetchRequest, ScanRequest};
use engine::replica::{Replica, Shared};
use engine::{Engine, ErrorKind, Options};

const GROUP: &str = "/node/group-0";
const STATE: &str = "/node/group-0/state-000001";

/// In each of them some bit is flipped: the lowest, the highest, all.
const MASKS: [u8; 3] = [0x01, 0x80, 0xff];

/// All files of a folder, to be put on fresh disks.
struct Image(Vec<(PathBuf, Bytes)>);

impl Image {
    fn take(vfs: &MemVfs) -> Self {
        let mut image = Self(Vec::new());
        image.walk(vfs, Path::new("/"));
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

fn options() -> Options {
    Options {
        memtable_bytes: 4096,
        table_bytes: 4096,
        log_segment_bytes: 17 << 20,
        blob_threshold_bytes: 1024,
        ..Options::default()
    }
}

/// The state alone: a log is reserved in sizes that would make this test slow, and is put to
/// the same proof where it is written.
fn open(vfs: &Arc<dyn Vfs>) -> engine::Result<Replica> {
    let env = Env::simulated(vfs.clone(), 3);
    let options = options().validate().expect("options that can be used");
    let shared = Shared::new(env, options);
    Replica::open(&shared, GroupId(0), Path::new(GROUP), None)
}

fn commit(number: u64) -> Commit {
    let ops = vec![
        Op::Put {
            expiry: Expiry::Default,
            row: RowRef {
                keyspace: "default".to_owned(),
                key: Bytes::from(format!("row {}", number % 5)),
            },
            // One of them goes into a blob file.
            value: Bytes::from(format!("value {number}").repeat(if number == 3 { 150 } else { 1 })),
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

/// The files of a checkpoint of some commits.
fn small_group() -> (Image, String) {
    let vfs = MemVfs::new();
    let disk: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let replica = open(&disk).expect("a new folder opens");
    let mut commands = vec![Command::CreateTopic {
        name: "events".to_owned(),
        partitions: 1,
    }];
    commands.extend((0..8).map(|number| Command::Commit(commit(number))));
    for (index, command) in (1..).zip(commands) {
        let batch = Payload::Batch(Batch {
            now_ms: 1_000,
            commands: vec![command],
        });
        replica
            .apply(LogId::new(1, index), &batch)
            .expect("the disk works");
        if index == 5 {
            checkpoint(&replica);
        }
    }
    checkpoint(&replica);
    let told = read_all(&replica).expect("nothing is damaged");
    replica.close().expect("the replica closes");
    drop(replica);
    (Image::take(&vfs), told)
}

fn checkpoint(replica: &Replica) {
    replica.begin_checkpoint().expect("the disk works");
    replica.wait_for_checkpoint().expect("the disk works");
}

/// Everything that can be read, at every revision.
fn read_all(replica: &Replica) -> engine::Result<String> {
    let mut told = vec![format!("{:?}", replica.view())];
    for at in 2..=replica.view().revision.0 {
        let page = replica.scan(&ScanRequest {
            keyspace: "default".to_owned(),
            at: Some(Revision(at)),
            ..ScanRequest::default()
        })?;
        told.push(format!("{:?}", page.rows));
    }
    for key in 0..5 {
        let row = RowRef {
            keyspace: "default".to_owned(),
            key: Bytes::from(format!("row {key}")),
        };
        told.push(format!("{:?}", replica.get(&row, None)?.row));
    }
    let messages = replica.fetch(&FetchRequest {
        topic: "events".to_owned(),
        partition: PartitionId(0),
        from: Offset(0),
        limit: 0,
    })?;
    told.push(format!("{:?}", messages.messages));
    Ok(told.join("\n"))
}

/// The damage that a look at the files of one kind sees; `None` for a kind without a look.
fn look(vfs: &Arc<dyn Vfs>, path: &Path) -> Option<Vec<Problem>> {
    let mut damage = Vec::new();
    let state = Path::new(STATE);
    let store = state.join("store");
    let name = path.file_name()?.to_str()?;
    let looked = match path.extension().and_then(|kind| kind.to_str()) {
        Some("part") => {
            let dir = state.join("partitions");
            engine::inspect::partition(vfs, &dir, &mut |seen| keep(&mut damage, seen)).map(drop)
        }
        Some("blob") => engine::inspect::blob(vfs, path, &mut |seen| keep(&mut damage, seen)),
        Some("table") => {
            engine::inspect::manifest(vfs, &store, &mut |seen| keep(&mut damage, seen))
                .expect("the manifest is whole");
            let names = vfs.list(&store).expect("the folder is there");
            let tables = names.iter().filter(|entry| entry.name.ends_with("table"));
            tables
                .map(|table| store.join(&table.name))
                .try_for_each(|table| {
                    engine::inspect::table(vfs, &table, &mut |seen| keep(&mut damage, seen))
                })
        }
        _ if name == "CURRENT" || name.starts_with("MANIFEST") => {
            engine::inspect::manifest(vfs, &store, &mut |seen| keep(&mut damage, seen)).map(drop)
        }
        _ => return None,
    };
    looked.expect("damage is no error of a look");
    Some(damage)
}

fn keep<T>(damage: &mut Vec<Problem>, seen: Seen<T>) {
    match seen {
        Seen::Problem(problem) if problem.severity == Severity::Damage => damage.push(problem),
        Seen::Problem(_) | Seen::Item(_) => {}
    }
}

/// What became of a node with a changed file: whether it was harmless.
fn judge(image: &Image, path: &Path, bytes: &[u8], expected: &str, what: &str) -> bool {
    let vfs = image.restore(path, bytes);
    let seen = look(&vfs, path);
    match open(&vfs).and_then(|replica| read_all(&replica)) {
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
                assert!(
                    seen.iter().any(|problem| problem.path == path),
                    "{seen:?}: {what}"
                );
            }
            false
        }
    }
}

#[test]
fn every_flipped_byte_of_every_file_is_named_or_harmless() {
    let (image, expected) = small_group();
    for (path, bytes) in &image.0 {
        let mut harmless = 0;
        for (at, byte) in bytes.iter().enumerate() {
            for mask in MASKS {
                let mut changed = bytes.to_vec();
                changed[at] = byte ^ mask;
                let what = format!("byte {at} of {} ^ {mask:#x}", path.display());
                harmless += usize::from(judge(&image, path, &changed, &expected, &what));
            }
        }
        // Only the last seal, thirteen bytes, may be damaged without harm.
        let name = path.file_name().expect("a name").to_string_lossy();
        let harmless_max = if name.starts_with("MANIFEST") {
            3 * 13
        } else {
            0
        };
        assert_eq!(harmless, harmless_max, "{}", path.display());
    }
    // CURRENT, manifest, two tables, blob file, partition file.
    assert_eq!(image.0.len(), 6);
}

#[test]
fn every_file_cut_at_every_length_is_named() {
    let (image, expected) = small_group();
    for (path, bytes) in &image.0 {
        // A manifest that was cut is told from a torn one only by the log: see below.
        if path.to_string_lossy().contains("MANIFEST") {
            continue;
        }
        for len in 0..bytes.len() {
            let what = format!("{} cut to {len} bytes", path.display());
            let harmless = judge(&image, path, &bytes[..len], &expected, &what);
            assert!(!harmless, "{what}");
        }
    }
}

/// An embedded engine whose log begins behind its checkpoint.
fn small_engine() -> Image {
    let vfs = MemVfs::new();
    let env = Env::simulated(Arc::new(vfs.clone()), 3);
    let engine = Engine::open_in(env, Path::new("/node"), options()).expect("a new folder opens");
    let name = "events".to_owned();
    let partitions = 1;
    engine
        .execute(Command::CreateTopic { name, partitions })
        .expect("the disk works");
    for number in 0..4 {
        engine.commit(commit(number)).expect("the disk works");
    }
    checkpoint(engine.replica());
    engine.close().expect("the engine closes");
    drop(engine);
    Image::take(&vfs)
}

fn open_engine(vfs: Arc<dyn Vfs>) -> engine::Result<()> {
    Engine::open_in(Env::simulated(vfs, 3), Path::new("/node"), options()).map(drop)
}

#[test]
fn an_engines_id_is_checked_to_the_last_byte() {
    let image = small_engine();
    let path = Path::new("/node/embedded.id");
    let (_, bytes) = image
        .0
        .iter()
        .find(|(name, _)| name == path)
        .expect("it is there");
    let flipped = (0..bytes.len()).flat_map(|at| {
        MASKS.map(|mask| {
            let mut changed = bytes.to_vec();
            changed[at] ^= mask;
            changed
        })
    });
    let cut = (0..bytes.len()).map(|len| bytes[..len].to_vec());
    for changed in flipped.chain(cut) {
        let error = open_engine(image.restore(path, &changed)).expect_err("another id");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("embedded.id"), "{error}");
    }
    open_engine(image.restore(path, bytes)).expect("the right id");
}

#[test]
fn a_checkpoint_that_the_log_does_not_follow_is_refused() {
    let image = small_engine();
    let named = |(name, _): &&(PathBuf, Bytes)| name.to_string_lossy().contains("MANIFEST");
    let (path, bytes) = image.0.iter().find(named).expect("it is there");
    // The first edit and its seal are whole: an older state, as if nothing had followed.
    let seal = [0x45, 0x52, 0x46, 0x4d, 2];
    let sealed = bytes.windows(5).position(|bytes| bytes == seal);
    let first = sealed.expect("a seal") + 13;
    let error = open_engine(image.restore(path, &bytes[..first])).expect_err("a gap");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("group-0"), "{error}");
}
