//! Who is in the cluster: founding it, adding, promoting and removing nodes, handing over.
//!
//! ```text
//! new node, empty disk, id never used ─► learner ─► caught up ─► voter ─► removed for ever
//! ```
//!
//! Every change is made in every group, one after the other, on the leader of them. A change that
//! is already made is no error, so that an interrupted one can simply be asked for again.
//!
//! An even number of voters survives no more failures than the odd number below it. It exists
//! only in transit: promote the new node, then remove the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::command::Command;
use engine::failpoint::{Point, hit};
use engine::ids::{Boot, LogIndex, NodeId};
use openraft::ChangeMembers;
use openraft::errors::{InitializeError, RaftError};
use tokio::time::timeout;

use crate::batcher::refused;
use crate::error::{Error, Result};
use crate::group::{Group, fatal};
use crate::status::matched;
use crate::types::{Member, RaftMetrics, TypeConfig, engine_index};

/// Most voters, one in transit included: more only make every decision slower.
const VOTERS_MAX: usize = 8;

/// Most members in all.
const MEMBERS_MAX: usize = 64;

/// How many entries a learner may lack when it is promoted: it has the rest within moments.
const LAG_MAX: u64 = 1_000;

type Groups = BTreeMap<engine::ids::GroupId, Arc<Group>>;

/// Founds a new cluster; on one that exists it changes nothing.
pub(crate) async fn bootstrap(
    groups: &Groups,
    node: NodeId,
    members: BTreeMap<NodeId, Member>,
) -> Result<()> {
    if !members.contains_key(&node) {
        return invalid(format!("node {node} is not among the first members"));
    }
    if members.len() > VOTERS_MAX {
        return invalid(format!("a cluster begins with at most {VOTERS_MAX} nodes"));
    }
    for group in groups.values() {
        match group.raft.initialize(members.clone()).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(RaftError::APIError(InitializeError::NotInMembers(error))) => {
                return invalid(error.to_string());
            }
            Err(RaftError::Fatal(error)) => return Err(fatal(&error)),
        }
    }
    Ok(())
}

/// Adds a node without a vote.
pub(crate) async fn add_learner(groups: &Groups, node: NodeId, member: Member) -> Result<()> {
    ensure_leader(groups)?;
    for group in groups.values() {
        let _changing = group.changing.lock().await;
        let now = View::of(group)?;
        match now.members.get(&node) {
            Some(known) if *known == member => continue,
            Some(_) => return invalid(format!("node {node} is a member at other addresses")),
            None => {}
        }
        if group.replica.boots().contains_key(&node) {
            return invalid(format!(
                "node {node} was a member before and was removed: ids are never used again, \
                 choose another"
            ));
        }
        if now.members.len() >= MEMBERS_MAX {
            return invalid(format!(
                "the cluster has {MEMBERS_MAX} members, the most it may"
            ));
        }
        if let Some((other, _)) = now.members.iter().find(|(_, known)| known.shares(&member)) {
            return invalid(format!("node {other} has one of these addresses"));
        }
        let added = group.raft.add_learner(node, member.clone(), false);
        decided(group, added).await?;
    }
    Ok(())
}

/// Gives a learner that has caught up a vote.
pub(crate) async fn promote(groups: &Groups, node: NodeId) -> Result<()> {
    ensure_leader(groups)?;
    for group in groups.values() {
        let _changing = group.changing.lock().await;
        let now = View::of(group)?;
        if now.voters.contains(&node) {
            continue;
        }
        if !now.members.contains_key(&node) {
            return invalid(format!(
                "node {node} is no member: add it as a learner first"
            ));
        }
        if now.voters.len() >= VOTERS_MAX {
            return invalid(format!(
                "the cluster has {VOTERS_MAX} voters, the most it may"
            ));
        }
        caught_up(group, node).await?;
        let change = ChangeMembers::AddVoterIds(BTreeSet::from([node]));
        change_membership(group, change).await?;
    }
    Ok(())
}

/// Takes a node out for ever.
pub(crate) async fn remove(groups: &Groups, node: NodeId) -> Result<()> {
    ensure_leader(groups)?;
    for group in groups.values() {
        let _changing = group.changing.lock().await;
        let now = View::of(group)?;
        if !now.members.contains_key(&node) {
            continue;
        }
        if now.voters.contains(&node) && now.voters.len() == 1 {
            return invalid(format!(
                "node {node} is the only voter: promote another first"
            ));
        }
        remember(group, node).await?;
        let nodes = BTreeSet::from([node]);
        if now.voters.contains(&node) {
            change_membership(group, ChangeMembers::RemoveVoters(nodes)).await?;
        } else {
            change_membership(group, ChangeMembers::RemoveNodes(nodes)).await?;
        }
    }
    Ok(())
}

/// Keeps the id of a node from being used again, even if it never announced a start.
async fn remember(group: &Group, node: NodeId) -> Result<()> {
    if group.replica.boots().contains_key(&node) {
        return Ok(());
    }
    let boot = Boot(1);
    // Refused only if the node has announced itself meanwhile.
    let started = Command::NodeStarted { node, boot };
    group.propose(started).await.map(drop)
}

/// Hands leadership of all groups to another voter, and waits until it leads.
pub(crate) async fn transfer_leader(groups: &Groups, node: NodeId) -> Result<()> {
    for group in groups.values() {
        let leader = group.leader();
        if leader.as_ref().is_some_and(|(leader, _)| *leader == node) {
            continue;
        }
        if !group.leads() {
            return Err(Error::NotLeader { leader });
        }
        if !View::of(group)?.voters.contains(&node) {
            return invalid(format!("node {node} has no vote and cannot lead"));
        }
        let handed = group.raft.trigger().transfer_leader(node).await;
        handed.map_err(|error| fatal(&error))?;
        let leads = group.wait_for(|metrics| metrics.current_leader == Some(node));
        match timeout(group.timings.election_max * 3, leads).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(Error::ShuttingDown),
            Err(_) => return Err(Error::Timeout),
        }
    }
    Ok(())
}

/// The membership in force.
struct View {
    members: BTreeMap<NodeId, Member>,
    voters: BTreeSet<NodeId>,
}

impl View {
    /// As a member sees it: a leader that has just removed itself leads for a moment more, and
    /// must order nothing.
    fn of(group: &Group) -> Result<Self> {
        let metrics = group.metrics();
        let membership = metrics.membership_config.membership();
        let now = Self {
            members: membership
                .nodes()
                .map(|(node, member)| (*node, member.clone()))
                .collect(),
            voters: membership.voter_ids().collect(),
        };
        if now.members.contains_key(&metrics.id) {
            Ok(now)
        } else {
            Err(Error::NotLeader { leader: None })
        }
    }
}

impl Member {
    /// Whether the two would be confused.
    fn shares(&self, other: &Self) -> bool {
        self.peer_address == other.peer_address || self.client_address == other.client_address
    }
}

fn ensure_leader(groups: &Groups) -> Result<()> {
    match groups.values().find(|group| !group.leads()) {
        None => Ok(()),
        Some(group) => Err(Error::NotLeader {
            leader: group.leader(),
        }),
    }
}

/// Waits until a learner has nearly all that the leader has.
async fn caught_up(group: &Group, node: NodeId) -> Result<()> {
    let near = |metrics: &RaftMetrics| {
        let last = metrics.last_log_index.map_or(LogIndex(0), engine_index);
        matched(metrics, node).is_some_and(|matched| matched.0 + LAG_MAX >= last.0)
    };
    let waited = group.wait_for(|metrics| near(metrics) || metrics.replication.is_none());
    match timeout(group.timings.request, waited).await {
        Ok(Some(metrics)) if near(&metrics) => Ok(()),
        Ok(Some(_)) => Err(Error::NotLeader { leader: None }),
        Ok(None) => Err(Error::ShuttingDown),
        Err(_) => invalid(format!(
            "node {node} has not caught up yet: see its matched index in the status and try again"
        )),
    }
}

async fn change_membership(group: &Group, change: ChangeMembers<NodeId, Member>) -> Result<()> {
    hit(Point::MembershipChanging);
    decided(group, group.raft.change_membership(change, false)).await?;
    hit(Point::MembershipChanged);
    Ok(())
}

async fn decided<T>(
    group: &Group,
    change: impl Future<
        Output = Result<T, RaftError<TypeConfig, openraft::errors::ClientWriteError<TypeConfig>>>,
    >,
) -> Result<()> {
    match timeout(group.timings.request, change).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => Err(Error::Timeout),
    }
}

fn invalid<T>(what: String) -> Result<T> {
    Err(Error::Invalid(what))
}
