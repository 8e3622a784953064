//! The bytes of a simulated file: only pages that were written take room.
//!
//! Pages are shared between copies until one of them changes, so that the durable and the
//! visible bytes of a file cost little more than one of them.
//!
//! # Invariants
//! - Bytes of the last page beyond `len` are zero.
//! - Every page begins below `len`.

use std::collections::BTreeMap;
use std::sync::Arc;

const PAGE_BYTES: usize = 4096;
const PAGE_BYTES_U64: u64 = PAGE_BYTES as u64;

type Page = [u8; PAGE_BYTES];

#[derive(Clone, Default)]
pub(super) struct Content {
    len: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads up to the end of the file.
    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buf.len());
        let mut done = 0;
        while done < count {
            let (number, within) = page_of(offset + done as u64);
            let piece = (PAGE_BYTES - within).min(count - done);
            let target = &mut buf[done..done + piece];
            match self.pages.get(&number) {
                Some(page) => target.copy_from_slice(&page[within..within + piece]),
                None => target.fill(0),
            }
            done += piece;
        }
        count
    }

    /// Writes all, growing the file; the caller checked that the end is a valid offset.
    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let (number, within) = page_of(offset + done as u64);
            let piece = (PAGE_BYTES - within).min(bytes.len() - done);
            self.page_mut(number)[within..within + piece]
                .copy_from_slice(&bytes[done..done + piece]);
            done += piece;
        }
        if !bytes.is_empty() {
            self.len = self.len.max(offset + bytes.len() as u64);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (last, within) = page_of(len);
            self.pages.split_off(&len.div_ceil(PAGE_BYTES_U64));
            if self.pages.contains_key(&last) {
                self.page_mut(last)[within..].fill(0);
            }
        }
        self.len = len;
    }

    /// Changes the bits of one byte; `false` if the file ends before it.
    pub(super) fn flip(&mut self, offset: u64, mask: u8) -> bool {
        if offset >= self.len {
            return false;
        }
        let (number, within) = page_of(offset);
        self.page_mut(number)[within] ^= mask;
        true
    }

    fn page_mut(&mut self, number: u64) -> &mut Page {
        Arc::make_mut(
            self.pages
                .entry(number)
                .or_insert_with(|| Arc::new([0; PAGE_BYTES])),
        )
    }
}

fn page_of(offset: u64) -> (u64, usize) {
    let within = usize::try_from(offset % PAGE_BYTES_U64).expect("a page is small");
    (offset / PAGE_BYTES_U64, within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Change {
        Write(Vec<u8>, u16),
        SetLen(u16),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (prop::collection::vec(any::<u8>(), 0..6000), 0..20_000_u16)
                .prop_map(|(bytes, offset)| Change::Write(bytes, offset)),
            (0..20_000_u16).prop_map(Change::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn is_a_vector_of_bytes(changes in prop::collection::vec(change(), 0..20)) {
            let (mut content, mut model) = (Content::default(), Vec::new());
            for change in changes {
                match change {
                    Change::Write(bytes, offset) => {
                        let start = usize::from(offset);
                        if !bytes.is_empty() {
                            model.resize(model.len().max(start + bytes.len()), 0);
                            model[start..start + bytes.len()].copy_from_slice(&bytes);
                        }
                        content.write_at(&bytes, u64::from(offset));
                    }
                    Change::SetLen(len) => {
                        model.resize(usize::from(len), 0);
                        content.set_len(u64::from(len));
                    }
                }
                prop_assert_eq!(content.len(), model.len() as u64);
                let mut all = vec![0xAA; model.len() + 10];
                prop_assert_eq!(content.read_at(&mut all, 0), model.len());
                prop_assert_eq!(&all[..model.len()], &model[..]);
            }
        }
    }
}
