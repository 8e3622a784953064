//! What readers and appenders see: every append at once, whether it is synced or not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use parking_lot::Mutex;

use super::file::SegmentFile;
use super::index::{GroupIndex, INDEX_MAX, Place};
use super::options::{LogOptions, LogStats, VOTE_BYTES_MAX};
use super::tail::Tail;
use super::write::{Done, LogEntry, Write};
use super::written::Bounds;
use crate::ids::{GroupId, LogId, LogIndex};
use crate::{Error, ErrorKind, Result};

/// What the handles of a log and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: LogOptions,
    pub(super) front: Mutex<Front>,
    /// The disk refused the next segment, and has not given it since.
    pub(super) short: AtomicBool,
}

/// Told how far a group is synced.
pub(super) type Watcher = Arc<dyn Fn(LogIndex) + Send + Sync>;

/// Everything behind the one lock, which is held only for work in memory.
pub(super) struct Front {
    options: LogOptions,
    groups: BTreeMap<GroupId, GroupState>,
    watchers: BTreeMap<GroupId, Vec<Watcher>>,
    tail: Tail,
    /// Every segment that a slot may name.
    pub(super) segments: BTreeMap<u64, Arc<SegmentFile>>,
    /// Appends that the writer has not taken yet.
    pub(super) queue: VecDeque<Append>,
    /// Each write has a number, ascending in the order of the log.
    next_number: u64,
    /// Bytes of frames appended and not yet synced.
    pub(super) pending_bytes: usize,
    pub(super) room: Room,
    pub(super) phase: Phase,
    pub(super) stats: LogStats,
}

/// Writes that wait for their group commit.
pub(super) struct Append {
    pub(super) group: GroupId,
    pub(super) writes: VecDeque<Write>,
    /// The number of the first of `writes`.
    pub(super) number: u64,
    pub(super) done: Done,
}

/// What becomes of an append for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfFull {
    /// It is refused, and nothing is changed.
    Refuse,
    /// It is accepted, and waits in memory for room.
    Wait,
}

/// How far the log is in its life.
#[derive(Debug)]
pub(super) enum Phase {
    Open,
    /// What is queued is still written.
    Closing,
    /// The last handle is gone: nothing more is written.
    Abandoned,
    /// Closed in order.
    Closed,
    /// Stopped by this failure.
    Poisoned(Error),
}

/// Whether appends have somewhere to go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    /// The disk refused the next segment: only the current one is left.
    pub(super) last_segment: bool,
    /// Bytes left in the current segment after what is synced.
    pub(super) left_bytes: usize,
    /// Somebody was refused since: preparing a segment is worth another try.
    pub(super) wanted: bool,
}

#[derive(Debug, Default)]
struct GroupState {
    index: GroupIndex,
    vote: Option<Bytes>,
    synced: LogIndex,
}

/// A write that is now synced.
pub(super) struct Settled {
    pub(super) group: GroupId,
    pub(super) number: u64,
    pub(super) what: SettledWrite,
}

pub(super) enum SettledWrite {
    Entry(LogIndex, Place),
    /// A purge or reset.
    Forget(LogId),
    Other,
}

impl Front {
    pub(super) fn new(options: &LogOptions) -> Self {
        Self {
            options: options.clone(),
            groups: BTreeMap::new(),
            watchers: BTreeMap::new(),
            tail: Tail::new(options.tail_bytes),
            segments: BTreeMap::new(),
            queue: VecDeque::new(),
            next_number: 1,
            pending_bytes: 0,
            room: Room::default(),
            phase: Phase::Open,
            stats: LogStats::default(),
        }
    }

    /// A group as it was found on disk.
    pub(super) fn recover(&mut self, group: GroupId, index: GroupIndex, vote: Option<Bytes>) {
        let synced = index.last_index();
        let state = GroupState {
            index,
            vote,
            synced,
        };
        self.groups.insert(group, state);
    }

    /// Checks an append as a whole, before anything changes.
    pub(super) fn check(&mut self, group: GroupId, writes: &[Write], room: IfFull) -> Result<()> {
        self.check_phase()?;
        self.check_group_count(group, writes)?;
        let bytes = self.check_writes(group, writes)?;
        match room {
            IfFull::Refuse => self.check_room(writes, bytes),
            IfFull::Wait => Ok(()),
        }
    }

    /// Whether entries of so many bytes would be accepted now.
    pub(super) fn check_entries(&mut self, bytes: usize) -> Result<()> {
        self.check_bytes(bytes + self.options.reserve_bytes())
    }

    /// Makes a checked append visible and queues it; `true` if the writer must be woken.
    pub(super) fn push(&mut self, group: GroupId, writes: Vec<Write>, done: Done) -> bool {
        let number = self.next_number;
        for write in &writes {
            self.pending_bytes += write.frame_bytes();
            self.show(group, write);
            self.next_number += 1;
        }
        self.queue.push_back(Append {
            group,
            writes: writes.into(),
            number,
            done,
        });
        self.queue.len() == 1
    }

    pub(super) fn vote(&self, group: GroupId) -> Option<Bytes> {
        self.groups.get(&group)?.vote.clone()
    }

    pub(super) fn index(&self, group: GroupId) -> Option<&GroupIndex> {
        self.groups.get(&group).map(|state| &state.index)
    }

    pub(super) fn indexes(&self) -> impl Iterator<Item = (GroupId, &GroupIndex)> {
        self.groups
            .iter()
            .map(|(group, state)| (*group, &state.index))
    }

    pub(super) fn synced(&self, group: GroupId) -> LogIndex {
        self.groups
            .get(&group)
            .map_or(LogIndex(0), |state| state.synced)
    }

    /// Everything before this place is synced for certain: the last synced entry of any group, or
    /// the beginning of the newest segment.
    pub(super) fn synced_place(&self) -> Place {
        let newest = self.segments.last_key_value().map_or(0, |(seq, _)| *seq);
        let begins = Place {
            segment: newest,
            offset: 0,
        };
        let groups = self.groups.values();
        let synced = groups.filter_map(|state| state.index.slot(state.synced)?.place());
        synced.fold(begins, |last, place| {
            if (place.segment, place.offset) > (last.segment, last.offset) {
                place
            } else {
                last
            }
        })
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    pub(super) fn watch(&mut self, group: GroupId, watcher: Watcher) {
        self.watchers.entry(group).or_default().push(watcher);
    }

    /// Takes note of a group commit; `notices` receives the callbacks to run without the lock.
    pub(super) fn settle(&mut self, settled: &[Settled], notices: &mut Vec<(Watcher, LogIndex)>) {
        let mut moved: BTreeMap<GroupId, LogIndex> = BTreeMap::new();
        for write in settled {
            let Some(state) = self.groups.get_mut(&write.group) else {
                continue;
            };
            let synced = match write.what {
                // Entries are written in order: what stands before this one is synced too.
                SettledWrite::Entry(index, place) => state
                    .index
                    .settle(index, write.number, place)
                    .then_some(index),
                SettledWrite::Forget(id) => Some(id.index)
                    .filter(|index| state.index.purged().is_some_and(|p| p.index >= *index)),
                SettledWrite::Other => None,
            };
            if let Some(synced) = synced.filter(|synced| *synced > state.synced) {
                state.synced = synced;
                moved.insert(write.group, synced);
            }
        }
        if let Some(last) = settled.last() {
            self.tail.evict(last.number);
        }
        for (group, synced) in moved {
            for watcher in self.watchers.get(&group).into_iter().flatten() {
                notices.push((Arc::clone(watcher), synced));
            }
        }
    }

    /// Why nothing can be appended any more.
    pub(super) fn check_phase(&self) -> Result<()> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Closing | Phase::Abandoned | Phase::Closed => {
                Err(Error::new(ErrorKind::Stopped, "the log is closed"))
            }
            Phase::Poisoned(error) => Err(Error::with_source(
                ErrorKind::Stopped,
                "the log is stopped by an earlier failure",
                error.again(),
            )),
        }
    }

    fn check_group_count(&self, group: GroupId, writes: &[Write]) -> Result<()> {
        let groups_max = self.options.groups_max();
        let is_new = !writes.is_empty() && !self.groups.contains_key(&group);
        if is_new && self.groups.len() >= groups_max {
            return Err(invalid(group, format!("a log holds {groups_max} groups")));
        }
        Ok(())
    }

    /// Answers how many bytes the frames will take.
    fn check_writes(&self, group: GroupId, writes: &[Write]) -> Result<usize> {
        let mut bounds = self.index(group).map_or(Bounds::default(), |index| Bounds {
            purged: index.purged(),
            last: index.last_index(),
        });
        let mut bytes = 0;
        for write in writes {
            bytes += write.frame_bytes();
            match write {
                Write::Entry(entry) => {
                    self.check_entry(group, entry, &bounds)?;
                    bounds.last = entry.log_id.index;
                }
                Write::Vote(vote) if vote.len() > VOTE_BYTES_MAX => {
                    let len = vote.len();
                    return Err(invalid(group, format!("a vote of {len} bytes is too long")));
                }
                Write::Vote(_) => {}
                Write::TruncateAfter(index) => bounds.truncate_after(*index),
                Write::Purge(id) | Write::Reset(id) if id.index > INDEX_MAX => {
                    return Err(invalid(group, "an index is too large"));
                }
                Write::Purge(id) => bounds.purge(*id),
                Write::Reset(id) => bounds.reset(*id),
            }
        }
        Ok(bytes)
    }

    fn check_entry(&self, group: GroupId, entry: &LogEntry, bounds: &Bounds) -> Result<()> {
        let (index, next) = (entry.log_id.index, bounds.next());
        if index != next || index > INDEX_MAX {
            return Err(invalid(
                group,
                format!("entry {index} cannot follow: the next one is {next}"),
            ));
        }
        let (len, most) = (entry.body.len(), self.options.body_bytes_max());
        if len > most {
            return Err(invalid(
                group,
                format!("entry {index} has {len} bytes, more than {most}"),
            ));
        }
        Ok(())
    }

    /// While the disk is full, entries are refused before they could strand the log; votes and
    /// purges, which may free room, keep a reserve.
    fn check_room(&mut self, writes: &[Write], bytes: usize) -> Result<()> {
        let has_entries = writes.iter().any(|write| matches!(write, Write::Entry(_)));
        let kept = if has_entries {
            self.options.reserve_bytes()
        } else {
            0
        };
        self.check_bytes(bytes + kept)
    }

    fn check_bytes(&mut self, bytes: usize) -> Result<()> {
        if self.room.last_segment && self.pending_bytes + bytes > self.room.left_bytes {
            self.room.wanted = true;
            return Err(Error::new(
                ErrorKind::Full,
                "append to the log: there is no room for another segment",
            ));
        }
        Ok(())
    }

    fn show(&mut self, group: GroupId, write: &Write) {
        let state = self.groups.entry(group).or_default();
        match write {
            Write::Entry(entry) => {
                let body_bytes =
                    u32::try_from(entry.body.len()).expect("bodies were checked to be short");
                let number = self.next_number;
                state.index.push(entry.log_id.term, body_bytes, number);
                self.tail.push(group, number, entry.clone());
            }
            Write::Vote(vote) => state.vote = Some(vote.clone()),
            Write::TruncateAfter(index) => {
                state.index.truncate_after(*index);
                state.synced = state.synced.min(state.index.last_index());
                self.tail.truncate_after(group, *index);
            }
            Write::Purge(id) => {
                state.index.purge(*id);
                self.tail.purge(group, id.index);
            }
            Write::Reset(id) => {
                state.index.reset(*id);
                state.synced = state.synced.min(id.index);
                self.tail.clear(group);
            }
        }
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front")
            .field("groups", &self.groups.len())
            .field("phase", &self.phase)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

fn invalid(group: GroupId, what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("append to the log of group {group}: {what}"),
    )
}
