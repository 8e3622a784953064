//! Service `Cluster`: who is in it, and how that changes.

use engine_proto::v1 as pb;
use engine_proto::v1::cluster_server::Cluster;
use tonic::{Request, Response, Status};

use super::Desk;
use super::desk::Call;
use crate::error::Error;
use crate::process::Process;
use crate::status::Effect;
use crate::wire;

/// See `proto/engine/v1/cluster.proto`.
pub(crate) struct ClusterService(pub(crate) Desk);

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let call = Call::of(&request);
        let work = status(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn add_learner(
        &self,
        request: Request<pb::AddLearnerRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.change(
            call,
            request.into_inner(),
            wire::add_learner,
            wire::membership_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    async fn promote(
        &self,
        request: Request<pb::PromoteRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.change(
            call,
            request.into_inner(),
            wire::promote,
            wire::membership_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.change(
            call,
            request.into_inner(),
            wire::remove,
            wire::membership_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.change(
            call,
            request.into_inner(),
            wire::transfer_leader,
            wire::membership_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }
}

async fn status(desk: &Desk, request: pb::StatusRequest) -> Result<pb::StatusResponse, Error> {
    let permit = desk.enter_early(&request)?;
    let node = desk.node().clone();
    let stall_ms_max = desk.stalls().max_ms();
    // A replica's view waits for the entry that is being applied.
    desk.blocking(permit, move || {
        let status = node.status();
        let mut views = Vec::with_capacity(status.groups.len());
        for group in &status.groups {
            let replica = node.replica(group.group)?;
            views.push((replica.view(), node.recovered(group.group)));
        }
        Ok(wire::status_response(
            status,
            views,
            Process::look(node.env()),
            stall_ms_max,
        ))
    })
    .await
}
