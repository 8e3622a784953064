//! Frames: how one write becomes bytes that cannot be mistaken for others.

use crc32fast::Hasher;
use memchr::memmem;

use crate::ids::{GroupId, LogId, LogIndex, Term};
use crate::limits::FRAME_BODY_BYTES_MAX;
use crate::planted::{Planted, on};

/// Bytes before the body.
pub(super) const FRAME_HEAD_BYTES: usize = 37;

/// Where a frame's mark begins.
const MARK_AT: usize = FRAME_HEAD_BYTES - 12;

/// Bytes of a frame besides its body.
pub(super) const FRAME_OVERHEAD_BYTES: usize = FRAME_HEAD_BYTES + 4;

/// A place in the log; ordered as the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Sequence number of the segment.
    pub(super) segment: u64,
    /// Byte in its file.
    pub(super) offset: u32,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Entry = 1,
    Vote = 2,
    TruncateAfter = 3,
    Purge = 4,
    Reset = 5,
    Mark = 6,
    Head = 7,
}

impl Kind {
    /// The kind's word, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Vote => "vote",
            Self::TruncateAfter => "truncate-after",
            Self::Purge => "purge",
            Self::Reset => "reset",
            Self::Mark => "mark",
            Self::Head => "head",
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Entry,
            2 => Self::Vote,
            3 => Self::TruncateAfter,
            4 => Self::Purge,
            5 => Self::Reset,
            6 => Self::Mark,
            7 => Self::Head,
            _ => return None,
        })
    }
}

/// Everything in a frame but its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: Kind,
    pub(super) group: GroupId,
    pub(super) log_id: LogId,
    /// The log was durable up to here when the frame was written.
    pub(super) mark: Position,
}

/// A frame whose checksum was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) head: FrameHead,
    pub(super) body: &'a [u8],
}

impl Frame<'_> {
    /// Length of the whole frame; frames lie in files of less than 4 GiB.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_OVERHEAD_BYTES + self.body.len()
    }
}

/// Writes and reads the frames of one use of one segment file.
#[derive(Clone, Debug)]
pub(super) struct FrameCodec {
    segment: u64,
    /// Has taken in salt and sequence number; each frame goes on from a copy.
    seed: Hasher,
}

impl FrameCodec {
    /// The codec of segment `segment`, used under `salt`.
    pub(super) fn new(segment: u64, salt: u64) -> Self {
        let mut seed = Hasher::new();
        if !on(Planted::StaleFrames) {
            seed.update(&salt.to_le_bytes());
            seed.update(&segment.to_le_bytes());
        }
        Self { segment, seed }
    }

    /// Appends to `out` a frame that will stand at `offset` of the file.
    pub(super) fn put(&self, out: &mut Vec<u8>, offset: u32, head: &FrameHead, body: &[u8]) {
        assert!(
            body.len() <= FRAME_BODY_BYTES_MAX,
            "bodies are bounded before they are queued"
        );
        let len = u32::try_from(body.len()).expect("the bound is far below u32::MAX");
        let start = out.len();
        out.reserve(FRAME_OVERHEAD_BYTES + body.len());
        out.extend_from_slice(&len.to_le_bytes());
        out.push(head.kind as u8);
        out.extend_from_slice(&head.group.0.to_le_bytes());
        out.extend_from_slice(&head.log_id.term.0.to_le_bytes());
        out.extend_from_slice(&head.log_id.index.0.to_le_bytes());
        out.extend_from_slice(&head.mark.segment.to_le_bytes());
        out.extend_from_slice(&head.mark.offset.to_le_bytes());
        out.extend_from_slice(body);
        let crc = self.checksum(offset, &out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// The frame at the beginning of `bytes`, which stand at `offset` of the file.
    pub(super) fn parse<'a>(&self, bytes: &'a [u8], offset: u32) -> Option<Frame<'a>> {
        let (len, head) = parse_head(bytes)?;
        let (covered, rest) = bytes.split_at_checked(FRAME_HEAD_BYTES + len)?;
        let (crc, _) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != self.checksum(offset, covered) {
            return None;
        }
        let body = covered.get(FRAME_HEAD_BYTES..)?;
        Some(Frame { head, body })
    }

    /// Looks in `bytes`, which stand at `offset` of the file, for a frame at any place that
    /// proves the log to have been durable beyond `position`; answers where it stands, and its
    /// mark.
    pub(super) fn find_mark_beyond(
        &self,
        position: Position,
        bytes: &[u8],
        offset: u32,
    ) -> Option<(u32, Position)> {
        let heads = self.heads_beyond(position, bytes, offset);
        heads.into_iter().find_map(|(at, head)| {
            let skipped = at.checked_sub(offset)? as usize;
            let frame = self.parse(bytes.get(skipped..)?, at);
            frame.map(|_| (at, head.mark))
        })
    }

    /// Where in `bytes`, which stand at `offset` of the file, frames may begin whose marks are
    /// beyond `position`, in order.
    ///
    /// Such a mark names a segment from the position's to this one: these few numbers are
    /// looked for, so that stale bytes, which name older ones, are passed at the speed of memory.
    pub(super) fn heads_beyond(
        &self,
        position: Position,
        bytes: &[u8],
        offset: u32,
    ) -> Vec<(u32, FrameHead)> {
        let mut heads = Vec::new();
        for segment in position.segment..=self.segment {
            let number = segment.to_le_bytes();
            let finder = memmem::Finder::new(&number);
            let mut from = MARK_AT;
            while let Some(found) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
                let place = from + found - MARK_AT;
                from += found + 1;
                let at = u32::try_from(place)
                    .ok()
                    .and_then(|at| offset.checked_add(at));
                let head = parse_head(&bytes[place..]).zip(at);
                heads.extend(head.and_then(|((_, head), offset)| {
                    let own = Position {
                        segment: self.segment,
                        offset,
                    };
                    (position < head.mark && head.mark <= own).then_some((offset, head))
                }));
            }
        }
        heads.sort_unstable_by_key(|(at, _)| *at);
        heads
    }

    /// Where, at or behind place `from` of `bytes`, a frame may begin: its first fields can be
    /// those of a frame. The bytes stand at `offset` of the file.
    pub(super) fn find_head(
        &self,
        bytes: &[u8],
        from: usize,
        offset: u32,
    ) -> Option<(usize, FrameHead)> {
        let mut skipped = from;
        loop {
            let rest = bytes.get(skipped..)?;
            // The kind, a frame's fifth byte, is never zero: zeroes are passed in one step.
            let zeroes = leading_zeroes(rest.get(4..)?);
            if zeroes > 0 {
                skipped += zeroes;
                continue;
            }
            let own = Position {
                segment: self.segment,
                offset: offset.checked_add(u32::try_from(skipped).ok()?)?,
            };
            match parse_head(rest) {
                Some((_, head)) if head.mark <= own => return Some((skipped, head)),
                _ => skipped += 1,
            }
        }
    }

    pub(super) fn checksum(&self, offset: u32, covered: &[u8]) -> u32 {
        let mut hasher = self.seed.clone();
        hasher.update(&offset.to_le_bytes());
        hasher.update(covered);
        hasher.finalize()
    }
}

/// How long the frame at the beginning of `bytes` is, if one can begin there.
pub(super) fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    parse_head(bytes).map(|(len, _)| FRAME_OVERHEAD_BYTES + len)
}

/// How many zeroes stand at the beginning.
fn leading_zeroes(bytes: &[u8]) -> usize {
    const CHUNK_BYTES: usize = 64;
    let empty = |chunk: &&[u8]| chunk.iter().fold(0, |all, byte| all | byte) == 0;
    let passed = bytes.chunks_exact(CHUNK_BYTES).take_while(empty).count() * CHUNK_BYTES;
    let rest = bytes.get(passed..).unwrap_or_default();
    passed + rest.iter().take_while(|byte| **byte == 0).count()
}

/// Length of the body and the other fields, if they can be those of a frame at all.
fn parse_head(bytes: &[u8]) -> Option<(usize, FrameHead)> {
    let kind = Kind::from_code(*bytes.get(4)?)?;
    let mut rest = bytes;
    let len = u32::from_le_bytes(take(&mut rest)?) as usize;
    if len > FRAME_BODY_BYTES_MAX {
        return None;
    }
    let [_] = take(&mut rest)?;
    let group = GroupId(u32::from_le_bytes(take(&mut rest)?));
    let term = Term(u64::from_le_bytes(take(&mut rest)?));
    let index = LogIndex(u64::from_le_bytes(take(&mut rest)?));
    let mark = Position {
        segment: u64::from_le_bytes(take(&mut rest)?),
        offset: u32::from_le_bytes(take(&mut rest)?),
    };
    let head = FrameHead {
        kind,
        group,
        log_id: LogId { term, index },
        mark,
    };
    Some((len, head))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> FrameHead {
        FrameHead {
            kind: Kind::Entry,
            group: GroupId(3),
            log_id: LogId::new(5, 70_000),
            mark: Position {
                segment: 9,
                offset: 8_200,
            },
        }
    }

    #[test]
    fn a_frame_parses_only_where_it_was_meant_to_stand() {
        let codec = FrameCodec::new(9, 77);
        let mut out = Vec::new();
        codec.put(&mut out, 8_300, &head(), b"body");
        assert_eq!(out.len(), FRAME_OVERHEAD_BYTES + 4);
        let frame = codec.parse(&out, 8_300).expect("it was just written");
        assert_eq!((frame.head, frame.body), (head(), b"body".as_slice()));
        assert_eq!(codec.parse(&out, 8_301), None);
        assert_eq!(FrameCodec::new(9, 78).parse(&out, 8_300), None);
        assert_eq!(FrameCodec::new(10, 77).parse(&out, 8_300), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let codec = FrameCodec::new(9, 77);
        let mut out = Vec::new();
        codec.put(&mut out, 8_300, &head(), b"body");
        for cut in 0..out.len() {
            assert_eq!(codec.parse(&out[..cut], 8_300), None, "cut at {cut}");
        }
        for bit in 0..out.len() * 8 {
            let mut flipped = out.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(codec.parse(&flipped, 8_300), None, "bit {bit}");
        }
    }

    #[test]
    fn a_mark_is_found_at_any_alignment() {
        let codec = FrameCodec::new(9, 77);
        let mut bytes = vec![1; 101];
        codec.put(&mut bytes, 8_301, &head(), b"body");
        bytes.extend_from_slice(&[2; 50]);
        let before = Position {
            segment: 9,
            offset: 8_199,
        };
        assert_eq!(
            codec.find_mark_beyond(before, &bytes, 8_200),
            Some((8_301, head().mark))
        );
        assert_eq!(codec.find_mark_beyond(head().mark, &bytes, 8_200), None);
    }

    #[test]
    fn a_mark_is_found_behind_what_looks_like_its_beginning() {
        // 256 begins and ends with a zero. In the index 65 541 there is one, too, whose last byte
        // is the first of the mark.
        let mark = Position {
            segment: 256,
            offset: 8_200,
        };
        let head = FrameHead {
            log_id: LogId::new(5, 65_541),
            mark,
            ..head()
        };
        let codec = FrameCodec::new(256, 77);
        let mut bytes = vec![1; 40];
        codec.put(&mut bytes, 8_300, &head, b"body");
        let found = codec.find_mark_beyond(Position::default(), &bytes, 8_260);
        assert_eq!(found, Some((8_300, mark)));
    }
}
