//! What a node knows of itself and its groups.

use std::fmt;

use engine::disk::DiskStatus;
use engine::ids::{Boot, ClusterId, GroupId, LogId, LogIndex, NodeId, Term};
use openraft::ServerState;

use crate::group::Group;
use crate::repair::RepairStatus;
use crate::types::{Member, RaftMetrics, engine_index, engine_log_id};

/// A node's view; served without a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// How often it has started on its disk.
    pub boot: Boot,
    /// One for each group, by id.
    pub groups: Vec<GroupStatus>,
    /// The room on its disk.
    pub disk: DiskStatus,
    /// What it has done since it started.
    pub metrics: NodeMetrics,
    /// Groups whose state was found damaged at this start. While one of them is being repaired
    /// the node takes part in none.
    pub repairs: Vec<RepairStatus>,
}

/// One Raft group on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// Its leader, if known.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: Term,
    /// What this node is in it.
    pub role: Role,
    /// The last entry applied here.
    pub applied: Option<LogId>,
    /// The last entry known to be committed.
    pub committed: Option<LogId>,
    /// The last entry in this node's log.
    pub last_log: Option<LogId>,
    /// Members with a vote, by id.
    pub voters: Vec<MemberStatus>,
    /// Members without one, by id.
    pub learners: Vec<MemberStatus>,
}

/// What a node is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gets the log and has no vote, or is no member.
    Learner,
    /// Follows a leader.
    Follower,
    /// Asks to be elected.
    Candidate,
    /// Leads.
    Leader,
    /// Has stopped.
    Stopped,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learner => "learner",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
            Self::Stopped => "stopped",
        })
    }
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its id.
    pub node: NodeId,
    /// Where it is reached.
    pub member: Member,
    /// On the leader: the last entry known to be in this member's log.
    pub matched: Option<LogIndex>,
}

/// Counters since the node's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeMetrics {
    /// Commands proposed here and decided.
    pub commands: u64,
    /// Raft entries they travelled in.
    pub entries: u64,
    /// Group commits of the log: each is one fdatasync.
    pub log_syncs: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Row cache hits.
    pub cache_hits: u64,
    /// Row cache misses.
    pub cache_misses: u64,
    /// Damaged states replaced by a peer's.
    pub repairs: u64,
    /// Damaged places that scrubs of this disk have found, over all starts.
    pub scrub_errors: u64,
    /// When the last whole scrub ended, milliseconds since 1970, also before this start.
    pub scrub_finished_ms: Option<u64>,
}

impl GroupStatus {
    pub(crate) fn of(group: &Group) -> Self {
        let metrics = group.metrics();
        let membership = metrics.membership_config.membership();
        let status = |node: NodeId| MemberStatus {
            node,
            member: membership.get_node(&node).cloned().unwrap_or_default(),
            matched: matched(&metrics, node),
        };
        Self {
            group: group.id,
            leader: metrics.current_leader,
            term: Term(metrics.current_term),
            role: role(metrics.state),
            applied: group.view.applied(),
            committed: metrics.local_committed.map(engine_log_id),
            last_log: group.log.last_log_id(),
            voters: membership.voter_ids().map(status).collect(),
            learners: membership.learner_ids().map(status).collect(),
        }
    }
}

/// The last entry that a leader knows to be in a member's log.
pub(crate) fn matched(metrics: &RaftMetrics, node: NodeId) -> Option<LogIndex> {
    let progress = metrics.replication.as_ref()?.get(&node)?;
    progress.as_ref().map(|log_id| engine_index(log_id.index))
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Learner => Role::Learner,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Leader => Role::Leader,
        ServerState::Shutdown => Role::Stopped,
    }
}
