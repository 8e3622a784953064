//! One look at a log, segment by segment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{FrameView, LogItem, LogView, place, position, view};
use crate::env::Vfs;
use crate::env::vfs::OpenMode;
use crate::error::{Damage, Error, Result};
use crate::ids::GroupId;
use crate::inspect::{Problem, Seen, Severity};
use crate::segment::file::{FRAMES_AT, HEADERS_AT, SegmentFile, read_header_copy};
use crate::segment::frame::{Frame, Kind, Position};
use crate::segment::recovery::{Found, misplaced, read_head, sealed_at};
use crate::segment::window::{Window, later};
use crate::segment::written::Written;

/// What is known so far.
pub(super) struct Look<'a> {
    /// Whether a single segment is looked at: nothing is known of those before it.
    alone: bool,
    seen: &'a mut dyn FnMut(Seen<LogItem>),
    view: LogView,
    /// What the frames so far say; unknown behind damage, until the next Head.
    written: Option<Written>,
    /// The first entry of each group that no missing segment held.
    firsts: BTreeMap<GroupId, u64>,
    open_end: Option<OpenEnd>,
}

/// What stands behind a segment.
#[derive(Clone, Copy)]
pub(super) enum Next<'a> {
    Nothing,
    /// A segment whose header is damaged.
    Unreadable,
    Segment(&'a Found),
}

impl<'a> Next<'a> {
    pub(super) fn new(found: Option<&'a Option<Found>>) -> Self {
        match found {
            None => Self::Nothing,
            Some(None) => Self::Unreadable,
            Some(Some(found)) => Self::Segment(found),
        }
    }

    fn path(self) -> Option<PathBuf> {
        match self {
            Self::Segment(found) => Some(found.file.path().to_owned()),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

/// Where a segment ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The Head of the next segment says so.
    At(u32),
    /// At the first place where no frame parses, and with it the log.
    Open,
    /// The next segment cannot say.
    Unknown,
}

/// The first place where no frame parses, in a segment that no Head of a later one closes.
struct OpenEnd {
    at: Position,
    path: PathBuf,
    /// The segment behind it.
    next: Option<PathBuf>,
}

impl<'a> Look<'a> {
    pub(super) fn new(alone: bool, seen: &'a mut dyn FnMut(Seen<LogItem>)) -> Self {
        Self {
            alone,
            seen,
            view: LogView::default(),
            written: None,
            firsts: BTreeMap::new(),
            open_end: None,
        }
    }

    /// Tells a gap in the numbers before a segment.
    pub(super) fn expect(&mut self, path: &Path, before: Option<&Found>) {
        let Some(before) = before else { return };
        let expected = file_name(before.file.seq() + 1);
        if path
            .file_name()
            .is_none_or(|name| name != expected.as_str())
        {
            self.damage(&path.with_file_name(expected), 0, "the segment is missing");
        }
    }

    /// Opens a segment; `None` if neither copy of its header is good.
    pub(super) fn open(&mut self, vfs: &dyn Vfs, path: &Path) -> Result<Option<Found>> {
        let failed = |e| Error::io(format!("open segment {}", path.display()), e);
        let file = vfs.open(path, OpenMode::Read).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let mut copies = Vec::new();
        for at in HEADERS_AT {
            copies.push((at, read_header_copy(path, file.as_ref(), at)?));
        }
        let good = copies.iter().find_map(|(_, copy)| *copy);
        let Some(header) = good else {
            self.damage(path, 0, "both headers are damaged");
            return Ok(None);
        };
        for (at, copy) in copies {
            match copy {
                None => {
                    let what = "this copy of the header is damaged, the other serves";
                    self.problem(Severity::Harmless, path, at, what);
                }
                Some(copy) if copy != header => self.damage(path, 0, "the two headers disagree"),
                Some(_) => {}
            }
        }
        let named = file_name(header.seq);
        if path.file_name().is_none_or(|name| name != named.as_str()) {
            let what = format!("the header is that of segment {}", header.seq);
            self.damage(path, 0, what);
        }
        let Ok(len) = u32::try_from(len) else {
            self.damage(path, u64::from(u32::MAX), "the segment is too long");
            return Ok(None);
        };
        let file = SegmentFile::new(path.to_owned(), file, header, len);
        let head = match read_head(&file) {
            Ok(head) => head,
            Err(error) => {
                (self.seen)(Seen::Problem(Problem::of(error)?));
                None
            }
        };
        let file = Arc::new(file);
        Ok(Some(Found { file, head }))
    }

    /// A segment whose header is damaged: its frames cannot be checked, nor what follows from
    /// them.
    pub(super) fn unreadable(&mut self) {
        self.written = None;
    }

    /// Looks at the frames of a segment.
    pub(super) fn segment(&mut self, segment: &Found, next: Next<'_>) -> Result<()> {
        let file = &segment.file;
        (self.seen)(Seen::Item(LogItem::Segment(view(segment))));
        self.view.segments += 1;
        let end = self.end_of(segment, next)?;
        let until = match end {
            End::At(until) => until,
            End::Open | End::Unknown => file.len(),
        };
        let mut window = Window::new(file, until);
        let mut offset = FRAMES_AT;
        loop {
            if let Some(frame) = window.frame(offset)? {
                self.frame(segment, offset, &frame);
                offset = later(offset, frame.frame_bytes());
                continue;
            }
            if end == End::At(offset) {
                return Ok(());
            }
            let follows = window.next_frame(later(offset, 1))?;
            let path = file.path();
            match end {
                End::Unknown if follows.is_none() => {}
                End::At(_) | End::Unknown => {
                    self.damage(path, u64::from(offset), "the frame is damaged");
                    self.written = None;
                }
                End::Open if self.open_end.is_none() => {
                    self.open_end = Some(OpenEnd {
                        at: file.position(offset),
                        path: path.to_owned(),
                        next: next.path(),
                    });
                }
                End::Open => {}
            }
            match follows {
                Some(at) => offset = at,
                None => return Ok(()),
            }
        }
    }

    fn end_of(&mut self, segment: &Found, next: Next<'_>) -> Result<End> {
        let next = match next {
            Next::Nothing => return Ok(End::Open),
            Next::Segment(next) if next.file.seq() == segment.file.seq() + 1 => next,
            Next::Segment(_) | Next::Unreadable => return Ok(End::Unknown),
        };
        match sealed_at(segment, next) {
            Ok(Some(end)) => Ok(End::At(end)),
            Ok(None) => Ok(End::Open),
            Err(error) => {
                (self.seen)(Seen::Problem(Problem::of(error)?));
                Ok(End::Unknown)
            }
        }
    }

    fn frame(&mut self, segment: &Found, offset: u32, frame: &Frame<'_>) {
        let (file, head) = (&segment.file, &frame.head);
        let at = file.position(offset);
        self.prove(at, head.mark);
        let counts = self.open_end.is_none();
        (self.seen)(Seen::Item(LogItem::Frame(FrameView {
            at: place(at),
            kind: head.kind.name(),
            group: head.group,
            log_id: head.log_id,
            mark: place(head.mark),
            body_bytes: frame.body.len(),
            counts,
        })));
        if !counts {
            return;
        }
        self.view.frames += 1;
        self.view.entries += u64::from(head.kind == Kind::Entry);
        self.view.end = Some(place(file.position(later(offset, frame.frame_bytes()))));
        if head.mark > position(self.view.marked) {
            self.view.marked = place(head.mark);
        }
        if head.kind == Kind::Head {
            self.head(segment);
        }
        let Some(written) = &mut self.written else {
            return;
        };
        if let Some(problem) = misplaced(head, at, &written.bounds(head.group)) {
            self.damage(file.path(), u64::from(offset), problem);
            self.written = None;
            return;
        }
        self.follow(frame, at);
    }

    /// The oldest Head begins the state; each later one must repeat what the frames said.
    fn head(&mut self, segment: &Found) {
        let Some(head) = &segment.head else { return };
        let agrees = self
            .written
            .as_ref()
            .is_none_or(|written| written.agrees(head));
        if !agrees {
            let what = "the Head disagrees with the frames of the segments before it";
            self.damage(segment.file.path(), u64::from(FRAMES_AT), what);
        }
        if self.written.is_none() || !agrees {
            self.written = Some(Written::from_head(head));
            let firsts = head.groups.iter();
            self.firsts = firsts
                .map(|(group, head)| (*group, head.bounds.last.0 + 1))
                .collect();
        }
    }

    /// Takes note of what a frame says.
    fn follow(&mut self, frame: &Frame<'_>, at: Position) {
        let Some(written) = &mut self.written else {
            return;
        };
        let (group, log_id) = (frame.head.group, frame.head.log_id);
        let first = self.firsts.entry(group).or_insert(1);
        match frame.head.kind {
            Kind::Entry => written.entry(group, log_id.index, at.segment),
            Kind::Vote => written.vote(group, Bytes::copy_from_slice(frame.body)),
            Kind::TruncateAfter => {
                written.truncate_after(group, log_id.index);
                *first = (*first).min(written.bounds(group).next().0);
            }
            Kind::Purge => written.purge(group, log_id),
            Kind::Reset => {
                written.reset(group, log_id);
                *first = log_id.index.0 + 1;
            }
            Kind::Mark | Kind::Head => {}
        }
    }

    /// A frame behind the end of the log may prove that the log was durable beyond it. Frames
    /// then count again: what is lost between is told.
    fn prove(&mut self, at: Position, mark: Position) {
        // A mark ahead of its own frame proves nothing.
        let proves = |open: &mut OpenEnd| mark > open.at && mark <= at;
        let Some(open) = self.open_end.take_if(proves) else {
            return;
        };
        let Position { segment, offset } = at;
        let what = if segment == open.at.segment {
            format!("the frame was durable, as the one at byte {offset} proves")
        } else {
            format!(
                "the frame was durable, as the one at byte {offset} of segment {segment} proves"
            )
        };
        match &open.next {
            // The next segment was durable from its Head on, and its Head does not parse.
            Some(next) if mark.segment > open.at.segment => {
                self.damage(next, u64::from(FRAMES_AT), what);
            }
            _ => self.damage(&open.path, u64::from(open.at.offset), what),
        }
        self.written = None;
    }

    /// Judges what stands behind the end, and what is missing before the beginning.
    pub(super) fn finish(mut self, found: &[Option<Found>]) -> Result<LogView> {
        let mut segments = found.iter().flatten();
        if let Some(open) = self.open_end.take()
            && let Some(last) = segments
                .clone()
                .find(|found| found.file.seq() == open.at.segment)
        {
            let unused = self.view.end.is_none();
            if unused && open.at.segment != 1 && !self.alone {
                // Older segments are dropped only after a later Head is durable.
                self.damage(
                    &open.path,
                    u64::from(FRAMES_AT),
                    "the oldest segment has no Head",
                );
            } else if !Window::new(&last.file, last.file.len()).is_zero(open.at.offset)? {
                let what = "the log ends here; behind it stands a write that was cut short, or \
                            what an earlier use of the file left";
                let offset = u64::from(open.at.offset);
                self.problem(Severity::TornTail, &open.path, offset, what);
            }
        }
        if let (Some(written), Some(oldest), false) =
            (self.written.take(), segments.next(), self.alone)
        {
            self.missing_entries(&written, oldest.file.path());
        }
        Ok(self.view)
    }

    /// Entries that are neither purged nor in any segment.
    fn missing_entries(&mut self, written: &Written, oldest: &Path) {
        for (group, first) in std::mem::take(&mut self.firsts) {
            let expected = written.bounds(group).purged_index().0 + 1;
            if expected < first {
                let last = first - 1;
                let what = format!(
                    "entries {expected} to {last} of group {group} stood in segments before this \
                     one, which are missing"
                );
                self.damage(oldest, u64::from(FRAMES_AT), what);
            }
        }
    }

    fn damage(&mut self, path: &Path, offset: u64, what: impl ToString) {
        self.problem(Severity::Damage, path, offset, what);
    }

    fn problem(&mut self, severity: Severity, path: &Path, offset: u64, what: impl ToString) {
        let damage = Damage {
            path: path.to_owned(),
            offset,
            what: what.to_string(),
        };
        (self.seen)(Seen::Problem(Problem::new(severity, damage)));
    }
}

fn file_name(seq: u64) -> String {
    format!("{seq:016x}.seg")
}
