//! Pieces of a checkpoint on their way between nodes.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::{Offset, PartitionId, TopicId};
use crate::queue::PartitionRef;

/// Most bytes of a file in one chunk.
pub(super) const DATA_BYTES_MAX: u64 = 256 * 1024;

/// Which file, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHead {
    pub(super) kind: FileKind,
    pub(super) bytes: u64,
}

/// Where a file belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    State,
    Table { id: u64, level: u32 },
    Partition { at: PartitionRef, base: Offset },
    Blob { id: u64 },
    DeletedRanges,
}

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Files(Vec<FileHead>),
    Data { file: u32, offset: u64, data: Bytes },
    End,
}

impl Chunk {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Encoder::new();
        match self {
            Self::Files(files) => {
                out.u8(1).count(files.len());
                for file in files {
                    file.put(&mut out);
                }
            }
            Self::Data { file, offset, data } => {
                out.u8(2).u32(*file).u64(*offset).raw(data);
            }
            Self::End => {
                out.u8(3);
            }
        }
        let body = out.into_vec();
        let crc = crc32fast::hash(&body);
        let mut out = Encoder::with_capacity(body.len() + 4);
        out.raw(&body).u32(crc);
        out.finish()
    }

    pub(super) fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let Some(body_bytes) = input.remaining().checked_sub(4) else {
            return Err(input.error("chunk", "the bytes end too early"));
        };
        let body = input.raw("chunk", body_bytes)?;
        if input.u32("chunk crc")? != crc32fast::hash(&body) {
            return Err(input.error("chunk", "the checksum does not match"));
        }
        let mut input = Decoder::new(body);
        let chunk = match input.u8("chunk kind")? {
            1 => Self::Files(input.list("files", FileHead::get)?),
            2 => Self::Data {
                file: input.u32("file")?,
                offset: input.u64("offset")?,
                data: {
                    let rest = input.remaining();
                    input.raw("data", rest)?
                },
            },
            3 => Self::End,
            _ => return Err(input.error("chunk kind", "the kind is unknown")),
        };
        input.end("chunk")?;
        Ok(chunk)
    }
}

impl FileHead {
    fn put(&self, out: &mut Encoder) {
        match self.kind {
            FileKind::State => out.u8(1),
            FileKind::Table { id, level } => out.u8(2).u64(id).u32(level),
            FileKind::Partition { at, base } => {
                out.u8(3).u32(at.topic.0).u32(at.partition.0).u64(base.0)
            }
            FileKind::Blob { id } => out.u8(4).u64(id),
            FileKind::DeletedRanges => out.u8(5),
        };
        out.u64(self.bytes);
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        let kind = match input.u8("file kind")? {
            1 => FileKind::State,
            2 => FileKind::Table {
                id: input.u64("table")?,
                level: input.u32("level")?,
            },
            3 => FileKind::Partition {
                at: PartitionRef {
                    topic: TopicId(input.u32("topic")?),
                    partition: PartitionId(input.u32("partition")?),
                },
                base: Offset(input.u64("base")?),
            },
            4 => FileKind::Blob {
                id: input.u64("blob file")?,
            },
            5 => FileKind::DeletedRanges,
            _ => return Err(input.error("file kind", "the kind is unknown")),
        };
        Ok(Self {
            kind,
            bytes: input.u64("file bytes")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks() -> [Chunk; 3] {
        let at = PartitionRef {
            topic: TopicId(3),
            partition: PartitionId(1),
        };
        let kinds = [
            FileKind::State,
            FileKind::Table { id: 7, level: 2 },
            FileKind::Partition {
                at,
                base: Offset(40),
            },
        ];
        [
            Chunk::Files(kinds.map(|kind| FileHead { kind, bytes: 99 }).into()),
            Chunk::Data {
                file: 1,
                offset: 256,
                data: Bytes::from_static(b"some bytes of a table"),
            },
            Chunk::End,
        ]
    }

    #[test]
    fn every_flipped_byte_and_every_cut_of_a_chunk_is_noticed() {
        for chunk in chunks() {
            let bytes = chunk.encode();
            assert_eq!(Chunk::decode(bytes.clone()), Ok(chunk));
            for at in 0..bytes.len() {
                Chunk::decode(bytes.slice(..at)).expect_err("a part of a chunk");
                for mask in [0x01, 0x80, 0xff] {
                    let mut changed = bytes.to_vec();
                    changed[at] ^= mask;
                    Chunk::decode(changed.into()).expect_err("another chunk");
                }
            }
        }
    }
}
