//! Service `Maintenance`: scrubs, and hashes of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::ids::GroupId;
use engine_proto::v1 as pb;
use engine_proto::v1::maintenance_server::Maintenance;
use engine_raft::{ScrubState, Scrubbing};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::Desk;
use super::desk::Call;
use crate::closing::Closing;
use crate::error::Error;
use crate::query;
use crate::status::{Effect, status};
use crate::wire::{self, Header, ScrubFollowed};

/// Most requests for hashes at work at once: each walks over all rows.
const HASHES_MAX: usize = 2;

/// Most callers that follow the scrub at once.
const FOLLOWERS_MAX: usize = 64;

/// See `proto/engine/v1/maintenance.proto`.
pub(crate) struct MaintenanceService {
    desk: Desk,
    hashes: Arc<Semaphore>,
    followers: Arc<Semaphore>,
}

impl MaintenanceService {
    pub(crate) fn new(desk: Desk) -> Self {
        Self {
            desk,
            hashes: Arc::new(Semaphore::new(HASHES_MAX)),
            followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
        }
    }

    async fn hash(&self, request: pb::HashRequest) -> Result<pb::HashResponse, Error> {
        let permit = self.desk.enter(&request)?;
        let read = wire::hash(&request)?;
        let busy = |_| Error::Overloaded("hashes at work");
        let at_work = Arc::clone(&self.hashes).try_acquire_owned().map_err(busy)?;
        let linearizable = read.linearizable && read.at.is_none();
        let replica = self.desk.replica(read.group, linearizable).await?;
        let header = self.desk.header(read.group)?;
        let waited_for = WaitedFor::default();
        let waits = Arc::clone(&waited_for.0);
        self.desk
            .blocking(permit, move || {
                let _at_work = at_work;
                let goes_on = || waits.load(Ordering::Acquire);
                let (hashes, at) = query::hash(&replica, &read, &goes_on)?;
                let digest = read.digest_at.and_then(|index| replica.digest_at(index));
                Ok(wire::hash_response(header, hashes, at, digest))
            })
            .await
    }

    fn follow(&self, request: pb::ScrubRequest) -> Result<Following, Error> {
        let _permit = self.desk.enter(&request)?;
        let busy = |_| Error::Overloaded("followers of the scrub");
        let place = Arc::clone(&self.followers);
        let place = place.try_acquire_owned().map_err(busy)?;
        let header = self.desk.header(GroupId(0))?;
        let scrubbing = self.desk.node().scrub(wire::scrub_rate(&request))?;
        Ok(Following {
            header,
            scrubbing,
            followed: ScrubFollowed::default(),
            is_over: false,
            closing: self.desk.closing(),
            _place: place,
        })
    }
}

#[tonic::async_trait]
impl Maintenance for MaintenanceService {
    type ScrubStream = BoxStream<'static, Result<pb::ScrubResponse, Status>>;

    async fn scrub(
        &self,
        request: Request<pb::ScrubRequest>,
    ) -> Result<Response<Self::ScrubStream>, Status> {
        let following = self
            .follow(request.into_inner())
            .map_err(|error| status(error, Effect::Read))?;
        let told = futures::stream::unfold(following, |mut following| async move {
            let told = following.next().await?;
            Some((Ok(told), following))
        });
        Ok(Response::new(told.boxed()))
    }

    async fn hash(
        &self,
        request: Request<pb::HashRequest>,
    ) -> Result<Response<pb::HashResponse>, Status> {
        let call = Call::of(&request);
        let work = Self::hash(self, request.into_inner());
        self.desk.answer(call, Effect::Read, work).await
    }
}

/// Whether somebody still waits for an answer: until this is dropped.
struct WaitedFor(Arc<AtomicBool>);

impl Default for WaitedFor {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for WaitedFor {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A caller that follows a scrub. A slow one is told less often, and is told everything.
struct Following {
    header: Header,
    scrubbing: Scrubbing,
    followed: ScrubFollowed,
    is_over: bool,
    closing: Closing,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Following {
    async fn next(&mut self) -> Option<pb::ScrubResponse> {
        if self.is_over {
            return None;
        }
        let changes = self.scrubbing.status();
        // Without this a port that closes would wait for the end of the scrub.
        let is_closing = tokio::select! {
            biased;
            () = self.closing.wait() => true,
            changed = changes.changed() => {
                changed.ok()?;
                false
            }
        };
        let mut status = changes.borrow_and_update().clone();
        if is_closing && status.state == ScrubState::Running {
            status.state = ScrubState::Ended("the node stops".to_owned());
        }
        self.is_over = status.state != ScrubState::Running;
        Some(wire::scrub_response(
            self.header,
            &status,
            &mut self.followed,
        ))
    }
}
