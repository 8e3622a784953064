//! Watching: pages of changes, from memory as long as the watcher keeps up, else from the disk.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Replica;
use super::rooms::Rooms;
use crate::apply::keys;
use crate::changes::{CommitRecord, EntryRecord, Interest, Recent, RowRecord, Subscribed};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{KeyspaceId, Revision};
use crate::limits::{KEY_BYTES_MAX, WATCH_BYTES_MAX, WATCH_EVENTS_MAX};
use crate::planted::{Planted, on};
use crate::query::{
    Cause, Change, Keys, RowView, WatchEvent, WatchPage, WatchPosition, WatchRequest, WatchedCommit,
};
use crate::store::{KeyRange, NewRow, Row};

/// How many entries are looked through for one page.
const PAGE_ENTRIES_MAX: usize = 4_096;

/// Bytes of records that are read from the disk for one page.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Something that is watched; it ends when dropped.
///
/// # Guarantees
/// Who takes page after page from [`Watch::start`] on sees every change of what is watched from
/// that revision on, once, in the order of revisions, and what one commit changed as one. That
/// holds on any node and over any number of watches, each starting where the last one ended.
pub struct Watch {
    replica: Replica,
    request: WatchRequest,
    keyspace: KeyspaceId,
    subscribed: Arc<Subscribed>,
}

impl Replica {
    /// Watches rows; `wake` is called whenever something has happened since
    /// [`Watch::news`] was last asked. It must not wait.
    ///
    /// # Errors
    /// `NotFound` for an unknown keyspace; `Invalid` for a key or a range that can hold nothing.
    pub fn watch(&self, request: WatchRequest, wake: Box<dyn Fn() + Send + Sync>) -> Result<Watch> {
        let keyspace = self.keyspace(&request.keyspace)?;
        let interest = interest(keyspace, &request.keys)?;
        Ok(Watch {
            replica: self.clone(),
            request,
            keyspace,
            subscribed: self.inner.feed.subscribe(interest, wake),
        })
    }

    /// The revision behind which changes can be watched: that of the compaction floor, or a later
    /// one if the state is older than the record of its changes.
    pub fn watch_floor(&self) -> Revision {
        let floor = self.inner.floor.load(Ordering::Acquire);
        let changes_from = self.inner.changes_from.load(Ordering::Acquire);
        Revision(floor.max(changes_from.saturating_sub(1)))
    }

    /// Whether changes from a revision on are all there.
    pub(super) fn check_watchable(&self, from: Revision) -> Result<()> {
        let floor = self.watch_floor();
        if from <= floor {
            let context =
                format!("the changes of revision {from} are compacted, as are all up to {floor}");
            return Err(Error::new(ErrorKind::OutOfRange, context));
        }
        Ok(())
    }

    /// Whether changes can be told from a revision on, which may be the next one.
    pub(super) fn check_beginning(&self, from: Revision) -> Result<()> {
        let newest = self.revision();
        if from.0 > newest.0 + 1 {
            let context = format!("revision {from} is in the future: the newest is {newest}");
            return Err(Error::new(ErrorKind::OutOfRange, context));
        }
        self.check_watchable(from)
    }

    /// A row at a revision, though its end may have come since.
    pub(super) fn row_as_stored(
        &self,
        rooms: &Rooms,
        key: &Bytes,
        at: Revision,
    ) -> Result<Option<RowView>> {
        let found = self.noticed(rooms.store.get(key, at))?;
        let (_, user_key) = keys::read_row_key(key);
        Ok(found.map(|row| RowView::of(user_key, row)))
    }

    /// The row that a revision wrote.
    pub(super) fn row_written(
        &self,
        rooms: &Rooms,
        key: &Bytes,
        revision: Revision,
    ) -> Result<RowView> {
        let found = self.row_as_stored(rooms, key, revision)?;
        if let Some(row) = found.filter(|row| row.mod_revision == revision) {
            return Ok(row);
        }
        self.check_watchable(revision)?;
        let context = format!("the row that revision {revision} wrote is not there");
        Err(Error::new(ErrorKind::Corrupt, context))
    }

    /// Shows the records of entries from a revision on, which is at most the next one, as long as
    /// `see` wants more; answers whether there may be more.
    pub(super) fn records(
        &self,
        rooms: &Rooms,
        from: Revision,
        newest: Revision,
        mut see: impl FnMut(&EntryRecord) -> Result<bool>,
    ) -> Result<bool> {
        let mut bytes = 0;
        let found = rooms.store.scan(keys::changes_from(from), newest, false);
        for item in self.noticed(found)? {
            let (_, row) = self.noticed(item)?;
            bytes += row.value.len();
            let record = EntryRecord::decode(row.value)?;
            if !see(&record)? || bytes > READ_BYTES_MAX {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Watch {
    /// Where to begin: at a revision, or behind the newest.
    ///
    /// # Errors
    /// `OutOfRange` if changes of that revision are compacted, or if it lies in the future: later
    /// than the next one.
    pub fn start(&self, from: Option<Revision>) -> Result<WatchPosition> {
        let from = from.unwrap_or(Revision(self.replica.revision().0 + 1));
        self.replica.check_beginning(from)?;
        Ok(WatchPosition::at(from))
    }

    /// What happened from a position on, if memory has it all: this reads no file. `None` if the
    /// disk must be asked.
    ///
    /// # Errors
    /// None that a later call would not meet, too: see [`Watch::page`].
    pub fn recent(&self, from: WatchPosition) -> Result<Option<WatchPage>> {
        if self.request.previous {
            return Ok(None);
        }
        self.memory_page(from, None)
    }

    /// What happened from a position on. May read files.
    ///
    /// # Errors
    /// `OutOfRange` if the watcher was too slow: history from its position on is compacted
    /// meanwhile. `Io` or `Corrupt` from the disk.
    pub fn page(&self, from: WatchPosition) -> Result<WatchPage> {
        let rooms = self.replica.inner.rooms.read().clone();
        if let Some(page) = self.memory_page(from, Some(&rooms))? {
            return Ok(page);
        }
        let newest = self.replica.revision();
        let mut paging = Paging::new(self, Some(&rooms), from);
        let read = self
            .replica
            .records(&rooms, from.revision, newest, |record| paging.add(record));
        // Asked last: a floor that rises meanwhile lets compaction drop what is being read.
        self.replica.check_watchable(from.revision)?;
        Ok(paging.finish(read?, newest))
    }

    /// Where to go on after a page was the last for now, and whether anything of interest has
    /// happened since. Asked after a wake, or to know how far all is told of.
    pub fn news(&self, from: WatchPosition) -> (WatchPosition, bool) {
        let (quiet_before, has_news) = match self.replica.inner.feed.news(&self.subscribed) {
            Ok(first) => (first, true),
            Err(head) => (
                Revision(head.0 + 1 + u64::from(on(Planted::EarlyProgress))),
                false,
            ),
        };
        (from.max(WatchPosition::at(quiet_before)), has_news)
    }

    fn memory_page(&self, from: WatchPosition, rooms: Option<&Rooms>) -> Result<Option<WatchPage>> {
        let mut from = from;
        if on(Planted::ToldTwice) {
            from.revision.0 = from.revision.0.saturating_sub(1);
        }
        let feed = &self.replica.inner.feed;
        let Recent::Entries { entries, head } = feed.recent(from.revision, PAGE_ENTRIES_MAX) else {
            return Ok(None);
        };
        let mut paging = Paging::new(self, rooms, from);
        let mut more = entries.len() == PAGE_ENTRIES_MAX;
        for entry in &entries {
            if !paging.add(entry)? {
                more = true;
                break;
            }
        }
        if paging.needs_disk {
            return Ok(None);
        }
        if self.request.previous {
            self.replica.check_watchable(from.revision)?;
        }
        Ok(Some(paging.finish(more, head)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.replica.inner.feed.unsubscribe(&self.subscribed);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A page being filled.
struct Paging<'a> {
    watch: &'a Watch,
    rooms: Option<&'a Rooms>,
    page: WatchPage,
    events: usize,
    bytes: usize,
    /// Something stands on the disk only, and may not be read.
    needs_disk: bool,
}

impl<'a> Paging<'a> {
    fn new(watch: &'a Watch, rooms: Option<&'a Rooms>, from: WatchPosition) -> Self {
        Self {
            watch,
            rooms,
            page: WatchPage {
                commits: Vec::new(),
                next: from,
                more: false,
            },
            events: 0,
            bytes: 0,
            needs_disk: false,
        }
    }

    /// Adds an entry's changes; `false` once the page is full.
    fn add(&mut self, entry: &EntryRecord) -> Result<bool> {
        for commit in entry.commits_from(self.page.next.revision) {
            if !self.add_commit(entry.now_ms, commit)? {
                return Ok(false);
            }
            self.page.next = WatchPosition::at(Revision(commit.revision.0 + 1));
        }
        Ok(true)
    }

    fn add_commit(&mut self, at_ms: u64, commit: &CommitRecord) -> Result<bool> {
        let next = self.page.next;
        let done = if commit.revision == next.revision {
            next.done
        } else {
            0
        };
        let mut events = Vec::new();
        let mut stopped_at = None;
        for (place, row) in commit.rows.iter().enumerate().skip(done) {
            let Some(event) = self.event(commit, row)? else {
                if self.needs_disk {
                    return Ok(false);
                }
                continue;
            };
            self.bytes += event_bytes(&event);
            let is_full = self.events == WATCH_EVENTS_MAX || self.bytes > WATCH_BYTES_MAX;
            if is_full && self.events > 0 {
                stopped_at = Some(place);
                break;
            }
            self.events += 1;
            events.push(event);
            if on(Planted::TornWatch) {
                break;
            }
        }
        let complete = stopped_at.is_none();
        // The end of a commit that came in parts is told of even if nothing else is.
        if !events.is_empty() || (done > 0 && complete) {
            self.page.commits.push(WatchedCommit {
                revision: commit.revision,
                at_ms,
                events,
                complete,
            });
            if let Some(done) = stopped_at {
                let revision = commit.revision;
                self.page.next = WatchPosition { revision, done };
            }
        }
        Ok(complete)
    }

    /// What a change means to the watcher.
    fn event(&mut self, commit: &CommitRecord, row: &RowRecord) -> Result<Option<WatchEvent>> {
        let watch = self.watch;
        let before = Revision(commit.revision.0 - u64::from(!on(Planted::WrongPrevious)));
        let (change, key) = match row {
            RowRecord::Put(key, new) => {
                if watch.request.no_puts || !watch.subscribed.range().contains(key) {
                    return Ok(None);
                }
                let Some(view) = self.written(key, commit.revision, new.as_ref())? else {
                    return Ok(None);
                };
                (Change::Put(view), key)
            }
            RowRecord::RangeDeleted(range) => return self.range_event(commit, range),
            RowRecord::Deleted(key) | RowRecord::Ended(key) => {
                if watch.request.no_deletes || !watch.subscribed.range().contains(key) {
                    return Ok(None);
                }
                let (_, user_key) = keys::read_row_key(key);
                let change = match row {
                    RowRecord::Ended(_) => Change::Ended(user_key),
                    _ => Change::Deleted(user_key),
                };
                (change, key)
            }
        };
        let mut previous = None;
        if watch.request.previous {
            let found = self.stored(key, before)?;
            previous = found.filter(|found| follows(&change, found));
        }
        Ok(Some(WatchEvent { change, previous }))
    }

    /// A row that was written at a revision: from memory, or from the disk.
    fn written(
        &mut self,
        key: &Bytes,
        revision: Revision,
        new: Option<&NewRow>,
    ) -> Result<Option<RowView>> {
        if let Some(new) = new {
            let row = Row {
                value: new.value.clone(),
                mod_revision: revision,
                meta: new.meta,
            };
            let (_, user_key) = keys::read_row_key(key);
            return Ok(Some(self.shown(RowView::of(user_key, row))));
        }
        let Some(rooms) = self.rooms() else {
            return Ok(None);
        };
        let row = self.watch.replica.row_written(rooms, key, revision)?;
        Ok(Some(self.shown(row)))
    }

    /// A deleted range, as far as it is watched: of one row it is a deletion, if that was there.
    fn range_event(
        &mut self,
        commit: &CommitRecord,
        range: &KeyRange,
    ) -> Result<Option<WatchEvent>> {
        let watch = self.watch;
        let (keyspace, _) = keys::read_row_key(&range.start);
        if keyspace == watch.keyspace && matches!(commit.cause, Cause::KeyspaceDropped(_)) {
            return Ok(Some(WatchEvent {
                change: Change::KeyspaceDropped,
                previous: None,
            }));
        }
        if watch.request.no_deletes {
            return Ok(None);
        }
        let Some(range) = watch.subscribed.range().overlap(range) else {
            return Ok(None);
        };
        let (_, start) = keys::read_row_key(&range.start);
        if let Keys::One(key) = &watch.request.keys {
            let before = Revision(commit.revision.0 - 1);
            let found = self.stored(&range.start, before)?;
            return Ok(found.map(|found| WatchEvent {
                change: Change::Deleted(key.clone()),
                previous: watch.request.previous.then_some(found),
            }));
        }
        Ok(Some(WatchEvent {
            change: Change::RangeDeleted(start, user_end(watch.keyspace, &range)),
            previous: None,
        }))
    }

    /// The disk, or the remark that it is needed.
    fn rooms(&mut self) -> Option<&'a Rooms> {
        self.needs_disk |= self.rooms.is_none();
        self.rooms
    }

    /// A row at a revision, though its end may have come since.
    fn stored(&mut self, key: &Bytes, at: Revision) -> Result<Option<RowView>> {
        let Some(rooms) = self.rooms() else {
            return Ok(None);
        };
        let found = self.watch.replica.row_as_stored(rooms, key, at)?;
        Ok(found.map(|row| self.shown(row)))
    }

    fn shown(&self, mut view: RowView) -> RowView {
        if self.watch.request.keys_only {
            view.value = Bytes::new();
        }
        view
    }

    /// The page, of changes up to the newest revision unless there was too much.
    fn finish(self, more: bool, newest: Revision) -> WatchPage {
        let mut page = self.page;
        page.more = more;
        if !more {
            page.next = page.next.max(WatchPosition::at(Revision(newest.0 + 1)));
        }
        page
    }
}

/// Whether a row is what a change has replaced: one that had ended by then is not.
pub(super) fn follows(change: &Change, old: &RowView) -> bool {
    match change {
        Change::Put(new) => new.create_revision == old.create_revision,
        _ => true,
    }
}

pub(super) fn event_bytes(event: &WatchEvent) -> usize {
    let row = |row: &RowView| row.key.len() + row.value.len();
    let change = match &event.change {
        Change::Put(view) => row(view),
        Change::Deleted(key) | Change::Ended(key) => key.len(),
        Change::RangeDeleted(start, end) => start.len() + end.as_ref().map_or(0, Bytes::len),
        Change::KeyspaceDropped => 0,
    };
    change + event.previous.as_ref().map_or(0, row)
}

/// Where a range of store keys ends, as a key of the keyspace.
pub(super) fn user_end(keyspace: KeyspaceId, range: &KeyRange) -> Option<Bytes> {
    let (of, end) = keys::read_row_key(range.end.as_ref()?);
    (of == keyspace).then_some(end)
}

fn interest(keyspace: KeyspaceId, keys: &Keys) -> Result<Interest> {
    let longest = match keys {
        Keys::One(key) | Keys::Prefix(key) => key.len(),
        Keys::Range(start, end) => start.len().max(end.as_ref().map_or(0, Bytes::len)),
    };
    if longest > KEY_BYTES_MAX || matches!(keys, Keys::One(key) if key.is_empty()) {
        let context = format!("a key has 1 to {KEY_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::Invalid, context));
    }
    let at = |key: &Bytes| keys::row_key(keyspace, key);
    Ok(match keys {
        Keys::One(key) => Interest::Key(at(key)),
        Keys::Prefix(prefix) => Interest::Prefix(at(prefix)),
        Keys::Range(start, end) => {
            let all = KeyRange::prefix(at(&Bytes::new()));
            let range = KeyRange {
                start: at(start),
                end: end.as_ref().map(at).or(all.end),
            };
            if range.is_empty() {
                let context = "a range ends before it begins";
                return Err(Error::new(ErrorKind::Invalid, context));
            }
            Interest::Range(range)
        }
    })
}
