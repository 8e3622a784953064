//! Compression of data blocks, each by itself.
//!
//! ```text
//! stored block = block 0  |  raw_len:u32 lz4(block) 1
//! ```
//!
//! A block is stored compressed only if that saves an eighth. Where blocks in a row did not
//! yield, the writer tries only now and then: data that does not compress costs next to nothing.
//!
//! Source: the [LZ4 block format](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md).

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::DecodeError;
use crate::store::buffers::Buffers;
use crate::store::options::Compression;

const STORED: u8 = 0;
const LZ4: u8 = 1;

/// Blocks that must fail to compress, one after another, before most are not tried.
const FAILURES_MAX: u32 = 4;

/// While blocks do not compress, one in this many is tried.
const TRY_EVERY: u32 = 16;

/// LZ4 makes of one byte at most so many.
const RATIO_MAX: usize = 255;

/// Compresses the blocks of one table.
#[derive(Debug, Default)]
pub(super) struct Compressor {
    compression: Compression,
    out: Vec<u8>,
    failures: u32,
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            compression,
            out: Vec::new(),
            failures: 0,
        }
    }

    /// What is stored for a block: its bytes, and the codec's number behind them.
    pub(super) fn pack<'a>(&'a mut self, block: &'a [u8]) -> (&'a [u8], u8) {
        if self.compression == Compression::None || !self.worth_a_try() {
            return (block, STORED);
        }
        let raw_len = u32::try_from(block.len()).expect("rows end far below 4 GiB");
        self.out.clear();
        self.out.extend_from_slice(&raw_len.to_le_bytes());
        let start = self.out.len();
        let most = lz4_flex::block::get_maximum_output_size(block.len());
        self.out.resize(start + most, 0);
        let len = lz4_flex::block::compress_into(block, &mut self.out[start..]);
        self.out.truncate(start + len.unwrap_or(most));
        if self.out.len() > block.len() - block.len() / 8 {
            self.failures += 1;
            return (block, STORED);
        }
        self.failures = 0;
        (&self.out, LZ4)
    }

    fn worth_a_try(&mut self) -> bool {
        if self.failures < FAILURES_MAX {
            return true;
        }
        self.failures += 1;
        if self.failures < FAILURES_MAX + TRY_EVERY {
            return false;
        }
        self.failures = FAILURES_MAX - 1;
        true
    }
}

/// The block of what was stored.
pub(super) fn unpack(stored: &Bytes, buffers: &Arc<Buffers>) -> Result<Bytes, DecodeError> {
    let damaged = |problem| DecodeError {
        field: "codec",
        position: stored.len(),
        problem,
    };
    match stored.split_last() {
        Some((&STORED, block)) => Ok(stored.slice(..block.len())),
        Some((&LZ4, packed)) => {
            let (raw_len, data) = packed
                .split_first_chunk::<4>()
                .ok_or_else(|| damaged("the block ends too early"))?;
            let raw_len = u32::from_le_bytes(*raw_len) as usize;
            if raw_len > data.len().saturating_mul(RATIO_MAX) {
                return Err(damaged("the block would grow beyond reason"));
            }
            let mut block = buffers.take(raw_len);
            match lz4_flex::block::decompress_into(data, block.as_mut()) {
                Ok(len) if len == raw_len => Ok(block.freeze()),
                Ok(_) | Err(_) => Err(damaged("the block does not decompress")),
            }
        }
        _ => Err(damaged("is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(compressor: &mut Compressor, block: &[u8]) -> Bytes {
        let (bytes, codec) = compressor.pack(block);
        [bytes, &[codec]].concat().into()
    }

    /// Bytes without a pattern.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 7u64;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn blocks_come_back_and_shrink_if_they_can() {
        let mut compressor = Compressor::new(Compression::Lz4);
        let text = b"the same words again and again, ".repeat(100);
        let small = stored(&mut compressor, &text);
        assert!(small.len() < text.len() / 10);
        assert_eq!(unpack(&small, &Arc::default()), Ok(text.clone().into()));
        let noise = noise(4096);
        for _ in 0..100 {
            let kept = stored(&mut compressor, &noise);
            assert_eq!(kept.len(), noise.len() + 1);
            assert_eq!(unpack(&kept, &Arc::default()), Ok(noise.clone().into()));
        }
        // After all that noise, text is found again soon.
        assert!((0..=TRY_EVERY).any(|_| stored(&mut compressor, &text).len() < text.len()));
        let mut off = Compressor::new(Compression::None);
        assert_eq!(stored(&mut off, &text).len(), text.len() + 1);
    }

    #[test]
    fn what_is_no_block_is_refused_without_much_memory() {
        for bytes in [
            &b""[..],
            b"x\x02",
            b"\x01",
            b"\xff\xff\xff\xff\x00\x01",
            b"\x09\x00\x00\x00\x10a\x01",
        ] {
            assert!(
                unpack(&Bytes::copy_from_slice(bytes), &Arc::default()).is_err(),
                "{bytes:?}"
            );
        }
    }
}
