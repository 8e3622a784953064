//! Chunks made of any bytes: see [`fuzzing`](crate::fuzzing).

use bytes::Bytes;

use super::chunk::Chunk;

/// A chunk with its checksum put right.
pub(crate) fn chunk(data: &[u8]) {
    let _ = Chunk::decode(Bytes::copy_from_slice(data));
    let bytes = Bytes::from([data, &crc32fast::hash(data).to_le_bytes()].concat());
    if let Ok(chunk) = Chunk::decode(bytes.clone()) {
        assert_eq!(chunk.encode(), bytes);
    }
}
