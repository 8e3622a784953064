//! Opening a log: from what recovery found to a writer behind a new segment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::file::FRAMES_AT;
use super::folder::Folder;
use super::front::{Front, Shared};
use super::options::LogOptions;
use super::recovery::{Recovered, recover};
use super::writer::{Writer, buffer_end, put_head};
use super::written::Written;
use crate::Result;
use crate::env::Env;
use crate::env::vfs::OpenMode;
use crate::failpoint::{Point, hit};
use crate::ids::ClusterId;

/// Recovers the log in `dir` and begins a new segment.
///
/// A crash anywhere in here is recovered from: until the new Head is durable, the old segments
/// are found again as they were.
pub(super) fn open(
    env: &Env,
    dir: &Path,
    cluster: ClusterId,
    options: &LogOptions,
) -> Result<(Arc<Shared>, Writer)> {
    let folder = Folder::open(env, dir, cluster, options.segment_bytes)?;
    let mut recovered = recover(&folder)?;
    hit(Point::LogRecovered);
    for seq in recovered.unused.iter().rev() {
        folder.remove(*seq)?;
    }
    write_last_commit_again(&folder, &recovered)?;
    let current = Arc::new(folder.create(recovered.end.segment + 1)?);
    let mut buffer = Vec::new();
    put_head(&mut buffer, &current, &recovered.written, recovered.end)?;
    current.write_at(&buffer, FRAMES_AT)?;
    current.sync()?;
    hit(Point::LogOpened);
    cut_last_segment(&folder, &mut recovered)?;
    recovered
        .segments
        .insert(current.seq(), Arc::clone(&current));

    let end = buffer_end(&current, FRAMES_AT, &buffer)?;
    let written = std::mem::take(&mut recovered.written);
    let shared = share(options, recovered, &written);
    let writer = Writer::new(Arc::clone(&shared), folder, written, current, end);
    Ok((shared, writer))
}

/// The frames after the last mark may stand in the page cache alone: an earlier process may
/// have been killed before its sync, or its sync may have failed and left the pages looking
/// clean. The same bytes are written once more, and synced, before anybody relies on them.
fn write_last_commit_again(folder: &Folder, recovered: &Recovered) -> Result<()> {
    let end = recovered.end;
    if end.segment == 0 {
        return Ok(());
    }
    let start = if recovered.marked.segment == end.segment {
        recovered.marked.offset
    } else {
        FRAMES_AT
    };
    let file = folder.segment(end.segment, OpenMode::ReadWrite)?;
    let mut bytes = Vec::new();
    file.read_into(&mut bytes, start, end.offset)?;
    file.write_at(&bytes, start)?;
    file.sync()
}

/// Gives back the room that a sealed segment will never use. Not synced: a crash may undo it.
fn cut_last_segment(folder: &Folder, recovered: &mut Recovered) -> Result<()> {
    let end = recovered.end;
    if end.segment == 0 {
        return Ok(());
    }
    folder
        .segment(end.segment, OpenMode::ReadWrite)?
        .cut(end.offset)?;
    // Opened again, so that its length is known when it is dropped.
    let cut = folder.segment(end.segment, OpenMode::Read)?;
    recovered.segments.insert(end.segment, Arc::new(cut));
    Ok(())
}

fn share(options: &LogOptions, recovered: Recovered, written: &Written) -> Arc<Shared> {
    let mut front = Front::new(options);
    for (group, index) in recovered.indexes {
        front.recover(group, index, written.vote_of(group));
    }
    front.segments = recovered.segments;
    Arc::new(Shared {
        options: options.clone(),
        front: Mutex::new(front),
        short: AtomicBool::new(false),
    })
}
