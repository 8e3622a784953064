//! A scan of any length as a stream of pages of one revision.
//!
//! ```text
//! next ──► page of the stream ──► …          stream broke, or another node leads: the cursor of
//!            ▲                                the last page opens a new one behind it
//!            └──── reopen at the cursor ◄─────┘
//! ```
//! # Invariants
//! - All pages are of one revision, whatever breaks: the cursor carries it.
//! - No row comes twice, none is left out; a stream that was cut off is never taken for its end.

use std::sync::Arc;

use engine_proto::v1 as pb;
use engine_proto::v1::kv_client::KvClient;
use tokio::time::timeout;
use tonic::Streaming;

use crate::call::{Calls, Kind, service};
use crate::commit::revision;
use crate::error::{Error, Result};
use crate::kv::{Kv, Page, Scan, consistency};
use crate::retry::{Backoff, Decision, Repeat, decide};

/// How often a stream may break in a row without a page in between.
const BREAKS_MAX: u32 = 8;

/// The pages of a scan; from [`Kv::scan_stream`]. Dropping it ends the stream.
#[derive(Debug)]
pub struct ScanStream {
    calls: Arc<Calls>,
    /// What is still to be read, its cursor behind the last page.
    request: pb::ScanRequest,
    local: bool,
    /// Rows still wanted, if not all.
    left: Option<u32>,
    stream: Option<Streaming<pb::ScanResponse>>,
    ended: bool,
}

impl Kv {
    /// Reads all rows of a scan, however many, as a stream of pages of one moment. Here the scan's
    /// limit counts the rows of all pages, 0 for no limit. Nothing is sent before the first
    /// [`ScanStream::next`].
    pub fn scan_stream(&self, scan: Scan) -> ScanStream {
        ScanStream {
            calls: Arc::clone(&self.calls),
            local: scan.read.local,
            left: Some(scan.limit).filter(|limit| *limit > 0),
            request: scan.wire(),
            stream: None,
            ended: false,
        }
    }
}

impl ScanStream {
    /// The next page, which may be the first and empty; `None` behind the last. A stream that
    /// breaks is opened again, if need be at another node. After a failure the next call tries
    /// to go on where this one stood.
    ///
    /// # Errors
    /// As for [`Kv::scan`]. `REVISION_COMPACTED` if the revision is kept no longer: then
    /// [`Error::cursor`] begins a new scan behind the last page, of another moment.
    pub async fn next(&mut self) -> Result<Option<Page>> {
        let mut backoff = Backoff::new();
        for _ in 0..BREAKS_MAX {
            if self.ended {
                return Ok(None);
            }
            // Dropped while it waits, a call loses its stream and not its place.
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.open().await?,
            };
            match self.page(&mut stream).await {
                Ok(answer) => {
                    self.stream = Some(stream);
                    return Ok(Some(self.take(answer)));
                }
                Err(error) if decide(Repeat::Harmless, &error, false) == Decision::GiveUp => {
                    return Err(error.harmless());
                }
                Err(error) => {
                    tracing::debug!(%error, "a stream of pages broke");
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
        Err(Error::unsent(format!(
            "the stream of pages broke {BREAKS_MAX} times without a page in between"
        )))
    }

    async fn page(&self, stream: &mut Streaming<pb::ScanResponse>) -> Result<pb::ScanResponse> {
        let patience = self.calls.options.deadline;
        match timeout(patience, stream.message()).await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err(Error::connection_lost("the stream of pages was cut off")),
            Ok(Err(status)) => Err(Error::from_status(status)),
            Err(_) => Err(Error::late(format!("no page within {patience:?}"))),
        }
    }

    async fn open(&self) -> Result<Streaming<pb::ScanResponse>> {
        let mut request = self.request.clone();
        request.limit = self.left.unwrap_or(0);
        self.calls
            .call(Kind::read(self.local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .scan_stream(attempt.message(request))
                        .await
                }
            })
            .await
    }

    fn take(&mut self, answer: pb::ScanResponse) -> Page {
        let rows = u32::try_from(answer.rows.len()).unwrap_or(u32::MAX);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(rows);
        }
        self.ended = answer.next_cursor.is_empty() || self.left == Some(0);
        self.request.revision = None;
        self.request.cursor.clone_from(&answer.next_cursor);
        Page {
            revision: revision(answer.header.as_ref()),
            rows: answer.rows,
            next_cursor: Some(answer.next_cursor).filter(|cursor| !cursor.is_empty()),
        }
    }
}

impl Scan {
    pub(crate) fn wire(self) -> pb::ScanRequest {
        pb::ScanRequest {
            keyspace: self.keyspace,
            prefix: self.prefix,
            limit: self.limit,
            cursor: self.cursor,
            revision: self.read.revision,
            reverse: self.reverse,
            keys_only: self.keys_only,
            consistency: consistency(self.read.local),
            group: 0,
        }
    }
}
