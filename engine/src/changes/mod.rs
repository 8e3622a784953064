//! What every commit has changed: a log of names, and the newest of it in memory.
//!
//! ```text
//!            ┌─► a row of the store for each entry: names of what changed   (disk, to the floor)
//!   apply ───┤
//!            └─► the feed: the same with values                       (memory, the last MiB)
//!                  └─► wakes the subscriptions that something concerns
//! ```
//!
//! Values are not written twice: whoever reads the log takes them from the store, at the revision
//! of their commit, as long as history is kept.
//!
//! # Invariants
//! - Every commit from [`State::changes_from`](crate::state::State) on has its record.
//! - A record reaches the feed after its revision is published, and before its subscribers wake.

mod encoding;
mod feed;
mod interests;
mod record;

pub(crate) use feed::{Feed, Recent};
pub(crate) use interests::{Interest, Subscribed, Wake};
pub use record::{Cause, QueuedChange};
pub(crate) use record::{CommitRecord, EntryRecord, RowRecord};
