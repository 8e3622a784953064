//! What deletions leave behind, and which tables are rewritten for it.
//!
//! A deleted range hides its rows at once and for nothing; their bytes go later. Tables that lie
//! in the range as a whole are dropped by an edit of the manifest, without being read. Those at
//! its ends are rewritten, if no compaction came their way. Then the range itself is forgotten.
//!
//! Values in blob files are left behind by the versions that referred to them. Of a file whose
//! values are mostly garbage, what is left goes into new files with the next rewrite of its
//! tables; if there is nothing else to do, they are rewritten for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::deleted::DeletedRange;
use super::table::{Properties, Table};
use super::version::{Levels, Version};
use crate::ids::Revision;

/// What can be dropped by an edit alone.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Tables of which nothing is visible.
    pub(super) tables: Vec<(usize, Arc<Table>)>,
    /// Ranges that hide nothing any more.
    pub(super) ranges: Vec<DeletedRange>,
}

impl Leftovers {
    /// Looks at the ranges deleted up to `floor`.
    pub(super) fn find(version: &Version, floor: Revision) -> Self {
        let mut leftovers = Self::default();
        if version.deleted.is_empty() {
            return leftovers;
        }
        let ranges = || {
            let ranges = version.deleted.ranges().iter();
            ranges.filter(|deleted| deleted.revision <= floor)
        };
        for (level, table) in version.levels.tables() {
            if ranges().any(|deleted| hides_all(deleted, &table.properties)) {
                leftovers.tables.push((level, Arc::clone(table)));
            }
        }
        let dropped: BTreeSet<u64> = leftovers.tables.iter().map(|(_, table)| table.id).collect();
        let left = |deleted: &&DeletedRange| {
            let mut tables = version.levels.tables();
            !tables.any(|(_, table)| {
                !dropped.contains(&table.id) && hides_some(deleted, &table.properties)
            })
        };
        leftovers.ranges = ranges().filter(left).cloned().collect();
        leftovers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.ranges.is_empty()
    }
}

/// A table that ranges deleted up to `floor` hide in part, and its level.
pub(super) fn hidden_in_part(version: &Version, floor: Revision) -> Option<(usize, Arc<Table>)> {
    let ranges = version.deleted.ranges();
    version
        .levels
        .tables()
        .find(|(_, table)| {
            ranges
                .iter()
                .any(|deleted| deleted.revision <= floor && hides_some(deleted, &table.properties))
        })
        .map(|(level, table)| (level, Arc::clone(table)))
}

/// Blob files of whose values less than half is of use.
pub(super) fn stale_blob_files(levels: &Levels) -> BTreeSet<u64> {
    let mut files: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let tables = levels.tables();
    for used in tables.flat_map(|(_, table)| &table.properties.blobs) {
        let (bytes, used_bytes) = files.entry(used.file).or_default();
        *bytes = used.file_bytes;
        *used_bytes += used.used_bytes;
    }
    files.retain(|_, (bytes, used_bytes)| *used_bytes < *bytes / 2);
    files.into_keys().collect()
}

/// A table below L0 that names one of these blob files, and its level.
pub(super) fn names_one(levels: &Levels, stale: &BTreeSet<u64>) -> Option<(usize, Arc<Table>)> {
    let mut tables = levels.tables().filter(|(level, _)| *level > 0);
    tables
        .find(|(_, table)| {
            let mut blobs = table.properties.blobs.iter();
            blobs.any(|used| stale.contains(&used.file))
        })
        .map(|(level, table)| (level, Arc::clone(table)))
}

fn hides_all(deleted: &DeletedRange, table: &Properties) -> bool {
    table.revision_max < deleted.revision
        && deleted.range.contains(&table.smallest)
        && deleted.range.contains(&table.largest)
}

/// Whether the table may hold a version that the range hides.
fn hides_some(deleted: &DeletedRange, table: &Properties) -> bool {
    table.revision_min < deleted.revision
        && table.cleaned < deleted.revision
        && deleted.range.meets(&table.smallest, &table.largest)
}
