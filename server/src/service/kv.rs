//! Service `Kv`: rows.

use engine_proto::v1 as pb;
use engine_proto::v1::kv_server::Kv;
use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::Desk;
use super::desk::{Call, in_time};
use super::{pipeline, scan_stream};
use crate::error::Error;
use crate::query;
use crate::status::{Effect, failure};
use crate::wire::{self, Invalid};

/// See `proto/engine/v1/kv.proto`.
pub(crate) struct KvService(pub(crate) Desk);

#[tonic::async_trait]
impl Kv for KvService {
    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<pb::GetResponse>, Status> {
        let call = Call::of(&request);
        let work = get(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    type GetPipelineStream = BoxStream<'static, Result<pb::GetPipelineResponse, Status>>;

    async fn get_pipeline(
        &self,
        request: Request<Streaming<pb::GetPipelineRequest>>,
    ) -> Result<Response<Self::GetPipelineStream>, Status> {
        let call = Call::on_stream(&request);
        let desk = self.0.clone();
        let start = move |request| one_of_many(desk.clone(), call(), request);
        let answers = pipeline::answers(request.into_inner(), self.0.closing(), start);
        Ok(Response::new(answers.boxed()))
    }

    async fn scan(
        &self,
        request: Request<pb::ScanRequest>,
    ) -> Result<Response<pb::ScanResponse>, Status> {
        let call = Call::of(&request);
        let work = scan(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    type ScanStreamStream = BoxStream<'static, Result<pb::ScanResponse, Status>>;

    async fn scan_stream(
        &self,
        request: Request<pb::ScanRequest>,
    ) -> Result<Response<Self::ScanStreamStream>, Status> {
        let call = Call::of(&request);
        let work = scan_stream::pages(&self.0, request.into_inner());
        let pages = self.0.answer(call, Effect::Read, work).await?;
        Ok(pages.map(StreamExt::boxed))
    }

    async fn count(
        &self,
        request: Request<pb::CountRequest>,
    ) -> Result<Response<pb::CountResponse>, Status> {
        let call = Call::of(&request);
        let work = count(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn put(
        &self,
        request: Request<pb::PutRequest>,
    ) -> Result<Response<pb::PutResponse>, Status> {
        let call = Call::of(&request);
        let work = self
            .0
            .write(call, request.into_inner(), wire::put, wire::put_response);
        self.0.answer(call, Effect::Write, work).await
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.write(
            call,
            request.into_inner(),
            wire::delete,
            wire::delete_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    async fn batch_get(
        &self,
        request: Request<pb::BatchGetRequest>,
    ) -> Result<Response<pb::BatchGetResponse>, Status> {
        let call = Call::of(&request);
        let work = batch_get(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn members(
        &self,
        request: Request<pb::MembersRequest>,
    ) -> Result<Response<pb::MembersResponse>, Status> {
        let call = Call::of(&request);
        let work = members(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn member(
        &self,
        request: Request<pb::MemberRequest>,
    ) -> Result<Response<pb::MemberResponse>, Status> {
        let call = Call::of(&request);
        let work = member(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn versions(
        &self,
        request: Request<pb::VersionsRequest>,
    ) -> Result<Response<pb::VersionsResponse>, Status> {
        let call = Call::of(&request);
        let work = versions(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn version(
        &self,
        request: Request<pb::VersionRequest>,
    ) -> Result<Response<pb::VersionResponse>, Status> {
        let call = Call::of(&request);
        let work = version(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }
}

async fn get(desk: &Desk, request: pb::GetRequest) -> Result<pb::GetResponse, Error> {
    let _permit = desk.enter(&request)?;
    let read = wire::get(&request)?;
    let replica = desk.replica(read.group, read.linearizable).await?;
    // In place: one row is nearly always in memory, and a thread's hop costs more than a read.
    let answer = query::get(&replica, &read)?;
    Ok(wire::get_response(desk.header(read.group)?, answer))
}

async fn one_of_many(
    desk: Desk,
    call: Call,
    request: pb::GetPipelineRequest,
) -> pb::GetPipelineResponse {
    let tag = request.tag;
    let read = match request.get {
        None => Err(Error::Invalid(Invalid::MissingField { field: "get" })),
        Some(request) => in_time(call, get(&desk, request)).await,
    };
    match read {
        Ok(response) => wire::get_pipeline_response(tag, response),
        Err(error) => wire::get_failure(tag, failure(error, Effect::Read)),
    }
}

async fn scan(desk: &Desk, request: pb::ScanRequest) -> Result<pb::ScanResponse, Error> {
    let permit = desk.enter(&request)?;
    let read = wire::scan(&request)?;
    let replica = desk.replica(read.group, read.linearizable).await?;
    let scan = read.scan.clone();
    let page = desk
        .blocking(permit, move || query::scan(&replica, &scan))
        .await
        .map_err(|error| scan_stream::go_on(desk, &request, &read, error))?;
    Ok(wire::scan_response(
        &request,
        desk.header(read.group)?,
        page,
    ))
}

async fn count(desk: &Desk, request: pb::CountRequest) -> Result<pb::CountResponse, Error> {
    let permit = desk.enter(&request)?;
    let read = wire::count(&request)?;
    let group = read.group;
    let replica = desk.replica(group, read.linearizable).await?;
    let (count, at) = desk
        .blocking(permit, move || query::count(&replica, &read))
        .await?;
    Ok(wire::count_response(desk.header(group)?, count, at))
}

async fn batch_get(
    desk: &Desk,
    request: pb::BatchGetRequest,
) -> Result<pb::BatchGetResponse, Error> {
    let permit = desk.enter(&request)?;
    let read = wire::batch_get(&request)?;
    let group = read.group;
    let replica = desk.replica(group, read.linearizable).await?;
    let answer = desk
        .blocking(permit, move || query::batch_get(&replica, &read))
        .await?;
    Ok(wire::batch_get_response(desk.header(group)?, answer))
}

async fn members(desk: &Desk, request: pb::MembersRequest) -> Result<pb::MembersResponse, Error> {
    let permit = desk.enter(&request)?;
    let read = wire::members(&request)?;
    let group = read.group;
    let replica = desk.replica(group, read.linearizable).await?;
    let page = desk
        .blocking(permit, move || query::members(&replica, &read.members))
        .await?;
    Ok(wire::members_response(desk.header(group)?, page))
}

async fn member(desk: &Desk, request: pb::MemberRequest) -> Result<pb::MemberResponse, Error> {
    let _permit = desk.enter(&request)?;
    let read = wire::member(&request)?;
    let replica = desk.replica(read.group, read.linearizable).await?;
    // In place, as a read of one row.
    let (value, at) = query::member(&replica, &read)?;
    Ok(wire::member_response(desk.header(read.group)?, value, at))
}

async fn versions(
    desk: &Desk,
    request: pb::VersionsRequest,
) -> Result<pb::VersionsResponse, Error> {
    let permit = desk.enter(&request)?;
    let read = wire::versions(&request)?;
    let group = read.group;
    let replica = desk.replica(group, read.linearizable).await?;
    let page = desk
        .blocking(permit, move || query::versions(&replica, &read.versions))
        .await?;
    Ok(wire::versions_response(desk.header(group)?, page))
}

async fn version(desk: &Desk, request: pb::VersionRequest) -> Result<pb::VersionResponse, Error> {
    let permit = desk.enter(&request)?;
    let read = wire::version(&request)?;
    let group = read.group;
    let replica = desk.replica(group, read.linearizable).await?;
    // Versions of long ago are seldom in memory.
    let answer = desk
        .blocking(permit, move || query::version(&replica, &read))
        .await?;
    Ok(wire::version_response(desk.header(group)?, answer))
}
