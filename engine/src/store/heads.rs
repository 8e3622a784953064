//! Sorted keys, searched through their beginnings.
//!
//! A binary search over keys that lie here and there in memory waits for memory at every step.
//! Here the steps go through a dense list of numbers: of each key the eight bytes behind what
//! all of them share. Only keys with equal numbers need a look at themselves.

use std::ops::Range;

use bytes::Bytes;

/// The beginnings of sorted keys.
#[derive(Debug, Default)]
pub(super) struct KeyHeads {
    shared: Bytes,
    heads: Vec<u64>,
}

impl KeyHeads {
    /// Of keys in ascending order; equal ones may follow each other.
    pub(super) fn new<'a>(keys: impl DoubleEndedIterator<Item = &'a [u8]> + Clone) -> Self {
        let (first, last) = (keys.clone().next(), keys.clone().next_back());
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
        let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        Self {
            shared: Bytes::copy_from_slice(&first[..shared]),
            heads: keys.map(|key| head(&key[shared..])).collect(),
        }
    }

    /// The places among which a key's own is to be found: keys before them are less, keys behind
    /// them are greater.
    pub(super) fn narrow(&self, key: &[u8]) -> Range<usize> {
        let Some(rest) = key.strip_prefix(&self.shared[..]) else {
            let place = if *key < self.shared[..] {
                0
            } else {
                self.heads.len()
            };
            return place..place;
        };
        let wanted = head(rest);
        let start = self.heads.partition_point(|head| *head < wanted);
        let equal = self.heads[start..].iter();
        start..start + equal.take_while(|head| **head == wanted).count()
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.shared.len() + self.heads.len() * size_of::<u64>()
    }
}

/// The first eight bytes as a number, zeroes where the key is shorter: if two of these differ, the
/// keys are in the same order.
pub(super) fn head(key: &[u8]) -> u64 {
    if let Some((first, _)) = key.split_first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut bytes = [0; 8];
    bytes[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_narrowed_places_are_around_the_key(
            shared in "[ab]{0,3}",
            mut keys in prop::collection::vec("[\u{0}ab]{0,12}", 0..40),
            probes in prop::collection::vec("[\u{0}ab]{0,14}", 1..20),
        ) {
            for key in &mut keys {
                key.insert_str(0, &shared);
            }
            keys.sort();
            let heads = KeyHeads::new(keys.iter().map(String::as_bytes));
            for probe in probes.iter().chain(&keys) {
                let places = heads.narrow(probe.as_bytes());
                prop_assert!(keys[..places.start].iter().all(|key| key < probe));
                prop_assert!(keys[places.end..].iter().all(|key| key > probe));
            }
        }
    }
}
