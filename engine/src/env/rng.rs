//! Chance: only for names and salts, never under apply.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers.
pub trait Rng: Debug + Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The kernel's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRng;

impl Rng for OsRng {
    /// # Panics
    /// If the kernel has no random numbers to give, which no supported kernel does once booted.
    fn next_u64(&self) -> u64 {
        use rustix::rand::{GetRandomFlags, getrandom};

        let mut bytes = [0; 8];
        // A request of at most 256 bytes is always answered whole; only a signal may interrupt it.
        let filled = rustix::io::retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))
            .expect("the kernel gives random numbers");
        assert_eq!(
            filled, 8,
            "the kernel answers small requests for random numbers whole"
        );
        u64::from_le_bytes(bytes)
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Debug)]
pub struct SeededRng {
    state: AtomicU64,
}

/// The odd constant nearest to 2^64 divided by the golden ratio: every state is visited once.
const SPLITMIX_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl SeededRng {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// A number below `bound`, each (almost) equally likely; 0 if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        let scaled = (u128::from(self.next_u64()) * u128::from(bound)) >> 64;
        u64::try_from(scaled).expect("a scaled number is below its bound")
    }

    /// An index below `len`; 0 if `len` is 0.
    pub fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("a number below a usize is a usize")
    }

    /// `true` in `percent` of all cases.
    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        let before = self.state.fetch_add(SPLITMIX_STEP, Ordering::Relaxed);
        let mut mixed = before.wrapping_add(SPLITMIX_STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (left, right, other) = (SeededRng::new(7), SeededRng::new(7), SeededRng::new(8));
        for _ in 0..100 {
            let number = left.next_u64();
            assert_eq!(number, right.next_u64());
            assert_ne!(number, other.next_u64());
        }
    }

    #[test]
    fn the_sequence_is_splitmix64() {
        // The published first outputs for seed 1234567.
        let rng = SeededRng::new(1_234_567);
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let rng = SeededRng::new(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.index(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
        assert!(rng.chance(100) && !rng.chance(0));
    }

    #[test]
    fn the_kernel_does_not_repeat_itself() {
        assert_ne!(OsRng.next_u64(), OsRng.next_u64());
    }
}
