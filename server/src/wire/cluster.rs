//! Membership and the state of nodes.

use engine::ids::{LogId, NodeId};
use engine::query::ReplicaView;
use engine_proto::v1 as pb;
use engine_raft::{GroupStatus, Member, MemberStatus, NodeStatus, RepairProgress, RepairStatus};

use super::limit;
use super::{Header, Invalid};
use crate::process::Process;

/// A change of who is in the cluster or who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A node that gets the log and has no vote.
    AddLearner(NodeId, Member),
    /// A learner gets a vote.
    Promote(NodeId),
    /// A node leaves for ever.
    Remove(NodeId),
    /// A voter shall lead.
    TransferLeader(NodeId),
}

/// A new learner.
pub(crate) fn add_learner(request: &pb::AddLearnerRequest) -> Result<Change, Invalid> {
    let member = Member {
        peer_address: limit::address("peer_address", &request.peer_address)?,
        client_address: limit::address("client_address", &request.client_address)?,
    };
    Ok(Change::AddLearner(node(request.node_id)?, member))
}

/// A learner that gets a vote.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "all decoders borrow alike"
)]
pub(crate) fn promote(request: &pb::PromoteRequest) -> Result<Change, Invalid> {
    node(request.node_id).map(Change::Promote)
}

/// A node that leaves.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "all decoders borrow alike"
)]
pub(crate) fn remove(request: &pb::RemoveRequest) -> Result<Change, Invalid> {
    node(request.node_id).map(Change::Remove)
}

/// A voter that shall lead.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "all decoders borrow alike"
)]
pub(crate) fn transfer_leader(request: &pb::TransferLeaderRequest) -> Result<Change, Invalid> {
    node(request.node_id).map(Change::TransferLeader)
}

/// The change is committed.
pub(crate) fn membership_response(header: Header) -> pb::MembershipResponse {
    pb::MembershipResponse {
        header: header.now(),
    }
}

/// A node's view of itself; `views` stand beside the status' groups, in their order.
pub(crate) fn status_response(
    status: NodeStatus,
    views: Vec<(ReplicaView, bool)>,
    process: Process,
    stall_ms_max: u64,
) -> pb::StatusResponse {
    let metrics = &status.metrics;
    let metrics = pb::NodeMetrics {
        commands: metrics.commands,
        entries: metrics.entries,
        log_syncs: metrics.log_syncs,
        log_bytes: metrics.log_bytes,
        cache_hits: metrics.cache_hits,
        cache_misses: metrics.cache_misses,
        rss_bytes: process.rss_bytes,
        stall_ms_max,
        repairs: metrics.repairs,
        scrub_errors_total: metrics.scrub_errors,
        scrub_finished_ms: metrics.scrub_finished_ms,
    };
    let disk = pb::DiskStatus {
        state: status.disk.state.to_string(),
        total_bytes: status.disk.total_bytes,
        free_bytes: status.disk.free_bytes,
        reserve_bytes: status.disk.reserve_bytes,
        refused: status.disk.refused,
    };
    pb::StatusResponse {
        cluster_id: status.cluster.0,
        node_id: status.node.0,
        boot: status.boot.0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: process.pid,
        groups: status
            .groups
            .into_iter()
            .zip(views)
            .map(|(group, (view, recovered))| group_status(group, &view, recovered))
            .collect(),
        metrics: Some(metrics),
        disk: Some(disk),
        repairs: status.repairs.into_iter().map(repair).collect(),
    }
}

fn repair(status: RepairStatus) -> pb::RepairStatus {
    let (state, progress, quarantine) = match status.progress {
        RepairProgress::Repairing(doing) => ("repairing", doing, String::new()),
        RepairProgress::Repaired {
            from,
            log_id,
            quarantine,
        } => (
            "repaired",
            format!("by node {from}, as of entry {log_id}"),
            quarantine.display().to_string(),
        ),
    };
    let damage = status.damage;
    let file = damage.path.display();
    pb::RepairStatus {
        group: status.group.0,
        state: state.to_owned(),
        damage: format!("{file} at byte {}: {}", damage.offset, damage.what),
        progress,
        quarantine,
    }
}

fn node(id: u64) -> Result<NodeId, Invalid> {
    limit::within("node_id", id, 1, u64::MAX)?;
    Ok(NodeId(id))
}

fn group_status(group: GroupStatus, view: &ReplicaView, recovered: bool) -> pb::GroupStatus {
    let voters = group.voters.into_iter().map(|member| (member, true));
    let learners = group.learners.into_iter().map(|member| (member, false));
    let mut members: Vec<_> = voters
        .chain(learners)
        .map(|(status, voter)| member(status, voter))
        .collect();
    members.sort_by_key(|member| member.node_id);
    pb::GroupStatus {
        group: group.group.0,
        leader: group.leader.map(|node| node.0),
        term: group.term.0,
        role: group.role.to_string(),
        last_index: index(group.last_log),
        committed_index: index(group.committed),
        applied_index: index(view.applied),
        revision: view.revision.0,
        floor: view.floor.0,
        digest: view.digest,
        checkpoint_index: index(view.checkpoint),
        recovered,
        members,
    }
}

fn member(status: MemberStatus, voter: bool) -> pb::Member {
    pb::Member {
        node_id: status.node.0,
        peer_address: status.member.peer_address,
        client_address: status.member.client_address,
        voter,
        matched_index: status.matched.map(|index| index.0),
    }
}

fn index(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index.0)
}
