//! Recent entries in memory: what is not synced yet, and as much of the rest as fits.

use std::collections::{BTreeMap, VecDeque};

use super::write::LogEntry;
use crate::ids::{GroupId, LogIndex};

/// What an entry costs besides its body.
const ENTRY_BYTES: usize = 64;

/// The last entries of all groups; per group without a gap up to its last entry.
#[derive(Debug)]
pub(super) struct Tail {
    groups: BTreeMap<GroupId, VecDeque<Recent>>,
    /// The write that brought each group's oldest entry here: tells which one goes next.
    oldest: BTreeMap<u64, GroupId>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Recent {
    number: u64,
    entry: LogEntry,
}

impl Recent {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.entry.body.len()
    }
}

impl Tail {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            groups: BTreeMap::new(),
            oldest: BTreeMap::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Index of the group's oldest entry here.
    pub(super) fn first(&self, group: GroupId) -> Option<LogIndex> {
        let recent = self.groups.get(&group)?.front()?;
        Some(recent.entry.log_id.index)
    }

    /// Entries of a group from `from` on; `from` is not below [`Tail::first`].
    pub(super) fn entries_from(
        &self,
        group: GroupId,
        from: LogIndex,
    ) -> impl Iterator<Item = &LogEntry> {
        self.groups
            .get(&group)
            .and_then(|entries| {
                let first = entries.front()?.entry.log_id.index;
                let at = usize::try_from(from.0.saturating_sub(first.0)).ok()?;
                (at < entries.len()).then(|| entries.range(at..))
            })
            .into_iter()
            .flatten()
            .map(|recent| &recent.entry)
    }

    /// Adds the entry that the write `number` will bring to disk.
    pub(super) fn push(&mut self, group: GroupId, number: u64, entry: LogEntry) {
        let recent = Recent { number, entry };
        self.bytes += recent.bytes();
        let entries = self.groups.entry(group).or_default();
        if entries.is_empty() {
            self.oldest.insert(number, group);
        }
        entries.push_back(recent);
    }

    pub(super) fn truncate_after(&mut self, group: GroupId, index: LogIndex) {
        let Some(entries) = self.groups.get_mut(&group) else {
            return;
        };
        while let Some(recent) = entries.pop_back_if(|last| last.entry.log_id.index > index) {
            self.bytes -= recent.bytes();
            if entries.is_empty() {
                self.oldest.remove(&recent.number);
            }
        }
    }

    /// Drops a group's entries up to and with `index`.
    pub(super) fn purge(&mut self, group: GroupId, index: LogIndex) {
        while self.first(group).is_some_and(|first| first <= index) {
            self.pop(group);
        }
    }

    /// Drops all entries of a group.
    pub(super) fn clear(&mut self, group: GroupId) {
        self.truncate_after(group, LogIndex(0));
    }

    /// Drops the oldest entries that exceed the budget, of those up to the synced write
    /// `number`.
    pub(super) fn evict(&mut self, number: u64) {
        while self.bytes > self.bytes_max {
            match self.oldest.first_key_value() {
                Some((oldest, group)) if *oldest <= number => self.pop(*group),
                _ => return,
            }
        }
    }

    fn pop(&mut self, group: GroupId) {
        let Some(entries) = self.groups.get_mut(&group) else {
            return;
        };
        let Some(recent) = entries.pop_front() else {
            return;
        };
        self.bytes -= recent.bytes();
        self.oldest.remove(&recent.number);
        if let Some(next) = entries.front() {
            self.oldest.insert(next.number, group);
        }
    }
}
