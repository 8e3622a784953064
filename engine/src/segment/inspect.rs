//! A look at segments: every frame, and whether what does not parse is a torn tail or damage.
//!
//! The rules are those of recovery; unlike recovery it goes on behind damage, and holds one frame
//! instead of one segment in memory.

mod look;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::folder::number;
use super::frame::Position;
use super::recovery::Found;
use crate::env::Vfs;
use crate::error::{Error, Result};
use crate::ids::{ClusterId, GroupId, LogId};
use crate::inspect::Seen;
use look::{Look, Next};

/// What a look at a log meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogItem {
    /// A segment begins.
    Segment(SegmentView),
    /// A frame whose checksum is right.
    Frame(FrameView),
}

/// What the header of a segment says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentView {
    /// Where it is.
    pub path: PathBuf,
    /// Its number.
    pub segment: u64,
    /// Whose log it belongs to.
    pub cluster: ClusterId,
    /// Drawn at random for each use of a file.
    pub salt: u64,
    /// Length of the file.
    pub bytes: u32,
    /// Where the segment before it ended, if its Head says so.
    pub previous: Option<Place>,
    /// The groups in its Head; `None` for a segment that was never used.
    pub groups: Option<usize>,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Number of the segment.
    pub segment: u64,
    /// Byte in its file.
    pub offset: u32,
}

/// A frame without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FrameView {
    /// Where it stands.
    pub at: Place,
    /// What it says, as a word.
    pub kind: &'static str,
    /// Whose it is.
    pub group: GroupId,
    /// The entry's id, or the one purged, reset or truncated to.
    pub log_id: LogId,
    /// The log was durable up to here when the frame was written.
    pub mark: Place,
    /// Length of the body.
    pub body_bytes: usize,
    /// Whether it belongs to the log: a frame behind a torn one does not.
    pub counts: bool,
}

/// What a log amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogView {
    /// How many segments were looked at.
    pub segments: u64,
    /// How many frames parse and count.
    pub frames: u64,
    /// How many of them are entries.
    pub entries: u64,
    /// Where the log ends; `None` if there is no frame.
    pub end: Option<Place>,
    /// The log says of itself that it was durable up to here.
    pub marked: Place,
}

/// Looks at a folder of segments, or at one segment alone: a torn tail can then be told from
/// damage only by what stands in that segment.
///
/// # Errors
/// `NotFound`, `Io` if the files cannot be read, `Unsupported` for those of a newer build. Damage
/// is no error: it is seen.
pub fn log(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    seen: &mut dyn FnMut(Seen<LogItem>),
) -> Result<LogView> {
    let failed = |e| Error::io(format!("open log {}", path.display()), e);
    let (paths, alone): (Vec<_>, _) = match vfs.list(path) {
        Ok(names) => {
            let names = names.into_iter().map(|entry| entry.name);
            let names = names.filter(|name| number(name, ".seg").is_some());
            (names.map(|name| path.join(name)).collect(), false)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => (vec![path.to_owned()], true),
        Err(e) => return Err(failed(e)),
    };
    segments(vfs, &paths, alone, seen)
}

/// Looks at segments in their order. `alone` says that there may be others before them.
pub(super) fn segments(
    vfs: &Arc<dyn Vfs>,
    paths: &[PathBuf],
    alone: bool,
    seen: &mut dyn FnMut(Seen<LogItem>),
) -> Result<LogView> {
    let mut look = Look::new(alone, seen);
    let mut found: Vec<Option<Found>> = Vec::new();
    for path in paths {
        look.expect(path, found.last().and_then(Option::as_ref));
        found.push(look.open(vfs.as_ref(), path)?);
    }
    for (index, segment) in found.iter().enumerate() {
        match segment {
            Some(segment) => look.segment(segment, Next::new(found.get(index + 1)))?,
            None => look.unreadable(),
        }
    }
    look.finish(&found)
}

fn view(segment: &Found) -> SegmentView {
    let (file, head) = (&segment.file, segment.head.as_ref());
    SegmentView {
        path: file.path().to_owned(),
        segment: file.seq(),
        cluster: file.header().cluster,
        salt: file.header().salt,
        bytes: file.len(),
        previous: head
            .map(|head| place(head.previous))
            .filter(|previous| previous.segment > 0),
        groups: head.map(|head| head.groups.len()),
    }
}

fn place(at: Position) -> Place {
    Place {
        segment: at.segment,
        offset: at.offset,
    }
}

fn position(at: Place) -> Position {
    Position {
        segment: at.segment,
        offset: at.offset,
    }
}
