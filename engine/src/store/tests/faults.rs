//! Failed syncs and full disks.

use std::io;

use super::*;
use crate::ErrorKind;
use crate::env::vfs::sim::SimVfs;

fn env_on(vfs: &SimVfs, seed: u64) -> Env {
    Env::simulated(Arc::new(vfs.clone()), seed)
}

/// The writes of one revision: every third row changes, some vanish.
fn writes_at(revision: u64) -> Vec<RowWrite> {
    (0..12u64)
        .filter(|n| (n + revision).is_multiple_of(3))
        .map(|n| {
            let key = format!("row/{n:02}");
            if (n * 7 + revision).is_multiple_of(5) {
                delete(&key)
            } else {
                // Some are long enough for a blob file.
                let len = if (n + revision).is_multiple_of(11) {
                    500
                } else {
                    40
                };
                put(
                    &key,
                    &format!("value {revision} of {n} {}", "x".repeat(len)),
                )
            }
        })
        .collect()
}

/// The ranges that one revision deletes: now and then a few rows, once in a while all.
fn deleted_at(revision: u64) -> Vec<KeyRange> {
    match revision % 9 {
        4 => vec![KeyRange::prefix("row/0".into())],
        7 => vec![
            KeyRange::prefix("row/1".into()),
            KeyRange::prefix("row/05".into()),
        ],
        0 => vec![KeyRange::all()],
        _ => Vec::new(),
    }
}

/// Writes and deletes what belongs to one revision.
fn write_at(store: &Lsm, revision: u64) {
    let (writes, deleted) = (writes_at(revision), deleted_at(revision));
    store
        .write(Revision(revision), &writes, &deleted)
        .expect("the store runs");
}

fn model_at(revision: u64) -> Model {
    let mut model = Model::default();
    for revision in 1..=revision {
        for range in deleted_at(revision) {
            model.delete_range(revision, range);
        }
        model.write(revision, &writes_at(revision));
    }
    model
}

/// The rows are those of the durable checkpoint, to the byte.
fn assert_sound(store: &Lsm, durable: u64) -> u64 {
    let revision = revision_of(store.checkpoint());
    assert!(revision >= durable, "{revision} is older than {durable}");
    let expected = model_at(revision).scan(&KeyRange::all(), revision, false);
    let found = scan(store, KeyRange::all(), u64::MAX, false);
    assert_eq!(found.expect("nothing is damaged"), expected);
    revision
}

#[test]
fn a_failed_sync_of_a_table_changes_nothing_and_the_flush_is_retried() {
    let vfs = SimVfs::new(7);
    let env = env_on(&vfs, 7);
    let store = open(&env, tiny());
    for revision in 1..=3 {
        write_at(&store, revision);
    }
    store.freeze(blob(3));
    vfs.fail_sync_once();
    let error = store.flush().expect_err("the sync failed");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(table_names(&env.vfs, &dir()), Vec::<String>::new());
    assert_eq!(store.checkpoint(), None);
    assert!(store.flush().expect("the disk works again"));
    drop(store);
    vfs.power_off();
    vfs.power_on();
    assert_eq!(assert_sound(&open(&env, tiny()), 3), 3);
}

#[test]
fn a_failed_sync_of_the_manifest_stops_the_store() {
    let vfs = SimVfs::new(8);
    let env = env_on(&vfs, 8);
    let store = open(&env, tiny());
    store
        .write(Revision(1), &writes_at(1), &[])
        .expect("the store runs");
    store.freeze(blob(1));
    store.flush().expect("the disk works");
    // Without rows the flush writes the manifest alone.
    store.freeze(Bytes::from_static(b"later"));
    vfs.fail_sync_once();
    assert_eq!(
        store.flush().expect_err("the sync failed").kind(),
        ErrorKind::Io
    );
    for refused in [
        store.write(Revision(2), &writes_at(2), &[]),
        store.flush().map(drop),
        store.compact_step(Revision(0)).map(drop),
    ] {
        let error = refused.expect_err("the store is poisoned");
        assert_eq!(error.kind(), ErrorKind::Stopped);
    }
    let expected = model_at(1).scan(&KeyRange::all(), 1, false);
    let found = scan(&store, KeyRange::all(), u64::MAX, false);
    assert_eq!(found.expect("reads go on"), expected);
    drop(store);
    // Opened without a power cut, the doubtful edit can be read, but no sync of its file would
    // make it durable: it must have been written anew.
    let opened = open(&env, tiny()).checkpoint();
    vfs.power_off();
    vfs.power_on();
    let store = open(&env, tiny());
    assert_eq!(store.checkpoint(), opened);
    let found = scan(&store, KeyRange::all(), u64::MAX, false);
    assert_eq!(found.expect("nothing is damaged"), expected);
}

#[test]
fn a_seal_that_a_killed_process_has_not_synced_is_written_again() {
    let vfs = SimVfs::new(12);
    let store = open(&env_on(&vfs, 12), tiny());
    store.freeze(blob(1));
    vfs.record();
    store.flush().expect("the disk works");
    for moment in vfs.recorded() {
        for seed in 0..20 {
            let killed = moment.killed(seed);
            let store = open(&env_on(&killed, seed), tiny());
            let found = revision_of(store.checkpoint());
            killed.record();
            store.freeze(blob(2));
            store.flush().expect("the disk works");
            for moment in killed.recorded() {
                let disk = moment.crashed(seed).disk;
                let store = open(&env_on(&disk, seed), tiny());
                assert!([found, 2].contains(&revision_of(store.checkpoint())));
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_the_flush_and_poisons_nothing() {
    let vfs = SimVfs::new(9);
    let env = env_on(&vfs, 9);
    let store = open(&env, tiny());
    for revision in 1..=6 {
        write_at(&store, revision);
    }
    store.freeze(blob(6));
    let space = env.vfs.space(&dir()).expect("a disk");
    vfs.set_capacity(space.total_bytes - space.free_bytes + 300);
    for _ in 0..3 {
        let error = store.flush().expect_err("the disk is full");
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(table_names(&env.vfs, &dir()), Vec::<String>::new());
    }
    vfs.set_capacity(1 << 30);
    assert!(store.flush().expect("there is room again"));
    assert_eq!(assert_sound(&store, 6), 6);
}

#[test]
fn an_edit_without_room_changes_nothing_and_is_made_later() {
    let vfs = SimVfs::new(12);
    let env = env_on(&vfs, 12);
    let store = open(&env, tiny());
    let used = || {
        let space = env.vfs.space(&dir()).expect("a disk");
        space.total_bytes - space.free_bytes
    };
    store.freeze(Bytes::from(vec![1; 5_000]));
    // Every amount of room: for a part of the edit, for all of it and none for its seal.
    let enough = (0..5_200).step_by(7).find(|room| {
        vfs.set_capacity(used() + room);
        match store.flush() {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{room}: {error}");
                false
            }
            Ok(flushed) => flushed,
        }
    });
    assert!(enough.is_some_and(|room| room > 5_000), "{enough:?}");
    vfs.make_room();
    store.freeze(blob(2));
    assert!(store.flush().expect("there is room"));
    drop(store);
    vfs.power_off();
    vfs.power_on();
    assert_eq!(open(&env, tiny()).checkpoint(), Some(blob(2)));
}

#[test]
fn a_manifest_that_finds_no_room_to_be_written_anew_grows_on() {
    let vfs = SimVfs::new(11);
    let env = env_on(&vfs, 11);
    let store = open(&env, tiny());
    let used = || {
        let space = env.vfs.space(&dir()).expect("a disk");
        space.total_bytes - space.free_bytes
    };
    let large = |n: u8| Bytes::from(vec![n; 50_000]);
    for n in 1..9 {
        store.freeze(large(n));
        // Room for the edit and its seal, not for another manifest.
        vfs.set_capacity(used() + 51_000);
        assert!(store.flush().expect("there is room"));
    }
    let names = file_names(&env.vfs, &dir());
    assert_eq!(names, ["CURRENT", "MANIFEST-0000000000000001"]);
    vfs.set_capacity(1 << 30);
    store.freeze(large(9));
    assert!(store.flush().expect("there is room"));
    assert!(used() < 60_000);
    drop(store);
    vfs.power_off();
    vfs.power_on();
    assert_eq!(open(&env, tiny()).checkpoint(), Some(large(9)));
}

#[test]
fn a_compaction_that_cannot_write_leaves_all_as_it_was() {
    let vfs = SimVfs::new(10);
    let env = env_on(&vfs, 10);
    let store = open(&env, tiny());
    for revision in 1..=9 {
        write_at(&store, revision);
        if revision.is_multiple_of(3) {
            store.freeze(blob(revision));
            store.flush().expect("the disk works");
        }
    }
    let before = table_names(&env.vfs, &dir());
    vfs.fail_writes(io::ErrorKind::Other);
    let error = store
        .compact_step(Revision(3))
        .expect_err("nothing can be written");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(table_names(&env.vfs, &dir()), before);
    vfs.allow_writes();
    compact_all(&store, 9);
    assert_ne!(table_names(&env.vfs, &dir()), before);
    assert_eq!(assert_sound(&store, 9), 9);
}
