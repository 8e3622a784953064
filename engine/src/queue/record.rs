//! One message as a frame of a partition file; `mod.rs` shows the bytes.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::command::NewMessage;
use crate::ids::{Offset, Revision};
use crate::limits::FRAME_BODY_BYTES_MAX;
use crate::query::Message;
use crate::{Error, ErrorKind, Result};

/// Length and checksum, before each body.
pub(super) const FRAME_HEAD_BYTES: usize = 8;

/// A message with what its commit adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The commit that appends it.
    pub revision: Revision,
    /// The commit's time, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// What the producer wrote.
    pub body: NewMessage,
}

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("a frame of {0} bytes is longer than any we write")]
    Length(usize),
    #[error("the frame's checksum does not match")]
    Checksum,
    #[error("the frame runs beyond the end of what was written")]
    End,
    #[error("the message has offset {found} where {expected} belongs")]
    Offset { found: Offset, expected: Offset },
    #[error("{0}")]
    Body(#[from] DecodeError),
}

/// What stands at the beginning of some bytes.
#[derive(Debug)]
pub(super) enum Frame {
    /// A message, in a frame of this many bytes.
    Whole { message: Message, bytes: usize },
    /// The frame needs at least this many bytes from its beginning.
    Short { need: usize },
}

/// The body of a message's frame.
pub(super) fn encode_body(offset: Offset, message: &StoredMessage) -> Result<Bytes> {
    let mut out = Encoder::with_capacity(64 + message.body.value.len());
    out.u64(offset.0)
        .u64(message.revision.0)
        .u64(message.timestamp_ms);
    message.body.put(&mut out);
    if out.len() > FRAME_BODY_BYTES_MAX {
        let context = format!("append a message of {} bytes", out.len());
        return Err(Error::new(ErrorKind::Invalid, context));
    }
    Ok(out.finish())
}

/// Appends the frame of `body`, which will begin at `position` in its file.
pub(super) fn put_frame(out: &mut Vec<u8>, salt: u64, position: u64, body: &[u8]) {
    let len = u32::try_from(body.len()).expect("encode_body bounds a body");
    out.reserve(FRAME_HEAD_BYTES + body.len());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&checksum(salt, position, body).to_le_bytes());
    out.extend_from_slice(body);
}

/// Reads the frame at the beginning of `bytes`, which stand at `position` in their file and
/// ought to hold the message at `expected`.
pub(super) fn take_frame(
    bytes: &Bytes,
    salt: u64,
    position: u64,
    expected: Offset,
) -> Result<Frame, Damage> {
    if bytes.len() < FRAME_HEAD_BYTES {
        return Ok(Frame::Short {
            need: FRAME_HEAD_BYTES,
        });
    }
    let mut input = Decoder::new(bytes.clone());
    let len = input.u32("frame length")? as usize;
    if len > FRAME_BODY_BYTES_MAX {
        return Err(Damage::Length(len));
    }
    let frame_bytes = FRAME_HEAD_BYTES + len;
    if bytes.len() < frame_bytes {
        return Ok(Frame::Short { need: frame_bytes });
    }
    let stored = input.u32("frame checksum")?;
    let body = input.raw("frame body", len)?;
    if checksum(salt, position, &body) != stored {
        return Err(Damage::Checksum);
    }
    let message = decode_body(body)?;
    if message.offset != expected {
        return Err(Damage::Offset {
            found: message.offset,
            expected,
        });
    }
    Ok(Frame::Whole {
        message,
        bytes: frame_bytes,
    })
}

pub(super) fn decode_body(body: Bytes) -> Result<Message, DecodeError> {
    let mut input = Decoder::new(body);
    let message = Message {
        offset: Offset(input.u64("offset")?),
        revision: Revision(input.u64("revision")?),
        timestamp_ms: input.u64("timestamp")?,
        body: NewMessage::get(&mut input)?,
    };
    input.end("message")?;
    Ok(message)
}

fn checksum(salt: u64, position: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&position.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(salt: u64, position: u64) -> Bytes {
        let message = StoredMessage {
            revision: Revision(9),
            timestamp_ms: 5,
            body: NewMessage {
                key: Some(Bytes::from_static(b"key")),
                value: Bytes::from_static(b"value"),
                headers: vec![("header".to_owned(), Bytes::new())],
            },
        };
        let body = encode_body(Offset(3), &message).expect("the message is small");
        let mut out = Vec::new();
        put_frame(&mut out, salt, position, &body);
        Bytes::from(out)
    }

    #[test]
    fn a_frame_is_valid_only_in_its_file_at_its_position_for_its_offset() {
        let bytes = frame(1, 42);
        let Ok(Frame::Whole { message, bytes: n }) = take_frame(&bytes, 1, 42, Offset(3)) else {
            panic!("the frame is whole");
        };
        assert_eq!((message.revision, n), (Revision(9), bytes.len()));
        assert!(take_frame(&bytes, 2, 42, Offset(3)).is_err());
        assert!(take_frame(&bytes, 1, 43, Offset(3)).is_err());
        assert!(take_frame(&bytes, 1, 42, Offset(4)).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = frame(1, 42);
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.to_vec();
                damaged[index] ^= 1 << bit;
                let taken = take_frame(&Bytes::from(damaged), 1, 42, Offset(3));
                assert!(!matches!(taken, Ok(Frame::Whole { .. })), "byte {index}");
            }
            let cut = take_frame(&bytes.slice(..index), 1, 42, Offset(3));
            assert!(matches!(cut, Ok(Frame::Short { need }) if need > index));
        }
    }
}
