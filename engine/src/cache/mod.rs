//! Rows that were read lately, so that reading them again needs no store.
//!
//! ```text
//! read --> RowCache (64 shards, by hash of group and key) --miss--> Store --fill--> RowCache
//! apply --> invalidate(key, revision) --> publish revision
//! ```
//!
//! One level, of the whole node; below it the store has its blocks and tables. Who may be stale:
//! nobody. That rests on this order of events:
//!
//! 1. Apply invalidates every key that revision `r` changes.
//! 2. Apply publishes `r`; only now does a read see it.
//! 3. A read takes the newest published revision `p` *before* it looks here or in the store.
//! 4. A missed read fills with `read_at = p`. If its shard has seen an invalidation of the group
//!    newer than `p`, the row may be old by now, and the fill is refused.
//!
//! So a row in the cache is always its newest version. It answers a read at revision `at` only if
//! `mod_revision <= at`: the caller compares. A read in the past must not fill.
//!
//! # Invariants
//! - `bytes <= budget`, in every shard, at every moment.
//! - `entry.mod_revision >= r` for every invalidation of its key at `r` that has returned.
//! - With a budget of 0 nothing is kept, and every answer is the same.
//!
//! # Not here
//! Absent rows and scans: neither is remembered, so that a scan cannot push out what is read often.

mod row_cache;

mod shard;

#[cfg(test)]
mod tests;

pub use row_cache::{CacheStats, RowCache};
