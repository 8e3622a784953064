//! Reads: of rows at a revision, of messages by offset, of names.
//!
//! A read without a revision sees the newest published one; the row cache serves only those.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::rooms::Rooms;
use super::{Catalog, Replica};
use crate::apply::keys;
use crate::cache::CacheStats;
use crate::command::RowRef;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{KeyspaceId, PartitionId, Revision};
use crate::limits::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::planted::{Planted, on};
use crate::query::{
    BatchAnswer, ConsumerGroupView, FetchAnswer, FetchRequest, GetAnswer, KeyspaceView,
    MembersPage, MembersRequest, PartitionView, RowView, ScanPage, ScanRequest, TopicView,
    UsageView,
};
use crate::queue::PartitionRef;
use crate::store::{BorrowedRow, KeyRange, Row, RowKind, RowMeta};

impl Replica {
    /// Reads one row.
    ///
    /// # Errors
    /// `NotFound` for an unknown keyspace; `OutOfRange` for a revision below the floor or above
    /// the newest; `Io` or `Corrupt` from the disk.
    pub fn get(&self, row: &RowRef, at: Option<Revision>) -> Result<GetAnswer> {
        let (rooms, revision, now_ms) = self.reading(at)?;
        let found = self.row(&rooms, row, at.is_none(), revision, now_ms)?;
        self.check_floor(revision)?;
        let row = found.map(|found| RowView::of(row.key.clone(), found));
        Ok(GetAnswer {
            row,
            revision,
            now_ms,
        })
    }

    /// Reads several rows at one revision, in the order in which they are asked for: as many as a
    /// page has room for, and always one.
    ///
    /// # Errors
    /// As [`Replica::get`].
    pub fn get_many(&self, rows: &[RowRef], at: Option<Revision>) -> Result<BatchAnswer> {
        let (rooms, revision, now_ms) = self.reading(at)?;
        let mut found = Vec::with_capacity(rows.len());
        let mut bytes = 0;
        for row in rows {
            let stored = self.row(&rooms, row, at.is_none(), revision, now_ms)?;
            bytes += row.key.len() + stored.as_ref().map_or(0, |stored| stored.value.len());
            if !found.is_empty() && bytes > PAGE_BYTES_MAX {
                break;
            }
            found.push(stored.map(|stored| RowView::of(row.key.clone(), stored)));
        }
        self.check_floor(revision)?;
        Ok(BatchAnswer {
            rows: found,
            revision,
            now_ms,
        })
    }

    /// Reads a page of rows in key order.
    ///
    /// # Errors
    /// As [`Replica::get`].
    pub fn scan(&self, request: &ScanRequest) -> Result<ScanPage> {
        let keyspace = self.keyspace(&request.keyspace)?;
        let (rooms, revision, now_ms) = self.reading(request.at)?;
        let mut range = KeyRange::prefix(keys::row_key(keyspace, &request.prefix));
        if let Some(after) = &request.after {
            let after = keys::row_key(keyspace, after);
            if request.reverse {
                range.end = Some(range.end.map_or(after.clone(), |end| end.min(after)));
            } else {
                range.start = range.start.max(next_key(&after));
            }
        }
        let limit = page_items(request.limit);
        let mut rows = Vec::new();
        let mut bytes = 0;
        let mut more = false;
        let found = if request.keys_only {
            rooms.store.scan_keys(range, revision, request.reverse)
        } else {
            rooms.store.scan(range, revision, request.reverse)
        };
        for item in self.noticed(found)? {
            let (key, row) = self.noticed(item)?;
            if !lives(&row.meta, now_ms) {
                continue;
            }
            let row = RowView::of(key.slice(4..), row);
            bytes += row.key.len() + row.value.len();
            if !rows.is_empty() && (rows.len() == limit || bytes > PAGE_BYTES_MAX) {
                more = true;
                break;
            }
            rows.push(row);
        }
        self.check_floor(revision)?;
        Ok(ScanPage {
            rows,
            more,
            revision,
            now_ms,
        })
    }

    /// Counts the rows under a prefix; walks over all their keys, in bounded memory, and reads no
    /// value that stands apart.
    ///
    /// # Errors
    /// As [`Replica::get`].
    pub fn count(
        &self,
        keyspace: &str,
        prefix: &[u8],
        at: Option<Revision>,
    ) -> Result<(u64, Revision)> {
        let range = KeyRange::prefix(keys::row_key(self.keyspace(keyspace)?, prefix));
        let (rooms, revision, now_ms) = self.reading(at)?;
        let mut rows = self.noticed(rooms.store.scan_keys(range, revision, false))?;
        let mut count = 0;
        let mut see = |_: &[u8], row: BorrowedRow<'_>| count += u64::from(lives(&row.meta, now_ms));
        while self.noticed(rows.show_next(&mut see))? {}
        self.check_floor(revision)?;
        Ok((count, revision))
    }

    /// Reads a page of a set's members or of a hash's fields, in their order.
    ///
    /// # Errors
    /// As [`Replica::get`]; `Invalid` if the row is no set and no hash.
    pub fn members(&self, request: &MembersRequest) -> Result<MembersPage> {
        let row = &request.row;
        let key = keys::row_key(self.keyspace(&row.keyspace)?, &row.key);
        let (rooms, revision, now_ms) = self.reading(request.at)?;
        let mut page = MembersPage {
            kind: None,
            members: Vec::new(),
            more: false,
            revision,
            now_ms,
        };
        page.kind = self.kind_with_members(&rooms, &key, revision, now_ms)?;
        if page.kind.is_none() {
            self.check_floor(revision)?;
            return Ok(page);
        }
        let mut range = keys::members(&key);
        if let Some(after) = &request.after {
            range.start = next_key(&keys::member_key(&key, after));
        }
        let limit = page_items(request.limit);
        let prefix = keys::member_prefix_bytes(&key);
        let mut bytes = 0;
        for item in self.noticed(rooms.store.scan(range, revision, false))? {
            let (member, row) = self.noticed(item)?;
            let member = member.slice(prefix..);
            bytes += member.len() + row.value.len();
            let is_full = page.members.len() == limit || bytes > PAGE_BYTES_MAX;
            if is_full && !page.members.is_empty() {
                page.more = true;
                break;
            }
            page.members.push((member, row.value));
        }
        self.check_floor(revision)?;
        Ok(page)
    }

    /// Reads one field of a hash, or asks for one member of a set: nothing for one that is not
    /// there, and an empty value for a set's member.
    ///
    /// # Errors
    /// As [`Replica::members`].
    pub fn member(
        &self,
        row: &RowRef,
        member: &[u8],
        at: Option<Revision>,
    ) -> Result<(Option<Bytes>, Revision)> {
        let key = keys::row_key(self.keyspace(&row.keyspace)?, &row.key);
        let (rooms, revision, now_ms) = self.reading(at)?;
        let kind = self.kind_with_members(&rooms, &key, revision, now_ms)?;
        let mut value = None;
        if kind.is_some() {
            let key = keys::member_key(&key, member);
            let found = self.noticed(rooms.store.get(&key, revision))?;
            value = found.map(|found| found.value);
        }
        self.check_floor(revision)?;
        Ok((value, revision))
    }

    /// Reads messages of one partition.
    ///
    /// # Errors
    /// `NotFound` for an unknown topic or partition; `OutOfRange` for an offset below the oldest
    /// kept or above the end.
    pub fn fetch(&self, request: &FetchRequest) -> Result<FetchAnswer> {
        let at = self.partition(&request.topic, request.partition)?;
        let (rooms, revision, _) = self.reading(None)?;
        let limit = page_items(request.limit);
        let fetched = rooms
            .partitions
            .fetch(at, request.from, revision, limit, PAGE_BYTES_MAX);
        let messages = self.noticed(fetched)?;
        let (_, end) = rooms.partitions.bounds(at);
        Ok(FetchAnswer { messages, end })
    }

    /// One topic with its partitions and consumer groups.
    ///
    /// # Errors
    /// `NotFound` for an unknown topic.
    pub fn topic(&self, name: &str) -> Result<TopicView> {
        let writer = self.inner.writer.lock();
        let topic = writer
            .state
            .topics
            .get(name)
            .ok_or_else(|| unknown("topic", name))?;
        let rooms = self.inner.rooms.read().clone();
        let partitions = (0..topic.partitions)
            .map(|partition| {
                let at = PartitionRef {
                    topic: topic.id,
                    partition: PartitionId(partition),
                };
                let (start, end) = rooms.partitions.bounds(at);
                PartitionView { start, end }
            })
            .collect();
        let consumer_groups = topic
            .consumer_groups
            .iter()
            .map(|(name, next)| ConsumerGroupView {
                name: name.clone(),
                next: next.clone(),
            })
            .collect();
        Ok(TopicView {
            name: name.to_owned(),
            partitions,
            consumer_groups,
        })
    }

    /// The names of all topics, sorted.
    pub fn topics(&self) -> Vec<String> {
        self.catalog().topics.keys().cloned().collect()
    }

    /// All keyspaces, by name.
    pub fn keyspaces(&self) -> Vec<KeyspaceView> {
        let writer = self.inner.writer.lock();
        let keyspaces = writer.state.keyspaces.iter();
        let view = keyspaces.map(|(name, keyspace)| KeyspaceView {
            name: name.clone(),
            options: keyspace.options.clone(),
            usage: keyspace.usage.as_ref().map(|usage| UsageView {
                rows: usage.rows,
                bytes: usage.bytes,
                complete: usage.walk.is_none(),
            }),
        });
        view.collect()
    }

    /// What the row cache did; each of its misses is a row that the store was asked for. The
    /// groups of a node share it.
    pub fn cache_stats(&self) -> CacheStats {
        self.inner.shared.rows.stats()
    }

    /// Forgets all cached rows and blocks, those of the node's other groups too. No answer
    /// changes, the next ones take longer: for measurements.
    pub fn clear_caches(&self) {
        self.inner.shared.rows.clear();
        self.inner.shared.blocks.clear();
    }

    /// The newest published revision.
    pub fn revision(&self) -> Revision {
        Revision(self.inner.published.load(Ordering::Acquire))
    }

    /// A row at a revision, unless it has ended; the newest from the cache, if its keyspace has it
    /// there.
    fn row(
        &self,
        rooms: &Rooms,
        row: &RowRef,
        newest: bool,
        revision: Revision,
        now_ms: u64,
    ) -> Result<Option<Row>> {
        let catalog = self.catalog();
        let keyspace = catalog.keyspaces.get(&row.keyspace);
        let keyspace = keyspace.ok_or_else(|| unknown("keyspace", &row.keyspace))?;
        let key = keys::row_key(keyspace.id, &row.key);
        if newest && !keyspace.options.uncached {
            self.newest(rooms, &key, revision, now_ms)
        } else {
            self.stored(rooms, &key, revision, now_ms)
        }
    }

    /// A row at a revision, unless it has ended.
    fn stored(
        &self,
        rooms: &Rooms,
        key: &[u8],
        revision: Revision,
        now_ms: u64,
    ) -> Result<Option<Row>> {
        let found = self.noticed(rooms.store.get(key, revision))?;
        Ok(found.filter(|found| lives(&found.meta, now_ms)))
    }

    /// The same at the newest revision, which the cache may answer.
    fn newest(
        &self,
        rooms: &Rooms,
        key: &Bytes,
        revision: Revision,
        now_ms: u64,
    ) -> Result<Option<Row>> {
        let found = self.noticed(self.cached(rooms, key, revision))?;
        Ok(found.filter(|found| lives(&found.meta, now_ms)))
    }

    /// What a row is that has members; `None` if it is absent.
    fn kind_with_members(
        &self,
        rooms: &Rooms,
        key: &[u8],
        revision: Revision,
        now_ms: u64,
    ) -> Result<Option<RowKind>> {
        let found = self.stored(rooms, key, revision, now_ms)?;
        match found.map(|found| found.meta.kind) {
            Some(RowKind::Bytes) => {
                let context = "the row is a plain value, neither a set nor a hash";
                Err(Error::new(ErrorKind::Invalid, context))
            }
            kind => Ok(kind),
        }
    }

    fn cached(&self, rooms: &Rooms, key: &Bytes, revision: Revision) -> Result<Option<Row>> {
        let rows = &self.inner.shared.rows;
        // A row newer than the revision read is possible between an apply's fill and its
        // publication; the store answers then.
        if let Some(row) = rows.get(self.inner.group, key)
            && row.mod_revision <= revision
        {
            return Ok(Some(row));
        }
        let found = rooms.store.get(key, revision)?;
        if let Some(row) = &found {
            // Copied: a cached row must not keep the whole block that it was read from.
            let value = Bytes::copy_from_slice(&row.value);
            let row = Row {
                value,
                ..row.clone()
            };
            rows.fill(self.inner.group, key.clone(), row, revision);
        }
        Ok(found)
    }

    /// Where the state can be had again, a read that meets damage stops the replica, as an apply
    /// does: what is damaged once is not read again to see whether the disk has thought better of
    /// it. Where it cannot, all that is whole stays of use.
    pub(super) fn noticed<A>(&self, read: Result<A>) -> Result<A> {
        let stops = || self.inner.stops_at_damage.load(Ordering::Acquire);
        match read {
            Err(error) if error.kind() == ErrorKind::Corrupt && stops() => {
                Err(self.inner.poison(error))
            }
            read => read,
        }
    }

    /// The rooms to read from, the revision to read at, and what time it is: at least that of the
    /// newest revision.
    pub(super) fn reading(&self, at: Option<Revision>) -> Result<(Arc<Rooms>, Revision, u64)> {
        let rooms = self.inner.rooms.read().clone();
        let newest = self.revision();
        let revision = at.unwrap_or(newest);
        if revision > newest {
            let context = format!("revision {revision} is in the future: the newest is {newest}");
            return Err(Error::new(ErrorKind::OutOfRange, context));
        }
        self.check_floor(revision)?;
        Ok((rooms, revision, self.now_ms()))
    }

    /// Asked before a read and after it: a floor that rises meanwhile lets compaction drop what
    /// is being read.
    pub(super) fn check_floor(&self, revision: Revision) -> Result<()> {
        let floor = Revision(self.inner.floor.load(Ordering::Acquire));
        if revision < floor {
            let context = format!("revision {revision} is compacted: the oldest is {floor}");
            return Err(Error::new(ErrorKind::OutOfRange, context));
        }
        Ok(())
    }

    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog.read().clone()
    }

    pub(super) fn keyspace(&self, name: &str) -> Result<KeyspaceId> {
        self.catalog()
            .keyspaces
            .get(name)
            .map(|keyspace| keyspace.id)
            .ok_or_else(|| unknown("keyspace", name))
    }

    fn partition(&self, topic: &str, partition: PartitionId) -> Result<PartitionRef> {
        let catalog = self.catalog();
        let (id, partitions) = catalog
            .topics
            .get(topic)
            .ok_or_else(|| unknown("topic", topic))?;
        if partition.0 >= *partitions {
            let context = format!("topic {topic:?} has no partition {partition}");
            return Err(Error::new(ErrorKind::NotFound, context));
        }
        Ok(PartitionRef {
            topic: *id,
            partition,
        })
    }
}

/// How many items a page may have.
pub(super) fn page_items(limit: usize) -> usize {
    match limit {
        0 => PAGE_ITEMS_MAX,
        limit => limit.min(PAGE_ITEMS_MAX),
    }
}

/// Whether a row has not ended, at whichever revision it is read.
pub(super) fn lives(meta: &RowMeta, now_ms: u64) -> bool {
    meta.expires_at_ms > now_ms || on(Planted::ShowEnded)
}

/// The smallest key after `key`.
fn next_key(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    Bytes::from(next)
}

pub(super) fn unknown(what: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("{what} {name:?} does not exist"),
    )
}
