//! One group's part of the node's log, as openraft wants it.
//!
//! # Invariants
//! - `append` never waits: entries can be read when it returns, and the writer's job reports
//!   their sync.
//! - A vote is durable before `save_vote` returns.
//! - `truncate_after` and `purge` only move marks; the order of writes is the log's.
//! - Nothing that openraft hands over is refused for want of room, which would stop the node: it
//!   waits. What makes it much is refused before: `Group::propose`, `PeerService`.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use engine::failpoint::{Point, hit};
use engine::ids::{GroupId, LogId, LogIndex};
use engine::planted::{Planted, on};
use engine::segment::{GroupLog, Log, LogEntry, Write};
use futures::Stream;
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use tokio::sync::oneshot;

use crate::types::{
    Entry, RaftLogId, TypeConfig, Vote, decode, encode, engine_index, engine_log_id, entry,
    entry_body, raft_log_id,
};

/// Most bytes of entries read at once, one large entry excepted: a message to a follower.
const READ_BYTES_MAX: usize = 2 * 1024 * 1024;

/// One group's log; clones are the same log.
#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    log: Log,
    group: GroupId,
}

impl LogStore {
    pub(crate) fn new(log: Log, group: GroupId) -> Self {
        Self { log, group }
    }

    /// The last entry, or the purged one.
    pub(crate) fn last_log_id(&self) -> Option<LogId> {
        self.log.group(self.group).last
    }

    /// What the log knows of the group.
    pub(crate) fn known(&self) -> GroupLog {
        self.log.group(self.group)
    }

    /// Bytes that are not yet synced, of all groups.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.log.pending_bytes()
    }

    /// The id of the entry at `index`, if the log holds it.
    pub(crate) fn log_id_at(&self, index: LogIndex) -> Option<LogId> {
        self.log.log_id_at(self.group, index)
    }

    /// Makes log and state agree after a crash in the middle of an installed checkpoint.
    ///
    /// The state never exceeds what this log has synced, an installed checkpoint excepted. So if
    /// the last applied entry does not stand in the log, all that stands there is older or was
    /// never committed, and the log begins anew behind the state.
    pub(crate) fn agree_with(&self, applied: Option<LogId>) -> engine::Result<()> {
        let known = self.log.group(self.group);
        if let Some(applied) = applied
            && self.log.log_id_at(self.group, applied.index) != Some(applied)
            && known
                .purged
                .is_none_or(|purged| purged.index < applied.index)
        {
            tracing::info!(group = self.group.0, %applied, "the log begins anew behind the state");
            return self
                .log
                .append_wait(self.group, vec![Write::Reset(applied)]);
        }
        match known.purged {
            Some(purged) if applied.is_none_or(|applied| applied.index < purged.index) => {
                Err(engine::Error::new(
                    engine::ErrorKind::Corrupt,
                    format!(
                        "the log of group {} begins after entry {purged}, the state ends before: \
                         the state's folder was replaced by an older one",
                        self.group
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Up to where the log has forgotten its entries.
    pub(crate) fn purged(&self) -> Option<LogId> {
        self.log.group(self.group).purged
    }

    fn read(&self, from: LogIndex, until: LogIndex, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let entries = self
            .log
            .read(self.group, from, until, bytes_max)
            .map_err(io::Error::other)?;
        entries
            .into_iter()
            .map(|LogEntry { log_id, body }| {
                entry(raft_log_id(log_id), body).map_err(|error| self.damaged(log_id, &error))
            })
            .collect()
    }

    fn damaged(&self, log_id: LogId, error: &engine::codec::DecodeError) -> io::Error {
        let context = format!("entry {log_id} of group {}: {error}", self.group);
        io::Error::new(io::ErrorKind::InvalidData, context)
    }

    /// A write that nobody waits for: it becomes durable with what follows.
    fn mark(&self, write: Write) {
        let group = self.group;
        self.log.append_patiently(
            group,
            vec![write],
            Box::new(move |result| {
                if let Err(error) = result {
                    tracing::warn!(group = group.0, %error, "a mark did not reach the log");
                }
            }),
        );
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (from, until) = bounds(&range);
        self.read(from, until, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(engine_index(start), engine_index(end), READ_BYTES_MAX)
    }

    /// Entries to apply are committed and change no more, so they are read piece by piece.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, until) = bounds(&range);
        let pieces = Pieces {
            store: self.clone(),
            read: Vec::new().into_iter(),
            next: from,
            until,
        };
        Box::pin(futures::stream::try_unfold(
            pieces,
            async |pieces: Pieces| pieces.next(),
        ))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        let vote = self.log.group(self.group).vote;
        vote.map(|bytes| decode(&bytes).map_err(io::Error::other))
            .transpose()
    }
}

/// A walk through committed entries.
struct Pieces {
    store: LogStore,
    read: std::vec::IntoIter<Entry>,
    next: LogIndex,
    until: LogIndex,
}

impl Pieces {
    fn next(mut self) -> io::Result<Option<(Entry, Self)>> {
        if self.read.len() == 0 && self.next < self.until {
            let entries = self.store.read(self.next, self.until, READ_BYTES_MAX)?;
            if let Some(last) = entries.last() {
                self.next = LogIndex(engine_index(last.log_id.index).0 + 1);
            } else if let Some(failure) = self.store.log.poisoned() {
                // It has taken no more, and openraft has not yet heard of it.
                return Err(io::Error::other(failure));
            }
            self.read = entries.into_iter();
        }
        Ok(self.read.next().map(|entry| (entry, self)))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let known = self.log.group(self.group);
        Ok(LogState {
            last_purged_log_id: known.purged.map(raft_log_id),
            last_log_id: known.last.map(raft_log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (told, answer) = oneshot::channel();
        hit(Point::VoteSaving);
        self.log.append_patiently(
            self.group,
            vec![Write::Vote(encode(vote).into())],
            // Nobody listens any more only if openraft is stopping.
            Box::new(move |result| drop(told.send(result))),
        );
        if on(Planted::VoteNotSynced) {
            return Ok(());
        }
        let saved = answer.await;
        hit(Point::VoteSaved);
        match saved {
            Ok(result) => result.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the log has stopped")),
        }
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let writes = entries
            .into_iter()
            .map(|entry| {
                Write::Entry(LogEntry {
                    log_id: engine_log_id(entry.log_id),
                    body: entry_body(&entry.payload),
                })
            })
            .collect();
        hit(Point::EntriesAppending);
        self.log.append_patiently(
            self.group,
            writes,
            Box::new(move |result| callback.io_completed(result.map_err(io::Error::other))),
        );
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> io::Result<()> {
        let keep = last.map_or(LogIndex(0), |log_id| engine_index(log_id.index));
        self.mark(Write::TruncateAfter(keep));
        Ok(())
    }

    async fn purge(&mut self, upto: RaftLogId) -> io::Result<()> {
        self.mark(Write::Purge(engine_log_id(upto)));
        Ok(())
    }
}

/// openraft's range of indexes as the engine's `from..until`.
fn bounds(range: &impl RangeBounds<u64>) -> (LogIndex, LogIndex) {
    let from = match range.start_bound() {
        Bound::Included(start) => engine_index(*start),
        Bound::Excluded(start) => engine_index(start.saturating_add(1)),
        Bound::Unbounded => LogIndex(0),
    };
    let until = match range.end_bound() {
        Bound::Included(end) => engine_index(end.saturating_add(1)),
        Bound::Excluded(end) => engine_index(*end),
        Bound::Unbounded => LogIndex(u64::MAX),
    };
    (from, until)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use engine::env::Env;
    use engine::env::vfs::sim::SimVfs;
    use engine::ids::{ClusterId, Term};
    use engine::segment::LogOptions;
    use futures::{StreamExt as _, pin_mut};

    use super::*;

    const GROUP: GroupId = GroupId(0);

    fn write(index: u64) -> Write {
        Write::Entry(LogEntry {
            log_id: LogId {
                term: Term(1),
                index: LogIndex(index),
            },
            body: engine::command::Payload::Blank.encode(),
        })
    }

    /// openraft goes on for a moment after a write that a stopped log has refused, and would take
    /// what it asked to be applied for applied.
    #[tokio::test]
    async fn entries_that_a_stopped_log_refused_are_an_error_of_those_who_apply() {
        let disk = SimVfs::new(1);
        let env = Env {
            vfs: Arc::new(disk.clone()),
            ..Env::os()
        };
        let log = Log::open(&env, Path::new("/log"), ClusterId(1), LogOptions::default());
        let log = log.expect("a new log");
        log.append_wait(GROUP, vec![write(1), write(2)])
            .expect("a healthy disk");
        disk.fail_sync_once();
        log.append_wait(GROUP, vec![write(3)])
            .expect_err("it is not synced");
        log.append_wait(GROUP, vec![write(4)])
            .expect_err("the log has stopped");

        let mut store = LogStore::new(log, GROUP);
        let entries = store.entries_stream(1..5).await;
        pin_mut!(entries);
        let mut read = 0;
        let error = loop {
            match entries.next().await.expect("it ends with an error") {
                Ok(_) => read += 1,
                Err(error) => break error,
            }
        };
        assert!(read < 4, "{read}");
        assert!(error.to_string().contains("sync segment"), "{error}");
    }
}
