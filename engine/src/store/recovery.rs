//! Opening a folder: what the manifest names is checked, what it does not name is removed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::blob::{blob_file_name, is_blob_file};
use super::block_cache::BlockCache;
use super::deleted::{DeletedRange, DeletedRanges};
use super::folder::Folder;
use super::manifest::{CURRENT, Manifest, State, TableRecord, is_manifest, sync_dir};
use super::memtable::Memtable;
use super::pin::{InstalledTable, is_table_file, table_file_name};
use super::table::Table;
use super::version::{LEVELS, Levels, Version};
use crate::env::vfs::create_dir_durable;
use crate::env::{Env, Vfs};
use crate::{Error, ErrorKind, Result};

/// What a folder holds.
pub(super) struct Recovered {
    pub(super) manifest: Manifest,
    pub(super) version: Version,
    pub(super) folder: Arc<Folder>,
}

/// Reads a folder, or begins a new one.
pub(super) fn recover(env: &Env, dir: &Path, blocks: &Arc<BlockCache>) -> Result<Recovered> {
    create_dir_durable(env.vfs.as_ref(), dir)
        .map_err(|e| Error::io(format!("create folder {}", dir.display()), e))?;
    let names = file_names(&env.vfs, dir)?;
    let manifest = if names.iter().any(|name| name == CURRENT) {
        Manifest::open(env, dir)?
    } else {
        begin(env, dir, &names)?
    };
    let state = manifest.state();
    let folder = Folder::new(&env.vfs, dir);
    let levels = open_tables(&folder, state, blocks)?;
    remove_orphans(env, dir, &manifest, &names)?;
    let version = Version {
        active: Arc::new(Memtable::new()),
        frozen: Vec::new(),
        levels,
        deleted: Arc::new(DeletedRanges::new(state.deleted.iter().cloned())),
        checkpoint: state.checkpoint.clone(),
    };
    Ok(Recovered {
        manifest,
        version,
        folder,
    })
}

/// Builds the manifest of a folder from table files that somebody put there.
pub(super) fn install(
    env: &Env,
    dir: &Path,
    tables: &[InstalledTable],
    deleted: &[DeletedRange],
    checkpoint: Bytes,
) -> Result<()> {
    let names = file_names(&env.vfs, dir)?;
    if names.iter().any(|name| name == CURRENT) {
        let message = format!("install tables into {}, which is in use", dir.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    remove_manifests(env, dir, &names)?;
    let folder = Folder::new(&env.vfs, dir);
    let blocks = BlockCache::new(0);
    let mut state = State {
        checkpoint: Some(checkpoint),
        deleted: deleted.to_vec(),
        ..State::default()
    };
    let mut opened = Vec::new();
    for table in tables {
        let level = usize::try_from(table.level).unwrap_or(LEVELS);
        if level >= LEVELS || state.tables.contains_key(&table.id) || table.id == u64::MAX {
            let message = format!("install table {} at level {level}", table.id);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let file = Table::open(&folder, table.id, table.len, &blocks)?;
        let record = TableRecord {
            id: table.id,
            level,
            len: table.len,
            properties: file.properties.clone(),
        };
        let blobs = record.properties.blobs.iter().map(|blob| blob.file);
        let last_id = blobs.max().unwrap_or(0).max(table.id);
        state.next_id = state.next_id.max(last_id.saturating_add(1));
        state.tables.insert(table.id, record);
        opened.push((level, Arc::new(file)));
    }
    check_order(&Levels::new(opened))?;
    sync_dir(&env.vfs, dir)?;
    Manifest::create(env, dir, state).map(drop)
}

/// Begins an empty store. A first start that was cut short leaves a manifest at most; tables
/// without `CURRENT` mean that a store was here.
fn begin(env: &Env, dir: &Path, names: &[String]) -> Result<Manifest> {
    if names.iter().any(|name| is_table_file(name)) {
        let problem = "the file is missing, yet there are tables";
        return Err(Error::corrupt(&dir.join(CURRENT), 0, problem));
    }
    remove_manifests(env, dir, names)?;
    Manifest::create(env, dir, State::default())
}

fn open_tables(folder: &Arc<Folder>, state: &State, blocks: &Arc<BlockCache>) -> Result<Levels> {
    let mut tables = Vec::with_capacity(state.tables.len());
    for record in state.tables.values() {
        let table = Table::open(folder, record.id, record.len, blocks)?;
        if table.properties != record.properties {
            let problem = "its properties are not those in the manifest";
            return Err(Error::corrupt(&table.path, 0, problem));
        }
        tables.push((record.level, Arc::new(table)));
    }
    let levels = Levels::new(tables);
    check_order(&levels)?;
    Ok(levels)
}

fn check_order(levels: &Levels) -> Result<()> {
    match levels.overlap() {
        None => Ok(()),
        Some((a, b)) => {
            let problem = format!("shares keys with {} of its level", b.path.display());
            Err(Error::corrupt(&a.path, 0, problem))
        }
    }
}

/// Removes what a crash left: tables that no edit names, manifests of other generations.
fn remove_orphans(env: &Env, dir: &Path, manifest: &Manifest, names: &[String]) -> Result<()> {
    let tables = manifest.state().tables.keys();
    let mut named: BTreeSet<String> = tables.map(|id| table_file_name(*id)).collect();
    let records = manifest.state().tables.values();
    let blobs = records.flat_map(|record| &record.properties.blobs);
    named.extend(blobs.map(|blob| blob_file_name(blob.file)));
    for name in names {
        let data = is_table_file(name) || is_blob_file(name);
        let orphan = data && !named.contains(name);
        if orphan || manifest.is_left_over(name) {
            tracing::info!(file = %dir.join(name).display(), "left-over file removed");
            remove(env, dir, name)?;
        }
    }
    Ok(())
}

fn remove_manifests(env: &Env, dir: &Path, names: &[String]) -> Result<()> {
    let manifests = names.iter().filter(|name| is_manifest(name));
    manifests
        .into_iter()
        .try_for_each(|name| remove(env, dir, name))
}

fn remove(env: &Env, dir: &Path, name: &str) -> Result<()> {
    let path = dir.join(name);
    match env.vfs.remove(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()), e))
        }
        _ => Ok(()),
    }
}

fn file_names(vfs: &Arc<dyn Vfs>, dir: &Path) -> Result<Vec<String>> {
    let entries = vfs
        .list(dir)
        .map_err(|e| Error::io(format!("list folder {}", dir.display()), e))?;
    let files = entries.into_iter().filter(|entry| !entry.is_dir);
    Ok(files.map(|entry| entry.name).collect())
}
