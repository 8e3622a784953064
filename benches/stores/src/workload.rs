//! The rows: which keys in which order, with which values.
//!
//! Everything is a function of the row's number, so that a reader in another process knows what
//! the writer wrote.

/// Length of every key.
pub const KEY_BYTES: usize = 16;

/// Length of a value, unless a cell says otherwise.
pub const VALUE_BYTES: usize = 128;

/// Rows of one atomic write.
pub const BATCH_ROWS: u64 = 64;

/// A user's key.
pub type Key = [u8; KEY_BYTES];

/// Numbers from here on name keys that are never written.
const ABSENT_FROM: u64 = 1 << 40;

/// Large against a block and the buffer of a compressor, small against the processor's cache.
const POOL_BYTES: usize = 1 << 20;

/// Overwrites take the rows in another order than the load: steps of this prime.
const STEP: u64 = 1_000_003;

/// The key of row `number`: equally spread, so rows written in order have keys in random order.
pub fn key(number: u64) -> Key {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&mix(number).to_be_bytes());
    key[8..].copy_from_slice(&mix(!number).to_be_bytes());
    key
}

/// A key that no row has.
pub fn absent_key(number: u64) -> Key {
    key(number + ABSENT_FROM)
}

/// The row that comes `position`-th in an overwrite of all `count` rows.
pub fn overwrite_order(position: u64, count: u64) -> u64 {
    position % count * STEP % count
}

/// Values cut out of random bytes.
pub struct Values {
    pool: Vec<u8>,
    len: usize,
}

impl Values {
    /// Values of `len` bytes.
    pub fn new(len: usize) -> Self {
        let words = (0..(POOL_BYTES + len).div_ceil(8)).map(|word| mix(word as u64 ^ 0x5eed));
        Self {
            pool: words.flat_map(u64::to_le_bytes).collect(),
            len,
        }
    }

    /// What row `number` holds after it was written for the `round`-th time.
    pub fn value(&self, number: u64, round: u64) -> &[u8] {
        let start = usize::try_from(mix(number ^ (round << 48)) % POOL_BYTES as u64)
            .expect("the pool fits in memory");
        &self.pool[start..start + self.len]
    }
}

/// A stream of numbers that look random, the same for the same seed.
pub struct Numbers(u64);

impl Numbers {
    /// Begins a stream.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0) % end
    }
}

/// splitmix64: a bijection, so no two rows share a key.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
