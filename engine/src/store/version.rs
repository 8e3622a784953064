//! What a reader sees: the memtables and tables of one moment.
//!
//! A [`Version`] is never changed. Readers take the newest one under a lock held for one
//! reference count, then work undisturbed; freeze, flush and compaction put a new one in place.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::deleted::DeletedRanges;
use super::heads::KeyHeads;
use super::memtable::Memtable;
use super::table::{Properties, Table};
use crate::ids::Revision;

/// L0 and six levels below it: with factor ten far more than any disk.
pub(super) const LEVELS: usize = 7;

/// One moment of a store.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) active: Arc<Memtable>,
    /// The newest first.
    pub(super) frozen: Vec<Frozen>,
    pub(super) levels: Levels,
    /// Deleted ranges that still hide something in the levels.
    pub(super) deleted: Arc<DeletedRanges>,
    /// The newest durable checkpoint; it describes the state that the levels hold.
    pub(super) checkpoint: Option<Bytes>,
}

impl Version {
    /// The latest revision up to `at` at which a range with this key was deleted: versions below
    /// it are hidden, wherever they are.
    pub(super) fn hidden_below(&self, key: &[u8], at: Revision) -> Revision {
        let mut hidden = self.active.hidden_below(key, at);
        for frozen in &self.frozen {
            hidden = hidden.max(frozen.memtable.hidden_below(key, at));
        }
        if !self.deleted.is_empty() {
            hidden = hidden.max(self.deleted.hidden_below(key, at));
        }
        hidden
    }

    /// How many deleted ranges are remembered.
    pub(super) fn deleted_ranges(&self) -> usize {
        let frozen = self.frozen.iter().map(|frozen| &frozen.memtable);
        let memtables = std::iter::once(&self.active).chain(frozen);
        let fresh: usize = memtables.map(|memtable| memtable.deleted_ranges()).sum();
        fresh + self.deleted.ranges().len()
    }
}

/// A memtable that is written no more, and the checkpoint that it completes.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    pub(super) memtable: Arc<Memtable>,
    pub(super) checkpoint: Bytes,
}

/// Tables of all levels. L0 has the newest first, and its tables may overlap; below, tables
/// stand in key order and share no key.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    levels: [Level; LEVELS],
}

/// Tables of one level; shared, so that a scan takes them all for one reference count.
pub(super) type Level = Arc<Tables>;

/// Tables in order, and, below L0, searchable by key.
#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: Vec<Arc<Table>>,
    /// Of their largest keys.
    heads: KeyHeads,
}

impl Tables {
    /// Tables in key order that share no key.
    pub(super) fn new(tables: Vec<Arc<Table>>) -> Self {
        let heads = KeyHeads::new(tables.iter().map(|table| &table.properties.largest[..]));
        Self { tables, heads }
    }

    /// How many tables lie before a key as a whole.
    pub(super) fn before(&self, key: &[u8]) -> usize {
        let narrow = self.heads.narrow(key);
        let before = |table: &Arc<Table>| table.properties.largest < key;
        narrow.start + self.tables[narrow].partition_point(before)
    }
}

impl Deref for Tables {
    type Target = [Arc<Table>];

    fn deref(&self) -> &[Arc<Table>] {
        &self.tables
    }
}

impl Levels {
    /// Puts tables into their levels, and in order.
    pub(super) fn new(tables: impl IntoIterator<Item = (usize, Arc<Table>)>) -> Self {
        let mut levels: [Vec<Arc<Table>>; LEVELS] = Default::default();
        for (level, table) in tables {
            levels[level].push(table);
        }
        for (number, tables) in levels.iter_mut().enumerate() {
            if number == 0 {
                tables.sort_unstable_by_key(|table| std::cmp::Reverse(table.id));
            } else {
                tables.sort_unstable_by(|a, b| a.properties.smallest.cmp(&b.properties.smallest));
            }
        }
        let mut levels = levels.into_iter();
        let newest_first = Tables {
            tables: levels.next().unwrap_or_default(),
            heads: KeyHeads::default(),
        };
        let deeper = levels.map(|tables| Arc::new(Tables::new(tables)));
        let levels: Vec<Level> = std::iter::once(Arc::new(newest_first))
            .chain(deeper)
            .collect();
        Self {
            levels: levels.try_into().expect("as many as there were"),
        }
    }

    pub(super) fn level(&self, level: usize) -> &Level {
        &self.levels[level]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Level> {
        self.levels.iter()
    }

    /// Every table with its level.
    pub(super) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        self.levels
            .iter()
            .enumerate()
            .flat_map(|(level, tables)| tables.iter().map(move |table| (level, table)))
    }

    /// The levels after an edit.
    pub(super) fn edited(&self, added: &[(usize, Arc<Table>)], removed: &[(usize, u64)]) -> Self {
        let kept = self
            .tables()
            .filter(|(level, table)| !removed.contains(&(*level, table.id)))
            .map(|(level, table)| (level, Arc::clone(table)));
        Self::new(kept.chain(added.iter().cloned()))
    }

    /// The first pair of tables of one level below L0 that share a key; there must be none.
    pub(super) fn overlap(&self) -> Option<(&Table, &Table)> {
        self.levels[1..].iter().find_map(|level| {
            level.windows(2).find_map(|pair| match pair {
                [a, b] if a.properties.overlaps(&b.properties) => Some((a.as_ref(), b.as_ref())),
                _ => None,
            })
        })
    }
}

/// The one table of a level below L0 that may hold a key.
pub(super) fn table_of<'a>(level: &'a Level, key: &[u8]) -> Option<&'a Arc<Table>> {
    let table = level.get(level.before(key))?;
    table.properties.covers(key).then_some(table)
}

/// The tables of a level below L0 that share keys with the given bounds.
pub(super) fn tables_within<'a>(level: &'a Level, bounds: &Properties) -> &'a [Arc<Table>] {
    let from = level.before(&bounds.smallest);
    let until = level.partition_point(|table| table.properties.smallest <= bounds.largest);
    level.get(from..until).unwrap_or_default()
}
