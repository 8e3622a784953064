//! A simulated file: what is on the medium, what readers see, and what lies between.
//!
//! # Invariants
//! - Unless `diverged`, `current` is `durable` with `unsynced` applied in order.

use bytes::Bytes;

use super::content::Content;
use super::survival::{Losses, Survival};
use crate::env::rng::SeededRng;

/// The medium writes this much as a whole, or not at all.
pub(super) const SECTOR_BYTES: u64 = 512;

#[derive(Clone, Default)]
pub(super) struct SimFile {
    durable: Content,
    current: Content,
    unsynced: Vec<Change>,
    /// A sync failed: readers see bytes that the medium will never hold.
    diverged: bool,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, bytes: Bytes },
    SetLen(u64),
}

impl SimFile {
    pub(super) fn len(&self) -> u64 {
        self.current.len()
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        self.current.read_at(buf, offset)
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) {
        self.change(Change::Write {
            offset,
            bytes: Bytes::copy_from_slice(bytes),
        });
    }

    /// Writes only some sectors of what was asked.
    pub(super) fn write_torn(&mut self, bytes: &[u8], offset: u64, rng: &SeededRng) {
        let survival = Survival::of_pieces(sectors(offset, bytes.len()).count(), rng);
        let torn: Vec<_> = sectors(offset, bytes.len())
            .enumerate()
            .filter(|(number, _)| survival.keeps(*number, rng))
            .map(|(_, sector)| sector)
            .collect();
        for (at, range) in torn {
            self.write_at(&bytes[range], at);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.change(Change::SetLen(len));
    }

    /// Makes every unsynced change durable.
    pub(super) fn sync(&mut self) {
        if self.diverged {
            self.sync_first(self.unsynced.len());
        } else {
            // The same bytes, but in the same pages.
            self.unsynced.clear();
            self.durable = self.current.clone();
        }
    }

    /// A sync that was cut short.
    pub(super) fn sync_part(&mut self, rng: &SeededRng) {
        self.sync_first(rng.index(self.unsynced.len() + 1));
    }

    /// A sync that failed as the kernel does it: the pages are taken for clean, so no later
    /// sync writes them. Readers see them until the power goes.
    pub(super) fn fail_sync(&mut self) {
        self.unsynced.clear();
        self.diverged = true;
    }

    /// Whether a power cut may change what readers see.
    pub(super) fn is_unsettled(&self) -> bool {
        self.diverged || !self.unsynced.is_empty()
    }

    /// Leaves what the medium holds after a power cut.
    pub(super) fn lose_power(&mut self, rng: &SeededRng, losses: &mut Losses) {
        let changes = std::mem::take(&mut self.unsynced);
        let pieces = changes.iter().map(Change::piece_count).sum();
        let survival = Survival::of_pieces(pieces, rng);
        let mut piece = 0;
        for change in changes {
            match change {
                Change::SetLen(len) => {
                    if losses.note(survival.keeps(piece, rng)) {
                        self.durable.set_len(len);
                    }
                    piece += 1;
                }
                Change::Write { offset, bytes } => {
                    for (at, range) in sectors(offset, bytes.len()) {
                        let end = at + range.len() as u64;
                        if losses.note(survival.keeps(piece, rng)) {
                            self.durable.write_at(&bytes[range], at);
                        } else if end > self.durable.len()
                            && losses.note(survival.keeps(piece, rng))
                        {
                            // The longer length reached the medium, its bytes did not.
                            self.durable.set_len(end);
                        }
                        piece += 1;
                    }
                }
            }
        }
        self.current = self.durable.clone();
        self.diverged = false;
    }

    /// Changes bits of one byte on the medium and in what readers see.
    pub(super) fn flip(&mut self, offset: u64, mask: u8) -> bool {
        self.durable.flip(offset, mask);
        self.current.flip(offset, mask)
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    fn sync_first(&mut self, count: usize) {
        for change in self.unsynced.drain(..count) {
            change.apply(&mut self.durable);
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes } => content.write_at(bytes, *offset),
            Self::SetLen(len) => content.set_len(*len),
        }
    }

    fn piece_count(&self) -> usize {
        match self {
            Self::Write { offset, bytes } => sectors(*offset, bytes.len()).count(),
            Self::SetLen(_) => 1,
        }
    }
}

/// Cuts a write at the sector borders of its file: where each piece goes, and its bytes.
fn sectors(offset: u64, len: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let room = usize::try_from(SECTOR_BYTES - at % SECTOR_BYTES).expect("a sector is small");
        let range = done..done + room.min(len - done);
        done = range.end;
        Some((at, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_cut_at_sector_borders_of_the_file() {
        let pieces: Vec<_> = sectors(500, 1000).collect();
        assert_eq!(pieces, [(500, 0..12), (512, 12..524), (1024, 524..1000)]);
        assert_eq!(sectors(512, 512).count(), 1);
        assert_eq!(sectors(7, 0).count(), 0);
    }
}
