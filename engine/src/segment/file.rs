//! One segment file: its header, and frames read one by one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{FRAME_HEAD_BYTES, FRAME_OVERHEAD_BYTES, FrameCodec, FrameHead, Kind, Position};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::env::vfs::OpenMode;
use crate::env::{File, Vfs};
use crate::ids::ClusterId;
use crate::limits::FRAME_BODY_BYTES_MAX;
use crate::{Error, ErrorKind, Result};

/// Where the first frame stands.
pub(super) const FRAMES_AT: u32 = 8192;

/// Where the two copies of the header stand: far enough apart that no sector holds both.
pub(super) const HEADERS_AT: [u64; 2] = [0, 4096];

const HEADER_BYTES: usize = 42;
const MAGIC: &[u8; 8] = b"ENGSEG\r\n";
const VERSION: u16 = 1;

/// What stands in the header besides magic and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) cluster: ClusterId,
    pub(super) seq: u64,
    /// Drawn at random for each use of a file.
    pub(super) salt: u64,
    /// The key the frames are encrypted with; 0 = not encrypted.
    pub(super) key: u32,
}

/// An open segment with a good header.
#[derive(Debug)]
pub(super) struct SegmentFile {
    path: PathBuf,
    file: Arc<dyn File>,
    header: SegmentHeader,
    codec: FrameCodec,
    len: u32,
}

impl SegmentFile {
    /// Opens the segment `seq` of `cluster`, and checks its header.
    pub(super) fn open(
        vfs: &dyn Vfs,
        path: &Path,
        seq: u64,
        cluster: ClusterId,
        mode: OpenMode,
    ) -> Result<Self> {
        let file = vfs
            .open(path, mode)
            .map_err(|e| Error::io(format!("open segment {}", path.display()), e))?;
        let header = read_header(path, file.as_ref())?;
        if header.seq != seq {
            return Err(Error::corrupt(
                path,
                0,
                format!("the header is that of segment {}", header.seq),
            ));
        }
        if header.cluster != cluster {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "{} belongs to cluster {}, not to {cluster}",
                    path.display(),
                    header.cluster
                ),
            ));
        }
        let len = file
            .len()
            .map_err(|e| Error::io(format!("measure segment {}", path.display()), e))?;
        let len = u32::try_from(len)
            .map_err(|_| Error::corrupt(path, u64::from(u32::MAX), "the segment is too long"))?;
        Ok(Self::new(path.to_owned(), file, header, len))
    }

    /// Writes both headers of a file that is not yet in use, and syncs it.
    pub(super) fn format(file: &dyn File, header: &SegmentHeader) -> std::io::Result<()> {
        let bytes = encode_header(header);
        for at in HEADERS_AT {
            file.write_at(&bytes, at)?;
        }
        file.sync_data()
    }

    /// A segment that was just formatted.
    pub(super) fn new(path: PathBuf, file: Arc<dyn File>, header: SegmentHeader, len: u32) -> Self {
        Self {
            path,
            file,
            header,
            codec: FrameCodec::new(header.seq, header.salt),
            len,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn seq(&self) -> u64 {
        self.header.seq
    }

    pub(super) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub(super) fn codec(&self) -> &FrameCodec {
        &self.codec
    }

    /// Length of the file when it was opened.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The place `offset` in this segment.
    pub(super) fn position(&self, offset: u32) -> Position {
        Position {
            segment: self.header.seq,
            offset,
        }
    }

    /// Damage in this file.
    pub(super) fn corrupt(&self, offset: u32, what: impl std::fmt::Display) -> Error {
        Error::corrupt(&self.path, u64::from(offset), what)
    }

    /// Writes bytes; not durable before [`SegmentFile::sync`].
    pub(super) fn write_at(&self, bytes: &[u8], offset: u32) -> Result<()> {
        self.file
            .write_at(bytes, u64::from(offset))
            .map_err(|e| self.failed("write", offset, e))
    }

    /// Makes everything written durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|e| Error::io(format!("sync segment {}", self.path.display()), e))
    }

    /// Cuts the file off after its last frame.
    pub(super) fn cut(&self, end: u32) -> Result<()> {
        self.file
            .set_len(u64::from(end))
            .map_err(|e| self.failed("cut", end, e))
    }

    /// Fills `out` with the bytes from `start` until `end`.
    pub(super) fn read_into(&self, out: &mut Vec<u8>, start: u32, end: u32) -> Result<()> {
        out.clear();
        out.resize(end.saturating_sub(start) as usize, 0);
        self.file
            .read_exact_at(out, u64::from(start))
            .map_err(|e| self.failed("read", start, e))
    }

    /// The body of the Head frame, and its length; `None` if no Head parses.
    pub(super) fn read_head(&self) -> Result<Option<Bytes>> {
        let mut bytes = Vec::new();
        let start = FRAMES_AT.saturating_add(4);
        if self.len < start {
            return Ok(None);
        }
        self.read_into(&mut bytes, FRAMES_AT, start)?;
        let Some((len, _)) = bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let body_len = u32::from_le_bytes(*len);
        if body_len as usize > FRAME_BODY_BYTES_MAX {
            return Ok(None);
        }
        let end = u64::from(FRAMES_AT) + u64::from(body_len) + FRAME_OVERHEAD_BYTES as u64;
        let Some(end) = u32::try_from(end).ok().filter(|end| *end <= self.len) else {
            return Ok(None);
        };
        self.read_into(&mut bytes, FRAMES_AT, end)?;
        let Some(frame) = self.codec.parse(&bytes, FRAMES_AT) else {
            return Ok(None);
        };
        if frame.head.kind != Kind::Head {
            return Err(self.corrupt(FRAMES_AT, "the first frame is not a Head"));
        }
        Ok(Some(Bytes::copy_from_slice(frame.body)))
    }

    /// Reads the stretch from `start` until `end`, of which frames are then taken.
    pub(super) fn read_stretch(&self, start: u32, end: u32) -> Result<Stretch<'_>> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes, start, end)?;
        Ok(Stretch {
            file: self,
            start,
            bytes: Bytes::from(bytes),
        })
    }

    fn failed(&self, verb: &str, offset: u32, source: std::io::Error) -> Error {
        let path = self.path.display();
        Error::io(format!("{verb} segment {path} at byte {offset}"), source)
    }
}

/// Bytes of a segment in memory.
pub(super) struct Stretch<'a> {
    file: &'a SegmentFile,
    start: u32,
    bytes: Bytes,
}

impl Stretch<'_> {
    /// The frame at `offset` of the file; its body shares the stretch's memory.
    pub(super) fn frame(&self, offset: u32) -> Result<(FrameHead, Bytes)> {
        let damaged = || self.file.corrupt(offset, "the frame's checksum differs");
        let skipped = offset.checked_sub(self.start).ok_or_else(damaged)? as usize;
        let bytes = self.bytes.get(skipped..).ok_or_else(damaged)?;
        let frame = self.file.codec.parse(bytes, offset).ok_or_else(damaged)?;
        let body = skipped + FRAME_HEAD_BYTES;
        Ok((frame.head, self.bytes.slice(body..body + frame.body.len())))
    }
}

fn encode_header(header: &SegmentHeader) -> Vec<u8> {
    let mut out = Encoder::with_capacity(HEADER_BYTES);
    out.raw(MAGIC).u16(VERSION).u64(header.cluster.0);
    out.u64(header.seq).u64(header.salt).u32(header.key);
    let mut bytes = out.into_vec();
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    debug_assert_eq!(bytes.len(), HEADER_BYTES);
    bytes
}

/// Either good copy serves; two good ones must agree.
fn read_header(path: &Path, file: &dyn File) -> Result<SegmentHeader> {
    let [first, second] = HEADERS_AT.map(|at| read_header_copy(path, file, at));
    match (first?, second?) {
        (Some(first), Some(second)) if first == second => Ok(first),
        (Some(_), Some(_)) => Err(Error::corrupt(path, 0, "the two headers disagree")),
        (Some(header), None) | (None, Some(header)) => {
            let path = path.display();
            tracing::warn!(%path, "one copy of a segment header is damaged, the other serves");
            Ok(header)
        }
        (None, None) => Err(Error::corrupt(path, 0, "both headers are damaged")),
    }
}

/// One copy of the header; `None` if it is damaged.
pub(super) fn read_header_copy(
    path: &Path,
    file: &dyn File,
    at: u64,
) -> Result<Option<SegmentHeader>> {
    let mut bytes = vec![0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => {
            return Err(Error::io(
                format!("read the header of segment {}", path.display()),
                e,
            ));
        }
    }
    let Some((covered, crc)) = bytes.split_last_chunk::<4>() else {
        return Ok(None);
    };
    if u32::from_le_bytes(*crc) != crc32fast::hash(covered) {
        return Ok(None);
    }
    match decode_header(Decoder::new(Bytes::copy_from_slice(covered))) {
        Ok((VERSION, header)) if header.key == 0 => Ok(Some(header)),
        Ok((VERSION, header)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} is encrypted with key {}", path.display(), header.key),
        )),
        Ok((version, _)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} has format version {version}", path.display()),
        )),
        Err(_) => Ok(None),
    }
}

fn decode_header(mut input: Decoder) -> Result<(u16, SegmentHeader), DecodeError> {
    if input.raw("magic", MAGIC.len())? != MAGIC.as_slice() {
        return Err(input.error("magic", "this is no segment"));
    }
    let version = input.u16("version")?;
    let header = SegmentHeader {
        cluster: ClusterId(input.u64("cluster")?),
        seq: input.u64("seq")?,
        salt: input.u64("salt")?,
        key: input.u32("key")?,
    };
    input.end("header")?;
    Ok((version, header))
}
