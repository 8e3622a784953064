//! The end of a table file: where its sections are, and how to check them.

use bytes::Bytes;

use super::index::BlockSpan;
use crate::codec::{DecodeError, Decoder, Encoder};

/// Length of a footer, checksum included.
pub(super) const FOOTER_BYTES: usize = 3 * 12 + 8 + 8 + 4 + 8 + 4;

const MAGIC: &[u8; 8] = b"ENGTABLE";

/// The version that is written.
pub(super) const VERSION: u32 = 3;

/// The first version: blocks without a codec, properties without blobs; still read. So is the
/// second, which had no rows that end and no kinds of rows.
pub(super) const VERSION_1: u32 = 1;

/// What a footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) index: BlockSpan,
    pub(super) filter: BlockSpan,
    pub(super) properties: BlockSpan,
    pub(super) id: u64,
    pub(super) salt: u64,
    pub(super) version: u32,
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(FOOTER_BYTES);
        for section in [self.index, self.filter, self.properties] {
            out.u64(section.offset).u32(section.len);
        }
        out.u64(self.id).u64(self.salt).u32(self.version).raw(MAGIC);
        let mut bytes = out.into_vec();
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a footer; the sections must fill a file of `len` bytes after its blocks.
    pub(super) fn decode(bytes: Bytes, len: u64) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes.clone());
        let section = |input: &mut Decoder| -> Result<BlockSpan, DecodeError> {
            Ok(BlockSpan {
                offset: input.u64("section offset")?,
                len: input.u32("section length")?,
            })
        };
        let footer = Self {
            index: section(&mut input)?,
            filter: section(&mut input)?,
            properties: section(&mut input)?,
            id: input.u64("table id")?,
            salt: input.u64("salt")?,
            version: input.u32("version")?,
        };
        if input.raw("magic", MAGIC.len())? != MAGIC[..] {
            return Err(input.error("magic", "this is no table"));
        }
        let body = bytes.len() - input.remaining();
        if input.u32("checksum")? != crc32fast::hash(bytes.get(..body).unwrap_or_default()) {
            return Err(input.error("checksum", "does not match"));
        }
        input.end("footer")?;
        let footer_at = len.saturating_sub(FOOTER_BYTES as u64);
        if footer.index.end() != footer.filter.offset
            || footer.filter.end() != footer.properties.offset
            || footer.properties.end() != footer_at
        {
            return Err(input.error("sections", "do not fill the file"));
        }
        Ok(footer)
    }
}
