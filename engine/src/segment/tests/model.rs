//! What a log means, in maps.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Log, Write, entry};
use crate::env::Rng;
use crate::env::rng::SeededRng;
use crate::ids::{GroupId, LogId, LogIndex};
use crate::segment::LogEntry;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) groups: BTreeMap<GroupId, ModelGroup>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelGroup {
    pub(super) vote: Option<Bytes>,
    pub(super) purged: Option<LogId>,
    pub(super) entries: BTreeMap<LogIndex, LogEntry>,
}

impl ModelGroup {
    pub(super) fn last(&self) -> Option<LogId> {
        let last = self.entries.last_key_value();
        last.map(|(_, entry)| entry.log_id).or(self.purged)
    }

    pub(super) fn last_index(&self) -> u64 {
        self.last().map_or(0, |last| last.index.0)
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Entry(entry) => {
                self.entries.insert(entry.log_id.index, entry.clone());
            }
            Write::Vote(vote) => self.vote = Some(vote.clone()),
            Write::TruncateAfter(after) => self.entries.retain(|index, _| index <= after),
            Write::Purge(id) => {
                if self.purged.is_none_or(|purged| purged.index < id.index) {
                    self.purged = Some(*id);
                }
                self.entries.retain(|index, _| *index > id.index);
            }
            Write::Reset(id) => {
                self.purged = Some(*id);
                self.entries.clear();
            }
        }
    }
}

impl Model {
    pub(super) fn apply(&mut self, group: GroupId, write: &Write) {
        self.groups.entry(group).or_default().apply(write);
    }

    pub(super) fn apply_all(&mut self, group: GroupId, writes: &[Write]) {
        for write in writes {
            self.apply(group, write);
        }
    }

    /// What a log means.
    pub(super) fn read(log: &Log, groups: u32) -> Result<Self, String> {
        let mut model = Self::default();
        for group in (0..groups).map(GroupId) {
            let found = log.group(group);
            let entries = log
                .read(group, LogIndex(0), LogIndex(u64::MAX), usize::MAX)
                .map_err(|error| format!("read group {group}: {error}"))?;
            let read = ModelGroup {
                vote: found.vote,
                purged: found.purged,
                entries: entries
                    .into_iter()
                    .map(|entry| (entry.log_id.index, entry))
                    .collect(),
            };
            if read.last() != found.last {
                let last = found.last;
                return Err(format!("group {group}: the last entry is not {last:?}"));
            }
            model.groups.insert(group, read);
        }
        Ok(model)
    }

    /// Whether two models of so many groups mean the same.
    pub(super) fn is(&self, other: &Self, groups: u32) -> bool {
        let empty = ModelGroup::default();
        (0..groups).map(GroupId).all(|group| {
            self.groups.get(&group).unwrap_or(&empty) == other.groups.get(&group).unwrap_or(&empty)
        })
    }

    /// Tells how a log differs.
    pub(super) fn difference(&self, log: &Log, groups: u32) -> Option<String> {
        (0..groups).map(GroupId).find_map(|group| {
            let expected = self.groups.get(&group).cloned().unwrap_or_default();
            let found = log.group(group);
            let entries = log.read(group, LogIndex(0), LogIndex(u64::MAX), usize::MAX);
            let found = (found.vote, found.purged, found.last, entries.ok());
            let entries: Vec<LogEntry> = expected.entries.values().cloned().collect();
            let last = expected.last();
            let expected = (expected.vote, expected.purged, last, Some(entries));
            (found != expected).then(|| format!("group {group}: {found:?}, not {expected:?}"))
        })
    }

    /// Some writes that are possible now, for some group, with bodies below a length, decided by
    /// `rng`.
    pub(super) fn next_writes(
        &self,
        rng: &SeededRng,
        groups: u64,
        body_bytes_max: u64,
    ) -> (GroupId, Vec<Write>) {
        let below = |limit: u64| rng.next_u64() % limit;
        let number = u32::try_from(below(groups)).expect("few groups");
        let group = GroupId(number);
        let mut state = self.groups.get(&group).cloned().unwrap_or_default();
        let mut writes = Vec::new();
        for _ in 0..=below(3) {
            let last = state.last_index();
            let purged = state.purged.map_or(0, |purged| purged.index.0);
            let choices = match below(20) {
                0..=11 => (last + 1..=last + 1 + below(3))
                    .map(|index| {
                        let len = usize::try_from(below(body_bytes_max)).expect("small");
                        entry(1 + below(3), index, &super::body(rng.next_u64(), len))
                    })
                    .collect(),
                12..=14 => vec![Write::Vote(Bytes::copy_from_slice(
                    &rng.next_u64().to_le_bytes(),
                ))],
                15 => vec![Write::TruncateAfter(LogIndex(
                    last.saturating_sub(below(4)),
                ))],
                16..=18 => {
                    let index = purged + below(last - purged + 1);
                    let id = state.entries.get(&LogIndex(index)).map(|e| e.log_id);
                    id.map(Write::Purge).into_iter().collect()
                }
                _ => {
                    let id = LogId::new(9, last + below(3));
                    vec![if below(2) == 0 {
                        Write::Reset(id)
                    } else {
                        Write::Purge(id)
                    }]
                }
            };
            for write in &choices {
                state.apply(write);
            }
            writes.extend(choices);
        }
        (group, writes)
    }
}
