//! What the store promises, one sentence each.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::ErrorKind;

every_store! {
    ten_memtables_of_values_are_all_there_after_a_restart
    a_value_of_a_mebibyte_fits_between_small_ones
    compaction_drops_what_no_reader_can_see_and_no_more
    a_hot_row_with_many_versions_is_passed_quickly_and_correctly
    readers_see_whole_batches_while_writes_flushes_and_compactions_go_on
    a_revision_that_goes_back_is_refused
    a_flush_without_rows_makes_its_checkpoint_durable
}

fn flush(store: &dyn Store, revision: u64) {
    store.freeze(blob(revision));
    while store.flush().expect("the disk works") {}
}

fn value(store: &dyn Store, key: &str, at: u64) -> Option<Bytes> {
    let row = store.get(key.as_bytes(), Revision(at));
    row.expect("nothing is damaged").map(|row| row.value)
}

fn ten_memtables_of_values_are_all_there_after_a_restart<S: Backend>() {
    let env = Env::memory();
    let options = StoreOptions {
        memtable_bytes: 256 << 10,
        table_bytes: 64 << 10,
        level_base_bytes: 256 << 10,
        ..StoreOptions::default()
    };
    let cache = BlockCache::new(256 << 10);
    let store =
        S::open_in(&env, &dir(), options.clone(), Arc::clone(&cache)).expect("a new folder");
    let text = |n: u64| format!("{n}").repeat(1 + usize::try_from(n % 97).expect("small"));
    let (mut revision, mut bytes) = (0, 0);
    while bytes < 10 * options.memtable_bytes {
        revision += 1;
        let write = put(
            &format!("row/{:08}", revision * 7919 % 100_003),
            &text(revision),
        );
        let before = store.memtable_bytes();
        store
            .write(Revision(revision), &[write], &[])
            .expect("the store runs");
        bytes += store.memtable_bytes() - before;
        if store.memtable_bytes() > options.memtable_bytes {
            flush(&store, revision);
            compact_all(&store, 0);
        }
    }
    flush(&store, revision);
    drop(store);
    let store = S::open_in(&env, &dir(), options, Arc::clone(&cache)).expect("a sound folder");
    assert_eq!(store.memtable_bytes(), 0);
    for n in 1..=revision {
        let key = format!("row/{:08}", n * 7919 % 100_003);
        assert_eq!(value(&store, &key, u64::MAX), Some(text(n).into()), "{key}");
        assert!(cache.bytes() + cache.resident_bytes() <= 256 << 10);
    }
    let rows = scan(&store, KeyRange::all(), u64::MAX, true).expect("nothing is damaged");
    assert_eq!(rows.len() as u64, revision);
}

fn a_value_of_a_mebibyte_fits_between_small_ones<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, StoreOptions::default());
    let large = "x".repeat(1 << 20);
    let writes = [
        put("a", "small"),
        put("b", &large),
        put("c", "small"),
        put(&"k".repeat(32 << 10), &large),
    ];
    store
        .write(Revision(1), &writes, &[])
        .expect("the store runs");
    flush(&store, 1);
    drop(store);
    let store = open_as::<S>(&env, StoreOptions::default());
    for write in &writes {
        let found = store.get(&write.key, Revision(1)).expect("undamaged");
        let expected = write.value.as_ref().map(|row| row.value.clone());
        assert_eq!(found.map(|row| row.value), expected);
    }
    for reverse in [false, true] {
        let rows = scan(&store, KeyRange::all(), 1, reverse).expect("undamaged");
        assert_eq!(rows.len(), 4);
    }
}

#[test]
fn pinned_tables_outlive_compaction_and_can_be_installed_elsewhere() {
    let env = Env::memory();
    let store = open(&env, tiny());
    let fill = |from: u64| {
        for revision in from..from + 6 {
            let writes: Vec<RowWrite> = (0..20)
                .map(|n| put(&format!("row/{n:02}"), &format!("{revision}")))
                .collect();
            store
                .write(Revision(revision), &writes, &[])
                .expect("the store runs");
            flush(&store, revision);
        }
    };
    fill(1);
    let before = scan(&store, KeyRange::all(), 6, false).expect("undamaged");
    let pin = store.pin();
    fill(7);
    compact_all(&store, 12);
    assert_eq!(revision_of(pin.checkpoint().cloned()), 6);

    let copy = PathBuf::from("/copy");
    env.vfs.create_dir_all(&copy).expect("a folder");
    let mut installed = Vec::new();
    for table in pin.tables() {
        let bytes = read_file(&env.vfs, &table.path);
        assert_eq!(bytes.len() as u64, table.len);
        let name = super::super::table_file_name(table.id);
        write_file(&env.vfs, &copy.join(name), &bytes);
        installed.push(table.installed());
    }
    Lsm::install(&env, &copy, &installed, &[], blob(6)).expect("sound files");
    let twice = Lsm::install(&env, &copy, &installed, &[], blob(6));
    let twice = twice.expect_err("a folder in use");
    assert_eq!(twice.kind(), ErrorKind::Invalid);
    let other = Lsm::open(&env, &copy, tiny(), BlockCache::new(0)).expect("a sound folder");
    let rows = scan(&other, KeyRange::all(), u64::MAX, false).expect("undamaged");
    assert_eq!(rows, before);
    assert_eq!(revision_of(other.checkpoint()), 6);

    drop(pin);
    let tables: usize = store.stats().levels.iter().map(|level| level.tables).sum();
    assert_eq!(table_names(&env.vfs, &dir()).len(), tables);
}

#[test]
fn a_pin_that_a_crash_ends_leaves_nothing_behind() {
    let env = Env::memory();
    let store = open(&env, tiny());
    for revision in 1..=4 {
        store
            .write(
                Revision(revision),
                &[put("row", &format!("{revision}"))],
                &[],
            )
            .expect("the store runs");
        flush(&store, revision);
    }
    let pin = store.pin();
    compact_all(&store, 4);
    // As a crash: nothing is dropped.
    std::mem::forget(pin);
    std::mem::forget(store);
    let store = open(&env, tiny());
    let tables: usize = store.stats().levels.iter().map(|level| level.tables).sum();
    assert_eq!(table_names(&env.vfs, &dir()).len(), tables);
    assert_eq!(value(&store, "row", 4), Some("4".into()));
}

#[test]
fn a_closed_store_removes_nothing_from_a_folder_that_may_be_anothers() {
    let env = Env::memory();
    let store = open(&env, tiny());
    for revision in 1..=4 {
        store
            .write(
                Revision(revision),
                &[put("row", &format!("{revision}"))],
                &[],
            )
            .expect("the store runs");
        flush(&store, revision);
    }
    let pin = store.pin();
    let mut rows = store
        .scan(KeyRange::all(), Revision(4), false)
        .expect("undamaged");
    compact_all(&store, 4);
    store.close();
    let names = table_names(&env.vfs, &dir());
    assert!(names.len() > pin.tables().len());
    drop(pin);
    let row = rows.next().expect("a row").expect("undamaged");
    assert_eq!(row.1.value, "4");
    drop(rows);
    let error = store.write(Revision(5), &[put("row", "5")], &[]);
    assert_eq!(error.expect_err("it is closed").kind(), ErrorKind::Stopped);
    drop(store);
    assert_eq!(table_names(&env.vfs, &dir()), names);
}

fn compaction_drops_what_no_reader_can_see_and_no_more<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    for revision in 1..=40 {
        let write = if revision == 40 {
            delete("gone")
        } else {
            put("gone", "once")
        };
        store
            .write(
                Revision(revision),
                &[put("kept", &format!("{revision}")), write],
                &[],
            )
            .expect("the store runs");
        flush(&store, revision);
        compact_all(&store, 0);
    }
    let entries = |store: &S| -> u64 {
        let levels = store.stats().levels;
        levels.iter().map(|level| level.entries).sum()
    };
    assert_eq!(entries(&store), 80);
    for at in 1..40 {
        assert_eq!(value(&store, "kept", at), Some(format!("{at}").into()));
        assert_eq!(value(&store, "gone", at), Some("once".into()));
    }
    for revision in 41..=46 {
        store
            .write(
                Revision(revision),
                &[put("kept", &format!("{revision}"))],
                &[],
            )
            .expect("the store runs");
        flush(&store, revision);
        compact_all(&store, 45);
    }
    assert_eq!(value(&store, "kept", 45), Some("45".into()));
    assert_eq!(value(&store, "gone", 45), None);
    assert!(entries(&store) <= 4, "{:?}", store.stats());
    assert!(store.stats().dropped_versions >= 80);
}

fn a_hot_row_with_many_versions_is_passed_quickly_and_correctly<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    for revision in 1..=300 {
        let writes = [
            put("a", "before"),
            put("hot", &format!("{revision}")),
            put("z", "behind"),
        ];
        store
            .write(Revision(revision), &writes, &[])
            .expect("the store runs");
        if revision.is_multiple_of(100) {
            flush(&store, revision);
        }
    }
    for at in [1, 99, 150, 299, 300] {
        for reverse in [false, true] {
            let rows = scan(&store, KeyRange::all(), at, reverse).expect("undamaged");
            assert_eq!(rows.len(), 3);
            assert_eq!(rows[1].1.value, format!("{at}"));
        }
    }
}

fn readers_see_whole_batches_while_writes_flushes_and_compactions_go_on<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    let ended = AtomicBool::new(false);
    let keys: Vec<String> = (0..8).map(|n| format!("row/{n}")).collect();
    std::thread::scope(|threads| {
        for reverse in [false, true] {
            let (store, ended) = (&store, &ended);
            threads.spawn(move || {
                let mut seen = Revision(0);
                while !ended.load(Ordering::Acquire) {
                    let rows = scan(store, KeyRange::all(), u64::MAX, reverse);
                    let rows = rows.expect("nothing is damaged");
                    let Some((_, first)) = rows.first() else {
                        continue;
                    };
                    assert_eq!(rows.len(), 8);
                    assert!(rows.iter().all(|(_, row)| row.value == first.value));
                    assert!(first.mod_revision >= seen);
                    seen = first.mod_revision;
                    let row = store.get(b"row/3", seen).expect("nothing is damaged");
                    assert_eq!(row.map(|row| row.mod_revision), Some(seen));
                }
            });
        }
        for compacts in [false, true] {
            let (store, ended) = (&store, &ended);
            threads.spawn(move || {
                while !ended.load(Ordering::Acquire) {
                    // A floor of zero keeps every revision readable.
                    let worked = if compacts {
                        store.compact_step(Revision(0))
                    } else {
                        store.flush()
                    };
                    if !worked.expect("the disk works") {
                        std::thread::yield_now();
                    }
                }
            });
        }
        for revision in 1..=400u64 {
            let text = format!("{revision}");
            let writes: Vec<RowWrite> = keys.iter().map(|key| put(key, &text)).collect();
            store
                .write(Revision(revision), &writes, &[])
                .expect("the store runs");
            if revision.is_multiple_of(10) {
                store.freeze(blob(revision));
                while store.stalled() {
                    std::thread::yield_now();
                }
            }
        }
        ended.store(true, Ordering::Release);
    });
}

fn a_revision_that_goes_back_is_refused<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    store
        .write(Revision(5), &[put("a", "5")], &[])
        .expect("the store runs");
    let error = store.write(Revision(4), &[put("a", "4")], &[]);
    assert_eq!(error.expect_err("it goes back").kind(), ErrorKind::Invalid);
    store
        .write(Revision(5), &[put("a", "later")], &[])
        .expect("the same revision may be written again");
    assert_eq!(value(&store, "a", 5), Some("later".into()));
    flush(&store, 5);
    store
        .write(Revision(5), &[put("a", "last")], &[])
        .expect("the same revision may be written again");
    for _ in 0..2 {
        for reverse in [false, true] {
            let rows = scan(&store, KeyRange::all(), 5, reverse).expect("undamaged");
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0].1.value, "last");
        }
        flush(&store, 5);
        compact_all(&store, 0);
    }
}

fn a_flush_without_rows_makes_its_checkpoint_durable<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    assert_eq!(store.checkpoint(), None);
    assert!(!store.flush().expect("nothing to do"));
    store.freeze(Bytes::from_static(b"one"));
    assert!(!store.stalled());
    store.freeze(Bytes::from_static(b"two"));
    assert!(store.stalled());
    assert!(store.flush().expect("the disk works"));
    assert_eq!(store.checkpoint(), Some(Bytes::from_static(b"one")));
    assert!(store.flush().expect("the disk works"));
    assert!(!store.flush().expect("nothing to do"));
    drop(store);
    assert_eq!(
        open_as::<S>(&env, tiny()).checkpoint(),
        Some(Bytes::from_static(b"two"))
    );
}

#[test]
fn the_manifest_is_written_anew_when_it_has_grown() {
    let env = Env::memory();
    let store = open(&env, tiny());
    for n in 0..40u8 {
        store.freeze(vec![n; 10_000].into());
        store.flush().expect("the disk works");
        let names = file_names(&env.vfs, &dir());
        assert_eq!(names.len(), 2, "{names:?}");
        let manifest = dir().join(&names[1]);
        assert!(read_file(&env.vfs, &manifest).len() < 200_000);
    }
    let names = file_names(&env.vfs, &dir());
    assert_ne!(names, ["CURRENT", "MANIFEST-0000000000000001"]);
    drop(store);
    assert_eq!(
        open(&env, tiny()).checkpoint(),
        Some(vec![39; 10_000].into())
    );
}
