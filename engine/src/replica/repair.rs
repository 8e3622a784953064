//! A damaged state, put aside, and a whole one from a peer in its place.
//!
//! ```text
//! damaged                     a repair is due: which folder, which file, what is wrong
//! incoming                    a checkpoint being received
//! state-000008                the same, complete and every byte checked: the switch
//! quarantine-000007           the damaged folder, as it was found
//! quarantine-000007.damage    why: `damaged` under its last name
//! ```
//!
//! 1. [`Repair::note`] makes `damaged` durable; from now on nobody opens the state.
//! 2. [`Repair::begin`] removes an older quarantine and receives a checkpoint.
//! 3. [`Repair::finish`] checks it and renames it: a crash before repeats the repair, one after
//!    only tidies up ([`Repair::due`]).
//! 4. The damaged folder is renamed, then `damaged`. All names are in one folder, so that a
//!    power cut leaves each rename done or not done.
//!
//! # Invariants
//! - The damaged folder is never changed, and never removed before another repair needs its room.
//! - No checkpoint takes its place that ends before what the log has forgotten.
//!
//! # Not here
//! Whom to ask for a checkpoint, and when a node may be believed again (see `engine-raft`).

use std::path::{Path, PathBuf};

use super::Shared;
use super::note::{NOTE, Note};
use super::rooms::{newest_rooms, rooms_name};
use crate::checkpoint::CheckpointWriter;
use crate::checkpoint::check::check_files;
use crate::checkpoint::writer::store_dir;
use crate::env::{Env, Vfs};
use crate::error::{Damage, Error, Result};
use crate::ids::LogId;
use crate::state::State;
use crate::store::inspect::recorded_checkpoint;

use super::checkpoints::INCOMING;

const QUARANTINE_PREFIX: &str = "quarantine-";

/// A group's state that is damaged and not yet replaced.
#[derive(Debug)]
pub struct Repair {
    shared: Shared,
    dir: PathBuf,
    note: Note,
}

/// What a repair led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The last entry of the new state.
    pub log_id: LogId,
    /// Where the damaged folder is kept.
    pub quarantine: PathBuf,
}

impl Repair {
    /// Remembers that the newest state in `dir` is damaged; the first damage counts.
    ///
    /// # Durability
    /// Once this returns, no start opens the state before it is repaired.
    ///
    /// # Errors
    /// `Io` or `Full` from the disk.
    pub fn note(env: &Env, dir: &Path, error: &Error) -> Result<()> {
        let failed = |source| Error::io(format!("note damage in {}", dir.display()), source);
        let vfs = env.vfs.as_ref();
        if vfs.exists(&dir.join(NOTE)).map_err(failed)? {
            return Ok(());
        }
        let note = Note {
            state: newest(vfs, dir).map_err(failed)?,
            damage: damage(dir, error),
        };
        note.write(vfs, dir).map_err(failed)
    }

    /// The repair that `dir` needs, if any; ends one whose new state is already in place.
    ///
    /// # Errors
    /// `Io` from the disk.
    pub fn due(shared: &Shared, dir: &Path) -> Result<Option<Self>> {
        let failed = |source| Error::io(format!("look for damage in {}", dir.display()), source);
        let vfs = shared.env.vfs.as_ref();
        if !vfs.exists(&dir.join(NOTE)).map_err(failed)? {
            return Ok(None);
        }
        let newest = newest(vfs, dir).map_err(failed)?;
        let note = Note::read(vfs, dir, newest).map_err(failed)?;
        let repair = Self {
            shared: shared.clone(),
            dir: dir.to_owned(),
            note,
        };
        if newest > repair.note.state {
            repair.put_aside().map_err(failed)?;
            return Ok(None);
        }
        Ok(Some(repair))
    }

    /// What is damaged.
    pub fn damage(&self) -> &Damage {
        &self.note.damage
    }

    /// Prepares to receive a checkpoint. The quarantine of an earlier repair gives its room.
    ///
    /// # Errors
    /// `Io` or `Full` from the disk.
    pub fn begin(&self) -> Result<CheckpointWriter> {
        let vfs = self.shared.env.vfs.as_ref();
        let failed = |source| Error::io(format!("make room in {}", self.dir.display()), source);
        for entry in vfs.list(&self.dir).map_err(failed)? {
            if !is_quarantine(&entry.name) {
                continue;
            }
            let path = self.dir.join(&entry.name);
            tracing::warn!(path = %path.display(), "an older quarantine is removed");
            let removed = if entry.is_dir {
                vfs.remove_dir_all(&path)
            } else {
                vfs.remove(&path)
            };
            removed.map_err(failed)?;
        }
        CheckpointWriter::new(self.shared.env.clone(), self.dir.join(INCOMING))
    }

    /// Puts a received checkpoint in the place of the damaged state. Every byte of it is read
    /// and checked before, for the sender has not.
    ///
    /// # Durability
    /// Once this returns, every start opens the new state; before, it begins the repair again.
    ///
    /// # Errors
    /// `Corrupt` if the checkpoint is incomplete, damaged, or ends before `purged`, the last
    /// entry that the log has forgotten: another peer may have a better one. `Io`, `Full`.
    pub fn finish(&self, received: CheckpointWriter, purged: Option<LogId>) -> Result<Repaired> {
        let number = self.note.state + 1;
        let mut ends = None;
        received.finish_checked(&self.dir.join(rooms_name(number)), |dir| {
            ends = Some(check(&self.shared.env, dir, purged)?);
            Ok(())
        })?;
        let failed = |source| Error::io(format!("put {} aside", self.dir.display()), source);
        let quarantine = self.put_aside().map_err(failed)?;
        Ok(Repaired {
            log_id: ends.expect("a checkpoint that was checked"),
            quarantine,
        })
    }

    /// The steps after the switch, as far as they are not done.
    fn put_aside(&self) -> std::io::Result<PathBuf> {
        let vfs = self.shared.env.vfs.as_ref();
        let name = quarantine_name(self.note.state);
        let (from, to) = (rooms_name(self.note.state), self.dir.join(&name));
        let from = self.dir.join(from);
        if vfs.exists(&from)? {
            vfs.rename(&from, &to)?;
        }
        // In this order: without the note, a start removes older states.
        vfs.sync_dir(&self.dir)?;
        vfs.rename(
            &self.dir.join(NOTE),
            &self.dir.join(format!("{name}.damage")),
        )?;
        vfs.sync_dir(&self.dir)?;
        Ok(to)
    }
}

fn quarantine_name(state: u64) -> String {
    format!("{QUARANTINE_PREFIX}{state:06}")
}

/// Whether a start must leave this folder alone.
pub(super) fn is_quarantine(name: &str) -> bool {
    name.starts_with(QUARANTINE_PREFIX)
}

/// The number of the newest state folder.
fn newest(vfs: &dyn Vfs, dir: &Path) -> std::io::Result<u64> {
    Ok(newest_rooms(&vfs.list(dir)?))
}

/// What an error tells, its path made relative to the group's folder.
fn damage(dir: &Path, error: &Error) -> Damage {
    match error.damage() {
        Some(damage) => Damage {
            path: damage
                .path
                .strip_prefix(dir)
                .unwrap_or(&damage.path)
                .to_owned(),
            ..damage.clone()
        },
        None => Damage {
            path: PathBuf::new(),
            offset: 0,
            what: error.to_string(),
        },
    }
}

/// Checks a received state; answers the last entry it holds.
fn check(env: &Env, dir: &Path, purged: Option<LogId>) -> Result<LogId> {
    check_files(env, dir)?;
    let store = store_dir(dir);
    let bad = |what: String| Err(Error::corrupt(dir, 0, what));
    let Some(checkpoint) = recorded_checkpoint(&env.vfs, &store) else {
        return bad("it holds no checkpoint".to_owned());
    };
    let (state, _) = State::decode(checkpoint)?;
    match (state.applied, purged) {
        (None, _) => bad("it holds no entry".to_owned()),
        (Some(applied), Some(purged)) if applied.index < purged.index => bad(format!(
            "it ends at entry {applied}, but the log has forgotten all up to {purged}"
        )),
        (Some(applied), _) => Ok(applied),
    }
}
