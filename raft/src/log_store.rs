//! Openraft's log storage over one group of the node's log.
//!
//! The log itself (group commit, recovery, recycling) is `engine::segment`; here is only the
//! translation, one obligation a function.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use engine::ids::{GroupId, LogIndex};
use engine::segment::{Log, LogEntry, Write};
use futures::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::oneshot;

use crate::types::{
    Entry, RaftLogId, TypeConfig, Vote, decode, decode_entry, encode, encode_payload, io_error,
    our_id, their_id,
};

/// How many bytes of entries are read at once: for a peer, for apply.
const READ_BYTES: usize = 1024 * 1024;

/// One group's part of the node's log.
#[derive(Clone, Debug)]
pub struct LogStore {
    log: Log,
    group: GroupId,
}

impl LogStore {
    /// The log of `group`.
    pub fn new(log: Log, group: GroupId) -> Self {
        Self { log, group }
    }

    /// Entries from `start` up to `end` (openraft's count), as many as fit.
    fn read(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        if start >= end {
            return Ok(Vec::new());
        }
        let (from, until) = (LogIndex(start + 1), LogIndex(end.saturating_add(1)));
        let entries = self.log.read(self.group, from, until, bytes_max).map_err(io_error)?;
        entries.into_iter().map(|entry| decode_entry(entry.log_id, entry.body)).collect()
    }

    /// Hands writes over and waits for their group commit.
    async fn write(&self, write: Write) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |result| {
            // The receiver is gone only if openraft has stopped waiting.
            let _ = sender.send(result);
        });
        self.log.append(self.group, vec![write], done);
        match receiver.await {
            Ok(result) => result.map_err(io_error),
            Err(_) => Err(io::Error::other("the log has stopped")),
        }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        let mut entries = self.read(start, end, usize::MAX)?;
        while let Some(last) = entries.last().map(|entry| entry.log_id.index()) {
            if last + 1 >= end {
                break;
            }
            let more = self.read(last + 1, end, usize::MAX)?;
            if more.is_empty() {
                break;
            }
            entries.extend(more);
        }
        Ok(entries)
    }

    /// For apply: a long log is never whole in memory.
    async fn entries_stream<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend {
        let (start, end) = bounds(&range);
        let store = self.clone();
        let pages = futures::stream::unfold(Some(start), move |next| {
            let store = store.clone();
            async move {
                let page = store.read(next?, end, READ_BYTES);
                let following = match &page {
                    Ok(entries) => entries.last().map(|entry| entry.log_id.index() + 1),
                    Err(_) => None,
                };
                match page {
                    Ok(entries) if entries.is_empty() => None,
                    Ok(entries) => Some((entries.into_iter().map(Ok).collect(), following)),
                    Err(error) => Some((vec![Err(error)], None)),
                }
            }
        });
        Box::pin(futures::StreamExt::flat_map(pages, |page: Vec<io::Result<Entry>>| {
            futures::stream::iter(page)
        }))
    }

    /// For a peer: what one message may hold.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.log.group(self.group).vote.map(|vote| decode(&vote)).transpose()
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let group = self.log.group(self.group);
        Ok(LogState {
            last_purged_log_id: group.purged.map(their_id),
            last_log_id: group.last.map(their_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    /// Durable before it is answered: a vote that is forgotten is a second leader.
    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.write(Write::Vote(encode(vote))).await
    }

    /// Never waits: entries are readable from memory at once, and the callback comes from the
    /// log's writer after their `fdatasync`.
    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let writes = entries
            .into_iter()
            .map(|entry| {
                let body = encode_payload(&entry.payload);
                Write::Entry(LogEntry { log_id: our_id(&entry.log_id), body })
            })
            .collect();
        let done = Box::new(move |result: engine::Result<()>| {
            callback.io_completed(result.map_err(io_error));
        });
        self.log.append(self.group, writes, done);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> io::Result<()> {
        let keep = last.map_or(LogIndex(0), |last| our_id(&last).index);
        self.write(Write::TruncateAfter(keep)).await
    }

    /// Only moves a mark; whole segments are dropped by the log's writer in its own time.
    async fn purge(&mut self, upto: RaftLogId) -> io::Result<()> {
        self.write(Write::Purge(our_id(&upto))).await
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        // Far beyond any entry, and still below what the log takes for an index.
        Bound::Unbounded => u64::MAX / 4,
    };
    (start, end)
}
