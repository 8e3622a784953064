//! Where a version stands in a tree of plain byte strings, in the order of the store.
//!
//! ```text
//! key with 00 → 00 FF   00 00   !revision:u64, big-endian
//! ```
//!
//! The end of a key is below everything that may follow in a longer one; a higher revision
//! makes a lower number.

use bytes::Bytes;

use crate::ids::Revision;
use crate::store::key::{KeyRange, Place};
use crate::{Error, ErrorKind, Result};

const REVISION_BYTES: usize = 8;
const ESCAPED: [u8; 2] = [0, 0xFF];
const END: [u8; 2] = [0, 0];

/// The bytes of a place.
pub(super) fn encode(place: Place<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(place.key.len() + END.len() + REVISION_BYTES);
    for byte in place.key {
        match byte {
            0 => out.extend_from_slice(&ESCAPED),
            byte => out.push(*byte),
        }
    }
    out.extend_from_slice(&END);
    out.extend_from_slice(&(!place.revision.0).to_be_bytes());
    out
}

/// The bounds of every version of every key in a range.
pub(super) fn bounds(range: &KeyRange) -> (Vec<u8>, Option<Vec<u8>>) {
    let end = range.end.as_ref();
    (
        encode(Place::before(&range.start)),
        end.map(|end| encode(Place::before(end))),
    )
}

/// The parts of an encoded place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VersionKey<'a> {
    /// The key as it is stored: equal exactly where the keys are.
    pub(super) stored_key: &'a [u8],
    pub(super) revision: Revision,
}

impl<'a> VersionKey<'a> {
    /// Splits what [`encode`] made.
    pub(super) fn new(stored: &'a [u8]) -> Result<Self> {
        let (stored_key, revision) = stored.split_last_chunk().ok_or_else(damaged)?;
        Ok(Self {
            stored_key,
            revision: Revision(!u64::from_be_bytes(*revision)),
        })
    }

    /// The key as it was written.
    pub(super) fn key(&self) -> Result<Bytes> {
        let mut rest = self.stored_key.strip_suffix(&END).ok_or_else(damaged)?;
        let mut out = Vec::with_capacity(rest.len());
        while let Some((byte, tail)) = rest.split_first() {
            out.push(*byte);
            rest = match byte {
                0 => tail.strip_prefix(&ESCAPED[1..]).ok_or_else(damaged)?,
                _ => tail,
            };
        }
        Ok(out.into())
    }

    /// Whether the bytes of another place are those of the same key.
    pub(super) fn is_beside(&self, other: &[u8]) -> bool {
        other.len() == self.stored_key.len() + REVISION_BYTES && other.starts_with(self.stored_key)
    }

    /// The bytes of another version of the same key.
    pub(super) fn at(&self, revision: Revision) -> Vec<u8> {
        [self.stored_key, &(!revision.0).to_be_bytes()].concat()
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "a key in sled is not what was written")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stored_places_keep_their_order_and_are_read_back(
            places in prop::collection::vec((prop::collection::vec(0u8..3, 0..6), 0u64..4), 2..9),
        ) {
            let place = |(key, revision): &'_ (Vec<u8>, u64)| (key.clone(), Revision(*revision));
            for (key, revision) in places.iter().map(place) {
                let stored = encode(Place { key: &key, revision });
                let read = VersionKey::new(&stored).expect("it was made here");
                prop_assert_eq!(read.revision, revision);
                prop_assert_eq!(read.key().expect("it was made here"), key.clone());
                prop_assert_eq!(read.at(revision), stored.clone());
                for (other, at) in places.iter().map(place) {
                    let (a, b) = (Place { key: &key, revision }, Place { key: &other, revision: at });
                    prop_assert_eq!(a.cmp(&b), stored.cmp(&encode(b)));
                }
            }
        }
    }
}
