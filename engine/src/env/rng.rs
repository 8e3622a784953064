//! Chance: only for names and salts, never under apply.

use std::fmt::Debug;

/// A source of random numbers.
pub trait Rng: Debug + Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}
