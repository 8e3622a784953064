//! The newest rows, in memory, in order.
//!
//! One writer adds, any number of readers walk, and nobody waits. Each row is copied into a chunk
//! of the memtable's own, so that the memory counted is the memory held: a slice of a large
//! request would keep all of it alive.

mod cursor;
mod node;
mod slab;
#[cfg(test)]
mod tests;
mod tree;
mod versions;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

pub(super) use self::cursor::MemtableCursor;
use self::tree::{Tree, Writer};
use self::versions::{Filling, VersionAt};
use super::deleted::{DeletedRange, DeletedRanges};
use super::iter::Direction;
use super::key::Place;
use super::row::{Found, RowParts, RowWrite};
use crate::ids::Revision;

/// Versions of rows, ordered by [`Place`].
pub(super) struct Memtable {
    tree: Tree,
    writing: Mutex<Writing>,
    deleted: RwLock<DeletedRanges>,
    /// Spares readers the lock while no range was deleted.
    any_deleted: AtomicBool,
    bytes: AtomicUsize,
    count: AtomicU64,
}

/// What only the writer needs.
struct Writing {
    tree: Writer,
    filling: Filling,
    added: Vec<VersionAt>,
}

impl Memtable {
    pub(super) fn new() -> Self {
        let (tree, writer) = Tree::new();
        Self {
            tree,
            writing: Mutex::new(Writing {
                tree: writer,
                filling: Filling::default(),
                added: Vec::new(),
            }),
            deleted: RwLock::default(),
            any_deleted: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            count: AtomicU64::new(0),
        }
    }

    /// Keeps versions; one that is there already, at the same place, is forgotten.
    pub(super) fn write(&self, revision: Revision, writes: &[RowWrite]) {
        let mut writing = self.writing.lock();
        let Writing {
            tree,
            filling,
            added,
        } = &mut *writing;
        let mut rest = writes;
        let mut bytes = 0;
        while !rest.is_empty() {
            added.clear();
            bytes += self.tree.versions.add(filling, revision, rest, added);
            for version in added.iter() {
                bytes += self.tree.insert(tree, *version);
            }
            rest = &rest[added.len()..];
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.count.fetch_add(writes.len() as u64, Ordering::Relaxed);
    }

    /// Hides what was written in a range below a revision, here and in older places.
    pub(super) fn delete_range(&self, deleted: DeletedRange) {
        let mut all = self.deleted.write();
        let before = all.bytes();
        all.insert(deleted);
        self.bytes
            .fetch_add(all.bytes() - before, Ordering::Relaxed);
        self.any_deleted.store(true, Ordering::Release);
    }

    /// The latest revision up to `at` at which a range with this key was deleted.
    pub(super) fn hidden_below(&self, key: &[u8], at: Revision) -> Revision {
        if !self.any_deleted.load(Ordering::Acquire) {
            return Revision(0);
        }
        self.deleted.read().hidden_below(key, at)
    }

    /// How many ranges were deleted.
    pub(super) fn deleted_ranges(&self) -> usize {
        self.deleted.read().ranges().len()
    }

    /// The ranges that were deleted.
    pub(super) fn deleted(&self) -> Vec<DeletedRange> {
        self.deleted.read().ranges().to_vec()
    }

    /// The newest version not above `at`.
    pub(super) fn get(&self, key: &[u8], at: Revision) -> Option<Found> {
        let wanted = Place { key, revision: at };
        let version = self.tree.first_from(&wanted)?;
        let version = self.tree.versions.get(version);
        (version.place().key == key).then(|| version.found())
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Every version in order; only for a memtable that is no longer written.
    pub(super) fn for_each<E>(
        self: &Arc<Self>,
        mut visit: impl FnMut(Place<'_>, Option<RowParts<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = MemtableCursor::new(Arc::clone(self), Direction::Forward);
        cursor.seek(Place::before(&[]));
        while let Some(version) = cursor.version() {
            visit(version.place(), version.parts())?;
            cursor.advance();
        }
        Ok(())
    }
}

impl fmt::Debug for Memtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memtable")
            .field("bytes", &self.bytes())
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
