//! How much disk rows take that are written again and again.

use super::*;

const ROWS: u64 = 10_000;
const TIMES: u64 = 100;
const VALUE_BYTES: usize = 100;

fn disk_bytes(env: &Env) -> u64 {
    let names = file_names(&env.vfs, &dir());
    let sizes = names.iter().map(|name| {
        let file = env.vfs.open(&dir().join(name), OpenMode::Read);
        file.expect("the file is there").len().expect("a length")
    });
    sizes.sum()
}

/// Writes rows, and makes them a table of their own.
fn write_table(store: &Lsm, revision: u64, rows: &[RowWrite]) {
    store
        .write(Revision(revision), rows, &[])
        .expect("the store runs");
    store.freeze(blob(revision));
    store.flush().expect("the disk works");
}

/// what a hundred overwrites leave is, after a compaction, at most three times what is alive.
#[test]
fn a_hundred_overwrites_leave_at_most_three_times_the_live_rows() {
    let env = Env::memory();
    let options = StoreOptions {
        memtable_bytes: 4 << 20,
        table_bytes: 1 << 20,
        compression: Compression::None,
        level_base_bytes: 8 << 20,
        ..StoreOptions::default()
    };
    let store = open(&env, options.clone());
    let mut revision = 0;
    let mut most = 0;
    for time in 0..TIMES {
        for first in (0..ROWS).step_by(100) {
            revision += 1;
            let row = |n: u64| put(&format!("row/{n:06}"), &format!("{time:0>VALUE_BYTES$}"));
            let rows: Vec<_> = (first..first + 100).map(row).collect();
            store
                .write(Revision(revision), &rows, &[])
                .expect("the store runs");
            if store.memtable_bytes() >= options.memtable_bytes {
                store.freeze(blob(revision));
                store.flush().expect("the disk works");
                store.compact_whole();
                compact_all(&store, revision);
                most = most.max(disk_bytes(&env));
            }
        }
    }
    let live = ROWS * (10 + VALUE_BYTES as u64);
    assert!(most <= 3 * live, "{most} bytes for {live} of rows");
    assert!(most > live / 2, "the rows are on the disk at all: {most}");
}

#[test]
fn a_compaction_of_the_whole_store_leaves_one_version_of_each_row() {
    let env = Env::memory();
    let store = open(&env, tiny());
    for revision in 1..=30 {
        let rows: Vec<_> = (0..9)
            .map(|n| put(&format!("row/{n}"), &format!("{revision}")))
            .collect();
        write_table(&store, revision, &rows);
        compact_all(&store, 0);
    }
    let entries = |store: &Lsm| -> u64 {
        let levels = store.stats().levels;
        levels.iter().map(|level| level.entries).sum()
    };
    assert_eq!(entries(&store), 30 * 9, "every revision is readable");
    store.compact_whole();
    compact_all(&store, 30);
    assert_eq!(entries(&store), 9);
    let levels = store.stats().levels;
    assert_eq!(levels.iter().filter(|level| level.tables > 0).count(), 1);
    assert!(
        !store.compact_step(Revision(30)).expect("the disk works"),
        "and that is all"
    );
}

#[test]
fn a_compaction_of_the_whole_store_takes_along_what_it_has_merged_on_the_way() {
    let env = Env::memory();
    let options = StoreOptions {
        memtable_bytes: 1 << 20,
        table_bytes: 16 << 10,
        compression: Compression::None,
        level_base_bytes: 64 << 10,
        l0_tables: 4,
        ..StoreOptions::default()
    };
    let store = open(&env, options);
    let mut revision = 0;
    let mut write = |rows: &mut dyn Iterator<Item = u64>| {
        revision += 1;
        let rows: Vec<_> = rows
            .map(|n| put(&format!("row/{n:05}"), &format!("{revision:0>100}")))
            .collect();
        write_table(&store, revision, &rows);
        compact_all(&store, revision);
        revision
    };
    for round in 0..6 {
        for part in 0..20 {
            write(&mut (part * 100..part * 100 + 60 + round));
        }
    }
    // It meets every table of L1, so that all of them are written again on the way.
    let last = write(&mut (0..2_000).step_by(100));
    let levels = store.stats().levels;
    let tables: Vec<_> = levels.iter().map(|level| level.tables > 0).collect();
    assert_eq!(tables[..3], [true; 3], "three levels: {levels:?}");
    let alive = 20 * 65;
    store.compact_whole();
    compact_all(&store, last);
    let levels = store.stats().levels;
    assert_eq!(levels.iter().filter(|level| level.tables > 0).count(), 1);
    let entries: u64 = levels.iter().map(|level| level.entries).sum();
    assert_eq!(entries, alive, "one version of each: {levels:?}");
}

#[test]
fn l0_is_merged_for_reads_alone_if_not_too_much_is_written_for_it() {
    let env = Env::memory();
    let options = StoreOptions {
        l0_tables: 9,
        ..tiny()
    };
    let store = open(&env, options);
    let mut revision = 0;
    let mut flush = |rows: u64| {
        revision += 1;
        let rows: Vec<_> = (0..rows)
            .map(|n| put(&format!("row/{n:03}"), &format!("{revision}")))
            .collect();
        write_table(&store, revision, &rows);
        compact_all(&store, 0);
    };
    let tables = |level: usize| store.stats().levels[level].tables;
    assert!(!store.compact_l0(), "there is nothing to merge");
    flush(99);
    assert!(!store.compact_l0(), "one table is no better elsewhere");
    flush(99);
    assert_eq!((tables(0), tables(1)), (2, 0), "nothing is due");
    assert!(store.compact_l0());
    compact_all(&store, 0);
    assert_eq!(tables(0), 0);
    assert!(tables(1) > 0);

    flush(2);
    assert!(!store.compact_l0(), "nearly all written would be old");
    compact_all(&store, 0);
    assert_eq!(tables(0), 1);
    flush(99);
    assert!(store.compact_l0());
    compact_all(&store, 0);
    assert_eq!(tables(0), 0);
}
