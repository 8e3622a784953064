//! Time that passes without a request: due expiries, and logs that would grow for ever.
//!
//! All purges are ordered here, by two rules that know nothing of each other: openraft takes the
//! one that reaches further.

use std::sync::Arc;
use std::time::Duration;

use engine::command::Command;
use engine::ids::LogIndex;
use engine::replica::Replica;
use engine::segment::Log;
use tokio::time::{MissedTickBehavior, interval};

use crate::group::Group;
use crate::state_machine::now_ms;
use crate::types::{RaftMetrics, raft_log_id};

/// How late something due may be noticed.
const TICK: Duration = Duration::from_millis(100);

/// How often the log is looked after.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// A group whose oldest needed entry lies this many segments back keeps the log from shrinking.
const SEGMENTS_BEHIND_MAX: u64 = 8;

/// Proposes a tick whenever this node leads and something is due.
pub(crate) async fn tick(group: Arc<Group>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if group.view.due_ms() > now_ms(&group.env, &group.view) || !group.leads() {
            continue;
        }
        if let Err(error) = group.propose(Command::Tick).await {
            tracing::debug!(group = group.id.0, %error, "a tick was not decided");
        }
    }
}

/// Purges what each new checkpoint covers, but the last entries: a follower that lacks no more of
/// them needs no checkpoint.
pub(crate) async fn purge(group: Arc<Group>) {
    let kept = group.timings.entries_kept;
    let covered = |metrics: &RaftMetrics| {
        let last = metrics.snapshot.as_ref().map_or(0, |last| last.index);
        last.saturating_sub(kept)
    };
    let mut done = 0;
    while let Some(metrics) = group.wait_for(|metrics| covered(metrics) > done).await {
        done = covered(&metrics);
        if group.raft.trigger().purge_log(done).await.is_err() {
            return;
        }
    }
}

/// Begins a checkpoint, and purges behind it, when the group holds on to old segments.
pub(crate) async fn keep_house(group: Arc<Group>, log: Log) {
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let behind = log
            .oldest_needed()
            .into_iter()
            .find_map(|(id, behind)| (id == group.id).then_some(behind));
        // Without room for another segment, those behind a checkpoint are used again.
        let behind_max = if log.is_short() {
            1
        } else {
            SEGMENTS_BEHIND_MAX
        };
        if behind.is_none_or(|behind| behind < behind_max) {
            continue;
        }
        let index =
            |log_id: Option<engine::ids::LogId>| log_id.map_or(LogIndex(0), |log_id| log_id.index);
        let checkpoint = group.replica.checkpoint().map(|view| view.log_id);
        if index(group.view.applied()) > index(checkpoint) {
            let begun = group.blocking(Replica::begin_checkpoint).await;
            if let Err(error) = begun {
                tracing::warn!(group = group.id.0, %error, "begin a checkpoint");
            }
        }
        // The next round purges what this round's checkpoint covers.
        if let Some(checkpoint) = checkpoint {
            let upto = raft_log_id(checkpoint).index;
            group.raft.trigger().purge_log(upto).await.ok();
        }
    }
}
