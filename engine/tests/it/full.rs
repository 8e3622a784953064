//! Disks that are full or fail, at every call: writes are refused, reads go on, writes come back
//! with the room, and nothing acknowledged is lost, here or after a restart.
//!
//! Each life runs the commits of `crash` and sends a refused one again until it is accepted; as
//! a refusal changes nothing, every message is there exactly once, in order.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Command, Commit, Op, Outcome, RowRef};
use engine::disk::DiskState;
use engine::env::Vfs;
use engine::env::vfs::sim::{Call, Hit, SimVfs};
use engine::env::workers::Workers;
use engine::store::StoreOptions;
use engine::{Engine, ErrorKind, StoreKind};

use crate::life::{Life, commit, key, l0_tables, value, verify};

const COMMITS: u64 = 30;

/// More rounds of the background jobs than the engine needs to notice that there is room.
const ROUNDS_MAX: usize = 10;

/// A run over an injected fault.
struct Run {
    life: Life,
    acknowledged: u64,
    context: String,
}

/// How a stretch of commits ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// All were acknowledged.
    Done,
    /// The engine would not open or takes no more writes.
    Stopped(ErrorKind, String),
}

impl Run {
    fn new(vfs: &Arc<SimVfs>, seed: u64, context: String) -> Self {
        Self {
            life: Life::new(Arc::clone(vfs), seed, StoreKind::Lsm),
            acknowledged: 0,
            context,
        }
    }

    /// Commits what is left; on a refusal, looks whether all else goes on, and makes room.
    fn go(&mut self) -> End {
        let engine = match self.life.open() {
            Ok(engine) => engine,
            Err(error) => return End::Stopped(error.kind(), error.to_string()),
        };
        if let Some(end) = self.create_topic(&engine) {
            return end;
        }
        while self.acknowledged < COMMITS {
            let command = commit(self.acknowledged);
            match self.write(&engine, &command) {
                Ok(Outcome::Committed { .. }) => self.acknowledged += 1,
                Ok(other) => panic!("{}: a commit answered {other:?}", self.context),
                Err(end) => return end,
            }
            self.life.workers.help();
        }
        // Whatever the background has to say comes out before the end.
        for _ in 0..ROUNDS_MAX {
            while self.life.workers.help() {}
        }
        match engine.close() {
            Ok(()) => End::Done,
            Err(error) => End::Stopped(error.kind(), error.to_string()),
        }
    }

    fn create_topic(&self, engine: &Engine) -> Option<End> {
        if engine.replica().topic("t").is_ok() {
            return None;
        }
        let command = Command::CreateTopic {
            name: "t".to_owned(),
            partitions: 1,
        };
        self.write(engine, &command).err()
    }

    fn write(&self, engine: &Engine, command: &Command) -> Result<Outcome, End> {
        for _ in 0..ROUNDS_MAX {
            match engine.execute(command.clone()) {
                Ok(outcome) => return Ok(outcome),
                Err(error) if error.kind() == ErrorKind::Full => self.refused(engine, &error),
                Err(error) => return Err(End::Stopped(error.kind(), error.to_string())),
            }
            self.life.vfs.make_room();
            while self.life.workers.help() {}
        }
        panic!("{}: there is room, and writes are refused", self.context);
    }

    /// A write was refused: reads and deletes go on, and everybody is told.
    fn refused(&self, engine: &Engine, error: &engine::Error) {
        let context = &self.context;
        assert!(error.to_string().contains("free space"), "{error}");
        assert_eq!(engine.disk().state, DiskState::ReadOnly, "{context}");
        if let Some(newest) = self.acknowledged.checked_sub(1) {
            let row = RowRef {
                keyspace: "default".to_owned(),
                key: key(newest),
            };
            let found = engine.replica().get(&row, None);
            let found = found.unwrap_or_else(|error| panic!("{context}: a read: {error}"));
            let found = found.row.expect("the newest row is there");
            assert_eq!(found.value, value(newest), "{context}");
        }
        let row = RowRef {
            keyspace: "default".to_owned(),
            key: Bytes::from_static(b"nothing"),
        };
        let delete = Command::Commit(Commit {
            ops: vec![Op::Delete { row }],
            ..Commit::default()
        });
        match engine.execute(delete) {
            Ok(Outcome::Committed { .. }) => {}
            other => panic!("{context}: a delete on a full disk: {other:?}"),
        }
    }

    /// The power goes; what was acknowledged is there, and perhaps the one under way.
    fn restart(&mut self, seed: u64) {
        self.life.workers.abandon();
        let vfs = Arc::clone(&self.life.vfs);
        vfs.power_off();
        vfs.power_on();
        vfs.make_room();
        self.life = Life::new(vfs, seed, StoreKind::Lsm);
        self.acknowledged = verify(&self.life, self.acknowledged, &self.context);
        self.life.workers.abandon();
        self.life = Life::new(Arc::clone(&self.life.vfs), seed + 1, StoreKind::Lsm);
    }
}

/// How many calls a run makes on a sound disk.
fn calls(seed: u64) -> u64 {
    let vfs = Arc::new(SimVfs::new(seed));
    let mut run = Run::new(&vfs, seed, "a sound disk".to_owned());
    assert_eq!(run.go(), End::Done);
    vfs.io_count()
}

/// Runs with a disk that `prepare` spoils; answers how the first life ended.
fn sweep(seed: u64, prepare: impl Fn(&SimVfs), context: String) -> (End, Option<Hit>) {
    let vfs = Arc::new(SimVfs::new(seed));
    prepare(&vfs);
    let mut run = Run::new(&vfs, seed, context);
    let end = run.go();
    let hit = vfs.hit();
    run.restart(seed + 1);
    let again = run.go();
    assert_eq!(again, End::Done, "{}: the engine works on", run.context);
    run.restart(seed + 3);
    assert_eq!(run.acknowledged, COMMITS, "{}", run.context);
    run.life.workers.abandon();
    (end, hit)
}

/// What a file is for.
fn kind_of(hit: &Hit) -> &'static str {
    let path = hit.path.display().to_string();
    let kinds = [
        ("/log", "log"),
        ("MANIFEST", "manifest"),
        ("CURRENT", "manifest"),
        ("/store", "table"),
        ("/partitions", "partition"),
    ];
    kinds
        .into_iter()
        .find_map(|(part, kind)| path.contains(part).then_some(kind))
        .unwrap_or("other")
}

#[test]
fn a_call_that_finds_no_room_is_refused_or_poisons_and_loses_nothing() {
    let seed = 1;
    let mut carried_on = BTreeSet::new();
    for n in 1..=calls(seed) {
        let fail = |vfs: &SimVfs| vfs.fail_call(n, io::ErrorKind::StorageFull);
        let (end, hit) = sweep(seed, fail, format!("no room at call {n}"));
        let hit = hit.unwrap_or_else(|| panic!("call {n} was not reached"));
        let (call, kind) = (hit.call, kind_of(&hit));
        match end {
            End::Done => {
                carried_on.insert((call, kind));
            }
            // It did not start: nothing has been promised, and the next start is as good.
            End::Stopped(ErrorKind::Full, _) => {}
            End::Stopped(error, text) => {
                let by_design = match call {
                    // The log's frames, and the seal of an edit: room was reserved, so the disk
                    // does not keep its word.
                    Call::Write => kind == "log" || kind == "manifest",
                    // Preparing something, and looking at the disk, are never fatal.
                    Call::Create
                    | Call::CreateDirAll
                    | Call::Preallocate
                    | Call::SetLen
                    | Call::Space => kind == "other",
                    _ => true,
                };
                assert!(by_design, "call {n}: {hit:?} stopped the engine: {text}");
                assert_ne!(error, ErrorKind::Full, "call {n}: {text}");
            }
        }
    }
    let expected = [
        (Call::Create, "log"),
        (Call::Preallocate, "log"),
        (Call::Write, "log"),
        (Call::Write, "manifest"),
        (Call::Create, "table"),
        (Call::Write, "table"),
        (Call::Sync, "table"),
        (Call::CreateDirAll, "partition"),
        (Call::Create, "partition"),
        (Call::Write, "partition"),
    ];
    for survived in expected {
        assert!(
            carried_on.contains(&survived),
            "{survived:?} not in {carried_on:?}"
        );
    }
}

#[test]
fn a_disk_that_fills_up_at_any_call_stops_writes_alone() {
    let seed = 2;
    let mut refused = 0;
    for n in 1..=calls(seed) {
        let (end, _) = sweep(seed, |vfs| vfs.fill_at(n), format!("full from call {n}"));
        match end {
            End::Done => refused += 1,
            End::Stopped(ErrorKind::Full, text) => {
                assert!(n < 100, "it had started by call {n}: {text}");
            }
            End::Stopped(_, text) => panic!("full from call {n}: {text}"),
        }
    }
    assert!(refused > 100, "{refused} runs went on");
}

#[test]
fn a_call_that_fails_stops_the_engine_and_loses_nothing() {
    let seed = 3;
    let mut stopped = 0;
    for n in 1..=calls(seed) {
        let fail = |vfs: &SimVfs| vfs.fail_call(n, io::ErrorKind::Other);
        let (end, hit) = sweep(seed, fail, format!("call {n} fails"));
        let hit = hit.unwrap_or_else(|| panic!("call {n} was not reached"));
        let vital = matches!(hit.call, Call::Write | Call::Sync)
            && matches!(kind_of(&hit), "log" | "manifest");
        match end {
            End::Done => assert!(!vital, "call {n}: {hit:?} went unnoticed"),
            End::Stopped(kind, text) => {
                let kinds = [ErrorKind::Io, ErrorKind::Stopped, ErrorKind::Locked];
                assert!(kinds.contains(&kind), "call {n}: {hit:?}: {text}");
                if text.contains("takes no more writes") {
                    assert!(text.contains("restart the node"), "call {n}: {text}");
                    stopped += 1;
                }
            }
        }
    }
    assert!(stopped > 50, "{stopped} runs were stopped");
}

/// Bytes that a run of this size keeps for a checkpoint and a log segment.
const RESERVE_BYTES: u64 = (17 << 20) + 4096;

/// Rows that are written, and deleted again.
const ROWS: u32 = 1_000;

#[test]
fn a_compaction_that_would_take_the_reserve_waits_for_room() {
    let vfs = Arc::new(SimVfs::new(4));
    let life = Life::new(vfs.clone(), 4, StoreKind::Lsm);
    let engine = life.open().expect("a new folder opens");
    let settle = || {
        for _ in 0..ROUNDS_MAX {
            while life.workers.help() {}
        }
    };
    let row = |number: u32| RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from(format!("row-{number:04}")),
    };
    let execute = |op| {
        let commit = Commit {
            ops: vec![op],
            ..Commit::default()
        };
        engine.execute(Command::Commit(commit))
    };
    for number in 0..ROWS {
        let value = Bytes::from_static(b"value");
        let put = Op::put(row(number), value);
        execute(put).expect("there is room");
    }
    settle();
    let due = StoreOptions::default().l0_tables;
    assert!(l0_tables(&vfs) < due, "compaction has nothing left to do");

    let used = || {
        let space = vfs.space(Path::new("/node")).expect("the disk answers");
        space.total_bytes - space.free_bytes
    };
    // Somebody else takes at once what the log gives back: only the reserve is ever free.
    let settle_full = || {
        for _ in 0..ROUNDS_MAX {
            vfs.set_capacity(used() + RESERVE_BYTES);
            while life.workers.help() {
                vfs.set_capacity(used() + RESERVE_BYTES);
            }
        }
    };
    settle_full();
    let status = engine.disk();
    assert!(status.reserve_bytes >= RESERVE_BYTES, "{status:?}");
    // What is still let in, and makes tables: commits that only delete.
    for number in 0..ROWS {
        let delete = Op::Delete { row: row(number) };
        execute(delete).expect("deletes go on");
        vfs.set_capacity(used() + RESERVE_BYTES);
    }
    settle_full();
    assert!(l0_tables(&vfs) >= due, "{} in L0", l0_tables(&vfs));
    assert_eq!(engine.disk().state, DiskState::ReadOnly);

    vfs.set_capacity(4 * (used() + RESERVE_BYTES));
    settle();
    assert!(l0_tables(&vfs) < due, "with room the compaction begins");
    assert_eq!(engine.disk().state, DiskState::Healthy);
    let put = Op::put(row(0), Bytes::new());
    execute(put).expect("writes came back");
    engine.close().expect("a healthy engine closes");
    life.workers.abandon();
}
