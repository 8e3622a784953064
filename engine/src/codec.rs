//! Explicit-width little-endian encoding: the only way our structures become bytes.
//!
//! [`Encoder`] appends to a `Vec<u8>`; [`Decoder`] walks a shared buffer and never panics, never
//! indexes and never trusts a length: what is missing or wrong is a [`DecodeError`] that names
//! the field and the position.
//!
//! ```text
//! bytes = len:u32 byte*      str = bytes (UTF-8)      option = 0 | 1 value      list = count:u32 item*
//! ```
//!
//! # Invariants
//! - No `usize` and no float ever reaches the disk.
//! - `bytes` taken from a [`Decoder`] share its buffer: decoding copies nothing.

use bytes::Bytes;

/// What was wrong with bytes that should have been one of our structures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("decode {field} at byte {position}: {problem}")]
pub struct DecodeError {
    /// The field that was being read.
    pub field: &'static str,
    /// Where in the buffer the field begins.
    pub position: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty encoder with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
        }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.out.push(value);
        self
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.out.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.out.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.out.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Eight bytes, two's complement.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.out.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// A count of list items that follow.
    ///
    /// # Panics
    /// If the list is longer than `u32::MAX`, which every limit excludes.
    pub fn count(&mut self, items: usize) -> &mut Self {
        self.u32(u32::try_from(items).expect("lists are bounded far below u32::MAX"))
    }

    /// Length and bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.count(value.len());
        self.out.extend_from_slice(value);
        self
    }

    /// Length and UTF-8 bytes.
    pub fn str(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Bytes without a length, for what is last or of fixed width.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.out.extend_from_slice(value);
        self
    }

    /// Presence, then the value.
    pub fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
        self
    }

    /// How many bytes stand in the buffer.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The encoded bytes.
    pub fn finish(self) -> Bytes {
        Bytes::from(self.out)
    }

    /// The encoded bytes as a vector.
    pub fn into_vec(self) -> Vec<u8> {
        self.out
    }
}

/// Reads fields from a shared buffer.
#[derive(Clone, Debug)]
pub struct Decoder {
    rest: Bytes,
    position: usize,
}

impl Decoder {
    /// Reads `bytes` from its beginning.
    pub fn new(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            position: 0,
        }
    }

    /// An error about the field that would begin here.
    pub fn error(&self, field: &'static str, problem: &'static str) -> DecodeError {
        DecodeError {
            field,
            position: self.position,
            problem,
        }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes.
    pub fn raw(&mut self, field: &'static str, len: usize) -> Result<Bytes, DecodeError> {
        if self.rest.len() < len {
            return Err(self.error(field, "the bytes end too early"));
        }
        self.position += len;
        Ok(self.rest.split_to(len))
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, _) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.error(field, "the bytes end too early"))?;
        let head = *head;
        self.raw(field, N)?;
        Ok(head)
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    /// Two bytes.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    /// Four bytes.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// Eight bytes.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// Eight bytes, two's complement.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_le_bytes(self.array(field)?))
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error(field, "a flag is neither 0 nor 1")),
        }
    }

    /// A count of items that follow, each at least one byte long.
    pub fn count(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let count = self.u32(field)? as usize;
        if count > self.rest.len() {
            return Err(self.error(field, "a count is larger than the bytes left"));
        }
        Ok(count)
    }

    /// Length and bytes.
    pub fn bytes(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        let len = self.u32(field)? as usize;
        self.raw(field, len)
    }

    /// Length and UTF-8 bytes.
    pub fn str(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let bytes = self.bytes(field)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.error(field, "the text is not UTF-8"))
    }

    /// Presence, then the value.
    pub fn option<T>(
        &mut self,
        field: &'static str,
        get: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool(field)? {
            get(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A counted list.
    pub fn list<T>(
        &mut self,
        field: &'static str,
        mut get: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count(field)?;
        let mut items = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            items.push(get(self)?);
        }
        Ok(items)
    }

    /// A counted list of at most so many items: where an item is larger in memory than it is
    /// here, the count must not be the sender's to choose.
    pub fn list_of_at_most<T>(
        &mut self,
        max: usize,
        field: &'static str,
        get: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        if self.clone().count(field)? > max {
            return Err(self.error(field, "there are more than may be"));
        }
        self.list(field, get)
    }

    /// Succeeds only if every byte was read.
    pub fn end(&self, field: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(field, "bytes are left over"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut out = Encoder::new();
        out.u8(7)
            .u16(300)
            .u32(70_000)
            .u64(u64::MAX)
            .bool(true)
            .bytes(b"row")
            .str("näme");
        out.option(Some(5u64), |out, value| {
            out.u64(value);
        });
        let mut input = Decoder::new(out.finish());
        assert_eq!(input.u8("a"), Ok(7));
        assert_eq!(input.u16("b"), Ok(300));
        assert_eq!(input.u32("c"), Ok(70_000));
        assert_eq!(input.u64("d"), Ok(u64::MAX));
        assert_eq!(input.bool("e"), Ok(true));
        assert_eq!(input.bytes("f"), Ok(Bytes::from_static(b"row")));
        assert_eq!(input.str("g"), Ok("näme".to_owned()));
        assert_eq!(input.option("h", |input| input.u64("h")), Ok(Some(5)));
        assert_eq!(input.end("end"), Ok(()));
    }

    #[test]
    fn a_length_beyond_the_buffer_is_an_error_with_field_and_position() {
        let mut input = Decoder::new(Bytes::from_static(&[9, 255, 255, 255, 255]));
        input.u8("kind").expect("one byte is there");
        let error = input
            .bytes("key")
            .expect_err("four gigabytes are not there");
        assert_eq!((error.field, error.position), ("key", 5));
        let mut input = Decoder::new(Bytes::from_static(&[255, 255, 255, 255]));
        assert!(input.list("ops", |input| input.u8("op")).is_err());
        let list = Bytes::from_static(&[3, 0, 0, 0, 1, 1, 1]);
        let take = |max| Decoder::new(list.clone()).list_of_at_most(max, "ops", |op| op.u8("op"));
        assert_eq!(take(3).map(|ops| ops.len()), Ok(3));
        let error = take(2).expect_err("one too many");
        assert_eq!((error.field, error.position), ("ops", 0));
    }
}
