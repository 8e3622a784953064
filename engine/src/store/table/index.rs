//! Where each data block of a table is, and what it may hold.
//!
//! ```text
//! index = count:u32 (separator:bytes revision:u64 offset:u64 len:u32)*
//! ```
//!
//! A block's separator is a place at or behind its last version and before the next block's
//! first one: a short one, since all of them stay in memory.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::Revision;
use crate::store::heads::KeyHeads;
use crate::store::key::Place;

/// Collects the blocks of a table that is being written.
#[derive(Debug, Default)]
pub(super) struct IndexBuilder {
    out: Encoder,
    count: usize,
}

impl IndexBuilder {
    /// Notes a block that ends with `last`; `next` is the first place of the block after it.
    pub(super) fn add(&mut self, last: Place<'_>, next: Option<Place<'_>>, at: BlockSpan) {
        let separator = separator(last, next);
        self.out
            .bytes(separator.key)
            .u64(separator.revision.0)
            .u64(at.offset)
            .u32(at.len);
        self.count += 1;
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(self.out.len() + 4);
        out.count(self.count).raw(&self.out.into_vec());
        out.into_vec()
    }
}

/// Where a block is in its file; the length is that of the body and its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockSpan {
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl BlockSpan {
    pub(super) fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.len))
    }
}

/// The blocks of a table, searchable.
#[derive(Debug)]
pub(super) struct Index {
    blocks: Vec<IndexEntry>,
    heads: KeyHeads,
    key_bytes: usize,
}

#[derive(Debug)]
struct IndexEntry {
    separator: Bytes,
    revision: Revision,
    span: BlockSpan,
}

impl Index {
    /// Reads an index; blocks must follow one another from the file's beginning up to `end`.
    pub(super) fn decode(bytes: Bytes, end: u64) -> Result<Self, DecodeError> {
        let key_bytes = bytes.len();
        let mut input = Decoder::new(bytes);
        let mut offset = 0;
        let blocks = input.list("blocks", |input| {
            let entry = IndexEntry {
                separator: input.bytes("separator")?,
                revision: Revision(input.u64("revision")?),
                span: BlockSpan {
                    offset: input.u64("offset")?,
                    len: input.u32("len")?,
                },
            };
            if entry.span.offset != offset {
                return Err(input.error("offset", "a block does not follow the one before"));
            }
            offset = entry.span.end();
            Ok(entry)
        })?;
        input.end("index")?;
        if offset != end {
            return Err(input.error("blocks", "do not end where the index begins"));
        }
        let ordered = blocks
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.place() < b.place()));
        if !ordered || blocks.is_empty() {
            return Err(input.error("blocks", "are not in order"));
        }
        let heads = KeyHeads::new(blocks.iter().map(|entry| &entry.separator[..]));
        Ok(Self {
            blocks,
            heads,
            key_bytes,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn span(&self, block: usize) -> Option<BlockSpan> {
        self.blocks.get(block).map(|entry| entry.span)
    }

    /// The only block that may hold the first version at or behind `target`; the count of
    /// blocks if that is behind all of them.
    pub(super) fn find(&self, target: Place<'_>) -> usize {
        let narrow = self.heads.narrow(target.key);
        let before = |entry: &IndexEntry| entry.place() < target;
        narrow.start + self.blocks[narrow].partition_point(before)
    }

    /// Bytes of memory held, by estimate.
    pub(super) fn bytes(&self) -> usize {
        self.key_bytes + self.heads.bytes() + self.blocks.len() * size_of::<IndexEntry>()
    }
}

impl IndexEntry {
    fn place(&self) -> Place<'_> {
        Place {
            key: &self.separator,
            revision: self.revision,
        }
    }
}

/// The shortest beginning of the next key that is behind `last`, if it is before the next key
/// itself; otherwise `last`.
fn separator<'a>(last: Place<'a>, next: Option<Place<'a>>) -> Place<'a> {
    let Some(next) = next else { return last };
    let common = next
        .key
        .iter()
        .zip(last.key)
        .take_while(|(a, b)| a == b)
        .count();
    match next.key.get(..=common) {
        Some(short) if short.len() < next.key.len() => Place::last(short),
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_is_short_and_stands_between_its_blocks() {
        let place = |key: &'static [u8], revision| Place {
            key,
            revision: Revision(revision),
        };
        for (last, next) in [
            (place(b"apple", 3), place(b"banana", 4)),
            (place(b"a", 3), place(b"ab", 4)),
            (place(b"a", 3), place(b"abc", 4)),
            (place(b"key/1", 3), place(b"key/2", 4)),
            (place(b"a", 3), place(b"a", 2)),
        ] {
            let between = separator(last, Some(next));
            assert!(last <= between && between < next, "{last:?} {next:?}");
        }
        let short = separator(place(b"apple", 3), Some(place(b"banana", 4)));
        assert_eq!(short.key, b"b");
    }
}
