//! Linearizable reads on any node, and when a restarted node may be believed.
//!
//! ```text
//! leader     a quorum confirms the leadership ─► read index ─► applied here ─► read
//! follower   asks the leader for the read index ─────────────► applied here ─► read
//! ```
//!
//! A restarted node has replayed less than it had shown before, until its log is committed
//! again; all reads but local ones wait for that once (`watch_recovery`).
//!
//! Callers share: while one question is on its way, those who come later wait for the next one,
//! which begins after they came; so each gets an index that is not older than its call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::ids::LogIndex;
use engine::planted::{Planted, on};
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::error::{Error, Result};
use crate::group::{Group, fatal};
use crate::network::Lane;
use crate::types::{Member, decode, engine_index};

/// How long a caller waits before it asks again after a refusal.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Questions for a read index, shared by callers.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Held by the question on its way; holds the number of the last one that ended and its
    /// index.
    last: Mutex<(u64, LogIndex)>,
    /// The number of the last question that has begun.
    begun: AtomicU64,
    /// Whether any caller was answered.
    answered: AtomicBool,
}

impl Shared {
    /// Whether any caller was answered.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Waits until a local read sees everything acknowledged before this call.
pub(crate) async fn barrier(group: &Group) -> Result<()> {
    let wait = async {
        wait_recovered(group).await?;
        loop {
            match index(group).await {
                Ok(index) => return applied(group, index).await,
                Err(error @ (Error::ShuttingDown | Error::Fatal(_) | Error::Engine(_))) => {
                    return Err(error);
                }
                // Leadership is moving: somebody will lead soon.
                Err(_) => sleep(ASK_AGAIN).await,
            }
        }
    };
    match timeout(group.timings.request, wait).await {
        Ok(result) => {
            let answered = &group.read_index.answered;
            if result.is_ok() && !answered.load(Ordering::Relaxed) {
                answered.store(true, Ordering::Relaxed);
            }
            result
        }
        Err(_) => Err(Error::NoQuorum),
    }
}

/// Notes when the group's state is again what it ever was.
pub(crate) async fn watch_recovery(group: Arc<Group>) {
    // Without a time limit it ends only when recovered or stopped.
    if group.raft.wait_for_recovery(None).await.is_ok() {
        tracing::info!(group = group.id.0, "recovered");
        group.recovered.send_replace(true);
    }
}

/// The index that a read on the leader must have seen; a quorum has confirmed the leader.
pub(crate) async fn leader_index(group: &Group) -> Result<LogIndex> {
    if on(Planted::SkipReadIndex) && group.leads() {
        return Ok(group.view.applied().map_or(LogIndex(0), |id| id.index));
    }
    match group.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
        Ok(linearizer) => Ok(engine_index(linearizer.read_log_id().index())),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
            Err(Error::NotLeader {
                leader: forward.leader_id.zip(forward.leader_node),
            })
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => Err(Error::NoQuorum),
        Err(RaftError::Fatal(error)) => Err(fatal(&error)),
    }
}

async fn wait_recovered(group: &Group) -> Result<()> {
    if on(Planted::SkipRecoveryGate) {
        return Ok(());
    }
    let mut recovered = group.recovered.subscribe();
    match recovered.wait_for(|recovered| *recovered).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::ShuttingDown),
    }
}

async fn applied(group: &Group, index: LogIndex) -> Result<()> {
    if on(Planted::SkipWaitApplied) || group.view.wait_applied(index).await {
        Ok(())
    } else {
        Err(Error::ShuttingDown)
    }
}

/// An index asked for after this call.
async fn index(group: &Group) -> Result<LogIndex> {
    let begun = group.read_index.begun.load(Ordering::Acquire);
    let mut last = group.read_index.last.lock().await;
    if last.0 > begun || (on(Planted::OldReadIndex) && last.0 > 0 && last.0 == begun) {
        return Ok(last.1);
    }
    let number = group.read_index.begun.fetch_add(1, Ordering::AcqRel) + 1;
    let index = if group.leads() {
        leader_index(group).await?
    } else {
        ask_leader(group).await?
    };
    *last = (number, index);
    Ok(index)
}

async fn ask_leader(group: &Group) -> Result<LogIndex> {
    let Some((leader, Member { peer_address, .. })) = group.leader() else {
        return Err(Error::NotLeader { leader: None });
    };
    let request = group.peers.request(leader, group.id, 0, Vec::new());
    let ask = async {
        let mut client = group.peers.client(&peer_address, Lane::Urgent)?;
        let response = client.read_index(request).await?;
        group.peers.answer(leader, response.into_inner())
    };
    match timeout(group.timings.election_max, ask).await {
        Ok(Ok(body)) => match decode::<u64>(&body) {
            Ok(index) => Ok(LogIndex(index)),
            Err(_) => Err(Error::NoQuorum),
        },
        Ok(Err(status)) => {
            group.peers.heed(&status);
            Err(Error::NoQuorum)
        }
        Err(_) => Err(Error::Timeout),
    }
}
