//! Service `Topics`: what topics there are and how far their readers have come.

use engine_proto::v1 as pb;
use engine_proto::v1::topics_server::Topics;
use tonic::{Request, Response, Status};

use super::Desk;
use super::desk::Call;
use crate::error::Error;
use crate::query;
use crate::status::Effect;
use crate::wire;

/// See `proto/engine/v1/topics.proto`.
pub(crate) struct TopicsService(pub(crate) Desk);

#[tonic::async_trait]
impl Topics for TopicsService {
    async fn create(
        &self,
        request: Request<pb::CreateTopicRequest>,
    ) -> Result<Response<pb::CreateTopicResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.write(
            call,
            request.into_inner(),
            wire::create_topic,
            wire::create_topic_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    async fn list(
        &self,
        request: Request<pb::ListTopicsRequest>,
    ) -> Result<Response<pb::ListTopicsResponse>, Status> {
        let call = Call::of(&request);
        let work = list(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn describe(
        &self,
        request: Request<pb::DescribeTopicRequest>,
    ) -> Result<Response<pb::DescribeTopicResponse>, Status> {
        let call = Call::of(&request);
        let work = describe(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }
}

async fn list(
    desk: &Desk,
    request: pb::ListTopicsRequest,
) -> Result<pb::ListTopicsResponse, Error> {
    let _permit = desk.enter(&request)?;
    let group = request.group.into();
    let names = desk.replica(group, true).await?.topics();
    Ok(wire::list_topics_response(desk.header(group)?, names))
}

async fn describe(
    desk: &Desk,
    request: pb::DescribeTopicRequest,
) -> Result<pb::DescribeTopicResponse, Error> {
    let permit = desk.enter(&request)?;
    let (group, name) = wire::describe_topic(&request)?;
    let replica = desk.replica(group, true).await?;
    let topic = desk
        .blocking(permit, move || query::topic(&replica, &name))
        .await?;
    Ok(wire::describe_topic_response(desk.header(group)?, topic))
}
