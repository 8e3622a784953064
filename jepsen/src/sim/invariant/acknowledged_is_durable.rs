//! What a client was told to be done is on the disks of a majority.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Seen};
use crate::history::Phase;

/// Compares acknowledgements with disks.
///
/// A client knows a revision, a log knows entries. The last entry that was seen with a lower
/// revision stands before the client's, so that the one behind it is the least that must be on
/// the disks. It is the client's own entry, unless a node applied several within one tick.
///
/// A node that is down may have synced more in its last tick than it was seen with: what it is
/// needed for is looked at when it is back.
#[derive(Default)]
pub(super) struct AcknowledgedIsDurable {
    /// By revision: the last entry that was applied when it was the newest.
    entries: BTreeMap<u64, u64>,
    /// By node: how far its log was synced when it was last seen.
    synced: BTreeMap<u64, u64>,
    claims: Vec<Claim>,
}

/// An entry that some nodes must have synced that were down when it was acknowledged.
struct Claim {
    revision: u64,
    least: u64,
    /// How many of them must have it.
    missing: usize,
    down: BTreeSet<u64>,
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
        self.settle(seen)?;
        let done = seen.ops.iter().filter(|op| op.phase == Phase::Ok);
        for op in done.filter(|op| op.act.is_write()) {
            let Some(revision) = op.answer.as_ref().map(|answer| answer.revision) else {
                continue;
            };
            let Some((_, before)) = self.entries.range(..revision).next_back() else {
                continue;
            };
            let least = before + 1;
            let without = self.synced.iter().filter(|(_, synced)| **synced < least);
            let down = without.map(|(id, _)| *id).filter(|id| seen.is_down(*id));
            let holders = self.synced.values().filter(|synced| **synced >= least);
            let claim = Claim {
                revision,
                least,
                missing: seen.majority.saturating_sub(holders.count()),
                down: down.collect(),
            };
            self.judge(claim)?;
        }
        Ok(())
    }
}

impl AcknowledgedIsDurable {
    /// Looks at nodes that are back.
    fn settle(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        for mut claim in std::mem::take(&mut self.claims) {
            let back = claim.down.extract_if(.., |id| !seen.is_down(*id));
            let with = back.filter(|id| self.synced.get(id).is_some_and(|at| *at >= claim.least));
            claim.missing = claim.missing.saturating_sub(with.count());
            self.judge(claim)?;
        }
        Ok(())
    }

    /// Keeps a claim that may still hold.
    fn judge(&mut self, claim: Claim) -> Result<(), String> {
        let Claim {
            revision, least, ..
        } = claim;
        if claim.missing > claim.down.len() {
            return Err(format!(
                "revision {revision} was acknowledged, and its entry ({least} or later) is not on \
                 the disks of a majority: they end at {:?}",
                self.synced
            ));
        }
        if claim.missing > 0 {
            self.claims.push(claim);
        }
        Ok(())
    }
}
