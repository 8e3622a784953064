//! The memtable against an ordered map, alone and beside a writer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::store::row::{NewRow, RowMeta, RowWrite, StoredValue};

/// Newest version of a key first, as in the store.
type Model = BTreeMap<(Bytes, Reverse<u64>), Option<Bytes>>;

fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> RowWrite {
    RowWrite {
        key: key.into(),
        value: Some(NewRow {
            value: value.into(),
            meta: RowMeta::of_bytes(Revision(1), 2),
        }),
    }
}

fn value_of(row: Option<crate::store::row::StoredRow>) -> Option<Bytes> {
    row.map(|row| match row.value {
        StoredValue::Inline(value) => value,
        StoredValue::Blob(_) => panic!("a memtable has no blobs"),
    })
}

fn walk(cursor: &mut MemtableCursor) -> Vec<(Bytes, u64, Option<Bytes>)> {
    let mut seen = Vec::new();
    while let Some(place) = cursor.place() {
        let (key, revision) = (Bytes::copy_from_slice(place.key), place.revision.0);
        assert_eq!(cursor.key().as_ref(), Some(&key));
        seen.push((key, revision, value_of(cursor.row())));
        cursor.advance();
    }
    seen
}

fn listed<'a>(
    entries: impl Iterator<Item = (&'a (Bytes, Reverse<u64>), &'a Option<Bytes>)>,
) -> Vec<(Bytes, u64, Option<Bytes>)> {
    entries
        .map(|((key, revision), value)| (key.clone(), revision.0, value.clone()))
        .collect()
}

/// Keys that share much, little and nothing; some are the beginning of others.
fn any_key() -> impl Strategy<Value = Bytes> {
    let shape = prop_oneof![
        "[ab]{0,3}",
        "same/beginning/of/many/[a-d]{1,6}",
        "same/beginning/of/many/keys/and/then/[a-d]{1,3}",
        "[a-z]{1,20}",
    ];
    shape.prop_map(Bytes::from)
}

fn any_row() -> impl Strategy<Value = (Bytes, Option<Bytes>)> {
    (
        any_key(),
        prop::option::of("[a-z]{0,9}".prop_map(Bytes::from)),
    )
}

fn filled(commits: &[Vec<(Bytes, Option<Bytes>)>]) -> (Arc<Memtable>, Model) {
    let (memtable, mut model) = (Memtable::new(), Model::new());
    for (revision, rows) in (1..).zip(commits) {
        let writes: Vec<_> = rows
            .iter()
            .map(|(key, value)| match value {
                Some(value) => put(key.clone(), value.clone()),
                None => RowWrite {
                    key: key.clone(),
                    value: None,
                },
            })
            .collect();
        memtable.write(Revision(revision), &writes);
        for (key, value) in rows {
            model.insert((key.clone(), Reverse(revision)), value.clone());
        }
    }
    (Arc::new(memtable), model)
}

fn check(memtable: &Arc<Memtable>, model: &Model, probes: &[(Bytes, u64)]) {
    let mut forward = MemtableCursor::new(Arc::clone(memtable), Direction::Forward);
    let mut reverse = MemtableCursor::new(Arc::clone(memtable), Direction::Reverse);
    forward.seek(Place::before(&[]));
    assert_eq!(walk(&mut forward), listed(model.iter()));
    reverse.seek_to_last();
    assert_eq!(walk(&mut reverse), listed(model.iter().rev()));
    let mut all = Vec::new();
    let visited: Result<(), ()> = memtable.for_each(|place, row| {
        all.push((
            Bytes::copy_from_slice(place.key),
            place.revision.0,
            row.is_some(),
        ));
        Ok(())
    });
    assert_eq!(visited, Ok(()));
    let expected = listed(model.iter()).into_iter();
    let expected: Vec<_> = expected
        .map(|(k, r, value)| (k, r, value.is_some()))
        .collect();
    assert_eq!(all, expected);
    for (key, revision) in probes {
        let place = Place {
            key,
            revision: Revision(*revision),
        };
        let at = (key.clone(), Reverse(*revision));
        let behind = || model.range((Bound::Included(&at), Bound::Unbounded));
        let before = || model.range((Bound::Unbounded, Bound::Excluded(&at)));
        forward.seek(place);
        assert_eq!(walk(&mut forward), listed(behind()), "{place:?}");
        reverse.seek(place);
        assert_eq!(walk(&mut reverse), listed(before().rev()), "{place:?}");
        let found = memtable.get(key, Revision(*revision));
        let found = found.map(|found| (found.revision.0, value_of(found.row)));
        let first = behind().next().filter(|((found, _), _)| found == key);
        let first = first.map(|((_, revision), value)| (revision.0, value.clone()));
        assert_eq!(found, first, "{place:?}");
    }
}

proptest! {
    #[test]
    fn it_answers_as_an_ordered_map_does(
        commits in prop::collection::vec(prop::collection::vec(any_row(), 0..9), 0..120),
        probes in prop::collection::vec((any_key(), 0..130u64), 0..12),
    ) {
        let (memtable, model) = filled(&commits);
        let mut probes = probes;
        probes.extend(model.keys().take(5).map(|(key, revision)| (key.clone(), revision.0)));
        check(&memtable, &model, &probes);
    }
}

#[test]
fn keys_in_order_and_in_the_opposite_order_are_found() {
    let keys: Vec<u32> = (0..20_000).collect();
    let orders: [Box<dyn Iterator<Item = u32>>; 3] = [
        Box::new(keys.iter().copied()),
        Box::new(keys.iter().rev().copied()),
        // Two rising sequences, entangled.
        Box::new((0..10_000).flat_map(|number| [number, number + 10_000])),
    ];
    for order in orders {
        let commits: Vec<_> = order
            .map(|number| vec![(Bytes::from(format!("user/{number:08}")), Some(Bytes::new()))])
            .collect();
        let (memtable, model) = filled(&commits);
        let probe = |number: u64| (Bytes::from(format!("user/{number:08}")), u64::MAX);
        check(&memtable, &model, &[probe(0), probe(9_999), probe(20_000)]);
    }
}

#[test]
fn keys_in_order_leave_full_nodes_behind() {
    let sizes = [true, false].map(|in_order| {
        let keys = (0..30_000u32).map(|n| if in_order { n } else { n.reverse_bits() });
        let commits: Vec<_> = keys
            .map(|key| vec![(Bytes::copy_from_slice(&key.to_be_bytes()), None)])
            .collect();
        filled(&commits).0.bytes()
    });
    assert!(sizes[0] + 30_000 * 16 < sizes[1], "{sizes:?}");
}

#[test]
fn a_large_write_is_cut_into_chunks() {
    let writes: Vec<_> = (0..100u8)
        .map(|number| put(vec![number], vec![number; 3_000]))
        .chain([put(vec![200], vec![7; 200_000])])
        .collect();
    let memtable = Memtable::new();
    memtable.write(Revision(1), &writes);
    for write in &writes {
        let found = memtable
            .get(&write.key, Revision(1))
            .expect("it was written");
        let expected = write.value.as_ref().map(|row| row.value.clone());
        assert_eq!(value_of(found.row), expected);
    }
    let raw: usize = writes
        .iter()
        .map(|write| write.value.as_ref().map_or(0, |row| row.value.len()))
        .sum();
    assert!(
        (raw..raw + raw / 10).contains(&memtable.bytes()),
        "{}",
        memtable.bytes()
    );
}

#[test]
fn the_later_of_two_writes_at_one_place_stays() {
    let memtable = Memtable::new();
    for number in 0..1_000u32 {
        memtable.write(Revision(1), &[put(number.to_be_bytes().to_vec(), "first")]);
    }
    for number in 0..1_000u32 {
        let key = number.to_be_bytes();
        memtable.write(Revision(1), &[put(key.to_vec(), "second")]);
        let found = memtable.get(&key, Revision(1)).expect("it was written");
        assert_eq!(value_of(found.row).as_deref(), Some(&b"second"[..]));
    }
}

/// Each commit writes one key of every tenth, so a reader that sees a revision must find exactly
/// the keys of all revisions up to it, in order, in both directions.
#[test]
fn a_reader_sees_all_that_was_written_before_its_walk_began() {
    const COMMITS: u64 = 30_000;
    let memtable = Arc::new(Memtable::new());
    let written = AtomicU64::new(0);
    // A permutation, so that nodes are split everywhere.
    let key = |revision: u64| (revision * 7_919 % 100_003).to_be_bytes();
    std::thread::scope(|scope| {
        for direction in [Direction::Forward, Direction::Reverse] {
            let (memtable, written) = (&memtable, &written);
            scope.spawn(move || {
                loop {
                    let at = written.load(Ordering::Acquire);
                    let mut cursor = MemtableCursor::new(Arc::clone(memtable), direction);
                    match direction {
                        Direction::Forward => cursor.seek(Place::before(&[])),
                        Direction::Reverse => cursor.seek_to_last(),
                    }
                    let mut seen = Vec::new();
                    while let Some(place) = cursor.place() {
                        if place.revision.0 <= at {
                            seen.push((place.key.to_vec(), place.revision.0));
                        }
                        cursor.advance();
                    }
                    let mut expected: Vec<_> = (1..=at)
                        .map(|revision| (key(revision).to_vec(), revision))
                        .collect();
                    expected.sort_unstable();
                    if direction == Direction::Reverse {
                        expected.reverse();
                    }
                    assert!(seen == expected, "at {at}: {} versions", seen.len());
                    for revision in (1..=at).rev().take(100) {
                        let found = memtable.get(&key(revision), Revision(u64::MAX));
                        assert_eq!(found.map(|found| found.revision.0), Some(revision));
                    }
                    if at == COMMITS {
                        return;
                    }
                }
            });
        }
        for revision in 1..=COMMITS {
            memtable.write(Revision(revision), &[put(key(revision).to_vec(), "value")]);
            written.store(revision, Ordering::Release);
        }
    });
}

/// Readers look for what was just acknowledged, where nodes are split around them.
#[test]
fn what_was_acknowledged_is_found_while_its_nodes_are_split() {
    const COMMITS: u64 = 200_000;
    let memtable = Arc::new(Memtable::new());
    let written = AtomicU64::new(0);
    let key = |revision: u64| (revision * 7_919 % 1_000_003).to_be_bytes();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = written.load(Ordering::Acquire);
                    for revision in (1..=at).rev().take(20) {
                        let found = memtable.get(&key(revision), Revision(u64::MAX));
                        let found = found.map(|found| found.revision.0);
                        assert_eq!(found, Some(revision), "at {at}");
                    }
                    if at == COMMITS {
                        return;
                    }
                }
            });
        }
        for revision in 1..=COMMITS {
            memtable.write(Revision(revision), &[put(key(revision).to_vec(), "value")]);
            written.store(revision, Ordering::Release);
        }
    });
}
