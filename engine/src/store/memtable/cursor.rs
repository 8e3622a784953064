//! A walk over a memtable, in either direction, without borrowing it: leaf by leaf.

use std::sync::Arc;

use bytes::Bytes;

use super::Memtable;
use super::node::FANOUT;
use super::tree::Tree;
use super::versions::{Version, VersionAt};
use crate::store::iter::Direction;
use crate::store::key::Place;
use crate::store::row::StoredRow;

/// Stands on a version, or behind the last one.
pub(in crate::store) struct MemtableCursor {
    memtable: Arc<Memtable>,
    direction: Direction,
    /// Versions of one leaf, in the order of the walk.
    leaf: Vec<VersionAt>,
    at: usize,
    /// Where the walk goes on behind them.
    rest: Option<VersionAt>,
}

impl MemtableCursor {
    pub(in crate::store) fn new(memtable: Arc<Memtable>, direction: Direction) -> Self {
        Self {
            memtable,
            direction,
            leaf: Vec::with_capacity(FANOUT),
            at: 0,
            rest: None,
        }
    }

    /// Forward: to the first version at or behind `to`. Reverse: to the last one before it.
    pub(in crate::store) fn seek(&mut self, to: Place<'_>) {
        self.at = 0;
        self.rest = fetch(&self.memtable.tree, self.direction, to, &mut self.leaf);
        self.pass_end();
    }

    pub(in crate::store) fn seek_to_last(&mut self) {
        self.at = 0;
        let leaf = self.memtable.tree.last_leaf();
        self.leaf.clear();
        self.leaf.extend(leaf.versions().rev());
        self.rest = leaf.start();
    }

    pub(in crate::store) fn place(&self) -> Option<Place<'_>> {
        let version = self.leaf.get(self.at)?;
        Some(self.memtable.tree.versions.place(*version))
    }

    pub(in crate::store) fn key(&self) -> Option<Bytes> {
        Some(self.version()?.key())
    }

    pub(in crate::store) fn row(&self) -> Option<StoredRow> {
        self.version()?.row()
    }

    pub(in crate::store) fn advance(&mut self) {
        self.at += 1;
        self.pass_end();
    }

    pub(in crate::store) fn version(&self) -> Option<Version<'_>> {
        let version = self.leaf.get(self.at)?;
        Some(self.memtable.tree.versions.get(*version))
    }

    /// Goes on to the next leaf behind the last version of this one.
    fn pass_end(&mut self) {
        while self.at >= self.leaf.len()
            && let Some(rest) = self.rest.take()
        {
            let tree = &self.memtable.tree;
            let to = tree.versions.place(rest);
            self.at = 0;
            self.rest = fetch(tree, self.direction, to, &mut self.leaf);
        }
    }
}

/// Takes the versions of one leaf, from a place on, in the order of the walk; answers where the
/// walk goes on behind them.
fn fetch(
    tree: &Tree,
    direction: Direction,
    to: Place<'_>,
    out: &mut Vec<VersionAt>,
) -> Option<VersionAt> {
    out.clear();
    match direction {
        Direction::Forward => {
            let leaf = tree.leaf_from(&to);
            out.extend(leaf.versions_from(&to));
            leaf.end()
        }
        Direction::Reverse => {
            let leaf = tree.leaf_before(&to);
            out.extend(leaf.versions().take(leaf.before(&to)));
            out.reverse();
            leaf.start()
        }
    }
}
