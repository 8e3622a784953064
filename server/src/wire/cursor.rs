//! A scan's cursor: where a walk stands, opaque to clients and bound to that walk.
//!
//! ```text
//! cursor = hex( version:u8=1 crc:u32 revision:u64 key )
//! crc    = CRC-32 over version, group, keyspace, prefix, direction, revision and key
//! ```
//! The checksum shows damage and mistakes; it keeps no secret, and needs none: whoever may scan
//! may read every key that a forged cursor could name.

use bytes::Bytes;
use engine::codec::{Decoder, Encoder};
use engine::ids::{GroupId, Revision};

use super::Invalid;

const VERSION: u8 = 1;

/// What a cursor is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    /// The Raft group.
    pub(super) group: GroupId,
    /// The keyspace's name.
    pub(super) keyspace: &'a str,
    /// The prefix.
    pub(super) prefix: &'a [u8],
    /// From the last key to the first.
    pub(super) reverse: bool,
}

impl Walk<'_> {
    /// The cursor after `key` at `revision`.
    pub(super) fn encode(&self, revision: Revision, key: &[u8]) -> String {
        let mut body = Encoder::with_capacity(13 + key.len());
        body.u8(VERSION)
            .u32(self.checksum(revision, key))
            .u64(revision.0)
            .raw(key);
        hex(&body.finish())
    }

    /// The revision and key that a cursor of this walk stands for.
    pub(super) fn decode(&self, cursor: &str) -> Result<(Revision, Bytes), Invalid> {
        let body = unhex(cursor).ok_or(Invalid::BadCursor)?;
        let (version, checksum, revision, key) =
            split(Bytes::from(body)).ok_or(Invalid::BadCursor)?;
        let genuine = version == VERSION && checksum == self.checksum(revision, &key);
        if genuine {
            Ok((revision, key))
        } else {
            Err(Invalid::BadCursor)
        }
    }

    fn checksum(&self, revision: Revision, key: &[u8]) -> u32 {
        let mut bound = Encoder::new();
        bound
            .u8(VERSION)
            .u32(self.group.0)
            .str(self.keyspace)
            .bytes(self.prefix)
            .bool(self.reverse)
            .u64(revision.0)
            .bytes(key);
        crc32fast::hash(&bound.finish())
    }
}

fn split(body: Bytes) -> Option<(u8, u32, Revision, Bytes)> {
    let mut fields = Decoder::new(body);
    let version = fields.u8("version").ok()?;
    let checksum = fields.u32("crc").ok()?;
    let revision = Revision(fields.u64("revision").ok()?);
    let key = fields.raw("key", fields.remaining()).ok()?;
    Some((version, checksum, revision, key))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut digits = text.chars();
    let mut bytes = Vec::with_capacity(text.len() / 2);
    while let Some(high) = digits.next() {
        let value = high.to_digit(16)? * 16 + digits.next()?.to_digit(16)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALK: Walk<'_> = Walk {
        group: GroupId(0),
        keyspace: "default",
        prefix: b"user/",
        reverse: false,
    };

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursor = WALK.encode(Revision(77), b"user/\x00\xff");
        assert_eq!(
            WALK.decode(&cursor),
            Ok((Revision(77), Bytes::from_static(b"user/\x00\xff")))
        );
    }

    #[test]
    fn every_changed_digit_is_noticed() {
        let cursor = WALK.encode(Revision(77), b"user/7");
        for place in 0..cursor.len() {
            let mut digits: Vec<char> = cursor.chars().collect();
            digits[place] = if digits[place] == '0' { '1' } else { '0' };
            let changed: String = digits.into_iter().collect();
            assert_eq!(WALK.decode(&changed), Err(Invalid::BadCursor), "{place}");
            let cut = cursor.get(..place).expect("hex is ASCII");
            assert_eq!(WALK.decode(cut), Err(Invalid::BadCursor), "cut at {place}");
        }
    }

    #[test]
    fn another_walk_does_not_take_it() {
        let cursor = WALK.encode(Revision(77), b"user/7");
        let others = [
            Walk {
                group: GroupId(1),
                ..WALK
            },
            Walk {
                keyspace: "other",
                ..WALK
            },
            Walk {
                prefix: b"user",
                ..WALK
            },
            Walk {
                reverse: true,
                ..WALK
            },
        ];
        for other in others {
            assert_eq!(other.decode(&cursor), Err(Invalid::BadCursor), "{other:?}");
        }
        assert_eq!(WALK.decode("päivää"), Err(Invalid::BadCursor));
    }
}
