//! Service `Watch`: changes, as they happen and from the past.
//!
//! ```text
//!   apply ──► feed ──wake──► a task for each watch ──► 4 messages at most ──► the client's window
//! ```
//! A watch that nothing concerns costs nothing; one whose client does not read waits, and is cut off
//! after [`AdmissionLimits::stalled_max`](crate::AdmissionLimits::stalled_max). What it has not read stands in the store, not in memory.

use std::sync::Arc;
use std::time::Duration;

use engine::query::{WatchPage, WatchPosition};
use engine::replica::{Replica, Watch as Watching};
use engine_proto::v1 as pb;
use engine_proto::v1::watch_server::Watch;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Desk;
use super::desk::{Call, in_time};
use crate::error::Error;
use crate::query;
use crate::status::{Effect, status};
use crate::wire::{self, WatchRead};

/// Messages that wait for a client to read them.
const AHEAD: usize = 4;

/// Changes that happen within this time of a wake are sent together: beside it, many commits a
/// second would wake every watcher for each.
const GATHER: Duration = Duration::from_millis(2);

/// See `proto/engine/v1/watch.proto`.
pub(crate) struct WatchService(pub(crate) Desk);

type Sent = Result<pb::WatchResponse, Status>;

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = BoxStream<'static, Sent>;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let call = Call::of(&request);
        let work = begin(&self.0, request.into_inner());
        let begun = in_time(call, work).await;
        let (told, waiting) = mpsc::channel(AHEAD);
        let begun = begun.map_err(|error| status(error, Effect::Read))?;
        tokio::spawn(async move {
            if let Err(status) = begun.run(&told).await {
                // Whoever watched may be gone; then nobody is told.
                told.send(Err(status)).await.ok();
            }
        });
        Ok(Response::new(ReceiverStream::new(waiting).boxed()))
    }

    async fn changes(
        &self,
        request: Request<pb::ChangesRequest>,
    ) -> Result<Response<pb::ChangesResponse>, Status> {
        let call = Call::of(&request);
        let work = changes(&self.0, request.into_inner());
        self.0.answer(call, Effect::Read, work).await
    }
}

async fn changes(desk: &Desk, request: pb::ChangesRequest) -> Result<pb::ChangesResponse, Error> {
    let permit = desk.enter(&request)?;
    let read = wire::changes(&request)?;
    let group = read.group;
    let replica = desk.replica(group, read.linearizable).await?;
    let page = desk
        .blocking(permit, move || query::changes(&replica, &read))
        .await?;
    Ok(wire::changes_response(desk.header(group)?, page))
}

/// A watch that has begun.
struct Begun {
    desk: Desk,
    request: pb::WatchRequest,
    read: WatchRead,
    replica: Replica,
    watching: Arc<Watching>,
    woken: Arc<Notify>,
    position: WatchPosition,
    /// It may wait for changes.
    _permit: OwnedSemaphorePermit,
}

async fn begin(desk: &Desk, request: pb::WatchRequest) -> Result<Begun, Error> {
    let _permit = desk.enter(&request)?;
    let read = wire::watch(&request)?;
    let waiting = desk.wait()?;
    let replica = desk.replica(read.group, read.linearizable).await?;
    let woken = Arc::new(Notify::new());
    let wake = Arc::clone(&woken);
    let watching = query::watch(&replica, &read, Box::new(move || wake.notify_one()))?;
    let position = query::watch_start(&replica, &watching, read.from)?;
    Ok(Begun {
        desk: desk.clone(),
        request,
        read,
        replica,
        watching: Arc::new(watching),
        woken,
        position,
        _permit: waiting,
    })
}

impl Begun {
    async fn run(mut self, told: &mpsc::Sender<Sent>) -> Result<(), Status> {
        let failed = |error| status(error, Effect::Read);
        let mut closing = self.desk.closing();
        self.tell(told, nothing(self.position)).await?;
        // Whoever asked for history is told at once when that ends.
        let mut tells_end = self.read.from.is_some();
        loop {
            let page = self.page().await.map_err(failed)?;
            self.position = page.next;
            let more = page.more;
            let dropped = is_dropped(&page);
            if !page.commits.is_empty() {
                self.tell(told, page).await?;
            }
            if dropped {
                return Ok(());
            }
            if more {
                continue;
            }
            loop {
                let (position, has_news) = self.watching.news(self.position);
                self.position = position;
                if has_news {
                    break;
                }
                if std::mem::take(&mut tells_end) {
                    self.tell(told, nothing(self.position)).await?;
                    continue;
                }
                tokio::select! {
                    woken = timeout(self.read.progress, self.woken.notified()) => {
                        if woken.is_ok() {
                            tokio::time::sleep(GATHER).await;
                        } else {
                            self.tell(told, nothing(self.position)).await?;
                        }
                    }
                    () = told.closed() => return Ok(()),
                    () = closing.wait() => return Err(stopping()),
                }
            }
        }
    }

    /// What happened since; from memory in place, from the disk away from the threads that serve.
    async fn page(&self) -> Result<WatchPage, Error> {
        let position = self.position;
        if let Some(page) = self.watching.recent(position).map_err(Error::Engine)? {
            return Ok(page);
        }
        let permit = self.desk.enter(&self.request)?;
        let (watching, replica) = (Arc::clone(&self.watching), self.replica.clone());
        let read = move || query::watch_page(&replica, &watching, position);
        self.desk.blocking(permit, read).await
    }

    /// Hands a message to the client's stream, unless the client has not read for too long.
    async fn tell(&self, told: &mpsc::Sender<Sent>, page: WatchPage) -> Result<(), Status> {
        let resume = page.commits.first().map(|commit| commit.revision);
        let header = self.desk.header(self.read.group);
        let header = header.map_err(|error| status(error, Effect::Read))?;
        let message = wire::watch_response(header, page);
        let mut closing = self.desk.closing();
        let taken = tokio::select! {
            taken = timeout(self.desk.stalled_max(), told.reserve()) => taken,
            () = closing.wait() => return Err(stopping()),
        };
        match taken {
            Ok(Ok(place)) => {
                place.send(Ok(message));
                Ok(())
            }
            // The client is gone.
            Ok(Err(_)) => Err(Status::cancelled("the watcher has left")),
            Err(_) => {
                let resume = resume.unwrap_or(self.position.revision);
                Err(status(Error::WatcherTooSlow(resume), Effect::Read))
            }
        }
    }
}

/// A message that tells how far there is nothing.
fn nothing(next: WatchPosition) -> WatchPage {
    WatchPage {
        commits: Vec::new(),
        next,
        more: false,
    }
}

/// The node stops: another one goes on.
fn stopping() -> Status {
    status(Error::Raft(engine_raft::Error::ShuttingDown), Effect::Read)
}

fn is_dropped(page: &WatchPage) -> bool {
    let mut events = page.commits.iter().flat_map(|commit| &commit.events);
    events.any(|event| event.change == engine::query::Change::KeyspaceDropped)
}
