//! Versions of rows, copied into chunks.
//!
//! ```text
//! version = revision:u64 key_len:u32 value_len:u32 form:u8 create_revision:u64 version:u64 key value
//!           [expires_at_ms:u64 kind:u8]
//! ```
//!
//! `form` is 0 for a tombstone, 1 for a row of bytes that never ends, and 2 for a row whose end
//! and kind stand behind its value.
//!
//! Chunks have one size, which no allocator fails to use again. Each write ends a piece of one:
//! the piece is never changed, while the next write goes on behind it. What a reader keeps of a
//! value keeps the whole chunk alive.

use std::sync::OnceLock;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::slab::Slab;
use crate::ids::Revision;
use crate::store::key::Place;
use crate::store::row::{
    Found, RowKind, RowMeta, RowParts, RowWrite, StoredRow, StoredValue, ValueParts,
};

/// A longer version has a chunk for itself.
const CHUNK_BYTES: usize = 64 << 10;

/// What a piece costs beyond its bytes.
const PIECE_OVERHEAD_BYTES: usize = size_of::<OnceLock<Bytes>>();

const HEAD_BYTES: usize = 8 + 4 + 4 + 1 + 8 + 8;

/// The end and the kind of a row that has them behind its value.
const TAIL_BYTES: usize = 8 + 1;

const TOMBSTONE: u8 = 0;
const PLAIN: u8 = 1;
const WITH_TAIL: u8 = 2;

/// Where a version is: its piece's number, and its first byte there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VersionAt(pub(super) u64);

/// Pieces of chunks, added by one writer and read by anybody.
pub(super) struct Versions {
    pieces: Slab<OnceLock<Bytes>>,
}

/// What the writer adds to.
#[derive(Debug, Default)]
pub(super) struct Filling {
    chunk: BytesMut,
    pieces: u32,
}

impl Versions {
    pub(super) fn new() -> Self {
        Self {
            pieces: Slab::new(),
        }
    }

    /// Copies rows into a piece, as many as a chunk has room for; answers where they are, and
    /// what that costs.
    pub(super) fn add(
        &self,
        filling: &mut Filling,
        revision: Revision,
        writes: &[RowWrite],
        added: &mut Vec<VersionAt>,
    ) -> usize {
        let mut len = 0;
        let mut fitting = 0;
        for write in writes {
            let longer = len + version_bytes(write);
            if fitting > 0 && longer > CHUNK_BYTES {
                break;
            }
            len = longer;
            fitting += 1;
        }
        let chunk = &mut filling.chunk;
        let mut cost = len + PIECE_OVERHEAD_BYTES;
        if chunk.capacity() < len {
            // What is left of the last one is never used.
            cost += chunk.capacity();
            *chunk = BytesMut::with_capacity(len.max(CHUNK_BYTES));
        }
        let piece = filling.pieces;
        filling.pieces = piece
            .checked_add(1)
            .expect("a memtable is frozen long before");
        for write in &writes[..fitting] {
            added.push(VersionAt(u64::from(piece) << 32 | chunk.len() as u64));
            put(chunk, revision, write);
        }
        let bytes = chunk.split().freeze();
        self.pieces.make(piece).get_or_init(|| bytes);
        cost
    }

    pub(super) fn get(&self, at: VersionAt) -> Version<'_> {
        let piece = self.pieces.get(low_half(at.0 >> 32)).get();
        let piece = piece.expect("a version is published after its piece");
        let start = low_half(at.0) as usize;
        Version {
            piece,
            head: Head::get(&piece[start..]),
            key: start + HEAD_BYTES,
        }
    }

    pub(super) fn place(&self, at: VersionAt) -> Place<'_> {
        self.get(at).place()
    }
}

/// One version, where it lies.
pub(in crate::store) struct Version<'a> {
    piece: &'a Bytes,
    head: Head,
    /// Where the key begins.
    key: usize,
}

struct Head {
    revision: Revision,
    key_len: usize,
    value_len: usize,
    form: u8,
    create_revision: Revision,
    version: u64,
}

impl<'a> Version<'a> {
    pub(super) fn place(&self) -> Place<'a> {
        Place {
            key: &self.piece[self.key..self.value()],
            revision: self.head.revision,
        }
    }

    /// The key; it shares the chunk's memory.
    pub(super) fn key(&self) -> Bytes {
        self.piece.slice(self.key..self.value())
    }

    /// The row; its value shares the chunk's memory.
    pub(super) fn row(&self) -> Option<StoredRow> {
        self.meta().map(|meta| StoredRow {
            value: StoredValue::Inline(self.piece.slice(self.value()..self.end())),
            meta,
        })
    }

    pub(in crate::store) fn parts(&self) -> Option<RowParts<'a>> {
        self.meta().map(|meta| RowParts {
            value: ValueParts::Inline(&self.piece[self.value()..self.end()]),
            meta,
        })
    }

    /// What the version knows beside its value; a tombstone knows nothing.
    fn meta(&self) -> Option<RowMeta> {
        let plain = RowMeta::of_bytes(self.head.create_revision, self.head.version);
        match self.head.form {
            TOMBSTONE => None,
            PLAIN => Some(plain),
            _ => {
                let mut tail = &self.piece[self.end()..];
                Some(RowMeta {
                    expires_at_ms: tail.get_u64_le(),
                    kind: RowKind::of(tail.get_u8()).expect("`put` wrote it"),
                    ..plain
                })
            }
        }
    }

    pub(super) fn found(&self) -> Found {
        Found {
            revision: self.head.revision,
            row: self.row(),
        }
    }

    fn value(&self) -> usize {
        self.key + self.head.key_len
    }

    fn end(&self) -> usize {
        self.value() + self.head.value_len
    }
}

impl Head {
    fn get(mut bytes: &[u8]) -> Self {
        let revision = Revision(bytes.get_u64_le());
        let key_len = bytes.get_u32_le() as usize;
        let value_len = bytes.get_u32_le() as usize;
        Self {
            revision,
            key_len,
            value_len,
            form: bytes.get_u8(),
            create_revision: Revision(bytes.get_u64_le()),
            version: bytes.get_u64_le(),
        }
    }
}

fn put(out: &mut BytesMut, revision: Revision, write: &RowWrite) {
    let len = |bytes: usize| u32::try_from(bytes).expect("rows end far below 4 GiB");
    let row = write.value.as_ref();
    let meta = row.map(|row| row.meta);
    out.put_u64_le(revision.0);
    out.put_u32_le(len(write.key.len()));
    out.put_u32_le(len(row.map_or(0, |row| row.value.len())));
    out.put_u8(form(write));
    out.put_u64_le(meta.map_or(0, |meta| meta.create_revision.0));
    out.put_u64_le(meta.map_or(0, |meta| meta.version));
    out.put_slice(&write.key);
    out.put_slice(row.map_or(&[], |row| &row.value));
    if let Some(meta) = meta.filter(|_| form(write) == WITH_TAIL) {
        out.put_u64_le(meta.expires_at_ms);
        out.put_u8(meta.kind.number());
    }
}

fn form(write: &RowWrite) -> u8 {
    match &write.value {
        None => TOMBSTONE,
        Some(row) if row.meta.is_plain() => PLAIN,
        Some(_) => WITH_TAIL,
    }
}

fn version_bytes(write: &RowWrite) -> usize {
    let value_len = write.value.as_ref().map_or(0, |row| row.value.len());
    let tail = if form(write) == WITH_TAIL {
        TAIL_BYTES
    } else {
        0
    };
    HEAD_BYTES + write.key.len() + value_len + tail
}

fn low_half(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).expect("it is cut to 32 bits")
}
