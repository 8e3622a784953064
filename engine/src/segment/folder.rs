//! The folder of segments: names, preparing, recycling and removing files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{SegmentFile, SegmentHeader};
use crate::env::vfs::{OpenMode, create_dir_durable};
use crate::env::{Env, File};
use crate::failpoint::{Point, hit};
use crate::ids::ClusterId;
use crate::planted::{Planted, on};
use crate::{Error, ErrorKind, Result};

/// Where the segments of a log lie, and how new ones are made.
///
/// Every method that changes names returns only when the change is durable, so names change
/// one at a time and the numbers never show a gap.
#[derive(Debug)]
pub(super) struct Folder {
    env: Env,
    path: PathBuf,
    cluster: ClusterId,
    segment_bytes: u32,
}

impl Folder {
    /// Creates the folder if it is missing.
    pub(super) fn open(
        env: &Env,
        path: &Path,
        cluster: ClusterId,
        segment_bytes: u32,
    ) -> Result<Self> {
        create_dir_durable(env.vfs.as_ref(), path)
            .map_err(|e| Error::io(format!("create the log folder {}", path.display()), e))?;
        let folder = Self {
            env: env.clone(),
            path: path.to_owned(),
            cluster,
            segment_bytes,
        };
        // An earlier process may have been killed before it synced a change of names. Together
        // with the next change there would be two, and a crash that keeps the later one alone
        // shows a gap.
        folder.sync_names()?;
        Ok(folder)
    }

    /// The numbers of all segments, ascending; removes what a crash left half prepared.
    pub(super) fn list(&self) -> Result<Vec<u64>> {
        let names =
            self.env.vfs.list(&self.path).map_err(|e| {
                Error::io(format!("list the log folder {}", self.path.display()), e)
            })?;
        let mut segments = Vec::new();
        for entry in names {
            if let Some(seq) = number(&entry.name, ".seg") {
                segments.push(seq);
            } else if number(&entry.name, ".tmp").is_some() {
                self.remove_file(&self.path.join(&entry.name))?;
            }
        }
        segments.sort_unstable();
        for (before, after) in segments.iter().zip(segments.iter().skip(1)) {
            if before + 1 != *after {
                let missing = self.segment_path(before + 1);
                return Err(Error::corrupt(&missing, 0, "the segment is missing"));
            }
        }
        Ok(segments)
    }

    /// Opens an existing segment.
    pub(super) fn segment(&self, seq: u64, mode: OpenMode) -> Result<SegmentFile> {
        SegmentFile::open(
            self.env.vfs.as_ref(),
            &self.segment_path(seq),
            seq,
            self.cluster,
            mode,
        )
    }

    /// Whether a segment and `keep_free` bytes beside it fit on the disk. A disk that cannot be
    /// asked is asked in earnest.
    pub(super) fn has_room(&self, keep_free: u64) -> bool {
        let needed = u64::from(self.segment_bytes).saturating_add(keep_free);
        keep_free == 0
            || self
                .env
                .vfs
                .space(&self.path)
                .map_or(true, |space| space.free_bytes >= needed)
    }

    /// Prepares a new segment in full; [`ErrorKind::Full`] means that nothing was changed.
    pub(super) fn create(&self, seq: u64) -> Result<SegmentFile> {
        let temporary = self.temporary_path(seq);
        let made = self
            .env
            .vfs
            .open(&temporary, OpenMode::CreateNew)
            .and_then(|file| {
                file.preallocate(u64::from(self.segment_bytes))?;
                let header = self.header(seq);
                SegmentFile::format(file.as_ref(), &header)?;
                Ok((file, header))
            });
        match made {
            Ok((file, header)) => self.publish(&temporary, file, header),
            Err(e) => {
                // The name may not exist; the failure that is told is the first one.
                let _ = self.env.vfs.remove(&temporary);
                Err(Error::io(format!("prepare segment {seq}"), e))
            }
        }
    }

    /// Whether a dropped segment can be used again.
    pub(super) fn recyclable(&self, old: &SegmentFile) -> bool {
        old.len() == self.segment_bytes
    }

    /// Gives a dropped segment a new life as `seq`.
    ///
    /// Its old name is gone for good before its header changes: otherwise a crash could show
    /// the old number with the new header.
    pub(super) fn recycle(&self, old: &SegmentFile, seq: u64) -> Result<SegmentFile> {
        let temporary = self.temporary_path(seq);
        let failed = |e| {
            Error::with_source(
                ErrorKind::Io,
                format!("recycle {} as segment {seq}", old.path().display()),
                e,
            )
        };
        self.env
            .vfs
            .rename(old.path(), &temporary)
            .map_err(failed)?;
        hit(Point::LogSegmentTaken);
        self.sync_names()?;
        let file = self
            .env
            .vfs
            .open(&temporary, OpenMode::ReadWrite)
            .map_err(failed)?;
        let header = self.header(seq);
        SegmentFile::format(file.as_ref(), &header).map_err(failed)?;
        let recycled = self.publish(&temporary, file, header)?;
        hit(Point::LogSegmentRecycled);
        Ok(recycled)
    }

    /// Removes a segment.
    pub(super) fn remove(&self, seq: u64) -> Result<()> {
        self.remove_file(&self.segment_path(seq))?;
        hit(Point::LogSegmentRemoved);
        self.sync_names()
    }

    fn publish(
        &self,
        temporary: &Path,
        file: Arc<dyn File>,
        header: SegmentHeader,
    ) -> Result<SegmentFile> {
        hit(Point::LogSegmentPrepared);
        let path = self.segment_path(header.seq);
        self.env.vfs.rename(temporary, &path).map_err(|e| {
            let context = format!("name segment {}", path.display());
            Error::with_source(ErrorKind::Io, context, e)
        })?;
        hit(Point::LogSegmentNamed);
        self.sync_names()?;
        Ok(SegmentFile::new(path, file, header, self.segment_bytes))
    }

    fn sync_names(&self) -> Result<()> {
        if on(Planted::LogFolderNotSynced) {
            return Ok(());
        }
        // Never `Full`: after this nothing is known of the names, so it must not be retried.
        self.env.vfs.sync_dir(&self.path).map_err(|e| {
            let context = format!("sync the log folder {}", self.path.display());
            Error::with_source(ErrorKind::Io, context, e)
        })
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.env
            .vfs
            .remove(path)
            .map_err(|e| Error::io(format!("remove {}", path.display()), e))
    }

    fn header(&self, seq: u64) -> SegmentHeader {
        SegmentHeader {
            cluster: self.cluster,
            seq,
            salt: self.env.rng.next_u64(),
            key: 0,
        }
    }

    fn segment_path(&self, seq: u64) -> PathBuf {
        self.path.join(format!("{seq:016x}.seg"))
    }

    fn temporary_path(&self, seq: u64) -> PathBuf {
        self.path.join(format!("{seq:016x}.tmp"))
    }
}

/// Largest number of a segment: counting on from it never overflows.
const SEGMENT_MAX: u64 = u64::MAX / 2;

/// The number in a name of exactly 16 hex digits and `suffix`.
pub(super) fn number(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let seq = u64::from_str_radix(digits, 16).ok()?;
    let is_ours = (1..=SEGMENT_MAX).contains(&seq) && format!("{seq:016x}") == digits;
    is_ours.then_some(seq)
}
