//! Filling sled from the Lsm's durable checkpoint.

use std::path::Path;
use std::sync::Arc;

use super::BATCH_BYTES;
use super::tree::{Changes, Tree};
use crate::env::Env;
use crate::ids::Revision;
use crate::store::Lsm;
use crate::store::iter::{Direction, Merge, Source};
use crate::store::key::Place;
use crate::store::row::{NewRow, StoredRow};
use crate::store::table::Fill;
use crate::store::version::Version;
use crate::{Error, Result};

/// How often the progress is told.
const PROGRESS_VERSIONS: u64 = 1_000_000;

/// Opens sled's folder as it is if it ended cleanly at the Lsm's checkpoint, or makes it anew.
pub(super) fn reopen(
    env: &Env,
    folder: &Path,
    cache_bytes: usize,
    is_clean: bool,
    lsm: &Lsm,
) -> Result<Tree> {
    if is_clean {
        match Tree::open(folder, cache_bytes) {
            Ok(tree) if tree.was_recovered() => return Ok(tree),
            Ok(_) => tracing::warn!(folder = %folder.display(), "sled's files are gone"),
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "sled is unsound"),
        }
    }
    let removed = env.vfs.remove_dir_all(folder);
    removed.map_err(|e| Error::io(format!("remove {}", folder.display()), e))?;
    fill(Tree::open(folder, cache_bytes)?, lsm)
}

/// Copies every version of the checkpoint into an empty tree.
///
/// Deleted ranges become tombstones of the rows that they hide.
pub(super) fn fill(tree: Tree, lsm: &Lsm) -> Result<Tree> {
    let version = lsm.version();
    let mut filling = Filling {
        version: &version,
        tree: &tree,
        changes: Changes::default(),
        written: 0,
    };
    let mut merge = all_versions(&version);
    merge.seek(Place::before(&[]))?;
    let mut key = None;
    // The revision of the version before, of the same key.
    let mut newer = Revision(u64::MAX);
    while let Some(place) = merge.place() {
        let revision = place.revision;
        if key.as_ref().is_none_or(|key| *key != place.key) {
            key = Some(merge.key());
            newer = Revision(u64::MAX);
        }
        if let Some(key) = &key
            && revision != newer
        {
            filling.tombstones(key, revision, newer)?;
            filling.put(key, revision, merge.row())?;
        }
        newer = revision;
        merge.advance()?;
    }
    let Filling {
        changes, written, ..
    } = filling;
    tree.apply(changes)?;
    if written > 0 {
        tracing::info!(versions = written, "sled filled from the checkpoint");
    }
    Ok(tree)
}

struct Filling<'a> {
    version: &'a Version,
    tree: &'a Tree,
    changes: Changes,
    written: u64,
}

impl Filling<'_> {
    /// What ranges deleted between two versions of a row hide: a tombstone for each of them.
    fn tombstones(&mut self, key: &[u8], older: Revision, newer: Revision) -> Result<()> {
        let mut at = Revision(newer.0 - 1);
        loop {
            let deleted = self.version.hidden_below(key, at);
            if deleted <= older {
                return Ok(());
            }
            self.put(key, deleted, None)?;
            at = Revision(deleted.0 - 1);
        }
    }

    fn put(&mut self, key: &[u8], revision: Revision, row: Option<StoredRow>) -> Result<()> {
        let row = row.map(|row| row.load(revision)).transpose()?;
        let row = row.map(|row| NewRow {
            value: row.value,
            meta: row.meta,
        });
        self.changes.put(revision, key, row.as_ref());
        self.written += 1;
        if self.written.is_multiple_of(PROGRESS_VERSIONS) {
            tracing::info!(versions = self.written, "sled is being filled");
        }
        if self.changes.bytes() >= BATCH_BYTES {
            self.tree.apply(std::mem::take(&mut self.changes))?;
        }
        Ok(())
    }
}

/// Everything in the tables, in the order of the store.
fn all_versions(version: &Version) -> Merge {
    let newest = version.levels.level(0).iter();
    let tables = newest.map(|t| Source::table(Arc::clone(t), Direction::Forward, Fill::Ahead));
    let levels = version.levels.iter().skip(1);
    let levels = levels.map(|l| Source::level(Arc::clone(l), Direction::Forward, Fill::Ahead));
    Merge::new(tables.chain(levels).collect(), Direction::Forward)
}
