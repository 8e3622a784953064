//! A damaged state is replaced by a peer's checkpoint: whatever is damaged, and wherever the
//! power goes meanwhile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use engine::env::Vfs;
use engine::env::vfs::OpenMode;
use engine::env::vfs::sim::SimVfs;
use engine::ids::LogId;
use engine::query::ScanRequest;
use engine::replica::{Repair, Repaired, Replica};
use engine::{Error, ErrorKind};
use parking_lot::Mutex;

use super::install::{DIR, World, apply, assert_same, sender};

const QUARANTINE: &str = "/node/group-3/quarantine-000001";

/// A disk with a closed state of 40 entries, all of them in tables and partition files.
fn victim(seed: u64) -> Arc<SimVfs> {
    let vfs = Arc::new(SimVfs::new(seed));
    vfs.create_dir_all(Path::new("/node")).expect("a folder");
    vfs.sync_dir(Path::new("/")).expect("a healthy disk");
    let world = World::new(vfs.clone(), seed);
    let replica = world.open().expect("a new folder opens");
    apply(&replica, 1..=40);
    replica.begin_checkpoint().expect("a healthy disk");
    replica.wait_for_checkpoint().expect("a healthy disk");
    replica.close().expect("a healthy replica closes");
    vfs
}

fn files(vfs: &dyn Vfs, dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in vfs.list(dir).expect("a folder") {
        let path = dir.join(entry.name);
        if entry.is_dir {
            files(vfs, &path, found);
        } else {
            found.push(path);
        }
    }
}

fn read(vfs: &dyn Vfs, path: &Path) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::Read).expect("the file is there");
    let len = usize::try_from(file.len().expect("a length")).expect("it is small");
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    bytes
}

/// What a node does: the state, or the damage that an open or a read of everything meets.
fn open(world: &World, purged: Option<LogId>) -> Result<Replica, Error> {
    let group = engine::ids::GroupId(3);
    let replica = Replica::open(&world.shared, group, Path::new(DIR), purged)?;
    replica.stop_at_damage(true);
    let all = ScanRequest {
        keyspace: "default".to_owned(),
        ..ScanRequest::default()
    };
    let read = replica.scan(&all).map(drop).and_then(|()| {
        (0..2).try_for_each(|partition| {
            let request = engine::query::FetchRequest {
                topic: "t".to_owned(),
                partition: engine::ids::PartitionId(partition),
                from: engine::ids::Offset(0),
                limit: 0,
            };
            replica.fetch(&request).map(drop)
        })
    });
    match read {
        Ok(()) => Ok(replica),
        Err(error) => {
            assert!(replica.fault().is_some(), "a read that meets damage stops");
            replica.close().expect_err("it has stopped");
            Err(error)
        }
    }
}

fn repair(repair: &Repair, chunks: &[Bytes], purged: Option<LogId>) -> Result<Repaired, Error> {
    let mut writer = repair.begin()?;
    for chunk in chunks {
        writer.write(chunk.clone())?;
    }
    repair.finish(writer, purged)
}

/// Starts until the state is whole; answers it, and whether a repair was needed.
fn start(world: &World, chunks: &[Bytes], purged: Option<LogId>) -> (Replica, bool) {
    let dir = Path::new(DIR);
    let mut repaired = false;
    for _ in 0..3 {
        if let Some(due) = Repair::due(&world.shared, dir).expect("a readable folder") {
            repair(&due, chunks, purged).expect("a whole checkpoint");
            repaired = true;
        }
        match open(world, purged) {
            Ok(replica) => return (replica, repaired),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                Repair::note(&world.shared.env, dir, &error).expect("a healthy disk");
            }
        }
    }
    panic!("a repaired state is damaged");
}

#[test]
fn whatever_file_of_the_state_is_damaged_is_replaced_and_kept_aside() {
    let (_world, from, chunks) = sender();
    let purged = Some(LogId::new(1, 40));
    let mut kinds = BTreeSet::new();
    let mut names = Vec::new();
    files(victim(3).as_ref(), Path::new(DIR), &mut names);
    for name in names {
        let kind = name
            .extension()
            .unwrap_or(name.file_name().expect("a name"));
        kinds.insert(kind.to_string_lossy().into_owned());
        let whole = read(victim(3).as_ref(), &name);
        for at in (0..whole.len() as u64).step_by((whole.len() / 24).max(1)) {
            let vfs = victim(3);
            vfs.flip_bit(&name, at).expect("the file is there");
            let damaged = read(vfs.as_ref(), &name);
            let world = World::new(vfs.clone(), 4);
            let (replica, repaired) = start(&world, &chunks, purged);
            if !repaired {
                // The flipped bit stands where nothing is.
                assert_eq!(replica.applied(), purged, "{} byte {at}", name.display());
                continue;
            }
            assert_same(&from, &replica);
            let below = name.strip_prefix("/node/group-3/state-000001");
            let kept = Path::new(QUARANTINE).join(below.expect("a file of the state"));
            assert_eq!(read(vfs.as_ref(), &kept), damaged, "kept as it was");
            let why = read(vfs.as_ref(), &PathBuf::from(format!("{QUARANTINE}.damage")));
            let why = String::from_utf8(why).expect("it is for people");
            assert!(why.contains("state-000001"), "{why}");
            assert!(
                Repair::due(&world.shared, Path::new(DIR))
                    .expect("a readable folder")
                    .is_none(),
                "nothing is due any more"
            );
            apply(&replica, 301..=310);
            replica.close().expect("a healthy replica closes");
        }
    }
    for kind in ["CURRENT", "table", "part"] {
        assert!(kinds.contains(kind), "{kind} among {kinds:?}");
    }
}

#[test]
fn a_power_cut_in_a_repair_leaves_it_due_or_done() {
    let (_world, from, chunks) = sender();
    let purged = Some(LogId::new(1, 40));
    let vfs = victim(9);
    let current = Path::new("/node/group-3/state-000001/store/CURRENT");
    vfs.flip_bit(current, 0).expect("the file is there");
    vfs.record();
    let (noted, finished) = {
        let world = World::new(vfs.clone(), 5);
        let error = open(&world, purged).expect_err("its manifest is not to be found");
        Repair::note(&world.shared.env, Path::new(DIR), &error).expect("a healthy disk");
        let noted = vfs.io_count();
        let due = Repair::due(&world.shared, Path::new(DIR)).expect("a readable folder");
        repair(&due.expect("it was noted"), &chunks, purged).expect("a healthy disk");
        (noted, vfs.io_count())
    };
    let (mut again, mut tidied) = (0, 0);
    let mut seen = BTreeSet::new();
    for moment in vfs.recorded() {
        let at = moment.io_count();
        let crashed = moment.crashed(at);
        let stage = (at >= noted, at >= finished);
        if !seen.insert((moment.version(), crashed.losses, stage)) {
            continue;
        }
        let world = World::new(Arc::new(crashed.disk), at + 1);
        if at >= noted && at < finished {
            let due = Repair::due(&world.shared, Path::new(DIR)).expect("a readable folder");
            let whole = || open(&world, purged).is_ok();
            assert!(
                due.is_some() || whole(),
                "I/O {at}: the damage is forgotten"
            );
        }
        let (replica, repaired) = start(&world, &chunks, purged);
        assert!(!repaired || at < finished, "I/O {at}: it was repaired");
        assert_same(&from, &replica);
        let evidence = Path::new(QUARANTINE).join("store/CURRENT");
        assert!(
            world.vfs.exists(&evidence).expect("a healthy disk"),
            "I/O {at}: the damaged state is gone"
        );
        if repaired {
            again += 1;
        } else {
            tidied += 1;
        }
    }
    assert!(again > 50 && tidied > 3, "{again} again, {tidied} done");
}

#[test]
fn a_checkpoint_that_is_damaged_or_too_short_repairs_nothing() {
    let (sender_world, from, chunks) = sender();
    let vfs = victim(5);
    let current = Path::new("/node/group-3/state-000001/store/CURRENT");
    vfs.flip_bit(current, 0).expect("the file is there");
    let world = World::new(vfs.clone(), 6);
    let dir = Path::new(DIR);
    let error = open(&world, None).expect_err("its manifest is not to be found");
    Repair::note(&world.shared.env, dir, &error).expect("a healthy disk");

    let due = Repair::due(&world.shared, dir).expect("a readable folder");
    let due = due.expect("it was noted");
    let beyond = Some(LogId::new(1, 301));
    let error = repair(&due, &chunks, beyond).expect_err("the log has forgotten entry 301");
    assert!(error.to_string().contains("has forgotten"), "{error}");

    // Rot that the sender has not noticed, for it reads the files as they are.
    let mut names = Vec::new();
    files(sender_world.vfs.as_ref(), dir, &mut names);
    for name in names {
        let kind = name.extension().and_then(|kind| kind.to_str());
        if !matches!(kind, Some("table" | "part")) {
            continue;
        }
        let len = read(sender_world.vfs.as_ref(), &name).len() as u64;
        sender_world
            .vfs
            .flip_bit(&name, len / 3)
            .expect("it is there");
        let mut reader = from.read_checkpoint().expect("a checkpoint was made");
        let mut rotten = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("it reads no checksum") {
            rotten.push(chunk);
        }
        let mut received = due.begin().expect("a healthy disk");
        for chunk in &rotten {
            received.write(chunk.clone()).expect("no chunk is damaged");
        }
        let error = received.check().expect_err("it is damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        drop(received);
        let error = repair(&due, &rotten, None).expect_err(&name.display().to_string());
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.damage().is_some(), "{error} names no file");
        sender_world
            .vfs
            .flip_bit(&name, len / 3)
            .expect("it is there");
    }
    assert!(
        Repair::due(&world.shared, dir)
            .expect("a readable folder")
            .is_some(),
        "it is still due"
    );
    repair(&due, &chunks, Some(LogId::new(1, 300))).expect("one that is whole");
}

#[test]
fn a_newer_quarantine_takes_the_place_of_an_older_one() {
    let (_world, from, chunks) = sender();
    let vfs = victim(7);
    for state in 1..=3 {
        let current = PathBuf::from(format!("{DIR}/state-{state:06}/store/CURRENT"));
        vfs.flip_bit(&current, 0).expect("the file is there");
        let world = World::new(vfs.clone(), state);
        let (replica, repaired) = start(&world, &chunks, None);
        assert!(repaired);
        assert_same(&from, &replica);
        replica.close().expect("a healthy replica closes");
        let mut names: Vec<String> = Vec::new();
        names.extend(
            vfs.list(Path::new(DIR))
                .expect("a folder")
                .into_iter()
                .map(|e| e.name),
        );
        let expected = [
            format!("quarantine-{state:06}"),
            format!("quarantine-{state:06}.damage"),
            format!("state-{:06}", state + 1),
        ];
        assert_eq!(names, expected);
    }
}

#[test]
fn a_fault_is_told_once_and_to_those_who_come_late() {
    let vfs = victim(8);
    let world = World::new(vfs.clone(), 8);
    let replica = world.open().expect("a whole folder opens");
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let listen = |told: &Arc<Mutex<Vec<String>>>| {
        let told = Arc::clone(told);
        replica.on_fault(Box::new(move |fault| told.lock().push(fault.to_string())));
    };
    listen(&told);
    let mut names = Vec::new();
    files(vfs.as_ref(), Path::new(DIR), &mut names);
    names.retain(|name| name.extension().is_some_and(|kind| kind == "table"));
    for name in &names {
        vfs.flip_bit(name, 100).expect("the file is there");
    }
    let all = ScanRequest {
        keyspace: "default".to_owned(),
        ..ScanRequest::default()
    };
    // Nobody could repair it: the replica does not stop.
    let scan = replica.scan(&all);
    let error = scan.expect_err("a block is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(told.lock().is_empty());

    replica.stop_at_damage(true);
    for _ in 0..2 {
        let error = replica.scan(&all).expect_err("a block is damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    listen(&told);
    let told = told.lock();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told.first(), told.last());
    assert!(
        told.iter().all(|fault| fault.contains(".table")),
        "{told:?}"
    );
}
