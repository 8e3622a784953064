//! Opening: what the segments still say, and where the log ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::file::{FRAMES_AT, SegmentFile};
use super::folder::Folder;
use super::frame::{Frame, FrameHead, Kind, Position};
use super::index::{GroupIndex, INDEX_MAX, Place};
use super::window::Window;
use super::written::{Bounds, Head, Written};
use crate::Result;
use crate::env::vfs::OpenMode;
use crate::ids::GroupId;

/// A log as it was found.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) indexes: BTreeMap<GroupId, GroupIndex>,
    /// The votes, and what the next Head says.
    pub(super) written: Written,
    /// All segments that hold frames.
    pub(super) segments: BTreeMap<u64, Arc<SegmentFile>>,
    /// Prepared segments behind them, in which nothing durable stands; ascending.
    pub(super) unused: Vec<u64>,
    /// Where the last segment ends; segment 0 if there is none.
    pub(super) end: Position,
    /// Up to here the log says of itself that it was durable.
    pub(super) marked: Position,
}

/// Reads all segments of a folder; changes nothing but leftovers of preparing.
pub(super) fn recover(folder: &Folder) -> Result<Recovered> {
    let mut found = Vec::new();
    for seq in folder.list()? {
        let file = folder.segment(seq, OpenMode::Read)?;
        let head = read_head(&file)?;
        found.push(Found {
            file: Arc::new(file),
            head,
        });
    }
    let mut replay = Replay::default();
    let mut rest = found.as_slice();
    while let Some((segment, later)) = rest.split_first() {
        if !replay.segment(segment, later)? {
            break;
        }
        rest = later;
    }
    replay.recovered.unused = rest
        .iter()
        .map(|segment| segment.file.seq())
        .filter(|seq| *seq > replay.recovered.end.segment)
        .collect();
    replay.finish()
}

/// A segment with a good header.
pub(super) struct Found {
    pub(super) file: Arc<SegmentFile>,
    /// `None` if none parses: a segment that was prepared and never used, or a damaged one.
    pub(super) head: Option<Head>,
}

pub(super) fn read_head(file: &SegmentFile) -> Result<Option<Head>> {
    let Some(body) = file.read_head()? else {
        return Ok(None);
    };
    Head::decode(body)
        .map(Some)
        .map_err(|problem| file.corrupt(FRAMES_AT, problem))
}

#[derive(Default)]
struct Replay {
    recovered: Recovered,
    /// One segment's bytes; used again for each.
    bytes: Vec<u8>,
}

impl Replay {
    /// Replays one segment; `false` if the log ends in it or before it.
    fn segment(&mut self, segment: &Found, later: &[Found]) -> Result<bool> {
        let file = &segment.file;
        let sealed_at = match later.first() {
            Some(next) => sealed_at(segment, next)?,
            None => None,
        };
        let until = sealed_at.unwrap_or(file.len());
        let mut bytes = std::mem::take(&mut self.bytes);
        file.read_into(&mut bytes, FRAMES_AT.min(until), until)?;
        let end = self.frames(segment, &bytes)?;
        let ended_well = match sealed_at {
            Some(sealed_at) if end == sealed_at => true,
            Some(_) => return Err(file.corrupt(end, "the frame is damaged")),
            None => {
                check_torn(file, end, &bytes, later)?;
                false
            }
        };
        let has_frames = end > FRAMES_AT;
        if has_frames {
            self.recovered.end = file.position(end);
            self.recovered.segments.insert(file.seq(), Arc::clone(file));
        } else if self.recovered.segments.is_empty() && file.seq() != 1 {
            // Older segments are dropped only after a later Head is durable.
            return Err(file.corrupt(FRAMES_AT, "the oldest segment has no Head"));
        }
        self.bytes = bytes;
        Ok(ended_well)
    }

    /// Replays frames up to the first place where none parses, and answers that place.
    fn frames(&mut self, segment: &Found, bytes: &[u8]) -> Result<u32> {
        let file = &segment.file;
        let mut offset = FRAMES_AT;
        let mut rest = bytes;
        while let Some(frame) = file.codec().parse(rest, offset) {
            let at = file.position(offset);
            let bounds = self.recovered.written.bounds(frame.head.group);
            if let Some(problem) = misplaced(&frame.head, at, &bounds) {
                return Err(file.corrupt(offset, problem));
            }
            self.frame(segment, at, &frame)?;
            self.recovered.marked = self.recovered.marked.max(frame.head.mark);
            let len = frame.frame_bytes();
            rest = rest.get(len..).unwrap_or_default();
            offset = u32::try_from(len)
                .ok()
                .and_then(|len| offset.checked_add(len))
                .ok_or_else(|| file.corrupt(offset, "the frame ends beyond 4 GiB"))?;
        }
        Ok(offset)
    }

    fn frame(&mut self, segment: &Found, at: Position, frame: &Frame<'_>) -> Result<()> {
        let file = &segment.file;
        let (group, log_id) = (frame.head.group, frame.head.log_id);
        match frame.head.kind {
            Kind::Mark => return Ok(()),
            Kind::Head => return self.head(segment),
            _ => {}
        }
        let index = self.recovered.indexes.entry(group).or_default();
        let written = &mut self.recovered.written;
        match frame.head.kind {
            Kind::Entry => {
                let place = Place {
                    segment: at.segment,
                    offset: at.offset,
                };
                let body_bytes = u32::try_from(frame.body.len())
                    .map_err(|_| file.corrupt(at.offset, "the body is too long"))?;
                index.push_placed(log_id.term, body_bytes, place);
                written.entry(group, log_id.index, at.segment);
            }
            Kind::Vote => written.vote(group, Bytes::copy_from_slice(frame.body)),
            Kind::TruncateAfter => {
                index.truncate_after(log_id.index);
                written.truncate_after(group, log_id.index);
            }
            Kind::Purge => {
                index.purge(log_id);
                written.purge(group, log_id);
            }
            Kind::Reset => {
                index.reset(log_id);
                written.reset(group, log_id);
            }
            Kind::Mark | Kind::Head => {}
        }
        Ok(())
    }

    /// The oldest Head begins the state; each later one must repeat what the frames said.
    fn head(&mut self, segment: &Found) -> Result<()> {
        let recovered = &mut self.recovered;
        let Some(head) = &segment.head else {
            return Ok(());
        };
        if recovered.segments.is_empty() {
            recovered.written = Written::from_head(head);
            recovered.indexes = head
                .groups
                .iter()
                .map(|(group, head)| {
                    let (purged, last) = (head.bounds.purged, head.bounds.last);
                    (*group, GroupIndex::starting_at(purged, last))
                })
                .collect();
        } else if !recovered.written.agrees(head) {
            return Err(segment.file.corrupt(
                FRAMES_AT,
                "the Head disagrees with the frames of the segments before it",
            ));
        }
        Ok(())
    }

    fn finish(self) -> Result<Recovered> {
        for (group, index) in &self.recovered.indexes {
            if let (Some((first, last)), Some(oldest)) =
                (index.hole(), self.recovered.segments.values().next())
            {
                return Err(oldest.corrupt(
                    FRAMES_AT,
                    format!(
                        "entries {first} to {last} of group {group} stood in segments before \
                         this one, which are missing"
                    ),
                ));
            }
        }
        Ok(self.recovered)
    }
}

/// What is wrong with a frame whose checksum is right: it says what no frame at its place says.
pub(super) fn misplaced(head: &FrameHead, at: Position, bounds: &Bounds) -> Option<String> {
    let (group, log_id) = (head.group, head.log_id);
    let too_large = log_id.index > INDEX_MAX;
    if head.mark > at {
        return Some("the durable mark lies ahead of its frame".to_owned());
    }
    if (head.kind == Kind::Head) != (at.offset == FRAMES_AT) {
        return Some("a Head stands where none belongs, or lacks".to_owned());
    }
    match head.kind {
        Kind::Entry if log_id.index != bounds.next() || too_large => {
            let next = bounds.next();
            Some(format!(
                "entry {log_id} of group {group} stands where {next} belongs"
            ))
        }
        Kind::Purge | Kind::Reset if too_large => Some("an index is too large".to_owned()),
        _ => None,
    }
}

/// Where the Head of the next segment says that this one ends; `None` without such a Head.
pub(super) fn sealed_at(segment: &Found, next: &Found) -> Result<Option<u32>> {
    let Some(head) = &next.head else {
        return Ok(None);
    };
    let (file, end) = (&segment.file, head.previous);
    let possible = FRAMES_AT..=file.len();
    if end.segment != file.seq() || !possible.contains(&end.offset) {
        return Err(next.file.corrupt(
            FRAMES_AT,
            format!(
                "the Head says that segment {} ended at byte {}, but before it stands segment {} \
                 of {} bytes",
                end.segment,
                end.offset,
                file.seq(),
                file.len()
            ),
        ));
    }
    Ok(Some(end.offset))
}

/// Tells a torn tail from damage: a valid frame behind `end`, in this segment (whose frames
/// are `bytes`) or in later ones, that carries a mark beyond it proves that it was durable.
fn check_torn(file: &SegmentFile, end: u32, bytes: &[u8], later: &[Found]) -> Result<()> {
    let position = file.position(end);
    let skipped = end.saturating_sub(FRAMES_AT) as usize + 1;
    let behind = bytes.get(skipped..).unwrap_or_default();
    let start = end.saturating_add(1);
    if let Some((at, _)) = file.codec().find_mark_beyond(position, behind, start) {
        let what = format!("the frame was durable, as the one at byte {at} proves");
        return Err(file.corrupt(end, what));
    }
    for segment in later {
        let witness = &segment.file;
        let mut window = Window::new(witness, witness.len());
        let Some((at, mark)) = window.find_mark_beyond(position, FRAMES_AT)? else {
            continue;
        };
        let seq = witness.seq();
        let what =
            format!("the frame was durable, as the one at byte {at} of segment {seq} proves");
        return match later.first() {
            // The next segment was durable from its Head on, and its Head does not parse.
            Some(next) if mark.segment > file.seq() => Err(next.file.corrupt(FRAMES_AT, what)),
            _ => Err(file.corrupt(end, what)),
        };
    }
    Ok(())
}
