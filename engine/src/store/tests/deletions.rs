//! Deleted ranges and blob files: what is hidden at once, and what goes later.

use super::*;
use crate::limits::DELETED_RANGES_MAX;

every_store! {
    a_deleted_range_hides_older_rows_and_spares_those_of_its_own_revision
    a_deleted_range_that_is_not_durable_is_gone_after_a_restart
    beyond_the_limit_of_ranges_rows_are_deleted_one_by_one
    tables_inside_a_deleted_range_go_unread_and_the_range_is_forgotten
}

fn range(start: &str, end: &str) -> KeyRange {
    KeyRange {
        start: Bytes::copy_from_slice(start.as_bytes()),
        end: Some(Bytes::copy_from_slice(end.as_bytes())),
    }
}

fn flush(store: &dyn Store, revision: u64) {
    store.freeze(blob(revision));
    assert!(store.flush().expect("the disk works"));
}

fn delete_range(store: &dyn Store, revision: u64, range: KeyRange) {
    store
        .write(Revision(revision), &[], &[range])
        .expect("the store runs");
}

/// Rows `row/000` to `row/count`, each of a hundred bytes, at revision 1.
fn fill(store: &dyn Store, count: u64) {
    let rows: Vec<_> = (0..count)
        .map(|n| put(&format!("row/{n:03}"), &"x".repeat(100)))
        .collect();
    store
        .write(Revision(1), &rows, &[])
        .expect("the store runs");
}

fn keys(store: &dyn Store, at: u64) -> usize {
    let rows = scan(store, KeyRange::all(), at, false).expect("nothing is damaged");
    rows.len()
}

fn a_deleted_range_hides_older_rows_and_spares_those_of_its_own_revision<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    fill(&store, 50);
    let kept = put("row/020", "new");
    store
        .write(Revision(2), &[kept], &[range("row/010", "row/030")])
        .expect("the store runs");
    for step in 0..4 {
        assert_eq!(keys(&store, 1), 50, "step {step}");
        assert_eq!(keys(&store, 2), 31, "step {step}");
        for (key, at, there) in [
            ("row/009", 2, true),
            ("row/010", 2, false),
            ("row/010", 1, true),
            ("row/020", 2, true),
            ("row/029", 2, false),
            ("row/030", 2, true),
        ] {
            let found = store.get(key.as_bytes(), Revision(at));
            let found = found.expect("nothing is damaged").is_some();
            assert_eq!(found, there, "{key} at {at} in step {step}");
        }
        match step {
            0 => store.freeze(blob(2)),
            1 => assert!(store.flush().expect("the disk works")),
            _ => compact_all(&store, 0),
        }
    }
}

fn tables_inside_a_deleted_range_go_unread_and_the_range_is_forgotten<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    fill(&store, 200);
    flush(&store, 1);
    compact_all(&store, 0);
    delete_range(&store, 2, range("row/010", "row/190"));
    flush(&store, 2);
    compact_all(&store, 1);
    assert_eq!(
        store.stats().deleted_ranges,
        1,
        "revision 1 is still readable"
    );
    assert_eq!(keys(&store, 1), 200);
    let before = store.stats();
    compact_all(&store, 2);
    let after = store.stats();
    assert_eq!(after.deleted_ranges, 0);
    assert_eq!(
        after.levels.iter().map(|level| level.entries).sum::<u64>(),
        20
    );
    let rewritten = after.compacted_bytes - before.compacted_bytes;
    assert!(
        rewritten < 4 * tiny().table_bytes,
        "only the ends: {rewritten}"
    );
    assert_eq!(keys(&store, 2), 20);
    drop(store);
    assert_eq!(keys(&open_as::<S>(&env, tiny()), 2), 20);
}

fn a_deleted_range_that_is_not_durable_is_gone_after_a_restart<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    fill(&store, 20);
    flush(&store, 1);
    delete_range(&store, 2, KeyRange::all());
    assert_eq!(keys(&store, 2), 0);
    compact_all(&store, 2);
    drop(store);
    assert_eq!(keys(&open_as::<S>(&env, tiny()), 2), 20);
}

fn beyond_the_limit_of_ranges_rows_are_deleted_one_by_one<S: Backend>() {
    let env = Env::memory();
    let store = open_as::<S>(&env, tiny());
    fill(&store, 100);
    for revision in 2..2 + DELETED_RANGES_MAX as u64 {
        delete_range(&store, revision, range("a", "b"));
    }
    flush(&store, 2);
    let revision = 2 + DELETED_RANGES_MAX as u64;
    delete_range(&store, revision, range("row/010", "row/090"));
    assert_eq!(store.stats().deleted_ranges, DELETED_RANGES_MAX);
    assert_eq!(keys(&store, revision), 20);
    assert_eq!(keys(&store, revision - 1), 100);
}

#[test]
fn long_values_are_read_from_blob_files_which_go_when_they_are_garbage() {
    let env = Env::memory();
    let store = open(&env, tiny());
    let value = |n: u64| format!("{n}").repeat(500);
    for revision in 1..=8 {
        let rows: Vec<_> = (0..8)
            .map(|n| put(&format!("row/{n}"), &value(revision * n)))
            .collect();
        store
            .write(Revision(revision), &rows, &[])
            .expect("the store runs");
        flush(&store, revision);
    }
    assert_eq!(store.stats().blob_files, 8);
    compact_all(&store, 0);
    let copied = store.stats().compacted_bytes;
    assert!(
        copied < 20_000,
        "compaction leaves values where they are: {copied}"
    );
    assert_eq!(keys(&store, 8), 8);
    // One more round, so that a compaction meets all old versions below the floor.
    store
        .write(Revision(9), &[put("row/0", "short"), put("row/9", "")], &[])
        .expect("the store runs");
    flush(&store, 9);
    store
        .write(Revision(10), &[put("row/9", "x"), put("row/0", "")], &[])
        .expect("the store runs");
    flush(&store, 10);
    compact_all(&store, 10);
    for n in 1..8 {
        let row = store.get(format!("row/{n}").as_bytes(), Revision(10));
        let row = row.expect("nothing is damaged").expect("the row is there");
        assert_eq!(row.value, value(8 * n));
    }
    let stats = store.stats();
    assert!(stats.blob_files <= 2, "{stats:?}");
    let blobs = file_names(&env.vfs, &dir());
    let blobs = blobs.iter().filter(|name| name.ends_with("blob")).count();
    assert_eq!(blobs, stats.blob_files);
    delete_range(&store, 11, KeyRange::all());
    flush(&store, 11);
    compact_all(&store, 11);
    assert_eq!(store.stats().blob_bytes, 0);
    assert_eq!(keys(&store, 11), 0);
}

#[test]
fn a_linked_checkpoint_is_a_store_of_its_own() {
    let env = Env::memory();
    let store = open(&env, tiny());
    fill(&store, 30);
    let long = put("row/long", &"long".repeat(300));
    store
        .write(Revision(2), &[long], &[range("row/010", "row/020")])
        .expect("the store runs");
    let copy = PathBuf::from("/copies/first");
    let none = store
        .pin()
        .link_to(&env, &copy)
        .expect_err("nothing is durable");
    assert_eq!(none.kind(), crate::ErrorKind::NotFound);
    flush(&store, 2);
    store.pin().link_to(&env, &copy).expect("a disk that works");
    let twice = store.pin().link_to(&env, &copy);
    assert!(twice.is_err(), "the folder is in use");
    delete_range(&store, 3, KeyRange::all());
    flush(&store, 3);
    compact_all(&store, 3);
    assert_eq!(keys(&store, 3), 0);
    let copy = Lsm::open(&env, &copy, tiny(), BlockCache::new(0)).expect("a sound folder");
    assert_eq!(revision_of(copy.checkpoint()), 2);
    assert_eq!((keys(&copy, 1), keys(&copy, 2)), (30, 21));
}

#[test]
fn an_open_that_fails_removes_no_blob_file() {
    let env = Env::memory();
    let store = open(&env, tiny());
    for revision in 1..=2 {
        let row = put(&format!("row/{revision}"), &"long".repeat(300));
        store
            .write(Revision(revision), &[row], &[])
            .expect("the store runs");
        flush(&store, revision);
    }
    drop(store);
    let names = file_names(&env.vfs, &dir());
    let table = table_names(&env.vfs, &dir()).pop().expect("a table");
    let path = dir().join(table);
    let sound = read_file(&env.vfs, &path);
    env.vfs.remove(&path).expect("the file is there");
    let failed = Lsm::open(&env, &dir(), tiny(), BlockCache::new(0));
    assert!(failed.is_err());
    write_file(&env.vfs, &path, &sound);
    assert_eq!(file_names(&env.vfs, &dir()), names);
    assert_eq!(keys(&open(&env, tiny()), 2), 2);
}

#[test]
fn blob_files_and_deleted_ranges_travel_with_a_pin() {
    let env = Env::memory();
    let store = open(&env, tiny());
    let rows: Vec<_> = (0..9)
        .map(|n| put(&format!("row/{n}"), &"long".repeat(300)))
        .collect();
    store
        .write(Revision(1), &rows, &[])
        .expect("the store runs");
    delete_range(&store, 2, range("row/3", "row/6"));
    flush(&store, 2);
    let pin = store.pin();
    let copy = PathBuf::from("/copy");
    env.vfs.create_dir_all(&copy).expect("a folder");
    let tables = pin.tables().iter().map(|table| &table.path);
    for path in tables.chain(pin.blob_files().iter().map(|file| &file.path)) {
        let name = path.file_name().expect("a name");
        write_file(&env.vfs, &copy.join(name), &read_file(&env.vfs, path));
    }
    let installed: Vec<_> = pin.tables().iter().map(PinnedTable::installed).collect();
    let checkpoint = pin.checkpoint().expect("a checkpoint").clone();
    Lsm::install(&env, &copy, &installed, pin.deleted(), checkpoint).expect("sound files");
    let copy = Lsm::open(&env, &copy, tiny(), BlockCache::new(0)).expect("sound files");
    assert_eq!(keys(&copy, 2), 6);
    assert_eq!(keys(&copy, 1), 9);
}
