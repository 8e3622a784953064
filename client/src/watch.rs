//! Changes of rows as they happen, over reconnects and failovers; and what every commit changed.
//!
//! ```text
//! watch ──► stream on some node ──► parts ──► whole commits ──► next
//!              ▲          │ lost
//!              └── from the revision behind the last whole commit, on whichever node answers
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine_proto::v1 as pb;
use engine_proto::v1::watch_client::WatchClient;
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use crate::call::{Calls, Kind};
use crate::client::MESSAGE_BYTES_MAX;
use crate::error::{Error, Result, reason};
use crate::kv::{Row, consistency};
use crate::retry::{Backoff, Decision, Repeat, decide};

/// How often a quiet stream says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// A stream that says nothing for this long is taken for lost.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Which keys of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One.
    One(Bytes),
    /// All that begin with this; empty for the whole keyspace.
    Prefix(Bytes),
    /// From the first key up to and without the second; without an end if there is none.
    Range(Bytes, Option<Bytes>),
}

/// What to watch; for [`Client::watch`](crate::Client::watch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The keyspace's name.
    pub keyspace: String,
    /// Which rows.
    pub keys: Keys,
    /// The first revision whose changes are wanted; `None` for those from now on.
    pub from_revision: Option<u64>,
    /// Leave out rows that were written.
    pub no_puts: bool,
    /// Leave out rows that were deleted or have ended, and ranges.
    pub no_deletes: bool,
    /// Show with each row what stood there before.
    pub previous: bool,
    /// Leave values out.
    pub keys_only: bool,
    /// Begin with whatever the asked node has applied: works without a quorum.
    pub local: bool,
}

impl Watch {
    /// A whole keyspace, from now on.
    pub fn new(keyspace: impl Into<String>) -> Self {
        Self {
            keyspace: keyspace.into(),
            keys: Keys::Prefix(Bytes::new()),
            from_revision: None,
            no_puts: false,
            no_deletes: false,
            previous: false,
            keys_only: false,
            local: false,
        }
    }

    /// One row.
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.keys = Keys::One(key.into());
        self
    }

    /// All rows whose keys begin with this.
    pub fn prefix(mut self, prefix: impl Into<Bytes>) -> Self {
        self.keys = Keys::Prefix(prefix.into());
        self
    }

    /// From this revision on.
    pub fn from_revision(mut self, revision: u64) -> Self {
        self.from_revision = Some(revision);
        self
    }

    /// With what stood there before.
    pub fn previous(mut self) -> Self {
        self.previous = true;
        self
    }

    fn wire(&self, from_revision: Option<u64>) -> pb::WatchRequest {
        use pb::watch_request::Keys as Wanted;

        pb::WatchRequest {
            keyspace: self.keyspace.clone(),
            keys: Some(match &self.keys {
                Keys::One(key) => Wanted::Key(key.clone()),
                Keys::Prefix(prefix) => Wanted::Prefix(prefix.clone()),
                Keys::Range(start, end) => Wanted::Range(pb::WatchRange {
                    start: start.clone(),
                    end: end.clone(),
                }),
            }),
            from_revision,
            no_puts: self.no_puts,
            no_deletes: self.no_deletes,
            previous: self.previous,
            keys_only: self.keys_only,
            progress_ms: u32::try_from(PROGRESS.as_millis()).unwrap_or(u32::MAX),
            consistency: consistency(self.local),
            group: 0,
        }
    }
}

/// What has happened since the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Commits that changed what is watched, in the order of their revisions; none if there was
    /// nothing for some seconds.
    pub commits: Vec<WatchedCommit>,
    /// All that happened up to this revision has been told.
    pub upto_revision: u64,
}

/// What one commit changed of what is watched: all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedCommit {
    /// Its revision.
    pub revision: u64,
    /// Its time, milliseconds since 1970.
    pub at_ms: u64,
    /// Each row at most once; ranges stand before rows that were written into them.
    pub events: Vec<Event>,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub change: Change,
    /// What stood there before, if that was asked for and something did.
    pub previous: Option<Row>,
}

/// What happened to a row or to a range of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It was written; a set or hash shows how many members it has since.
    Put(Row),
    /// It was deleted.
    Deleted(Bytes),
    /// It has ended.
    Ended(Bytes),
    /// All rows from the first key up to the second were deleted, as far as they are watched.
    RangeDeleted(Bytes, Option<Bytes>),
    /// The keyspace was dropped with all its rows; nothing follows.
    KeyspaceDropped,
}

/// A watch that goes on over lost connections; from [`Client::watch`](crate::Client::watch).
///
/// # Guarantees
/// Every change from the beginning on is told once, in the order of revisions, all that one commit
/// changed together: over any number of reconnects, on any node. A commit is held in memory until it
/// is whole.
#[derive(Debug)]
pub struct Watcher {
    calls: Arc<Calls>,
    watch: Watch,
    stream: Option<Streaming<pb::WatchResponse>>,
    /// Where to go on; known once a stream has begun.
    next: Option<u64>,
    /// A commit of which more will come.
    part: Option<WatchedCommit>,
    /// Between one stream that was lost and the next.
    backoff: Backoff,
    ended: bool,
}

impl Watcher {
    pub(crate) async fn start(calls: Arc<Calls>, watch: Watch) -> Result<Self> {
        let mut watcher = Self {
            calls,
            next: watch.from_revision,
            watch,
            stream: None,
            part: None,
            backoff: Backoff::new(),
            ended: false,
        };
        watcher.open().await?;
        // The first message says where "from now on" begins: what happens after this call is told.
        watcher.next().await?;
        Ok(watcher)
    }

    /// The revision from which a new watch would go on behind all that was told.
    pub fn next_revision(&self) -> u64 {
        self.next.unwrap_or_default()
    }

    /// Waits for what happens next, or some seconds for nothing; `None` after the keyspace was
    /// dropped. May be cancelled: nothing is lost.
    ///
    /// # Errors
    /// `REVISION_COMPACTED` if history up to the present was compacted while no node could be
    /// reached, or the watcher was too slow: read the rows, and watch anew. Those of every call, if no
    /// node answers within the deadline; a later call tries again.
    pub async fn next(&mut self) -> Result<Option<Watched>> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.stream.is_none() {
                self.open().await?;
            }
            let stream = self.stream.as_mut().expect("it was opened");
            let error = match timeout(SILENCE_MAX, stream.message()).await {
                Ok(Ok(Some(message))) => return Ok(Some(self.take(message)?)),
                Ok(Ok(None)) => Error::connection_lost("the node has ended the stream"),
                Ok(Err(status)) => Error::from_status(status),
                Err(_) => Error::late(format!("no message within {SILENCE_MAX:?}")),
            };
            self.stream = None;
            self.part = None;
            tracing::debug!(%error, "a watch was lost");
            let again = decide(Repeat::Harmless, &error, false) != Decision::GiveUp;
            if !again && !error.is(reason::WATCHER_TOO_SLOW) {
                return Err(error);
            }
            sleep(self.backoff.pause()).await;
        }
    }

    async fn open(&mut self) -> Result<()> {
        let request = &self.watch.wire(self.next);
        let opening = self.calls.call(Kind::LOCAL_READ, |attempt| async move {
            let client = WatchClient::new(attempt.channel.clone());
            // No deadline travels along: it would end the stream.
            client
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .watch(request.clone())
                .await
        });
        self.stream = Some(opening.await?);
        Ok(())
    }

    fn take(&mut self, message: pb::WatchResponse) -> Result<Watched> {
        let mut commits = Vec::with_capacity(message.commits.len());
        for commit in message.commits {
            let more = commit.more;
            let commit = self.joined(commit)?;
            if more {
                self.part = Some(commit);
                continue;
            }
            self.next = Some(commit.revision + 1);
            let dropped = |event: &Event| event.change == Change::KeyspaceDropped;
            self.ended |= commit.events.iter().any(dropped);
            commits.push(commit);
        }
        self.backoff = Backoff::new();
        let upto_revision = message.upto_revision;
        self.next = self.next.max(Some(upto_revision + 1));
        Ok(Watched {
            commits,
            upto_revision,
        })
    }

    /// A commit behind its earlier parts.
    fn joined(&mut self, commit: pb::WatchedCommit) -> Result<WatchedCommit> {
        let mut whole = match self.part.take() {
            Some(part) if part.revision == commit.revision => part,
            Some(_) => return Err(Error::bad_answer("a commit's parts were torn apart")),
            None => WatchedCommit {
                revision: commit.revision,
                at_ms: commit.at_ms,
                events: Vec::with_capacity(commit.events.len()),
            },
        };
        for event in commit.events {
            whole.events.push(Event::read(event)?);
        }
        Ok(whole)
    }
}

impl Event {
    fn read(event: pb::WatchEvent) -> Result<Self> {
        use pb::watch_event::Change as Told;

        let change = match event.change {
            Some(Told::Put(row)) => Change::Put(row),
            Some(Told::Deleted(key)) => Change::Deleted(key),
            Some(Told::Ended(key)) => Change::Ended(key),
            Some(Told::RangeDeleted(range)) => Change::RangeDeleted(range.start, range.end),
            Some(Told::KeyspaceDropped(_)) => Change::KeyspaceDropped,
            None => return Err(Error::bad_answer("a change of an unknown kind")),
        };
        Ok(Self {
            change,
            previous: event.previous,
        })
    }
}

/// What every commit changed, a page at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// In the order of their revisions, without gaps.
    pub commits: Vec<ChangedCommit>,
    /// Where the next page begins.
    pub next_revision: u64,
    /// Whether there is one already.
    pub more: bool,
}

/// One revision: who, when, what.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedCommit {
    /// The revision.
    pub revision: u64,
    /// The term of its entry in the Raft log.
    pub term: u64,
    /// The index of its entry in the Raft log.
    pub index: u64,
    /// Its time, milliseconds since 1970.
    pub at_ms: u64,
    /// Why it came about.
    pub cause: Cause,
    /// Changes of rows; the first 1,000, or 1 MiB, of them.
    pub rows: Vec<ChangedRow>,
    /// How many there were.
    pub row_count: u64,
    /// Messages that were appended.
    pub messages: Vec<pb::ChangedMessage>,
    /// Offsets that consumer groups committed.
    pub offsets: Vec<pb::ChangedOffset>,
}

/// Why a revision came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A client's commit, with its session and number there if it has them.
    Commit(Option<(u64, u64)>),
    /// Rows that had ended were removed.
    RowsEnded,
    /// A keyspace was made.
    KeyspaceCreated(String),
    /// Options of a keyspace were changed.
    KeyspaceAltered(String),
    /// A keyspace was dropped.
    KeyspaceDropped(String),
    /// A topic was made.
    TopicCreated(String),
}

/// One change of a row, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedRow {
    /// The keyspace's name; `None` if it was dropped since.
    pub keyspace: Option<String>,
    /// Its number, which no other keyspace will ever have.
    pub keyspace_id: u32,
    /// What happened.
    pub event: Event,
}

impl Changes {
    pub(crate) async fn read(calls: &Calls, from_revision: u64, limit: u32) -> Result<Self> {
        let request = pb::ChangesRequest {
            from_revision,
            limit,
            ..pb::ChangesRequest::default()
        };
        let request = &request;
        let answer = calls
            .call(Kind::READ, |attempt| async move {
                WatchClient::new(attempt.channel.clone())
                    .max_decoding_message_size(MESSAGE_BYTES_MAX)
                    .changes(attempt.message(*request))
                    .await
            })
            .await?;
        let commits = answer.commits.into_iter().map(ChangedCommit::read);
        Ok(Self {
            commits: commits.collect::<Result<_>>()?,
            next_revision: answer.next_revision,
            more: answer.more,
        })
    }
}

impl ChangedCommit {
    fn read(commit: pb::ChangedCommit) -> Result<Self> {
        use pb::ChangeCause as Told;

        let request = (commit.session != 0).then_some((commit.session, commit.request_number));
        let cause = match Told::try_from(commit.cause) {
            Ok(Told::Commit) => Cause::Commit(request),
            Ok(Told::RowsEnded) => Cause::RowsEnded,
            Ok(Told::KeyspaceCreated) => Cause::KeyspaceCreated(commit.name),
            Ok(Told::KeyspaceAltered) => Cause::KeyspaceAltered(commit.name),
            Ok(Told::KeyspaceDropped) => Cause::KeyspaceDropped(commit.name),
            Ok(Told::TopicCreated) => Cause::TopicCreated(commit.name),
            Err(_) => return Err(Error::bad_answer("a cause of an unknown kind")),
        };
        let rows = commit.rows.into_iter().map(|row| {
            let event = row.event.unwrap_or_default();
            Ok(ChangedRow {
                keyspace: (!row.keyspace.is_empty()).then_some(row.keyspace),
                keyspace_id: row.keyspace_id,
                event: Event::read(event)?,
            })
        });
        Ok(Self {
            revision: commit.revision,
            term: commit.term,
            index: commit.index,
            at_ms: commit.at_ms,
            cause,
            rows: rows.collect::<Result<_>>()?,
            row_count: commit.row_count,
            messages: commit.messages,
            offsets: commit.offsets,
        })
    }
}
