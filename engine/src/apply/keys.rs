//! Where everything stands in the one order of a group's store.
//!
//! ```text
//! change  = 0:u32 "c" revision:u64                              of each entry, see `changes`
//! timer   = 0:u32 "t" expires_at_ms:u64 row                     of each row that ends
//! row     = keyspace:u32 key
//! version = (keyspace | 1 << 30):u32 key, 00 as 00 FF   00 00   revision:u64
//! member  = (keyspace | 1 << 31):u32 key, 00 as 00 FF   00 00   member
//! ```
//!
//! Numbers are big-endian here, so that they keep their order. Keyspaces count from 1 and stay below
//! 1 << 30. The versions of one row stand together, in the order in which they were written. The
//! members of a set, and the fields of a hash, stand together, in the order of their sets' keys:
//! what empties a range of keys empties another range of members.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{KeyspaceId, Revision};
use crate::store::KeyRange;

const TIMERS: &[u8] = &[0, 0, 0, 0, b't'];
const CHANGES: &[u8] = &[0, 0, 0, 0, b'c'];
const TIME_BYTES: usize = 8;
const REVISION_BYTES: usize = 8;
const MEMBERS: u32 = 1 << 31;
const VERSIONS: u32 = 1 << 30;
const END_OF_KEY: [u8; 2] = [0, 0];

/// The key of a row.
pub(crate) fn row_key(keyspace: KeyspaceId, key: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(4 + key.len());
    out.put_u32(keyspace.0);
    out.put_slice(key);
    out.freeze()
}

/// The first number that no keyspace can have: what stands from there on belongs to keyspaces below.
pub(crate) const KEYSPACE_IDS_END: u32 = VERSIONS;

/// The keyspace of a row.
pub(crate) fn keyspace_of(row: &[u8]) -> KeyspaceId {
    KeyspaceId(split(row).0)
}

/// The keyspace that a row, version or member belongs to.
pub(crate) fn owner_of(key: &[u8]) -> KeyspaceId {
    KeyspaceId(split(key).0 & !(MEMBERS | VERSIONS))
}

/// The key of a version of a row that was written at this revision.
pub(crate) fn version_key(row: &[u8], revision: Revision) -> Bytes {
    let (keyspace, key) = split(row);
    let mut out = BytesMut::with_capacity(row.len() + END_OF_KEY.len() + REVISION_BYTES);
    put_escaped(&mut out, keyspace | VERSIONS, key);
    out.put_slice(&END_OF_KEY);
    out.put_u64(revision.0);
    out.freeze()
}

/// The versions of a row that were written before a revision.
pub(crate) fn versions_before(row: &[u8], before: Revision) -> KeyRange {
    KeyRange {
        start: version_key(row, Revision(0)),
        end: Some(version_key(row, before)),
    }
}

/// All versions of all rows of a keyspace.
pub(crate) fn versions_of_keyspace(keyspace: KeyspaceId) -> KeyRange {
    KeyRange::prefix(row_key(KeyspaceId(keyspace.0 | VERSIONS), b""))
}

/// When a version was written, given its key.
pub(crate) fn read_version(version: &[u8]) -> Option<Revision> {
    let revision = version.last_chunk::<REVISION_BYTES>()?;
    Some(Revision(u64::from_be_bytes(*revision)))
}

/// A row's keyspace and key.
fn split(row: &[u8]) -> (u32, &[u8]) {
    let (keyspace, key) = row
        .split_first_chunk::<4>()
        .expect("a row's key begins with its keyspace");
    (u32::from_be_bytes(*keyspace), key)
}

/// The members of a set or hash, given the key of its row.
pub(crate) fn members(row: &[u8]) -> KeyRange {
    KeyRange::prefix(member_key(row, b""))
}

/// The key of a member or field, given the key of its row.
pub(crate) fn member_key(row: &[u8], member: &[u8]) -> Bytes {
    let (keyspace, key) = split(row);
    let mut out = BytesMut::with_capacity(row.len() + member.len() + END_OF_KEY.len());
    put_first_member_of(&mut out, keyspace, key);
    out.put_slice(&END_OF_KEY);
    out.put_slice(member);
    out.freeze()
}

/// How long the part of a member's key is that all members of its set share.
pub(crate) fn member_prefix_bytes(row: &[u8]) -> usize {
    let (_, key) = split(row);
    let mut zeroes = 0;
    for byte in key {
        zeroes += usize::from(*byte == 0);
    }
    row.len() + zeroes + END_OF_KEY.len()
}

/// All members of all sets in a range of keys of one keyspace.
pub(crate) fn members_of_range(keyspace: KeyspaceId, start: &[u8], end: Option<&[u8]>) -> KeyRange {
    let bound = |key: &[u8]| {
        let mut out = BytesMut::with_capacity(8 + key.len());
        put_first_member_of(&mut out, keyspace.0, key);
        out.freeze()
    };
    KeyRange {
        start: bound(start),
        end: match end {
            Some(end) => Some(bound(end)),
            None => KeyRange::prefix(bound(b"")).end,
        },
    }
}

fn put_first_member_of(out: &mut BytesMut, keyspace: u32, key: &[u8]) {
    put_escaped(out, keyspace | MEMBERS, key);
}

/// A key in which no 00 00 can stand, so that this may end it.
fn put_escaped(out: &mut BytesMut, first: u32, key: &[u8]) {
    out.put_u32(first);
    for byte in key {
        out.put_u8(*byte);
        if *byte == 0 {
            out.put_u8(u8::MAX);
        }
    }
}

/// Whether it is the key of a row that a client has written, and neither a member nor an old version
/// of one.
pub(crate) fn is_row(key: &[u8]) -> bool {
    let (keyspace, _) = split(key);
    keyspace != 0 && keyspace & (MEMBERS | VERSIONS) == 0
}

/// The keyspace of a row and the row's key in it.
pub(crate) fn read_row_key(key: &Bytes) -> (KeyspaceId, Bytes) {
    let (keyspace, _) = split(key);
    (KeyspaceId(keyspace), key.slice(4..))
}

/// The key of the record of an entry whose last revision this is.
pub(crate) fn change_key(last: Revision) -> Bytes {
    let mut out = BytesMut::with_capacity(CHANGES.len() + 8);
    out.put_slice(CHANGES);
    out.put_u64(last.0);
    out.freeze()
}

/// The records of all entries whose last revision is this one or later.
pub(crate) fn changes_from(first: Revision) -> KeyRange {
    KeyRange {
        start: change_key(first),
        ..KeyRange::prefix(Bytes::from_static(CHANGES))
    }
}

/// The records of all entries whose last revision is before this one.
pub(crate) fn changes_before(end: Revision) -> KeyRange {
    KeyRange {
        start: change_key(Revision(0)),
        end: Some(change_key(end)),
    }
}

/// The key of the timer that says when a row ends.
pub(crate) fn timer_key(expires_at_ms: u64, row: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(TIMERS.len() + TIME_BYTES + row.len());
    out.put_slice(TIMERS);
    out.put_u64(expires_at_ms);
    out.put_slice(row);
    out.freeze()
}

/// All timers from a time on.
pub(crate) fn timers_from(first_ms: u64) -> KeyRange {
    KeyRange {
        start: timer_key(first_ms, b""),
        ..KeyRange::prefix(Bytes::from_static(TIMERS))
    }
}

/// A timer's time and the key of its row.
pub(crate) fn read_timer(timer: &Bytes) -> Option<(u64, Bytes)> {
    let time = timer.strip_prefix(TIMERS)?.first_chunk::<TIME_BYTES>()?;
    let row = timer.slice(TIMERS.len() + TIME_BYTES..);
    Some((u64::from_be_bytes(*time), row))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYSPACE: KeyspaceId = KeyspaceId(7);

    fn any_key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', 0xfe, 0xff]), 1..5)
    }

    proptest! {
        #[test]
        fn members_stand_with_their_own_set_and_in_the_order_of_sets(
            keys in prop::collection::vec((any_key(), any_key()), 1..6),
            start in any_key(),
            end in prop::option::of(any_key()),
        ) {
            let range = members_of_range(KEYSPACE, &start, end.as_deref());
            for (key, member) in &keys {
                let row = row_key(KEYSPACE, key);
                let stored = member_key(&row, member);
                prop_assert_eq!(&stored[member_prefix_bytes(&row)..], &member[..]);
                let within = start <= *key && end.as_ref().is_none_or(|end| key < end);
                prop_assert_eq!(range.contains(&stored), within);
                for (other, _) in &keys {
                    let of_other = members(&row_key(KEYSPACE, other));
                    prop_assert_eq!(of_other.contains(&stored), other == key);
                }
            }
        }

        #[test]
        fn versions_stand_with_their_own_row_and_in_the_order_of_revisions(
            keys in prop::collection::vec((any_key(), any::<u64>()), 1..6),
            before in any::<u64>(),
        ) {
            for (key, revision) in &keys {
                let row = row_key(KEYSPACE, key);
                let stored = version_key(&row, Revision(*revision));
                prop_assert_eq!(read_version(&stored), Some(Revision(*revision)));
                prop_assert!(versions_of_keyspace(KEYSPACE).contains(&stored));
                prop_assert!(!KeyRange::prefix(row_key(KEYSPACE, b"")).contains(&stored));
                for (other, _) in &keys {
                    let of_other = versions_before(&row_key(KEYSPACE, other), Revision(before));
                    prop_assert_eq!(of_other.contains(&stored), other == key && *revision < before);
                }
            }
        }

        #[test]
        fn timers_stand_in_the_order_of_time(
            (a, b) in any::<(u64, u64)>(),
            (x, y) in (any_key(), any_key()),
        ) {
            let (x, y) = (row_key(KEYSPACE, &x), row_key(KEYSPACE, &y));
            let (first, second) = (timer_key(a, &x), timer_key(b, &y));
            prop_assert_eq!((a, &x).cmp(&(b, &y)), first.cmp(&second));
            prop_assert_eq!(read_timer(&first), Some((a, x)));
            prop_assert_eq!(timers_from(b).contains(&first), a >= b);
        }
    }
}
