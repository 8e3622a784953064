//! A node tells the cluster that it has started; see `boot` for why.

use std::sync::Arc;
use std::time::Duration;

use engine::command::{Command, Outcome, Refusal};
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::boot;
use crate::error::Error;
use crate::group::Group;
use crate::network::Lane;

/// How long to wait before announcing again.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(100);

/// What became of an announcement.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Committed,
    Refused {
        announced: u64,
        known: u64,
    },
    /// It may have been committed, or not.
    Unknown,
    /// It was not committed.
    NotYet,
}

/// Announces this start until the group has committed it, or the node is found to be stale.
pub(crate) async fn announce(group: Arc<Group>) {
    let identity = group.peers.identity;
    let command = Command::NodeStarted {
        node: identity.node,
        boot: identity.boot,
    };
    // Once an announcement may have been committed, finding it committed is no surprise.
    let mut perhaps = false;
    loop {
        let answer = wait_and_announce(&group, &command).await;
        tracing::debug!(group = group.id.0, ?answer, "announced this start");
        match answer {
            Answer::Committed => return,
            Answer::Refused { announced, known } if perhaps && announced == known => return,
            Answer::Refused { announced, known } => {
                let reason = boot::stale(identity.node, announced, known);
                group.peers.stop_stale(reason);
                return;
            }
            Answer::Unknown => perhaps = true,
            Answer::NotYet => {}
        }
        sleep(ANNOUNCE_AGAIN).await;
    }
}

async fn wait_and_announce(group: &Group, command: &Command) -> Answer {
    let node = group.peers.identity.node;
    let member_of = |membership: &crate::types::Membership| membership.get_node(&node).is_some();
    let ready = group.wait_for(|metrics| {
        metrics.current_leader.is_some() && member_of(metrics.membership_config.membership())
    });
    if ready.await.is_none() {
        return std::future::pending().await;
    }
    if group.leads() {
        return match timeout(group.timings.request, group.propose(command.clone())).await {
            Ok(Ok(outcome)) => answer(outcome),
            Ok(Err(Error::NotLeader { .. } | Error::Overloaded)) => Answer::NotYet,
            Ok(Err(error)) if error.is_disk_full() => Answer::NotYet,
            Ok(Err(_)) | Err(_) => Answer::Unknown,
        };
    }
    let Some((leader, member)) = group.leader() else {
        return Answer::NotYet;
    };
    let request = group.peers.request(leader, group.id, 0, Vec::new());
    let ask = async {
        let mut client = group.peers.client(&member.peer_address, Lane::Urgent)?;
        let response = client.announce(request).await?;
        let body = group.peers.answer(leader, response.into_inner())?;
        Outcome::decode(body).map_err(|error| Status::internal(error.to_string()))
    };
    match timeout(group.timings.request, ask).await {
        Ok(Ok(outcome)) => answer(outcome),
        Ok(Err(status)) => {
            group.peers.heed(&status);
            Answer::Unknown
        }
        Err(_) => Answer::Unknown,
    }
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Refused(Refusal::StaleBoot { announced, known }) => {
            Answer::Refused { announced, known }
        }
        _ => Answer::Committed,
    }
}
