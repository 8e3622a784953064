//! The cluster: who is in it, who leads, and how that changes.

use std::sync::Arc;

use engine_proto::v1 as pb;
use engine_proto::v1::cluster_client::ClusterClient;

use crate::call::{Calls, Kind, service};
use crate::error::Result;

pub use engine_proto::v1::{
    DiskStatus, GroupStatus, Member, NodeMetrics, RepairStatus, StatusResponse as NodeStatus,
};

/// Calls about nodes; from [`Client::cluster`](crate::Client::cluster).
#[derive(Clone, Debug)]
pub struct Cluster {
    calls: Arc<Calls>,
}

/// What one node said about itself, or why it did not.
#[derive(Clone, Debug)]
pub struct NodeAnswer {
    /// The client address that was asked.
    pub address: String,
    /// Its answer.
    pub status: Result<NodeStatus>,
}

impl Cluster {
    pub(crate) fn new(calls: Arc<Calls>) -> Self {
        Self { calls }
    }

    /// The view of one of the seeds; works without a quorum.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn status(&self) -> Result<NodeStatus> {
        self.calls
            .call(Kind::LOCAL_READ, |attempt| async move {
                service!(ClusterClient, attempt)
                    .status(attempt.message(pb::StatusRequest {}))
                    .await
            })
            .await
    }

    /// Makes sure that at least one known node answers, without trying for long.
    ///
    /// # Errors
    /// Why the first of them does not, if none does.
    pub async fn reach(&self) -> Result<()> {
        self.calls
            .leader
            .reach(self.calls.options.try_timeout)
            .await
    }

    /// The view of every known node: the seeds, and the members learnt from them. A node that
    /// does not answer is in the list with its error.
    pub async fn statuses(&self) -> Vec<NodeAnswer> {
        self.calls.leader.discover().await;
        let addresses = self.calls.leader.addresses();
        self.calls
            .leader
            .ask_all(addresses, self.calls.options.try_timeout)
            .await
            .into_iter()
            .map(|(address, status)| NodeAnswer { address, status })
            .collect()
    }

    /// Adds a node that gets the Raft log but has no vote. It runs already and is empty.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with a word about the voters, and those of every call.
    pub async fn add_learner(
        &self,
        node: u64,
        peer_address: impl Into<String>,
        client_address: impl Into<String>,
    ) -> Result<()> {
        let request = pb::AddLearnerRequest {
            node_id: node,
            peer_address: peer_address.into(),
            client_address: client_address.into(),
        };
        self.calls
            .call(Kind::ADMIN, |attempt| {
                let request = request.clone();
                async move {
                    service!(ClusterClient, attempt)
                        .add_learner(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(())
    }

    /// Gives a learner that has caught up a vote.
    ///
    /// # Errors
    /// As for [`add_learner`](Self::add_learner).
    pub async fn promote(&self, node: u64) -> Result<()> {
        self.calls
            .call(Kind::ADMIN, |attempt| async move {
                service!(ClusterClient, attempt)
                    .promote(attempt.message(pb::PromoteRequest { node_id: node }))
                    .await
            })
            .await?;
        Ok(())
    }

    /// Takes a node out for ever; its id is never used again.
    ///
    /// # Errors
    /// As for [`add_learner`](Self::add_learner).
    pub async fn remove(&self, node: u64) -> Result<()> {
        self.calls
            .call(Kind::ADMIN, |attempt| async move {
                service!(ClusterClient, attempt)
                    .remove(attempt.message(pb::RemoveRequest { node_id: node }))
                    .await
            })
            .await?;
        Ok(())
    }

    /// Hands leadership of all groups to another voter.
    ///
    /// # Errors
    /// As for [`add_learner`](Self::add_learner).
    pub async fn transfer_leader(&self, node: u64) -> Result<()> {
        self.calls
            .call(Kind::ADMIN, |attempt| async move {
                service!(ClusterClient, attempt)
                    .transfer_leader(attempt.message(pb::TransferLeaderRequest { node_id: node }))
                    .await
            })
            .await?;
        Ok(())
    }
}
