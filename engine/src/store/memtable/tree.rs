//! The order of versions: a B+ tree with one writer that makes no reader wait, and waits for none.
//!
//! Nodes are filled, never emptied. A full node is not changed any more: two fresh ones take its
//! place, first the upper half beside it, then the lower half instead of it. A reader that
//! stands in the old node sees all that was there when its walk began, which is all it may see:
//! what comes later has a later revision. One that comes between the two steps looks at the order
//! above again after it has read which node is next, so that it never takes the lower half for
//! the whole. Old nodes stay until the memtable goes.
//!
//! Fifteen entries a node and an order in one word are those of Masstree's border nodes
//! ([Mao, Kohler, Morris 2012](https://pdos.csail.mit.edu/papers/masstree:eurosys12.pdf)); the
//! version numbers that it needs to use slots again are not.

use std::cmp::Ordering as Compared;
use std::sync::atomic::{AtomicU64, Ordering};

use super::node::{Entry, FANOUT, Inner, Node, Order};
use super::slab::Slab;
use super::versions::{VersionAt, Versions};
use crate::store::heads::head;
use crate::store::key::Place;

/// A node's heads are made anew once its keys share so many bytes more.
const SKIP_STEP: u32 = 4;

/// How many entries of a full node, and the one that did not fit, go to the lower half.
const LOWER_HALF: usize = FANOUT.div_ceil(2);

/// Versions in order.
pub(super) struct Tree {
    pub(super) versions: Versions,
    /// Levels above the leaves in the upper half, the topmost node's number in the lower.
    root: AtomicU64,
    leaves: Slab<Node>,
    inners: Slab<Inner>,
}

/// What only the writer knows.
#[derive(Debug, Default)]
pub(super) struct Writer {
    leaves: u32,
    inners: u32,
    /// From the root to the leaf that is written.
    path: Vec<Step>,
    /// What was inserted last: if the next follows it, more of the kind is expected.
    newest: Option<VersionAt>,
}

/// An inner node, the child that was taken, and the bounds of the node.
#[derive(Debug)]
struct Step {
    inner: u32,
    at: usize,
    bounds: Bounds,
}

/// Separators: what is in a node is not before `low`, and before `high`.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    low: Option<VersionAt>,
    high: Option<VersionAt>,
}

/// A leaf as a reader found it.
pub(super) struct Leaf<'a> {
    tree: &'a Tree,
    node: &'a Node,
    order: Order,
    bounds: Bounds,
}

/// A node's place was taken by two: `left`, and, from `separator` on, `right`.
struct Split {
    left: u32,
    separator: VersionAt,
    right: u32,
}

/// Which entries are wanted.
#[derive(Clone, Copy)]
enum Before {
    /// Those before a place.
    Only,
    /// That at the place, too.
    OrAt,
}

impl Tree {
    pub(super) fn new() -> (Self, Writer) {
        let tree = Self {
            versions: Versions::new(),
            root: AtomicU64::new(0),
            leaves: Slab::new(),
            inners: Slab::new(),
        };
        tree.leaves.make(0);
        let writer = Writer {
            leaves: 1,
            ..Writer::default()
        };
        (tree, writer)
    }

    /// The first version that is not before `place`.
    pub(super) fn first_from(&self, place: &Place<'_>) -> Option<VersionAt> {
        let leaf = self.leaf_from(place);
        leaf.first_from(place).or_else(|| {
            // All of the leaf is before it: the next one begins with what is wanted.
            let next = self.versions.place(leaf.end()?);
            self.leaf_from(&next).first_from(&next)
        })
    }

    /// The leaf with the first version that is not before `place`, or the leaf before it.
    pub(super) fn leaf_from(&self, place: &Place<'_>) -> Leaf<'_> {
        self.leaf(|node, order| self.before(node, order, 1, place, Before::OrAt) - 1)
    }

    /// The leaf with the last version before `place`.
    pub(super) fn leaf_before(&self, place: &Place<'_>) -> Leaf<'_> {
        self.leaf(|node, order| self.before(node, order, 1, place, Before::Only) - 1)
    }

    pub(super) fn last_leaf(&self) -> Leaf<'_> {
        self.leaf(|_, order| order.len() - 1)
    }

    /// Adds a version, or puts it in the place of its equal; answers the bytes of new nodes.
    pub(super) fn insert(&self, writer: &mut Writer, version: VersionAt) -> usize {
        let place = self.versions.place(version);
        let (leaf, bounds) = self.leaf_to_write(writer, &place);
        let node = self.leaves.get(leaf);
        let order = node.order();
        let at = self.before(node, order, 0, &place, Before::Only);
        let head = head_of(&place, node.skip());
        let here = (at < order.len()).then(|| order.slot(at));
        // Only equal heads are worth a look at the version itself.
        let same = here.filter(|slot| node.head(*slot) == head);
        if let Some(slot) = same.filter(|slot| self.versions.place(node.version(*slot)) == place) {
            node.replace(slot, version);
            return 0;
        }
        let entry = Entry { head, version };
        let made = if order.is_full() {
            self.split_leaf(writer, leaf, at, entry, bounds)
        } else {
            let slot = order.len();
            node.put(slot, entry);
            node.publish(order.inserted(at, slot));
            0
        };
        writer.newest = Some(version);
        made
    }

    fn root(&self) -> (u32, u32) {
        let root = self.root.load(Ordering::Acquire);
        let half = |number: u64| u32::try_from(number).expect("half a word");
        (half(root >> 32), half(root & u64::from(u32::MAX)))
    }

    fn leaf(&self, child: impl Fn(&Node, Order) -> usize) -> Leaf<'_> {
        let (height, mut number) = self.root();
        let mut bounds = Bounds::default();
        for _ in 0..height {
            let inner = self.inners.get(number);
            let mut order = inner.separators.order();
            let at = loop {
                let at = child(&inner.separators, order);
                number = inner.children[order.slot(at)].load(Ordering::Acquire);
                // A lower half is reached only through an order that knows the upper one.
                let order_since = inner.separators.order();
                if order_since == order {
                    break at;
                }
                order = order_since;
            };
            bounds = bounds.of_child(&inner.separators, order, at);
        }
        let node = self.leaves.get(number);
        Leaf {
            tree: self,
            node,
            order: node.order(),
            bounds,
        }
    }

    fn leaf_to_write(&self, writer: &mut Writer, place: &Place<'_>) -> (u32, Bounds) {
        let (height, mut number) = self.root();
        let mut bounds = Bounds::default();
        writer.path.clear();
        for _ in 0..height {
            let inner = self.inners.get(number);
            let order = inner.separators.order();
            let at = self.before(&inner.separators, order, 1, place, Before::OrAt) - 1;
            writer.path.push(Step {
                inner: number,
                at,
                bounds,
            });
            bounds = bounds.of_child(&inner.separators, order, at);
            number = inner.children[order.slot(at)].load(Ordering::Relaxed);
        }
        (number, bounds)
    }

    /// How many entries of a node stand before a place, those before `from` taken for granted.
    fn before(
        &self,
        node: &Node,
        order: Order,
        from: usize,
        place: &Place<'_>,
        before: Before,
    ) -> usize {
        let wanted = head_of(place, node.skip());
        let (mut start, mut end) = (from, order.len());
        while start < end {
            let middle = start.midpoint(end);
            let slot = order.slot(middle);
            let compared = node.head(slot).cmp(&wanted);
            let compared =
                compared.then_with(|| self.versions.place(node.version(slot)).cmp(place));
            let passed = match before {
                Before::Only => compared == Compared::Less,
                Before::OrAt => compared != Compared::Greater,
            };
            if passed {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }

    fn split_leaf(
        &self,
        writer: &mut Writer,
        leaf: u32,
        at: usize,
        entry: Entry,
        bounds: Bounds,
    ) -> usize {
        let node = self.leaves.get(leaf);
        let order = node.order();
        let mut entries: Vec<Entry> = (0..order.len())
            .map(|at| node.entry(order.slot(at)))
            .collect();
        // What comes in order leaves full nodes behind, not half-empty ones.
        let follows = writer.newest == entries.last().map(|last| last.version);
        entries.insert(at, entry);
        let kept = if at == FANOUT && follows {
            FANOUT
        } else {
            LOWER_HALF
        };
        let separator = entries[kept].version;
        let (left_bounds, right_bounds) = bounds.split_at(separator);
        let right = self.new_leaf(writer, node.skip(), right_bounds, &entries[kept..]);
        let (left, made) = if kept == FANOUT {
            (leaf, 1)
        } else {
            let left = self.new_leaf(writer, node.skip(), left_bounds, &entries[..kept]);
            (left, 2)
        };
        let split = Split {
            left,
            separator,
            right,
        };
        made * size_of::<Node>() + self.split_child(writer, split)
    }

    /// Puts two nodes in the place of the one at the end of the path.
    fn split_child(&self, writer: &mut Writer, split: Split) -> usize {
        let Some(step) = writer.path.pop() else {
            self.grow(writer, &split);
            return size_of::<Inner>();
        };
        let inner = self.inners.get(step.inner);
        let separators = &inner.separators;
        let order = separators.order();
        if order.is_full() {
            return self.split_inner(writer, &step, &split);
        }
        let slot = order.len();
        let entry = self.entry(split.separator, separators.skip());
        separators.put(slot, entry);
        inner.children[slot].store(split.right, Ordering::Relaxed);
        // Between the two steps the old node still has what the new one has, too.
        separators.publish(order.inserted(step.at + 1, slot));
        inner.children[order.slot(step.at)].store(split.left, Ordering::Release);
        0
    }

    fn split_inner(&self, writer: &mut Writer, step: &Step, split: &Split) -> usize {
        let inner = self.inners.get(step.inner);
        let separators = &inner.separators;
        let order = separators.order();
        let slots = (0..order.len()).map(|at| order.slot(at));
        let child = |slot: usize| inner.children[slot].load(Ordering::Relaxed);
        let mut entries: Vec<(Entry, u32)> = slots
            .map(|slot| (separators.entry(slot), child(slot)))
            .collect();
        let entry = self.entry(split.separator, separators.skip());
        let grows_at_its_end = step.at + 1 == FANOUT && entries[step.at].1 == split.left;
        entries[step.at].1 = split.left;
        entries.insert(step.at + 1, (entry, split.right));
        let kept = if grows_at_its_end { FANOUT } else { LOWER_HALF };
        let separator = entries[kept].0.version;
        let (left_bounds, right_bounds) = step.bounds.split_at(separator);
        let skip = separators.skip();
        let right = self.new_inner(writer, skip, right_bounds, &entries[kept..]);
        let (left, made) = if kept == FANOUT {
            (step.inner, 1)
        } else {
            let left = self.new_inner(writer, skip, left_bounds, &entries[..kept]);
            (left, 2)
        };
        let split = Split {
            left,
            separator,
            right,
        };
        made * size_of::<Inner>() + self.split_child(writer, split)
    }

    /// A new root above two nodes.
    fn grow(&self, writer: &mut Writer, split: &Split) {
        let separator = self.entry(split.separator, 0);
        // The first separator is never looked at.
        let entries = [(separator, split.left), (separator, split.right)];
        let inner = self.new_inner(writer, 0, Bounds::default(), &entries);
        let (height, _) = self.root();
        let root = u64::from(height + 1) << 32 | u64::from(inner);
        self.root.store(root, Ordering::Release);
    }

    fn new_leaf(&self, writer: &mut Writer, skip: u32, bounds: Bounds, entries: &[Entry]) -> u32 {
        let number = next(&mut writer.leaves);
        let node = self.leaves.make(number);
        self.fill(node, skip, bounds, entries.iter().copied());
        number
    }

    fn new_inner(
        &self,
        writer: &mut Writer,
        skip: u32,
        bounds: Bounds,
        entries: &[(Entry, u32)],
    ) -> u32 {
        let number = next(&mut writer.inners);
        let inner = self.inners.make(number);
        for (child, (_, below)) in inner.children.iter().zip(entries) {
            child.store(*below, Ordering::Relaxed);
        }
        let separators = entries.iter().map(|(entry, _)| *entry);
        self.fill(&inner.separators, skip, bounds, separators);
        number
    }

    /// Fills a new node with entries whose heads were made behind `skip` bytes.
    fn fill(&self, node: &Node, skip: u32, bounds: Bounds, entries: impl Iterator<Item = Entry>) {
        let shared = self.shared(bounds);
        if shared < skip + SKIP_STEP {
            return node.fill(skip, entries);
        }
        let anew = |entry: Entry| self.entry(entry.version, shared);
        node.fill(shared, entries.map(anew));
    }

    /// A version as it stands in a node that skips so many bytes.
    fn entry(&self, version: VersionAt, skip: u32) -> Entry {
        Entry {
            head: head_of(&self.versions.place(version), skip),
            version,
        }
    }

    /// Bytes that all keys within bounds share.
    fn shared(&self, bounds: Bounds) -> u32 {
        let (Some(low), Some(high)) = (bounds.low, bounds.high) else {
            return 0;
        };
        let (low, high) = (self.versions.place(low).key, self.versions.place(high).key);
        let shared = low.iter().zip(high).take_while(|(a, b)| a == b).count();
        u32::try_from(shared).expect("rows end far below 4 GiB")
    }
}

impl Bounds {
    fn of_child(self, separators: &Node, order: Order, at: usize) -> Self {
        let separator = |at| separators.version(order.slot(at));
        Self {
            low: if at > 0 {
                Some(separator(at))
            } else {
                self.low
            },
            high: if at + 1 < order.len() {
                Some(separator(at + 1))
            } else {
                self.high
            },
        }
    }

    fn split_at(self, separator: VersionAt) -> (Self, Self) {
        let left = Self {
            high: Some(separator),
            ..self
        };
        let right = Self {
            low: Some(separator),
            ..self
        };
        (left, right)
    }
}

impl Leaf<'_> {
    /// Its versions, in order.
    pub(super) fn versions(&self) -> impl DoubleEndedIterator<Item = VersionAt> + '_ {
        (0..self.order.len()).map(|at| self.node.version(self.order.slot(at)))
    }

    /// Its versions from a place on, but none that the next leaf has: a leaf that is being split
    /// still has the upper half when the order above it names that half's new leaf already.
    pub(super) fn versions_from(&self, place: &Place<'_>) -> impl Iterator<Item = VersionAt> + '_ {
        let end = self.end().map(|end| self.tree.versions.place(end));
        let len = end.map_or(self.order.len(), |end| self.before(&end));
        let versions = self.versions().take(len);
        versions.skip(self.before(place))
    }

    /// How many of its versions stand before a place.
    pub(super) fn before(&self, place: &Place<'_>) -> usize {
        let tree = self.tree;
        tree.before(self.node, self.order, 0, place, Before::Only)
    }

    fn first_from(&self, place: &Place<'_>) -> Option<VersionAt> {
        let at = self.before(place);
        (at < self.order.len()).then(|| self.node.version(self.order.slot(at)))
    }

    /// The first place that is not in this leaf.
    pub(super) fn end(&self) -> Option<VersionAt> {
        self.bounds.high
    }

    /// Where the leaf begins, if something is before it.
    pub(super) fn start(&self) -> Option<VersionAt> {
        self.bounds.low
    }
}

fn head_of(place: &Place<'_>, skip: u32) -> u64 {
    head(place.key.get(skip as usize..).unwrap_or_default())
}

fn next(count: &mut u32) -> u32 {
    let number = *count;
    *count = number
        .checked_add(1)
        .expect("a memtable is frozen long before");
    number
}
