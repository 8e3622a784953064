//! A look at a manifest: every edit, and what all of them amount to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::{
    Edit, HEADER_BYTES, KIND_SEAL, LogFile, PREFIX, State, TableRecord, VERSION_1, read_current,
};
use crate::env::Vfs;
use crate::env::vfs::OpenMode;
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::ids::{LogId, Revision};
use crate::inspect::{Problem, Seen, Severity};
use crate::queue::PartitionLengths;
use crate::state::State as GroupState;
use crate::store::blob::{blob_file_name, is_blob_file};
use crate::store::pin::{is_table_file, table_file_name};

/// What a look at a manifest meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestItem {
    /// An edit whose checksum is right.
    Edit(EditView),
    /// The edit before it was durable.
    Seal {
        /// Where it stands.
        offset: u64,
    },
}

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EditView {
    /// Where it stands.
    pub offset: u64,
    /// The id that the next table will have.
    pub next_id: u64,
    /// Tables that come, or change their level.
    pub added: Vec<ManifestTable>,
    /// Ids of tables that leave.
    pub removed: Vec<u64>,
    /// Length of the checkpoint's bytes, if it brings one.
    pub checkpoint_bytes: Option<usize>,
    /// How many deleted ranges come.
    pub deleted_ranges: usize,
    /// How many of them leave.
    pub forgotten_ranges: usize,
}

/// What the manifest knows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestTable {
    /// Its id; the file is named after it.
    pub id: u64,
    /// Its level.
    pub level: usize,
    /// Length of its file.
    pub bytes: u64,
    /// The versions in it, tombstones included.
    pub entries: u64,
    /// The lowest revision of a version in it.
    pub revision_min: Revision,
    /// The highest one.
    pub revision_max: Revision,
    /// Ids of the blob files that hold its large values.
    pub blob_files: Vec<u64>,
}

/// What all edits together amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ManifestView {
    /// The file; empty if it could not be found.
    pub path: PathBuf,
    /// Its generation.
    pub generation: u64,
    /// Length of the file.
    pub bytes: usize,
    /// The id that the next table will have.
    pub next_id: u64,
    /// Its format.
    pub version: u32,
    /// All tables, by id.
    pub tables: Vec<ManifestTable>,
    /// How many deleted ranges still hide something.
    pub deleted_ranges: usize,
    /// What the checkpoint says; `None` if there is none, or none that can be read.
    pub checkpoint: Option<CheckpointView>,
}

/// A checkpoint in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointView {
    /// Length of its bytes.
    pub bytes: usize,
    /// The last entry that it covers.
    pub applied: Option<LogId>,
    /// The newest revision.
    pub revision: Revision,
    /// The oldest readable one.
    pub floor: Revision,
    /// The latest time seen, milliseconds since 1970.
    pub now_ms: u64,
    /// The state's digest.
    pub digest: u64,
    /// Names of the keyspaces, and their ids.
    pub keyspaces: Vec<(String, u32)>,
    /// Names of the topics, their ids and how many partitions they have.
    pub topics: Vec<(String, u32, u32)>,
    /// How many sessions are open.
    pub sessions: usize,
    /// How many partition files it records.
    pub partition_files: usize,
    /// Their bytes together.
    pub partition_bytes: u64,
}

/// Looks at the manifest of a store's folder and whether the tables it names are there; or at
/// one manifest file alone.
///
/// # Errors
/// `Io` if the files cannot be read, `Unsupported` for those of a newer build. Damage is no
/// error: it is seen.
pub fn manifest(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    seen: &mut dyn FnMut(Seen<ManifestItem>),
) -> Result<ManifestView> {
    let mut look = Look {
        vfs,
        seen,
        view: ManifestView::default(),
        state: State::default(),
        checkpoint: None,
        broken: false,
    };
    match vfs.list(path) {
        Ok(names) => {
            let names: Vec<String> = names.into_iter().map(|entry| entry.name).collect();
            if let Some(generation) = look.current(path, &names)? {
                look.log(path, generation)?;
                look.files(path, &names)?;
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(generation) = generation(&name) else {
                let what = format!("{} is not named like a manifest", path.display());
                return Err(Error::new(ErrorKind::Invalid, what));
            };
            look.log(path.parent().unwrap_or(Path::new("")), generation)?;
        }
        Err(e) => return Err(Error::io(format!("open {}", path.display()), e)),
    }
    Ok(look.finish())
}

/// The lengths of partition files that the checkpoint of a store's folder records, if they can
/// be read.
pub(crate) fn recorded_lengths(vfs: &Arc<dyn Vfs>, dir: &Path) -> Option<PartitionLengths> {
    let (_, lengths) = GroupState::decode(state(vfs, dir)?.checkpoint?).ok()?;
    Some(lengths)
}

/// The newest durable checkpoint of a store's folder, if the manifest can be read; an open would
/// also remove what it does not need.
pub(crate) fn recorded_checkpoint(vfs: &Arc<dyn Vfs>, dir: &Path) -> Option<Bytes> {
    state(vfs, dir)?.checkpoint
}

/// The blob files that the tables of a store's folder name, and how long they are; `None` if the
/// manifest cannot be read, or not all of it.
pub(in crate::store) fn named_blob_files(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
) -> Option<BTreeMap<u64, u64>> {
    let state = state(vfs, dir)?;
    let records = state.tables.values();
    let used = records.flat_map(|record| &record.properties.blobs);
    Some(used.map(|used| (used.file, used.file_bytes)).collect())
}

/// What all edits of a folder's manifest amount to, if none of them is lost.
fn state(vfs: &Arc<dyn Vfs>, dir: &Path) -> Option<State> {
    let mut look = Look {
        vfs,
        seen: &mut |_| {},
        view: ManifestView::default(),
        state: State::default(),
        checkpoint: None,
        broken: false,
    };
    let generation = read_current(vfs, dir).ok()?;
    look.log(dir, generation).ok()?;
    (!look.broken).then_some(look.state)
}

struct Look<'a> {
    vfs: &'a Arc<dyn Vfs>,
    seen: &'a mut dyn FnMut(Seen<ManifestItem>),
    view: ManifestView,
    state: State,
    /// Where the edit stands that brought the checkpoint.
    checkpoint: Option<u64>,
    /// Whether an edit is lost: what contradicts the others may follow from it.
    broken: bool,
}

impl Look<'_> {
    /// The generation that `CURRENT` names, or the newest one if that cannot be read.
    fn current(&mut self, dir: &Path, names: &[String]) -> Result<Option<u64>> {
        match read_current(self.vfs, dir) {
            Ok(generation) => return Ok(Some(generation)),
            Err(error) if error.damage().is_some() => {
                (self.seen)(Seen::Problem(Problem::of(error)?));
            }
            Err(_) if !names.iter().any(|name| name == super::CURRENT) => {
                let what = "the file is missing";
                self.problem(Severity::Damage, &dir.join(super::CURRENT), 0, what);
            }
            Err(error) => return Err(error),
        }
        Ok(names.iter().filter_map(|name| generation(name)).max())
    }

    fn log(&mut self, dir: &Path, generation: u64) -> Result<()> {
        let (log, contents) = match LogFile::open(self.vfs, dir, generation, OpenMode::Read) {
            Ok(opened) => opened,
            Err(error) => {
                (self.seen)(Seen::Problem(Problem::of(error)?));
                return Ok(());
            }
        };
        self.view.path.clone_from(&log.path);
        self.view.generation = generation;
        self.view.version = log.version;
        self.view.bytes = contents.len();
        let mut offset = HEADER_BYTES as u64;
        let mut sealed = true;
        let mut edits = 0;
        loop {
            match log.frame(&contents, offset) {
                Ok(Some(frame)) => {
                    sealed = frame.kind == KIND_SEAL;
                    if sealed {
                        (self.seen)(Seen::Item(ManifestItem::Seal { offset }));
                    } else {
                        edits += 1;
                        self.edit(&log, offset, frame.body);
                    }
                    offset += frame.len;
                }
                Ok(None) => break,
                Err(problem) => {
                    let Some(next) = log.next_frame(&contents, offset) else {
                        let what = format!("{problem}: an edit that was cut short");
                        self.problem(Severity::TornTail, &log.path, offset, what);
                        break;
                    };
                    self.problem(Severity::Damage, &log.path, offset, problem);
                    self.broken = true;
                    offset = next;
                }
            }
        }
        if edits == 0 {
            let at = HEADER_BYTES as u64;
            self.problem(Severity::Damage, &log.path, at, "the first edit is gone");
        } else if !sealed {
            let what = "the last edit is not sealed: a node writes it anew";
            self.problem(Severity::Harmless, &log.path, offset, what);
        }
        Ok(())
    }

    fn edit(&mut self, log: &LogFile, offset: u64, body: Bytes) {
        let first = log.version == VERSION_1;
        let followed = Edit::decode(body, first).and_then(|(next_id, edit)| {
            (self.seen)(Seen::Item(ManifestItem::Edit(EditView {
                offset,
                next_id,
                added: edit.added.iter().map(table).collect(),
                removed: edit.removed.clone(),
                checkpoint_bytes: edit.checkpoint.as_ref().map(Bytes::len),
                deleted_ranges: edit.deleted.len(),
                forgotten_ranges: edit.forgotten.len(),
            })));
            if edit.checkpoint.is_some() {
                self.checkpoint = Some(offset);
            }
            self.state.follow(next_id, edit)
        });
        if let Err(error) = followed
            && !self.broken
        {
            self.problem(Severity::Damage, &log.path, offset, error);
        }
    }

    /// Whether the tables and blob files are there as the manifest names them.
    fn files(&mut self, dir: &Path, names: &[String]) -> Result<()> {
        if self.broken {
            // Which files there should be is not known.
            return Ok(());
        }
        let mut named = BTreeMap::new();
        for record in self.state.tables.values() {
            named.insert(table_file_name(record.id), record.len);
            for used in &record.properties.blobs {
                named.insert(blob_file_name(used.file), used.file_bytes);
            }
        }
        for (name, len) in &named {
            let path = dir.join(name);
            if !names.contains(name) {
                self.problem(Severity::Damage, &path, 0, "the file is missing");
                continue;
            }
            let failed = |e| Error::io(format!("open {}", path.display()), e);
            let file = self.vfs.open(&path, OpenMode::Read).map_err(failed)?;
            let found = file.len().map_err(failed)?;
            if found != *len {
                let what = format!("{len} bytes were written");
                self.problem(Severity::Damage, &path, found, what);
            }
        }
        for name in names {
            let ours = is_table_file(name) || is_blob_file(name);
            if ours && !named.contains_key(name) {
                let what = "the manifest does not name this file: a node removes it";
                self.problem(Severity::Harmless, &dir.join(name), 0, what);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> ManifestView {
        self.view.next_id = self.state.next_id;
        self.view.tables = self.state.tables.values().map(table).collect();
        self.view.deleted_ranges = self.state.deleted.len();
        if let Some(bytes) = self.state.checkpoint.take() {
            match GroupState::decode(bytes.clone()) {
                Ok((state, lengths)) => {
                    self.view.checkpoint = Some(checkpoint(bytes.len(), &state, &lengths));
                }
                Err(error) => {
                    let path = self.view.path.clone();
                    let what = format!("its checkpoint cannot be read: {error}");
                    let offset = self.checkpoint.unwrap_or_default();
                    self.problem(Severity::Damage, &path, offset, what);
                }
            }
        }
        self.view
    }

    fn problem(&mut self, severity: Severity, path: &Path, offset: u64, what: impl ToString) {
        let damage = Damage {
            path: path.to_owned(),
            offset,
            what: what.to_string(),
        };
        (self.seen)(Seen::Problem(Problem::new(severity, damage)));
    }
}

/// The generation in a manifest's name.
fn generation(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok()
}

fn table(record: &TableRecord) -> ManifestTable {
    ManifestTable {
        id: record.id,
        level: record.level,
        bytes: record.len,
        entries: record.properties.entries,
        revision_min: record.properties.revision_min,
        revision_max: record.properties.revision_max,
        blob_files: record
            .properties
            .blobs
            .iter()
            .map(|used| used.file)
            .collect(),
    }
}

fn checkpoint(bytes: usize, state: &GroupState, lengths: &PartitionLengths) -> CheckpointView {
    let keyspaces = state.keyspaces.iter();
    let topics = state.topics.iter();
    CheckpointView {
        bytes,
        applied: state.applied,
        revision: state.revision,
        floor: state.floor,
        now_ms: state.now_ms,
        digest: state.digest,
        keyspaces: keyspaces
            .map(|(name, keyspace)| (name.clone(), keyspace.id.0))
            .collect(),
        topics: topics
            .map(|(name, topic)| (name.clone(), topic.id.0, topic.partitions))
            .collect(),
        sessions: state.sessions.count(),
        partition_files: lengths
            .partitions
            .values()
            .map(|length| length.files.len())
            .sum(),
        partition_bytes: lengths.bytes(),
    }
}
