//! What every commit changed, whoever it concerns: for `explain` and `changes`.

use std::collections::BTreeMap;

use super::Replica;
use super::rooms::Rooms;
use super::watch::{event_bytes, follows, user_end};
use crate::apply::keys;
use crate::changes::{CommitRecord, EntryRecord, RowRecord};
use crate::error::Result;
use crate::ids::{KeyspaceId, Revision};
use crate::limits::{WATCH_BYTES_MAX, WATCH_EVENTS_MAX};
use crate::query::{Change, ChangesPage, CommitView, RowDiff, WatchEvent};

impl Replica {
    /// All commits from a revision on, oldest first, with what they changed: at most `limit` of
    /// them (0 for as many as a page holds), and always one if there is any.
    ///
    /// # Errors
    /// `OutOfRange` for a revision whose changes are compacted, or later than the next one; `Io` or
    /// `Corrupt` from the disk.
    pub fn changes(&self, from: Revision, limit: usize) -> Result<ChangesPage> {
        let rooms = self.inner.rooms.read().clone();
        let newest = self.revision();
        self.check_beginning(from)?;
        let names = self.catalog();
        let names = names.keyspaces.iter();
        let mut telling = Telling {
            replica: self,
            rooms: &rooms,
            names: names
                .map(|(name, keyspace)| (keyspace.id, name.as_str()))
                .collect(),
            limit: if limit == 0 { WATCH_EVENTS_MAX } else { limit },
            page: ChangesPage {
                commits: Vec::new(),
                next: from,
                more: false,
            },
            events: 0,
            bytes: 0,
        };
        let read = self.records(&rooms, from, newest, |record| telling.add(record));
        self.check_watchable(from)?;
        let stopped = read?;
        let mut page = telling.page;
        page.more = stopped && page.next <= newest;
        if !stopped {
            page.next = Revision(newest.0 + 1);
        }
        Ok(page)
    }
}

/// A page being filled.
struct Telling<'a> {
    replica: &'a Replica,
    rooms: &'a Rooms,
    names: BTreeMap<KeyspaceId, &'a str>,
    limit: usize,
    page: ChangesPage,
    events: usize,
    bytes: usize,
}

impl Telling<'_> {
    /// Adds an entry's commits; `false` once the page is full.
    fn add(&mut self, entry: &EntryRecord) -> Result<bool> {
        for commit in entry.commits_from(self.page.next) {
            let view = self.commit(entry, commit)?;
            self.events += view.rows.len() + view.queued.len() + 1;
            self.page.commits.push(view);
            self.page.next = Revision(commit.revision.0 + 1);
            if self.page.commits.len() >= self.limit
                || self.events >= WATCH_EVENTS_MAX
                || self.bytes >= WATCH_BYTES_MAX
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn commit(&mut self, entry: &EntryRecord, commit: &CommitRecord) -> Result<CommitView> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        for row in commit.rows.iter().take(WATCH_EVENTS_MAX) {
            let diff = self.diff(commit.revision, row)?;
            bytes += event_bytes(&diff.event);
            rows.push(diff);
            if bytes >= WATCH_BYTES_MAX {
                break;
            }
        }
        self.bytes += bytes;
        Ok(CommitView {
            revision: commit.revision,
            log_id: entry.log_id,
            at_ms: entry.now_ms,
            cause: commit.cause.clone(),
            rows,
            row_count: commit.rows.len(),
            queued: commit.queued.clone(),
        })
    }

    fn diff(&self, revision: Revision, row: &RowRecord) -> Result<RowDiff> {
        let (keyspace_id, user_key) = keys::read_row_key(row.key());
        let change = match row {
            RowRecord::Put(key, _) => {
                Change::Put(self.replica.row_written(self.rooms, key, revision)?)
            }
            RowRecord::Deleted(_) => Change::Deleted(user_key),
            RowRecord::Ended(_) => Change::Ended(user_key),
            RowRecord::RangeDeleted(range) => {
                Change::RangeDeleted(user_key, user_end(keyspace_id, range))
            }
        };
        let previous = match row {
            RowRecord::RangeDeleted(_) => None,
            row => {
                let before = Revision(revision.0 - 1);
                self.replica.row_as_stored(self.rooms, row.key(), before)?
            }
        };
        let previous = previous.filter(|old| follows(&change, old));
        Ok(RowDiff {
            keyspace_id,
            keyspace: self.names.get(&keyspace_id).map(|name| (*name).to_owned()),
            event: WatchEvent { change, previous },
        })
    }
}
