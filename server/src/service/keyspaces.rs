//! Service `Keyspaces`: the named sets that rows live in.

use engine_proto::v1 as pb;
use engine_proto::v1::keyspaces_server::Keyspaces;
use tonic::{Request, Response, Status};

use super::Desk;
use super::desk::Call;
use crate::error::Error;
use crate::status::Effect;
use crate::wire;

/// See `proto/engine/v1/keyspaces.proto`.
pub(crate) struct KeyspacesService(pub(crate) Desk);

#[tonic::async_trait]
impl Keyspaces for KeyspacesService {
    async fn create(
        &self,
        request: Request<pb::CreateKeyspaceRequest>,
    ) -> Result<Response<pb::CreateKeyspaceResponse>, Status> {
        let call = Call::of(&request);
        let request = request.into_inner();
        let (decode, encode) = (wire::create_keyspace, wire::create_keyspace_response);
        let work = self.0.write(call, request, decode, encode);
        self.0.answer(call, Effect::Write, work).await
    }

    async fn alter(
        &self,
        request: Request<pb::AlterKeyspaceRequest>,
    ) -> Result<Response<pb::AlterKeyspaceResponse>, Status> {
        let call = Call::of(&request);
        let request = request.into_inner();
        let (decode, encode) = (wire::alter_keyspace, wire::alter_keyspace_response);
        let work = self.0.write(call, request, decode, encode);
        self.0.answer(call, Effect::Write, work).await
    }

    async fn drop(
        &self,
        request: Request<pb::DropKeyspaceRequest>,
    ) -> Result<Response<pb::DropKeyspaceResponse>, Status> {
        let call = Call::of(&request);
        let request = request.into_inner();
        let (decode, encode) = (wire::drop_keyspace, wire::drop_keyspace_response);
        let work = self.0.write(call, request, decode, encode);
        self.0.answer(call, Effect::Write, work).await
    }

    async fn list(
        &self,
        request: Request<pb::ListKeyspacesRequest>,
    ) -> Result<Response<pb::ListKeyspacesResponse>, Status> {
        let call = Call::of(&request);
        let work = list(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }
}

async fn list(
    desk: &Desk,
    request: pb::ListKeyspacesRequest,
) -> Result<pb::ListKeyspacesResponse, Error> {
    let _permit = desk.enter(&request)?;
    let group = request.group.into();
    let keyspaces = desk.replica(group, true).await?.keyspaces();
    let header = desk.header(group)?;
    Ok(wire::list_keyspaces_response(header, keyspaces))
}
