//! A scan as a stream of pages, all of one revision.
//!
//! ```text
//! first page ──► answer begins ──► task: page ─► channel of one ─► sent as the reader takes it
//!                                    ▲              │
//!                                    └─ next page ──┘
//! ```
//! Each page is a read of its own, let in by the doorkeeper and done away from the threads that
//! serve: a reader that takes its time holds a few pages and nothing else, no iterator, no tables.
//!
//! # Invariants
//! - A stream holds at most three pages: one in the making, one in the channel, one being sent.
//! - A stream that does not end with its last page ends with a status.

use std::time::Duration;

use engine::limits::PAGE_ITEMS_MAX;
use engine::replica::Replica;
use engine_proto::v1 as pb;
use futures::{FutureExt, Stream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;

use super::Desk;
use crate::admission::DEADLINE_DEFAULT;
use crate::error::{Error, Range};
use crate::query;
use crate::status::{Effect, status};
use crate::wire::{self, ScanRead};

/// Rows of one page: the cost of a page's beginning is shared by many, and a page stays small.
const PAGE_ROWS: usize = 4_096;
/// So long a reader may take no page: its place is another's then.
const TAKE_WITHIN: Duration = Duration::from_mins(1);

const _: () = assert!(PAGE_ROWS <= PAGE_ITEMS_MAX);

/// The pages of a walk, the first of which is read before this returns.
pub(super) async fn pages(
    desk: &Desk,
    request: pb::ScanRequest,
) -> Result<impl Stream<Item = Result<pb::ScanResponse, Status>> + Send + 'static + use<>, Error> {
    let read = wire::scan(&request)?;
    let place = desk.stream()?;
    let replica = desk.replica(read.group, read.linearizable).await?;
    let mut walk = Walk {
        desk: desk.clone(),
        left: match read.scan.limit {
            0 => usize::MAX,
            limit => limit,
        },
        request,
        read,
        replica,
        _place: place,
    };
    let first = walk.page().await?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(walk.send(first, sender));
    let taken = (receiver, desk.closing());
    Ok(futures::stream::unfold(Some(taken), |taken| async move {
        let (mut receiver, mut closing) = taken?;
        if let Some(Page { answer, more }) = receiver.recv().await {
            return Some((answer, more.then_some((receiver, closing))));
        }
        // The walk was given up while no page was taken.
        let error = match closing.wait().now_or_never() {
            Some(()) => Error::Raft(engine_raft::Error::ShuttingDown),
            None => Error::DeadlinePassed,
        };
        Some((Err(status(error, Effect::Read)), None))
    }))
}

/// What a failed read of a page tells: behind a cursor also where the walk goes on, if its
/// revision is kept no longer.
pub(super) fn go_on(
    desk: &Desk,
    request: &pb::ScanRequest,
    read: &ScanRead,
    error: Error,
) -> Error {
    match (error, &read.scan.after) {
        (Error::OutOfRange(Range::RevisionCompacted { asked, floor, .. }), Some(after)) => {
            let newest = desk
                .header(read.group)
                .map_or(floor, |header| header.revision);
            Error::OutOfRange(Range::RevisionCompacted {
                asked,
                floor,
                cursor: Some(wire::scan_cursor(request, newest, after)),
            })
        }
        (error, _) => error,
    }
}

/// A page or what came instead, and whether more follows.
struct Page {
    answer: Result<pb::ScanResponse, Status>,
    more: bool,
}

/// Where a walk stands.
struct Walk {
    desk: Desk,
    request: pb::ScanRequest,
    read: ScanRead,
    replica: Replica,
    /// Rows that are still wanted.
    left: usize,
    _place: OwnedSemaphorePermit,
}

impl Walk {
    /// Sends the first page and all that follow, as they are taken.
    async fn send(mut self, first: Page, pages: mpsc::Sender<Page>) {
        let mut closing = self.desk.closing();
        let mut page = first;
        loop {
            let more = page.more;
            tokio::select! {
                taken = timeout(TAKE_WITHIN, pages.send(page)) => match taken {
                    Ok(Ok(())) => {}
                    // The reader has left, or sleeps.
                    Ok(Err(_)) | Err(_) => return,
                },
                () = closing.wait() => return,
            }
            if !more {
                break;
            }
            let deadline = Instant::now() + DEADLINE_DEFAULT;
            let next = tokio::select! {
                next = timeout_at(deadline, self.page()) => {
                    next.unwrap_or(Err(Error::DeadlinePassed))
                }
                () = closing.wait() => Err(Error::Raft(engine_raft::Error::ShuttingDown)),
            };
            page = next.unwrap_or_else(|error| Page {
                answer: Err(status(error, Effect::Read)),
                more: false,
            });
        }
        // The place is kept until the last page is taken, too.
        tokio::select! {
            _ = timeout(TAKE_WITHIN, pages.closed()) => {}
            () = closing.wait() => {}
        }
    }

    /// Reads the next page.
    async fn page(&mut self) -> Result<Page, Error> {
        let permit = self.desk.enter(&self.request)?;
        let mut scan = self.read.scan.clone();
        scan.limit = self.left.min(PAGE_ROWS);
        let replica = self.replica.clone();
        let page = self
            .desk
            .blocking(permit, move || query::scan(&replica, &scan))
            .await
            .map_err(|error| go_on(&self.desk, &self.request, &self.read, error))?;
        self.left = self.left.saturating_sub(page.rows.len());
        self.read.scan.at = Some(page.revision);
        if let Some(last) = page.rows.last() {
            self.read.scan.after = Some(last.key.clone());
        }
        let more = page.more && self.left > 0;
        let header = self.desk.header(self.read.group)?;
        let answer = Ok(wire::scan_response(&self.request, header, page));
        Ok(Page { answer, more })
    }
}
