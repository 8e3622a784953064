//! The groups' terms, for the top of every answer.
//!
//! Asking the node costs more than a read does, and a term changes a few times a day: it is asked
//! for anew every [`REFRESH_AFTER`], by whichever request comes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::ids::{GroupId, Term};
use engine_raft::Node;
use tokio::time::Instant;

/// How old a told term may be.
const REFRESH_AFTER: Duration = Duration::from_millis(50);

/// What is known of all groups' terms.
#[derive(Debug)]
pub(super) struct Terms {
    begun: Instant,
    /// When the node was asked last, microseconds after `begun`.
    asked_us: AtomicU64,
    by_group: BTreeMap<GroupId, AtomicU64>,
}

impl Terms {
    /// The terms of now.
    pub(super) fn of(node: &Node) -> Self {
        let terms = node.status().groups.into_iter();
        Self {
            begun: Instant::now(),
            asked_us: AtomicU64::new(0),
            by_group: terms
                .map(|group| (group.group, AtomicU64::new(group.term.0)))
                .collect(),
        }
    }

    /// A group's term.
    pub(super) fn term(&self, node: &Node, group: GroupId) -> Term {
        let known = self.by_group.get(&group);
        let now_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let asked_us = self.asked_us.load(Ordering::Relaxed);
        let old = Duration::from_micros(now_us.saturating_sub(asked_us)) >= REFRESH_AFTER;
        // Of many requests that come at once, one asks.
        let mine = old
            && self
                .asked_us
                .compare_exchange(asked_us, now_us, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            for group in node.status().groups {
                if let Some(term) = self.by_group.get(&group.group) {
                    term.store(group.term.0, Ordering::Relaxed);
                }
            }
        }
        Term(known.map_or(0, |term| term.load(Ordering::Relaxed)))
    }
}
