//! Messages: nothing lost, invented, doubled, moved, left out or seen in another order.
//!
//! ```text
//! sent       what was produced: by key and sequence, with its outcomes
//! view       one answered fetch: what it covers, and what stands there
//! partition  what is known to stand at each offset, and since when
//! ```
//!
//! A fetch covers the offsets from the one asked for to its last message; and all beyond, if that
//! message is the last of the partition.
//!
//! # Invariants
//! - A follower may lag: that it ends early says nothing, that it has something else does.

mod partition;
mod sent;
mod view;

use std::collections::BTreeMap;

use super::Report;
use crate::history::History;
use partition::Partition;
use sent::Sent;
use view::View;

/// Judges all messages.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let sent = Sent::of(&calls);
    let views = View::all(&calls);
    let mut report = Report::new("queue");
    report.judged = sent.count() + views.len();
    let mut partitions: BTreeMap<u32, Partition> = BTreeMap::new();
    for (place, message, known_at) in sent.places() {
        let partition = partitions.entry(place.partition).or_default();
        partition.know(place.offset, message, known_at, None, &mut report);
    }
    for view in &views {
        view.judge_shape(&mut report);
        sent.judge_origin(view, &mut report);
        let partition = partitions.entry(view.partition).or_default();
        for message in view.messages {
            let name = (message.key.as_str(), message.sequence);
            let known_at = view.completed_at;
            partition.know(message.offset, name, known_at, Some(view), &mut report);
        }
    }
    for view in &views {
        if let Some(partition) = partitions.get_mut(&view.partition) {
            partition.judge_losses(view, &views, &mut report);
        }
    }
    let found = partition::places_by_message(&partitions);
    sent.judge_copies(&found, &mut report);
    sent.judge_order(&found, &mut report);
    sent.judge_unplaced(&found, &views, &mut report);
    report
}

#[cfg(test)]
mod tests;
