//! Service `Commit`: writes that belong together, and sessions.

use engine_proto::v1 as pb;
use engine_proto::v1::commit_server::Commit;
use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::Desk;
use super::desk::{Call, in_time};
use super::pipeline;
use crate::error::Error;
use crate::status::{Effect, failure};
use crate::wire::{self, Invalid};

/// See `proto/engine/v1/commit.proto`.
pub(crate) struct CommitService(pub(crate) Desk);

#[tonic::async_trait]
impl Commit for CommitService {
    async fn commit(
        &self,
        request: Request<pb::CommitRequest>,
    ) -> Result<Response<pb::CommitResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.write(
            call,
            request.into_inner(),
            wire::commit,
            wire::commit_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    type PipelineStream = BoxStream<'static, Result<pb::PipelineResponse, Status>>;

    async fn pipeline(
        &self,
        request: Request<Streaming<pb::PipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        let call = Call::on_stream(&request);
        let desk = self.0.clone();
        let start = move |request| one_of_many(desk.clone(), call(), request);
        let answers = pipeline::answers(request.into_inner(), self.0.closing(), start);
        Ok(Response::new(answers.boxed()))
    }

    async fn open_session(
        &self,
        request: Request<pb::OpenSessionRequest>,
    ) -> Result<Response<pb::OpenSessionResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.write(
            call,
            request.into_inner(),
            wire::open_session,
            wire::open_session_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    async fn close_session(
        &self,
        request: Request<pb::CloseSessionRequest>,
    ) -> Result<Response<pb::CloseSessionResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.write(
            call,
            request.into_inner(),
            wire::close_session,
            wire::close_session_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }
}

async fn one_of_many(desk: Desk, call: Call, request: pb::PipelineRequest) -> pb::PipelineResponse {
    let tag = request.tag;
    let decided = match request.commit {
        None => Err(Error::Invalid(Invalid::MissingField { field: "commit" })),
        Some(commit) => {
            let work = desk.write(call, commit, wire::commit, wire::commit_response);
            in_time(call, work).await
        }
    };
    match decided {
        Ok(response) => wire::pipeline_response(tag, response),
        Err(error) => wire::pipeline_failure(tag, failure(error, Effect::Write)),
    }
}
