//! Service `Log`: messages in, messages out.

use std::time::Duration;

use engine::ids::Revision;
use engine_proto::v1 as pb;
use engine_proto::v1::log_server::Log;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::Desk;
use super::desk::Call;
use crate::error::Error;
use crate::query;
use crate::status::Effect;
use crate::wire;

/// A wait ends so much before the deadline that its empty answer still arrives.
const ANSWER_TIME: Duration = Duration::from_millis(50);

/// See `proto/engine/v1/log.proto`.
pub(crate) struct LogService(pub(crate) Desk);

#[tonic::async_trait]
impl Log for LogService {
    async fn produce(
        &self,
        request: Request<pb::ProduceRequest>,
    ) -> Result<Response<pb::ProduceResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.write(
            call,
            request.into_inner(),
            wire::produce,
            wire::produce_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }

    async fn fetch(
        &self,
        request: Request<pb::FetchRequest>,
    ) -> Result<Response<pb::FetchResponse>, Status> {
        let call = Call::of_waiting(&request);
        let work = fetch(&self.0, call, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }

    async fn commit_offset(
        &self,
        request: Request<pb::CommitOffsetRequest>,
    ) -> Result<Response<pb::CommitOffsetResponse>, Status> {
        let call = Call::of(&request);
        let work = self.0.write(
            call,
            request.into_inner(),
            wire::commit_offset,
            wire::commit_offset_response,
        );
        self.0.answer(call, Effect::Write, work).await
    }
}

async fn fetch(
    desk: &Desk,
    call: Call,
    request: pb::FetchRequest,
) -> Result<pb::FetchResponse, Error> {
    let read = wire::fetch(&request)?;
    let last = call.deadline.checked_sub(ANSWER_TIME);
    let until = (Instant::now() + read.wait).min(last.unwrap_or(call.deadline));
    // Watched before the first look: what is published in between is not missed.
    let mut published = desk.published(read.group)?;
    published.mark_unchanged();
    let replica = desk.replica(read.group, read.linearizable).await?;
    loop {
        let permit = desk.enter(&request)?;
        let (replica, wanted) = (replica.clone(), read.fetch.clone());
        let answer = desk
            .blocking(permit, move || query::fetch(&replica, &wanted))
            .await?;
        if !answer.messages.is_empty() || !news(desk, &mut published, until).await? {
            return Ok(wire::fetch_response(desk.header(read.group)?, answer));
        }
    }
}

/// Whether something was published before the wait was over.
async fn news(
    desk: &Desk,
    published: &mut watch::Receiver<Revision>,
    until: Instant,
) -> Result<bool, Error> {
    if until <= Instant::now() {
        return Ok(false);
    }
    let _waiting = desk.wait()?;
    let mut closing = desk.closing();
    tokio::select! {
        changed = timeout_at(until, published.changed()) => Ok(matches!(changed, Ok(Ok(())))),
        () = closing.wait() => Ok(false),
    }
}
