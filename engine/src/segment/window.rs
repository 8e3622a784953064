//! A segment's bytes, some at a time.

use crate::Result;
use crate::segment::file::SegmentFile;
use crate::segment::frame::{FRAME_HEAD_BYTES, FRAME_OVERHEAD_BYTES, Frame, Position, frame_bytes};

/// Read at once, unless a single frame is longer.
const READ_BYTES: usize = 1 << 20;

/// The part of a segment that is in memory.
pub(super) struct Window<'a> {
    file: &'a SegmentFile,
    until: u32,
    start: u32,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    /// A view of a segment's bytes up to `until`.
    pub(super) fn new(file: &'a SegmentFile, until: u32) -> Self {
        Self {
            file,
            until,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// The bytes from `offset` on: at least `need` of them, if there are so many.
    fn at(&mut self, offset: u32, need: usize) -> Result<&[u8]> {
        let skipped = |start: u32| offset.checked_sub(start).map(|skipped| skipped as usize);
        let held = skipped(self.start).and_then(|skipped| self.bytes.get(skipped..));
        if held.is_none_or(|held| held.len() < need) {
            let want = u32::try_from(need.max(READ_BYTES)).unwrap_or(u32::MAX);
            let end = offset.saturating_add(want).min(self.until);
            self.file.read_into(&mut self.bytes, offset.min(end), end)?;
            self.start = offset;
        }
        let held = skipped(self.start).and_then(|skipped| self.bytes.get(skipped..));
        Ok(held.unwrap_or_default())
    }

    /// The frame at `offset`; `None` if none parses there.
    pub(super) fn frame(&mut self, offset: u32) -> Result<Option<Frame<'_>>> {
        let Some(len) = frame_bytes(self.at(offset, FRAME_OVERHEAD_BYTES)?) else {
            return Ok(None);
        };
        let codec = self.file.codec();
        Ok(codec.parse(self.at(offset, len)?, offset))
    }

    /// Where the next frame that parses begins, at `from` or behind it.
    pub(super) fn next_frame(&mut self, mut from: u32) -> Result<Option<u32>> {
        let codec = self.file.codec();
        loop {
            let bytes = self.at(from, FRAME_OVERHEAD_BYTES)?;
            if bytes.len() < FRAME_OVERHEAD_BYTES {
                return Ok(None);
            }
            let Some((skipped, _)) = codec.find_head(bytes, 0, from) else {
                from = later(from, bytes.len() - (FRAME_HEAD_BYTES - 1));
                continue;
            };
            from = later(from, skipped);
            if self.frame(from)?.is_some() {
                return Ok(Some(from));
            }
            from = later(from, 1);
        }
    }

    /// The first frame at `from` or behind it that parses and carries a mark beyond a position:
    /// where it begins, and its mark.
    pub(super) fn find_mark_beyond(
        &mut self,
        position: Position,
        mut from: u32,
    ) -> Result<Option<(u32, Position)>> {
        let codec = self.file.codec();
        loop {
            let bytes = self.at(from, FRAME_OVERHEAD_BYTES)?;
            if bytes.len() < FRAME_OVERHEAD_BYTES {
                return Ok(None);
            }
            let heads = codec.heads_beyond(position, bytes, from);
            from = later(from, bytes.len() - (FRAME_HEAD_BYTES - 1));
            for (at, head) in heads {
                if self.frame(at)?.is_some() {
                    return Ok(Some((at, head.mark)));
                }
            }
        }
    }

    /// Whether nothing but zeroes stands from `offset` on.
    pub(super) fn is_zero(&mut self, mut offset: u32) -> Result<bool> {
        loop {
            let bytes = self.at(offset, 1)?;
            if bytes.is_empty() {
                return Ok(true);
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset = later(offset, bytes.len());
        }
    }
}

/// A place so many bytes behind another; no file is longer than 4 GiB.
pub(super) fn later(offset: u32, bytes: usize) -> u32 {
    offset.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX))
}
