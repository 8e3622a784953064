//! Buffers for blocks, all of one size, used again and again.
//!
//! Blocks come and go on many threads, and no two are of one length. An allocator that keeps a
//! heap for each thread, and fits lengths, comes to hold a multiple of what the cache counts;
//! buffers that go round do not.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::options::StoreOptions;

/// A full block as it is stored: a codec's number and a checksum come behind it.
const BUFFER_BYTES: usize = StoreOptions::BLOCK_BYTES_DEFAULT + 64;

/// A shorter block would waste more than half of a buffer.
const USED_BYTES_MIN: usize = BUFFER_BYTES / 2;

/// Buffers that wait for their next use.
const FREE_MAX: usize = 256;

/// Where buffers wait.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Mutex<Vec<Box<[u8]>>>,
}

/// Memory for one block, to be filled.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    /// Memory for `len` bytes; what is in it is of no meaning.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let fits = (USED_BYTES_MIN..=BUFFER_BYTES).contains(&len);
        let free = if fits { self.free.lock().pop() } else { None };
        let bytes = free.unwrap_or_else(|| {
            let bytes = if fits { BUFFER_BYTES } else { len };
            vec![0; bytes].into_boxed_slice()
        });
        Buffer {
            bytes,
            len,
            home: Arc::clone(self),
        }
    }
}

impl Buffer {
    /// The bytes, to be shared; with the last of them the buffer is free again.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() != BUFFER_BYTES {
            return;
        }
        let mut free = self.home.free.lock();
        if free.len() < FREE_MAX {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_reads_it() {
        let buffers = Arc::new(Buffers::default());
        let free = || buffers.free.lock().len();
        let mut buffer = buffers.take(BUFFER_BYTES - 100);
        buffer.as_mut().fill(7);
        let bytes = buffer.freeze();
        let (part, rest) = (bytes.slice(..10), bytes.slice(10..));
        drop((bytes, rest));
        assert_eq!((free(), &part[..]), (0, &[7; 10][..]));
        drop(part);
        assert_eq!(free(), 1);
        assert_eq!(buffers.take(BUFFER_BYTES).as_ref().len(), BUFFER_BYTES);
        assert_eq!(free(), 1);
        let two = (
            buffers.take(BUFFER_BYTES - 100),
            buffers.take(BUFFER_BYTES - 100),
        );
        assert_eq!(free(), 0);
        drop(two);
        assert_eq!(free(), 2);
    }

    #[test]
    fn short_and_long_blocks_have_memory_of_their_own() {
        let buffers = Arc::new(Buffers::default());
        for len in [0, 1, USED_BYTES_MIN - 1, BUFFER_BYTES + 1, 1 << 20] {
            assert_eq!(buffers.take(len).as_ref().len(), len);
        }
        assert!(buffers.free.lock().is_empty());
    }

    #[test]
    fn only_so_many_wait() {
        let buffers = Arc::new(Buffers::default());
        let many: Vec<_> = (0..2 * FREE_MAX)
            .map(|_| buffers.take(BUFFER_BYTES))
            .collect();
        drop(many);
        assert_eq!(buffers.free.lock().len(), FREE_MAX);
    }
}
