//! What the store over sled promises beyond the common: when its folder is used again, and what
//! it sweeps.

use super::*;

/// A folder on a real disk, and a file in sled's folder that tells whether it was made anew.
struct Place {
    env: Env,
    _folder: tempfile::TempDir,
    dir: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            env: Env::os(),
            dir: folder.path().join("store"),
            _folder: folder,
        }
    }

    fn open(&self) -> SledStore {
        SledStore::open(&self.env, &self.dir, tiny(), BlockCache::new(1 << 20)).expect("sound")
    }

    fn witness(&self) -> PathBuf {
        self.dir.join("sled/witness")
    }

    /// Opens again; answers whether sled's folder is still the one it was.
    fn reopen(&self) -> (SledStore, bool) {
        write_file(&self.env.vfs, &self.witness(), b"here");
        let store = self.open();
        let kept = self.env.vfs.exists(&self.witness()).expect("a disk");
        if kept {
            self.env.vfs.remove(&self.witness()).expect("it is there");
        }
        (store, kept)
    }
}

fn write(store: &dyn Store, revision: u64, writes: &[RowWrite]) {
    store
        .write(Revision(revision), writes, &[])
        .expect("the store runs");
}

fn flush(store: &dyn Store, revision: u64) {
    store.freeze(blob(revision));
    assert!(store.flush().expect("the disk works"));
}

/// A checkpoint at revision 2, and beyond it a new version, a tombstone and a deleted range.
fn written(place: &Place) -> (SledStore, Rows) {
    let store = place.open();
    write(&store, 1, &[put("a", "1"), put("b", "1"), put("c", "1")]);
    write(&store, 2, &[put("a", "2"), delete("b")]);
    flush(&store, 2);
    let rows = scan(&store, KeyRange::all(), 2, false).expect("nothing is damaged");
    write(&store, 3, &[put("a", "3")]);
    store.freeze(blob(3));
    store
        .write(Revision(4), &[put("d", "4")], &[KeyRange::all()])
        .expect("the store runs");
    let after = scan(&store, KeyRange::all(), 4, false).expect("nothing is damaged");
    assert_eq!(after.len(), 1);
    (store, rows)
}

fn assert_at_checkpoint(store: &SledStore, rows: &Rows) {
    assert_eq!(revision_of(store.checkpoint()), 2);
    for at in [2, u64::MAX] {
        let found = scan(store, KeyRange::all(), at, false).expect("nothing is damaged");
        assert_eq!(found, *rows);
    }
    let old = store.get(b"b", Revision(1)).expect("nothing is damaged");
    assert!(old.is_some());
    assert_eq!(
        store.version_count(),
        5,
        "nothing is left of what came later"
    );
}

#[test]
fn after_a_clean_end_sled_is_taken_up_without_what_the_checkpoint_does_not_cover() {
    let place = Place::new();
    let (store, rows) = written(&place);
    drop(store);
    let (store, kept) = place.reopen();
    assert!(kept);
    assert_at_checkpoint(&store, &rows);
}

#[test]
fn after_a_crash_sled_is_filled_anew_from_the_checkpoint() {
    let place = Place::new();
    let (store, rows) = written(&place);
    std::mem::forget(store);
    let (store, kept) = place.reopen();
    assert!(!kept);
    assert_at_checkpoint(&store, &rows);
    // The mark of an earlier end does not outlive its start.
    drop(store);
    let (store, kept) = place.reopen();
    assert!(kept);
    std::mem::forget(store);
    let (store, kept) = place.reopen();
    assert!(!kept);
    assert_at_checkpoint(&store, &rows);
}

#[test]
fn a_checkpoint_that_sled_has_not_seen_makes_it_be_filled_anew() {
    let place = Place::new();
    drop(written(&place));
    let cache = BlockCache::new(0);
    let lsm = Lsm::open(&place.env, &place.dir, tiny(), cache).expect("sound");
    write(&lsm, 3, &[put("e", "3")]);
    flush(&lsm, 3);
    drop(lsm);
    let (store, kept) = place.reopen();
    assert!(!kept);
    let row = store.get(b"e", Revision(3)).expect("nothing is damaged");
    assert_eq!(row.expect("the Lsm has it").value, "3");
}

#[test]
fn sled_is_not_taken_up_where_its_surplus_cannot_be_taken_back() {
    // A version of the checkpoint was replaced.
    let place = Place::new();
    let store = place.open();
    write(&store, 1, &[put("a", "durable")]);
    flush(&store, 1);
    write(&store, 1, &[put("a", "not durable")]);
    drop(store);
    let (store, kept) = place.reopen();
    assert!(!kept);
    let row = store.get(b"a", Revision(1)).expect("nothing is damaged");
    assert_eq!(row.expect("it is there").value, "durable");
    // Somebody still reads.
    let rows = store.scan(KeyRange::all(), Revision(1), false);
    let rows = rows.expect("nothing is damaged");
    drop(store);
    assert!(!place.reopen().1);
    assert_eq!(rows.count(), 1);
}

#[test]
fn a_closed_store_leaves_no_mark_in_a_folder_that_may_be_anothers() {
    let place = Place::new();
    let (store, _) = written(&place);
    store.close();
    drop(store);
    let names = file_names(&place.env.vfs, &place.dir);
    assert!(!names.iter().any(|name| name == "SLED-CLEAN"), "{names:?}");
}

#[test]
fn what_sled_cannot_open_is_filled_anew() {
    let place = Place::new();
    let (store, rows) = written(&place);
    drop(store);
    let conf = place.dir.join("sled/conf");
    place.env.vfs.remove(&conf).expect("sled has it");
    write_file(&place.env.vfs, &conf, b"not what sled wrote");
    let (store, kept) = place.reopen();
    assert!(!kept);
    assert_at_checkpoint(&store, &rows);
}

#[test]
fn a_sweep_drops_what_no_reader_can_see_and_no_more() {
    let env = Env::memory();
    let store: SledStore = open_as(&env, tiny());
    for revision in 1..=40 {
        let gone = if revision < 20 {
            put("gone", "x")
        } else {
            delete("gone")
        };
        write(
            &store,
            revision,
            &[put("kept", &format!("{revision}")), gone],
        );
    }
    compact_all(&store, 30);
    assert_eq!(store.version_count(), 80, "no checkpoint covers anything");
    flush(&store, 40);
    let scanned = store.scan(KeyRange::all(), Revision(10), false);
    let scanned = scanned.expect("nothing is damaged");
    compact_all(&store, 30);
    assert_eq!(store.version_count(), 62, "a scan needs revision 10");
    let scanned: crate::Result<Rows> = scanned.collect();
    assert_eq!(scanned.expect("nothing is damaged").len(), 2);
    for revision in 41..=60 {
        write(&store, revision, &[put("kept", &format!("{revision}"))]);
    }
    flush(&store, 60);
    compact_all(&store, 60);
    assert_eq!(store.version_count(), 2, "the newest and the one before");
    let rows = scan(&store, KeyRange::all(), 60, true).expect("nothing is damaged");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].1.value, "60");
}

#[test]
fn a_sweep_of_a_deleted_row_does_not_revive_it_in_a_scan() {
    for reverse in [false, true] {
        let env = Env::memory();
        let store: SledStore = open_as(&env, tiny());
        let puts = ["a", "b", "c"].map(|key| put(key, "1"));
        write(&store, 1, &puts);
        write(&store, 2, &[delete("b")]);
        flush(&store, 2);
        write(&store, 3, &[put("d", "3")]);
        let rows = store.scan(KeyRange::all(), Revision(2), reverse);
        let mut rows = rows.expect("nothing is damaged");
        let first = rows.next().expect("a row").expect("nothing is damaged");
        compact_all(&store, 2);
        assert_eq!(store.version_count(), 3, "b is gone altogether");
        let rest: crate::Result<Rows> = rows.collect();
        let rest = rest.expect("nothing is damaged");
        let keys: Vec<_> = std::iter::once(&first)
            .chain(&rest)
            .map(|(key, _)| key)
            .collect();
        let expected = if reverse { ["c", "a"] } else { ["a", "c"] };
        assert_eq!(keys, expected);
    }
}

#[test]
fn what_a_range_hid_stays_hidden_after_a_clean_end_though_the_lsm_forgot_the_range() {
    let place = Place::new();
    let store = place.open();
    write(&store, 1, &[put("a", "1"), put("z", "1")]);
    let hidden = KeyRange::prefix(Bytes::from_static(b"a"));
    store
        .write(Revision(2), &[], &[hidden])
        .expect("the store runs");
    flush(&store, 2);
    compact_all(&store, 2);
    assert_eq!(store.stats().deleted_ranges, 0);
    drop(store);
    let (store, kept) = place.reopen();
    assert!(kept);
    let rows = scan(&store, KeyRange::all(), u64::MAX, false).expect("nothing is damaged");
    assert_eq!(rows.len(), 1);
}
