//! One node of the tree: fifteen places, and the order in which they are to be read.
//!
//! A slot is filled once. Its number is put into the order, which is one word: that publishes
//! it. Readers take the order once and see a node that does not change under them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::versions::VersionAt;

/// Slots of a node: as many numbers of four bits as fit into a word beside their count.
pub(super) const FANOUT: usize = 15;

/// Versions, or separators, in order.
#[derive(Debug, Default)]
pub(super) struct Node {
    order: AtomicU64,
    /// Bytes that all keys here share; the heads begin behind them. Never changed.
    skip: AtomicU32,
    heads: [AtomicU64; FANOUT],
    versions: [AtomicU64; FANOUT],
}

/// A node above leaves. The first separator is no bound: whatever is less goes there too.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) separators: Node,
    pub(super) children: [AtomicU32; FANOUT],
}

/// What stands in a slot. The head is the eight bytes of the key behind what the node skips, as
/// a number: where two of these differ, the keys are in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) head: u64,
    pub(super) version: VersionAt,
}

/// The count of slots in the lowest four bits, then their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order(u64);

impl Node {
    /// Fills a node that nobody else knows yet.
    pub(super) fn fill(&self, skip: u32, entries: impl IntoIterator<Item = Entry>) {
        self.skip.store(skip, Ordering::Relaxed);
        let mut order = Order::default();
        for entry in entries {
            let slot = order.len();
            self.put(slot, entry);
            order = order.inserted(slot, slot);
        }
        self.publish(order);
    }

    /// Fills a free slot; nobody sees it before an order with it is published.
    pub(super) fn put(&self, slot: usize, entry: Entry) {
        self.heads[slot].store(entry.head, Ordering::Relaxed);
        self.versions[slot].store(entry.version.0, Ordering::Relaxed);
    }

    /// Puts a version in the place of its equal.
    pub(super) fn replace(&self, slot: usize, version: VersionAt) {
        self.versions[slot].store(version.0, Ordering::Release);
    }

    pub(super) fn publish(&self, order: Order) {
        self.order.store(order.0, Ordering::Release);
    }

    pub(super) fn order(&self) -> Order {
        Order(self.order.load(Ordering::Acquire))
    }

    pub(super) fn skip(&self) -> u32 {
        self.skip.load(Ordering::Relaxed)
    }

    pub(super) fn head(&self, slot: usize) -> u64 {
        self.heads[slot].load(Ordering::Relaxed)
    }

    pub(super) fn version(&self, slot: usize) -> VersionAt {
        VersionAt(self.versions[slot].load(Ordering::Acquire))
    }

    pub(super) fn entry(&self, slot: usize) -> Entry {
        Entry {
            head: self.head(slot),
            version: self.version(slot),
        }
    }
}

impl Order {
    pub(super) fn len(self) -> usize {
        (self.0 & 15) as usize
    }

    pub(super) fn is_full(self) -> bool {
        self.len() == FANOUT
    }

    /// The number of the slot at a position.
    pub(super) fn slot(self, at: usize) -> usize {
        (self.0 >> (4 + 4 * at) & 15) as usize
    }

    /// With one slot more, at a position.
    pub(super) fn inserted(self, at: usize, slot: usize) -> Self {
        debug_assert!(!self.is_full() && at <= self.len(), "{self:?} {at}");
        let shift = 4 + 4 * at;
        let before = self.0 & ((1 << shift) - 1);
        let behind = self.0 >> shift;
        // At the last position there is nothing behind, and no room to shift it.
        let behind = if at + 1 < FANOUT {
            behind << (shift + 4)
        } else {
            0
        };
        Self((before | (slot as u64) << shift | behind) + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_order_is_a_list_of_slots(positions in prop::collection::vec(any::<prop::sample::Index>(), FANOUT)) {
            let (mut order, mut list) = (Order::default(), Vec::new());
            for position in positions {
                let at = position.index(list.len() + 1);
                order = order.inserted(at, list.len());
                list.insert(at, list.len());
                let slots: Vec<_> = (0..order.len()).map(|at| order.slot(at)).collect();
                prop_assert_eq!(&slots, &list);
            }
            prop_assert!(order.is_full());
        }
    }
}
