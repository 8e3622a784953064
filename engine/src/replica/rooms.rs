//! The folder that holds a group's tables and partition files, and its siblings.

use std::path::Path;

use super::Shared;
use super::repair::is_quarantine;
use crate::checkpoint::CheckpointReader;
use crate::checkpoint::writer::{partitions_dir, store_dir};
use crate::env::Env;
use crate::env::vfs::DirEntry;
use crate::error::{Error, Result};
use crate::ids::{GroupId, LogId};
use crate::queue::{PartitionLengths, Partitions};
use crate::state::State;
use crate::store::inspect::recorded_checkpoint;
use crate::store::{self, Store};

const ROOMS_PREFIX: &str = "state-";

pub(super) fn rooms_name(number: u64) -> String {
    format!("{ROOMS_PREFIX}{number:06}")
}

/// The number of the newest folder among these; 1 if there is none.
pub(super) fn newest_rooms(entries: &[DirEntry]) -> u64 {
    let numbers = entries
        .iter()
        .filter_map(|entry| entry.name.strip_prefix(ROOMS_PREFIX)?.parse().ok());
    numbers.max().unwrap_or(1)
}

/// The folder in use.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) number: u64,
    pub(super) store: Box<dyn Store>,
    pub(super) partitions: Partitions,
}

impl Rooms {
    pub(super) fn open(
        shared: &Shared,
        group: GroupId,
        dir: &Path,
        number: u64,
    ) -> Result<(Self, State)> {
        let dir = dir.join(rooms_name(number));
        let blocks = shared.blocks.clone();
        let store = store::open(
            shared.options.get().store,
            &shared.env,
            &store_dir(&dir),
            shared.options.store(),
            blocks,
        )?;
        let (state, lengths) = match store.checkpoint() {
            Some(checkpoint) => State::decode(checkpoint)?,
            None => (State::new(), PartitionLengths::default()),
        };
        let queue = shared.options.queue();
        let partitions =
            Partitions::open(&shared.env, &partitions_dir(&dir), group, queue, &lengths)?;
        Ok((
            Self {
                number,
                store,
                partitions,
            },
            state,
        ))
    }

    pub(super) fn read_checkpoint(&self, env: &Env) -> Result<CheckpointReader> {
        let pin = self.store.pin();
        CheckpointReader::new(env.vfs.clone(), pin, |lengths| self.partitions.pin(lengths))
    }
}

/// Refuses a checkpoint of fewer entries than the log has forgotten, before an open of it removes
/// tables and cuts partition files that a whole manifest would name.
pub(super) fn check_reaches(
    env: &Env,
    dir: &Path,
    number: u64,
    purged: Option<LogId>,
) -> Result<()> {
    let store = store_dir(&dir.join(rooms_name(number)));
    let (Some(purged), Some(checkpoint)) = (purged, recorded_checkpoint(&env.vfs, &store)) else {
        return Ok(());
    };
    let (state, _) = State::decode(checkpoint)?;
    let applied = state.applied.map_or(0, |applied| applied.index.0);
    if applied < purged.index.0 {
        let what = format!(
            "its checkpoint is of entry {applied}, but the log has forgotten all up to {}",
            purged.index
        );
        return Err(Error::corrupt(dir, 0, what));
    }
    Ok(())
}

/// Removes what an interrupted install left behind; answers the number of the folder in use.
pub(super) fn clean_folder(env: &Env, dir: &Path) -> Result<u64> {
    let failed = |source| Error::io(format!("prepare {}", dir.display()), source);
    env.vfs.create_dir_all(dir).map_err(failed)?;
    let entries = env.vfs.list(dir).map_err(failed)?;
    let newest = newest_rooms(&entries);
    for entry in &entries {
        if entry.is_dir && entry.name != rooms_name(newest) && !is_quarantine(&entry.name) {
            env.vfs
                .remove_dir_all(&dir.join(&entry.name))
                .map_err(failed)?;
        }
    }
    let rooms = dir.join(rooms_name(newest));
    env.vfs.create_dir_all(&store_dir(&rooms)).map_err(failed)?;
    env.vfs
        .create_dir_all(&partitions_dir(&rooms))
        .map_err(failed)?;
    env.vfs.sync_dir(&rooms).map_err(failed)?;
    env.vfs.sync_dir(dir).map_err(failed)?;
    if let Some(parent) = dir.parent() {
        env.vfs.sync_dir(parent).map_err(failed)?;
    }
    Ok(newest)
}
