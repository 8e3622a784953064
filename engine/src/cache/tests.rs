//! The cache against a store that remembers every version.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::RowCache;
use crate::ids::{GroupId, Revision};
use crate::store::{Row, RowMeta};

const GROUP: GroupId = GroupId(1);

/// Each shard has room for two or three small rows.
const TINY: usize = 64 * 8 * 250;

fn row(revision: u64, value_bytes: usize) -> Row {
    Row {
        value: Bytes::from(vec![7; value_bytes]),
        mod_revision: Revision(revision),
        meta: RowMeta::of_bytes(Revision(1), revision),
    }
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key {number}"))
}

#[test]
fn a_filled_row_is_found_until_it_is_invalidated() {
    let cache = RowCache::new(1 << 20);
    assert!(cache.fill(GROUP, key(1), row(5, 10), Revision(5)));
    assert_eq!(cache.get(GROUP, b"key 1"), Some(row(5, 10)));
    assert_eq!(cache.get(GroupId(2), b"key 1"), None);
    assert_eq!(cache.get(GROUP, b"key 2"), None);
    cache.invalidate(GroupId(2), b"key 1", Revision(6));
    assert!(cache.get(GROUP, b"key 1").is_some());
    cache.invalidate(GROUP, b"key 1", Revision(6));
    assert_eq!(cache.get(GROUP, b"key 1"), None);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.fills), (2, 3, 1));
    assert_eq!((stats.bytes, stats.entries), (0, 0));
}

#[test]
fn a_fill_that_raced_with_a_newer_invalidation_is_refused() {
    let cache = RowCache::new(1 << 20);
    cache.invalidate(GROUP, b"key 1", Revision(6));
    assert!(!cache.fill(GROUP, key(1), row(5, 10), Revision(5)));
    assert_eq!(cache.stats().refused, 1);
    // An older invalidation, told late, does not lower the mark.
    cache.invalidate(GROUP, b"key 1", Revision(2));
    assert!(!cache.fill(GROUP, key(1), row(5, 10), Revision(5)));
    cache.clear();
    assert!(!cache.fill(GROUP, key(1), row(5, 10), Revision(5)));
    assert!(cache.fill(GROUP, key(1), row(6, 10), Revision(6)));
}

#[test]
fn an_installed_state_invalidates_its_whole_group_and_no_other() {
    let cache = RowCache::new(1 << 20);
    for number in 0..200 {
        assert!(cache.fill(GROUP, key(number), row(5, 10), Revision(5)));
        assert!(cache.fill(GroupId(2), key(number), row(5, 10), Revision(5)));
    }
    cache.invalidate_group(GROUP, Revision(9));
    for number in 0..200 {
        assert_eq!(cache.get(GROUP, &key(number)), None);
        assert!(cache.get(GroupId(2), &key(number)).is_some());
        assert!(!cache.fill(GROUP, key(number), row(5, 10), Revision(8)));
    }
    cache.clear();
    assert_eq!((cache.stats().bytes, cache.stats().entries), (0, 0));
}

#[test]
fn a_row_too_large_for_its_shard_is_not_admitted() {
    let cache = RowCache::new(64 * 8 * 1_000);
    assert!(cache.fill(GROUP, key(1), row(1, 700), Revision(1)));
    assert!(!cache.fill(GROUP, key(2), row(1, 1_000), Revision(1)));
    assert!(cache.get(GROUP, b"key 1").is_some());
}

#[test]
fn a_cache_without_budget_keeps_nothing() {
    let cache = RowCache::new(0);
    assert!(!cache.fill(GROUP, key(1), row(5, 1), Revision(5)));
    cache.invalidate(GROUP, b"key 1", Revision(6));
    cache.invalidate_group(GROUP, Revision(6));
    cache.clear();
    assert_eq!(cache.get(GROUP, b"key 1"), None);
    assert_eq!(cache.stats(), super::CacheStats::default());
}

#[test]
fn the_least_recently_used_rows_make_room() {
    let cache = RowCache::new(TINY);
    for number in 0..2_000 {
        assert!(cache.fill(GROUP, key(number), row(1, 30), Revision(1)));
        assert!(cache.get(GROUP, b"key 0").is_some(), "it was just used");
    }
    let stats = cache.stats();
    assert!(stats.evictions > 0 && stats.bytes <= TINY);
    assert_eq!(stats.entries as u64, 2_000 - stats.evictions);
    assert!(cache.get(GROUP, &key(1_999)).is_some());
}

#[test]
fn a_cached_row_does_not_keep_a_larger_buffer_alive() {
    let cache = RowCache::new(1 << 20);
    let block = Bytes::from(vec![1; 4_096]);
    let mut small = row(1, 0);
    small.value = block.slice(10..20);
    assert!(cache.fill(GROUP, block.slice(0..10), small, Revision(1)));
    assert!(block.is_unique());
}

#[derive(Clone, Debug)]
enum Step {
    /// A commit changes a row: it is invalidated, then the revision is published.
    Commit {
        key: u64,
        value_bytes: usize,
    },
    /// A commit removes a row.
    Remove {
        key: u64,
    },
    /// A read looks here and in the store, and holds what it found.
    Begin {
        key: u64,
    },
    /// The oldest read under way fills.
    Finish,
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || prop_oneof![0..6u64, 0..400u64];
    let step = prop_oneof![
        4 => (key(), 0..80usize).prop_map(|(key, value_bytes)| Step::Commit { key, value_bytes }),
        1 => key().prop_map(|key| Step::Remove { key }),
        9 => key().prop_map(|key| Step::Begin { key }),
        6 => Just(Step::Finish),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_hit_is_always_the_newest_row_and_the_budget_holds(steps in steps()) {
        let cache = RowCache::new(TINY);
        let mut store: BTreeMap<u64, Row> = BTreeMap::new();
        let mut reads = std::collections::VecDeque::new();
        let mut revision = 0;
        for step in steps {
            match step {
                Step::Commit { key: number, value_bytes } => {
                    revision += 1;
                    store.insert(number, row(revision, value_bytes));
                    cache.invalidate(GROUP, &key(number), Revision(revision));
                }
                Step::Remove { key: number } => {
                    revision += 1;
                    store.remove(&number);
                    cache.invalidate(GROUP, &key(number), Revision(revision));
                }
                Step::Begin { key: number } => {
                    let newest = store.get(&number);
                    match cache.get(GROUP, &key(number)) {
                        Some(hit) => prop_assert_eq!(Some(&hit), newest),
                        None => {
                            if let Some(found) = newest {
                                reads.push_back((number, found.clone(), Revision(revision)));
                            }
                        }
                    }
                }
                Step::Finish => {
                    if let Some((number, found, read_at)) = reads.pop_front() {
                        cache.fill(GROUP, key(number), found, read_at);
                    }
                }
                Step::Clear => cache.clear(),
            }
            let stats = cache.stats();
            prop_assert!(stats.bytes <= TINY);
            prop_assert_eq!(stats.entries == 0, stats.bytes == 0);
        }
    }
}

#[test]
fn no_reader_sees_a_row_older_than_a_published_change() {
    const KEYS: u64 = 4;
    const REVISIONS: u64 = 20_000;
    let cache = RowCache::new(1 << 20);
    // All versions of each row, and the newest whose revision is known to be published.
    let rows: Vec<(Mutex<Vec<u64>>, AtomicU64)> = (0..KEYS)
        .map(|_| (Mutex::new(vec![0]), AtomicU64::new(0)))
        .collect();
    let published = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for (number, (versions, changed)) in (0..).zip(&rows).cycle() {
                    let known = changed.load(Ordering::SeqCst);
                    let read_at = published.load(Ordering::SeqCst);
                    if let Some(hit) = cache.get(GROUP, &key(number)) {
                        assert!(hit.mod_revision.0 >= known, "{hit:?} is older than {known}");
                    } else {
                        let is_visible = |version: &&u64| **version <= read_at;
                        let newest = versions.lock().iter().rfind(is_visible).copied();
                        let newest = newest.expect("version 0 is always visible");
                        cache.fill(GROUP, key(number), row(newest, 10), Revision(read_at));
                    }
                    if read_at == REVISIONS {
                        break;
                    }
                }
            });
        }
        for revision in 1..=REVISIONS {
            let number = revision * 7 % KEYS;
            let (versions, changed) = &rows[usize::try_from(number).expect("few keys")];
            versions.lock().push(revision);
            cache.invalidate(GROUP, &key(number), Revision(revision));
            published.store(revision, Ordering::SeqCst);
            changed.store(revision, Ordering::SeqCst);
        }
    });
}
