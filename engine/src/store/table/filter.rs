//! A bloom filter over user keys: says "surely not here" for most keys that are not here.
//!
//! The filter is a row of 64-byte blocks; a key sets seven bits, all in the one block that its
//! hash picks, so that a question costs one miss of the processor's cache. At ten bits for each
//! key about one absent key in eighty is not recognised.

use bytes::Bytes;

const BLOCK_BYTES: usize = 64;
const BITS_PER_KEY: usize = 10;
const PROBES: u32 = 7;

/// The hash by which filters know a key.
pub(in crate::store) fn hash_key(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// Collects the hashes of a table's keys.
#[derive(Debug, Default)]
pub(super) struct FilterBuilder {
    hashes: Vec<u64>,
}

impl FilterBuilder {
    /// Notes a key; keys come in order, so versions of one key stand together.
    pub(super) fn add(&mut self, key: &[u8]) {
        let hash = hash_key(key);
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let blocks = (self.hashes.len() * BITS_PER_KEY).div_ceil(BLOCK_BYTES * 8);
        let mut bits = vec![0; blocks.max(1) * BLOCK_BYTES];
        for hash in &self.hashes {
            let start = block_start(*hash, bits.len());
            let block = &mut bits[start..start + BLOCK_BYTES];
            for (byte, mask) in probes(*hash) {
                block[byte] |= mask;
            }
        }
        bits
    }
}

/// A finished filter.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    bits: Bytes,
}

impl Filter {
    /// A filter from its stored bytes; `None` if they cannot be one.
    pub(super) fn new(bits: Bytes) -> Option<Self> {
        let whole = !bits.is_empty() && bits.len().is_multiple_of(BLOCK_BYTES);
        whole.then_some(Self { bits })
    }

    /// Whether the key with this hash may be in the table.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        let start = block_start(hash, self.bits.len());
        let Some(block) = self
            .bits
            .get(start..)
            .and_then(<[u8]>::first_chunk::<BLOCK_BYTES>)
        else {
            return true;
        };
        probes(hash).all(|(byte, mask)| block[byte] & mask != 0)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bits.len()
    }
}

/// Where the block of a hash begins: the upper half of the hash, scaled to the count of blocks.
fn block_start(hash: u64, len: usize) -> usize {
    let blocks = (len / BLOCK_BYTES) as u64;
    let block = ((hash >> 32) * blocks) >> 32;
    usize::try_from(block).expect("a block number is below the count of blocks") * BLOCK_BYTES
}

/// Seven bits of a block: nine bits of the remixed hash name each.
fn probes(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |probe| {
        let bit = (mixed >> (probe * 9)) & 0x1ff;
        let byte = usize::try_from(bit / 8).expect("nine bits fit");
        (byte, 1 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn present_keys_pass_and_few_absent_ones_do() {
        let mut builder = FilterBuilder::default();
        for n in 0..10_000u32 {
            builder.add(&n.to_be_bytes());
        }
        let filter = Filter::new(builder.finish().into()).expect("whole blocks");
        let passed = |from: u32| {
            (from..from + 10_000)
                .filter(|n| filter.may_contain(hash_key(&n.to_be_bytes())))
                .count()
        };
        assert_eq!(passed(0), 10_000);
        assert!(passed(1_000_000) < 250, "{} of 10000", passed(1_000_000));
        assert!(filter.bytes() < 13_000);
    }

    #[test]
    fn an_empty_filter_answers_no() {
        let filter = Filter::new(FilterBuilder::default().finish().into()).expect("one block");
        assert!(!filter.may_contain(hash_key(b"a")));
        assert!(Filter::new(Bytes::new()).is_none());
    }
}
