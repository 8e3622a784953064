//! What a client was told to be done is on the disks of a majority.

use std::collections::BTreeMap;

use super::{Invariant, Seen};
use crate::history::Phase;

/// Compares acknowledgements with disks.
///
/// A client knows a revision, a log knows entries. The last entry that was seen with a lower
/// revision stands before the client's, so that the one behind it is the least that must be on
/// the disks. It is the client's own entry, unless a node applied several within one tick.
#[derive(Default)]
pub(super) struct AcknowledgedIsDurable {
    /// By revision: the last entry that was applied when it was the newest.
    entries: BTreeMap<u64, u64>,
    /// By node: how far its log was synced when it was last seen.
    synced: BTreeMap<u64, u64>,
}

impl Invariant for AcknowledgedIsDurable {
    fn name(&self) -> &'static str {
        "acknowledged is durable"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for node in seen.nodes {
            let last = self.entries.entry(node.standing.revision.0).or_default();
            *last = node.applied().max(*last);
            self.synced.insert(node.id, node.standing.synced.0);
        }
        let done = seen.ops.iter().filter(|op| op.phase == Phase::Ok);
        for op in done.filter(|op| op.act.is_write()) {
            let Some(revision) = op.answer.as_ref().map(|answer| answer.revision) else {
                continue;
            };
            let Some((_, before)) = self.entries.range(..revision).next_back() else {
                continue;
            };
            let least = before + 1;
            let holders = self.synced.values().filter(|synced| **synced >= least);
            if holders.count() < seen.majority {
                return Err(format!(
                    "revision {revision} was acknowledged, and its entry ({least} or later) is \
                     not on the disks of a majority: they end at {:?}",
                    self.synced
                ));
            }
        }
        Ok(())
    }
}
