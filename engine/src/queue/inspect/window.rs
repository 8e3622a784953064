//! A partition file's bytes, some at a time.

use std::path::Path;

use bytes::Bytes;

use crate::Result;
use crate::env::File;
use crate::ids::Offset;
use crate::limits::FRAME_BODY_BYTES_MAX;
use crate::queue::file::read_at;
use crate::queue::record::{Damage, FRAME_HEAD_BYTES, Frame, take_frame};

/// Read at once, unless a single frame is longer.
const READ_BYTES: u64 = 1 << 20;

/// A frame's head, offset, revision and time, and a message of nothing.
const FRAME_BYTES_MIN: usize = FRAME_HEAD_BYTES + 24 + 9;

/// The part of a file that is in memory.
pub(super) struct Window<'a> {
    path: &'a Path,
    file: &'a dyn File,
    salt: u64,
    until: u64,
    start: u64,
    bytes: Bytes,
}

impl<'a> Window<'a> {
    /// A view of a file's bytes up to `until`.
    pub(super) fn new(path: &'a Path, file: &'a dyn File, salt: u64, until: u64) -> Self {
        Self {
            path,
            file,
            salt,
            until,
            start: 0,
            bytes: Bytes::new(),
        }
    }

    /// The bytes from `position` on: at least `need` of them, if there are so many.
    fn at(&mut self, position: u64, need: usize) -> Result<Bytes> {
        let held = |start: u64, bytes: &Bytes| {
            let skipped = usize::try_from(position.checked_sub(start)?).ok()?;
            (skipped <= bytes.len()).then(|| bytes.slice(skipped..))
        };
        match held(self.start, &self.bytes) {
            Some(bytes) if bytes.len() >= need => return Ok(bytes),
            _ => {}
        }
        let left = self.until.saturating_sub(position);
        let len = left.min(READ_BYTES.max(need as u64));
        self.bytes = read_at(self.path, self.file, position, len)?;
        self.start = position;
        Ok(self.bytes.clone())
    }

    /// The frame at `position`; `Ok(None)` where the bytes end.
    pub(super) fn frame(
        &mut self,
        position: u64,
        expected: Offset,
    ) -> Result<Result<Option<Frame>, Damage>> {
        let mut need = FRAME_HEAD_BYTES;
        loop {
            let bytes = self.at(position, need)?;
            if bytes.is_empty() {
                return Ok(Ok(None));
            }
            match take_frame(&bytes, self.salt, position, expected) {
                Ok(Frame::Short { need: more }) if bytes.len() < need => {
                    debug_assert!(more > bytes.len());
                    return Ok(Err(Damage::End));
                }
                Ok(Frame::Short { need: more }) => need = more,
                Ok(whole) => return Ok(Ok(Some(whole))),
                Err(damage) => return Ok(Err(damage)),
            }
        }
    }

    /// The next frame behind `position`, where the one of the message `lost` is damaged: its
    /// place, and the offset of its message.
    pub(super) fn next_frame(
        &mut self,
        position: u64,
        lost: Offset,
    ) -> Result<Option<(u64, Offset)>> {
        let mut from = position + 1;
        loop {
            let bytes = self.at(from, FRAME_BYTES_MIN)?;
            if bytes.len() < FRAME_BYTES_MIN {
                return Ok(None);
            }
            for skipped in 0..=bytes.len() - FRAME_BYTES_MIN {
                let at = from + skipped as u64;
                let between = (at - position) / FRAME_BYTES_MIN as u64;
                let Some(offset) = bytes.get(skipped..).and_then(announced) else {
                    continue;
                };
                // So many messages at most fit between; few places pass that are no frame.
                let possible = lost.0 < offset && offset - lost.0 <= between + 1;
                if possible && matches!(self.frame(at, Offset(offset))?, Ok(Some(_))) {
                    return Ok(Some((at, Offset(offset))));
                }
            }
            from += (bytes.len() - FRAME_BYTES_MIN) as u64 + 1;
        }
    }
}

/// The offset of the message whose frame may begin here.
fn announced(bytes: &[u8]) -> Option<u64> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let (offset, _) = rest.split_first_chunk::<8>()?;
    let short = u32::from_le_bytes(*len) as usize <= FRAME_BODY_BYTES_MAX;
    short.then(|| u64::from_le_bytes(*offset))
}
