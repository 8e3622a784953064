//! Reading entries: what to fetch is decided under the lock, the disk is read without it.

use std::ops::Range;
use std::sync::Arc;

use super::file::SegmentFile;
use super::frame::{FRAME_OVERHEAD_BYTES, Kind};
use super::front::Front;
use super::index::Place;
use super::write::LogEntry;
use crate::Result;
use crate::ids::{GroupId, LogId, LogIndex};

/// The entries that a read will answer.
pub(super) struct Plan {
    group: GroupId,
    on_disk: Vec<Located>,
    /// They follow those on disk.
    recent: Vec<LogEntry>,
}

/// An entry that is no longer in memory.
struct Located {
    log_id: LogId,
    body_bytes: u32,
    place: Place,
    file: Arc<SegmentFile>,
}

/// Frames that lie this close together are read in one go.
const GAP_BYTES_MAX: u64 = 4 * 1024;

/// Most bytes read in one go, one large frame excepted.
const STRETCH_BYTES_MAX: u64 = 1024 * 1024;

impl Plan {
    /// Entries of `range`, at most `bytes_max` bytes of bodies, at least one if there is any.
    pub(super) fn make(
        front: &Front,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Self {
        let mut plan = Self {
            group,
            on_disk: Vec::new(),
            recent: Vec::new(),
        };
        let Some(index) = front.index(group) else {
            return plan;
        };
        let in_memory = front.tail().first(group);
        let mut bytes = 0;
        for (at, slot) in index
            .slots_from(range.start)
            .take_while(|(at, _)| *at < range.end)
        {
            if in_memory.is_some_and(|first| first <= at) {
                break;
            }
            bytes += slot.body_bytes() as usize;
            if bytes > bytes_max && !plan.on_disk.is_empty() {
                return plan;
            }
            let place = slot
                .place()
                .expect("the tail keeps every entry that is not synced");
            let file = front
                .segments
                .get(&place.segment)
                .expect("a segment outlives the entries in it");
            plan.on_disk.push(Located {
                log_id: LogId {
                    term: slot.term(),
                    index: at,
                },
                body_bytes: slot.body_bytes(),
                place,
                file: Arc::clone(file),
            });
        }
        let Some(in_memory) = in_memory else {
            return plan;
        };
        let recent = front.tail().entries_from(group, range.start.max(in_memory));
        for entry in recent.take_while(|entry| entry.log_id.index < range.end) {
            bytes += entry.body.len();
            if bytes > bytes_max && !(plan.on_disk.is_empty() && plan.recent.is_empty()) {
                break;
            }
            plan.recent.push(entry.clone());
        }
        plan
    }

    /// Reads what is on disk, with every checksum checked.
    pub(super) fn fetch(&self) -> Result<Vec<LogEntry>> {
        let mut entries = Vec::with_capacity(self.on_disk.len() + self.recent.len());
        for run in self.on_disk.chunk_by(|a, b| {
            let start = u64::from(b.place.offset);
            a.place.segment == b.place.segment
                && start >= a.end()
                && start - a.end() <= GAP_BYTES_MAX
        }) {
            let mut rest = run;
            while let Some(first) = rest.first() {
                let start = u64::from(first.place.offset);
                let fitting = rest.partition_point(|l| l.end() - start <= STRETCH_BYTES_MAX);
                let (now, later) = rest.split_at(fitting.max(1));
                fetch_stretch(self.group, now, &mut entries)?;
                rest = later;
            }
        }
        entries.extend(self.recent.iter().cloned());
        Ok(entries)
    }

    /// Whether all that the plan reads from disk is still where it was.
    pub(super) fn stands(&self, front: &Front) -> bool {
        let index = front.index(self.group);
        self.on_disk.iter().all(|located| {
            index
                .and_then(|index| index.slot(located.log_id.index)?.place())
                .is_some_and(|place| place == located.place)
        })
    }
}

/// Reads frames that lie close together in one file.
fn fetch_stretch(group: GroupId, located: &[Located], out: &mut Vec<LogEntry>) -> Result<()> {
    let (Some(first), Some(last)) = (located.first(), located.last()) else {
        return Ok(());
    };
    let file = &first.file;
    let end = u32::try_from(last.end())
        .map_err(|_| file.corrupt(last.place.offset, "the frame ends beyond 4 GiB"))?;
    let stretch = file.read_stretch(first.place.offset, end)?;
    for entry in located {
        let offset = entry.place.offset;
        let (head, body) = stretch.frame(offset)?;
        if head.kind != Kind::Entry || head.group != group || head.log_id != entry.log_id {
            let found = head.log_id;
            return Err(file.corrupt(
                offset,
                format!(
                    "entry {} was written here, {found} stands here",
                    entry.log_id
                ),
            ));
        }
        out.push(LogEntry {
            log_id: entry.log_id,
            body,
        });
    }
    Ok(())
}

impl Located {
    /// Where the frame ends in its file.
    fn end(&self) -> u64 {
        u64::from(self.place.offset) + u64::from(self.body_bytes) + FRAME_OVERHEAD_BYTES as u64
    }
}
