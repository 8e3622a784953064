//! The list of a store's tables and its checkpoint: what a restart finds.
//!
//! ```text
//! CURRENT  = generation:u64 crc:u32
//! MANIFEST = header frame*            header = magic[8] version:u32 generation:u64 salt:u64 crc:u32
//! frame    = magic:u32 kind:u8 len:u32 crc:u32 body[len]        crc over salt, offset, kind, body
//! body     = next_id:u64 added:list removed:list checkpoint:option       kind 1: an edit
//!            deleted:list forgotten:list                                 since version 2
//!            empty                                                       kind 2: a seal
//! ```
//!
//! An edit is written and synced, then a seal is written and synced behind it, for which the
//! edit has left room: a full disk refuses the edit, and never the seal alone. Only what is not
//! sealed can have been torn by a crash: an edit that does not check out although something valid
//! follows was damaged later, and is never skipped.
//!
//! The log of edits is written anew, as one edit into the next generation, when it has grown;
//! the switch is the rename of a new `CURRENT`.
//!
//! # Invariants
//! - At most one edit is not sealed, and it is the last.
//! - After a failed write or sync nothing more is written: the store is poisoned. An edit for
//!   which there was no room is no such failure: it is cut off, or overwritten by the next.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
pub(super) mod inspect;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::deleted::DeletedRange;
use super::table::Properties;
use super::version::LEVELS;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::env::vfs::OpenMode;
use crate::env::{Env, File, Rng, Vfs};
use crate::failpoint::{Point, hit};
use crate::planted::{Planted, on};
use crate::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"ENGMANIF";
const VERSION: u32 = 2;

/// The first version: edits without deleted ranges, properties without blobs; still read.
const VERSION_1: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 8 + 8 + 4;

const FRAME_MAGIC: u32 = 0x4d46_5245;
const FRAME_HEADER_BYTES: usize = 4 + 1 + 4 + 4;
const KIND_EDIT: u8 = 1;
const KIND_SEAL: u8 = 2;

/// A seal has no body.
const SEAL_BYTES: usize = FRAME_HEADER_BYTES;

/// A log this much longer than its last compact form is written anew.
const GROWTH_FACTOR: u64 = 4;
const GROWTH_BYTES: u64 = 64 << 10;

pub(crate) const CURRENT: &str = "CURRENT";
const CURRENT_NEW: &str = "CURRENT.new";
const PREFIX: &str = "MANIFEST-";

/// The open manifest of a store.
#[derive(Debug)]
pub(super) struct Manifest {
    vfs: Arc<dyn Vfs>,
    rng: Arc<dyn Rng>,
    dir: PathBuf,
    log: LogFile,
    state: State,
    compact_bytes: u64,
}

/// One change, all of it or nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) added: Vec<TableRecord>,
    /// Ids of tables that leave; one that is also in `added` changes its level.
    pub(super) removed: Vec<u64>,
    pub(super) checkpoint: Option<Bytes>,
    /// Ranges that the flushed memtable deleted.
    pub(super) deleted: Vec<DeletedRange>,
    /// Deleted ranges that hide nothing any more.
    pub(super) forgotten: Vec<DeletedRange>,
}

/// What the manifest knows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableRecord {
    pub(super) id: u64,
    pub(super) level: usize,
    pub(super) len: u64,
    pub(super) properties: Properties,
}

/// What all edits together amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) next_id: u64,
    pub(super) tables: BTreeMap<u64, TableRecord>,
    pub(super) checkpoint: Option<Bytes>,
    pub(super) deleted: Vec<DeletedRange>,
}

#[derive(Debug)]
struct LogFile {
    version: u32,
    generation: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    salt: u64,
    len: u64,
}

impl Manifest {
    /// Writes the first manifest of a folder; durable when this returns.
    pub(super) fn create(env: &Env, dir: &Path, state: State) -> Result<Self> {
        let log = LogFile::create(&env.vfs, env.rng.as_ref(), dir, 1, &state)?;
        switch(&env.vfs, dir, 1)?;
        Ok(Self {
            vfs: Arc::clone(&env.vfs),
            rng: Arc::clone(&env.rng),
            dir: dir.to_owned(),
            compact_bytes: log.len,
            log,
            state,
        })
    }

    /// Reads the manifest that `CURRENT` names. If its last edit is torn or not sealed, all that
    /// is valid is written anew into the next generation: what was read is then durable.
    ///
    /// # Errors
    /// `Corrupt` with file and offset; nothing is changed then.
    pub(super) fn open(env: &Env, dir: &Path) -> Result<Self> {
        let generation = read_current(&env.vfs, dir)?;
        let (mut log, contents) = LogFile::open(&env.vfs, dir, generation, OpenMode::ReadWrite)?;
        let mut state = State::default();
        let mut sealed = false;
        let mut edits = 0;
        loop {
            let offset = log.len;
            match log.frame(&contents, offset) {
                Ok(Some(frame)) => {
                    sealed = frame.kind == KIND_SEAL;
                    if !sealed {
                        edits += 1;
                        let path = &log.path;
                        state
                            .read(frame.body, log.version == VERSION_1)
                            .map_err(|e| Error::corrupt(path, offset, e))?;
                    }
                    log.len += frame.len;
                }
                Err(problem) if log.anything_follows(&contents, offset) => {
                    return Err(Error::corrupt(&log.path, offset, problem));
                }
                // The end, or a torn tail.
                Ok(None) | Err(_) => break,
            }
        }
        if edits == 0 {
            let at = HEADER_BYTES as u64;
            return Err(Error::corrupt(&log.path, at, "the first edit is gone"));
        }
        let doubtful = log.len < contents.len() as u64 || !sealed || log.version == VERSION_1;
        let mut manifest = Self {
            vfs: Arc::clone(&env.vfs),
            rng: Arc::clone(&env.rng),
            dir: dir.to_owned(),
            compact_bytes: 0,
            log,
            state,
        };
        // What was not synced may stand in the system's memory only, left there by a killed process
        // or a failed sync; a later sync of that file would prove nothing. An edit behind a seal
        // that is lost would look like damage.
        if doubtful {
            manifest.switch_to(manifest.next_generation()?)?;
        } else {
            manifest.log.seal_again()?;
        }
        sync_dir(&manifest.vfs, dir)?;
        manifest.compact_bytes = manifest.state.encode_as_edit().len() as u64;
        Ok(manifest)
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The id of a table to be written: never given out again, even after a crash, once the
    /// manifest names the table.
    pub(super) fn take_id(&mut self) -> u64 {
        let id = self.state.next_id;
        self.state.next_id += 1;
        id
    }

    /// Makes an edit durable.
    ///
    /// # Errors
    /// `Full` if there is no room for it: nothing was changed. After any other error the
    /// manifest must not be used again: what it holds is unknown.
    pub(super) fn commit(&mut self, edit: Edit) -> Result<()> {
        let body = edit.encode(self.state.next_id);
        let begun = self.log.len;
        if let Err(error) = self.log.write_frame(KIND_EDIT, &body, SEAL_BYTES) {
            // What was written is a torn tail, which the next edit overwrites.
            let _ = self.log.file.set_len(begun);
            return Err(error);
        }
        hit(Point::ManifestWritten);
        self.log.sync().map_err(in_doubt)?;
        hit(Point::ManifestSynced);
        self.log.seal().map_err(in_doubt)?;
        hit(Point::ManifestSealed);
        self.state.apply(edit);
        if self.log.len <= GROWTH_BYTES + GROWTH_FACTOR * self.compact_bytes {
            return Ok(());
        }
        let grown = self.next_generation().and_then(|next| self.switch_to(next));
        match grown {
            // The present log is whole, and may grow on until there is room for its successor.
            Err(error) if error.kind() == ErrorKind::Full => {
                tracing::warn!(%error, "no room to write the manifest anew");
                let next = log_path(&self.dir, self.log.generation + 1);
                remove_if_there(&self.vfs, &next).map_err(in_doubt)
            }
            grown => grown,
        }
    }

    /// Whether a name in the folder belongs to a manifest that is not the current one.
    pub(super) fn is_left_over(&self, name: &str) -> bool {
        is_manifest(name) && self.log.path.file_name().is_none_or(|own| own != name)
    }

    /// Writes the state as one edit into the next generation.
    fn next_generation(&self) -> Result<LogFile> {
        let generation = self.log.generation + 1;
        let path = log_path(&self.dir, generation);
        // A crash may have left a file of this name, to which `CURRENT` never pointed.
        remove_if_there(&self.vfs, &path)?;
        LogFile::create(
            &self.vfs,
            self.rng.as_ref(),
            &self.dir,
            generation,
            &self.state,
        )
    }

    fn switch_to(&mut self, next: LogFile) -> Result<()> {
        hit(Point::ManifestGrown);
        switch(&self.vfs, &self.dir, next.generation)?;
        self.compact_bytes = next.len;
        let old = std::mem::replace(&mut self.log, next);
        // Nothing names it any more; if this fails, the next open removes it.
        let _ = self.vfs.remove(&old.path);
        Ok(())
    }
}

/// Whether a name is that of a manifest or of an unfinished switch.
pub(super) fn is_manifest(name: &str) -> bool {
    name == CURRENT_NEW || name.starts_with(PREFIX)
}

impl Edit {
    /// Reads the body of an edit, and the id that the next table will have. `first` says that
    /// the manifest has the first version.
    fn decode(body: Bytes, first: bool) -> Result<(u64, Self), DecodeError> {
        let mut input = Decoder::new(body);
        let next_id = input.u64("next id")?;
        let mut edit = Self {
            added: input.list("added tables", |input| {
                let table = TableRecord {
                    id: input.u64("table id")?,
                    level: usize::from(input.u8("level")?),
                    len: input.u64("table length")?,
                    properties: Properties::decode(input, first)?,
                };
                if table.level >= LEVELS || table.id >= next_id {
                    return Err(input.error("added tables", "level or id is out of range"));
                }
                Ok(table)
            })?,
            removed: input.list("removed tables", |input| input.u64("table id"))?,
            checkpoint: input.option("checkpoint", |input| input.bytes("checkpoint"))?,
            ..Self::default()
        };
        if !first {
            edit.deleted = input.list("deleted ranges", DeletedRange::get)?;
            edit.forgotten = input.list("forgotten ranges", DeletedRange::get)?;
        }
        input.end("edit")?;
        Ok((next_id, edit))
    }

    fn encode(&self, next_id: u64) -> Vec<u8> {
        encode_body(next_id, self.added.iter(), self)
    }
}

fn encode_body<'a>(
    next_id: u64,
    added: impl ExactSizeIterator<Item = &'a TableRecord>,
    edit: &Edit,
) -> Vec<u8> {
    let mut out = Encoder::new();
    out.u64(next_id).count(added.len());
    for table in added {
        let level = u8::try_from(table.level).expect("there are seven levels");
        out.u64(table.id).u8(level).u64(table.len);
        table.properties.encode(&mut out);
    }
    out.count(edit.removed.len());
    for id in &edit.removed {
        out.u64(*id);
    }
    out.option(edit.checkpoint.as_ref(), |out, checkpoint| {
        out.bytes(checkpoint);
    });
    for ranges in [&edit.deleted, &edit.forgotten] {
        out.count(ranges.len());
        for range in ranges {
            range.put(&mut out);
        }
    }
    out.into_vec()
}

impl State {
    fn encode_as_edit(&self) -> Vec<u8> {
        let edit = Edit {
            checkpoint: self.checkpoint.clone(),
            deleted: self.deleted.clone(),
            ..Edit::default()
        };
        encode_body(self.next_id, self.tables.values(), &edit)
    }

    fn apply(&mut self, edit: Edit) {
        for id in &edit.removed {
            self.tables.remove(id);
        }
        for table in edit.added {
            self.next_id = self.next_id.max(table.id + 1);
            self.tables.insert(table.id, table);
        }
        if edit.checkpoint.is_some() {
            self.checkpoint = edit.checkpoint;
        }
        self.deleted.extend(edit.deleted);
        if !edit.forgotten.is_empty() {
            self.deleted.retain(|range| !edit.forgotten.contains(range));
        }
    }

    /// Applies an edit as it was stored.
    fn read(&mut self, body: Bytes, first: bool) -> Result<(), DecodeError> {
        let (next_id, edit) = Edit::decode(body, first)?;
        self.follow(next_id, edit)
    }

    /// Applies an edit that was decoded, if it follows from what is known.
    fn follow(&mut self, next_id: u64, edit: Edit) -> Result<(), DecodeError> {
        if next_id < self.next_id {
            return Err(contradiction("next id", "goes back"));
        }
        self.next_id = next_id;
        if let Some(id) = edit.removed.iter().find(|id| !self.tables.contains_key(id)) {
            tracing::error!(
                table = id,
                "the manifest removes a table that it does not have"
            );
            return Err(contradiction("removed tables", "one was never added"));
        }
        self.apply(edit);
        Ok(())
    }
}

/// An edit that is whole, and does not follow from those before it.
fn contradiction(field: &'static str, problem: &'static str) -> DecodeError {
    DecodeError {
        field,
        position: 0,
        problem,
    }
}

/// A frame that checked out.
struct Frame {
    kind: u8,
    body: Bytes,
    len: u64,
}

impl LogFile {
    /// Writes a generation that holds one sealed edit: the whole state. Durable when this
    /// returns, its name included.
    fn create(
        vfs: &Arc<dyn Vfs>,
        rng: &dyn Rng,
        dir: &Path,
        generation: u64,
        state: &State,
    ) -> Result<Self> {
        let path = log_path(dir, generation);
        let file = vfs
            .open(&path, OpenMode::CreateNew)
            .map_err(|e| Error::io(format!("create manifest {}", path.display()), e))?;
        let salt = rng.next_u64();
        let mut header = Encoder::with_capacity(HEADER_BYTES);
        header.raw(MAGIC).u32(VERSION).u64(generation).u64(salt);
        let mut header = header.into_vec();
        let crc = crc32fast::hash(&header);
        header.extend_from_slice(&crc.to_le_bytes());
        let mut log = Self {
            version: VERSION,
            generation,
            path,
            file,
            salt,
            len: 0,
        };
        log.write(&header)?;
        log.append(KIND_EDIT, &state.encode_as_edit())?;
        log.seal()?;
        sync_dir(vfs, dir)?;
        Ok(log)
    }

    /// Opens a generation and checks its header; `len` is then where its frames begin.
    fn open(
        vfs: &Arc<dyn Vfs>,
        dir: &Path,
        generation: u64,
        mode: OpenMode,
    ) -> Result<(Self, Bytes)> {
        let path = log_path(dir, generation);
        let file = match vfs.open(&path, mode) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::corrupt(&path, 0, "the file is missing"));
            }
            Err(e) => return Err(Error::io(format!("open manifest {}", path.display()), e)),
        };
        let contents = read_all(file.as_ref(), &path)?;
        let damaged = |problem: &str| Error::corrupt(&path, 0, problem);
        let Some(header) = contents.first_chunk::<HEADER_BYTES>() else {
            return Err(damaged("the file ends within its header"));
        };
        let mut input = Decoder::new(Bytes::copy_from_slice(header));
        let body = header.get(..HEADER_BYTES - 4).unwrap_or_default();
        let magic = input.raw("magic", MAGIC.len())?;
        let version = input.u32("version")?;
        let stored_generation = input.u64("generation")?;
        let salt = input.u64("salt")?;
        if input.u32("checksum")? != crc32fast::hash(body) || magic != MAGIC[..] {
            return Err(damaged("the header does not check out"));
        }
        if !(VERSION_1..=VERSION).contains(&version) {
            let message = format!("{} has format {version}", path.display());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if stored_generation != generation {
            return Err(damaged("it is another generation"));
        }
        let log = Self {
            version,
            generation,
            path,
            file,
            salt,
            len: HEADER_BYTES as u64,
        };
        Ok((log, contents))
    }

    fn append(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        self.write_frame(kind, body, 0)?;
        self.sync()
    }

    /// Writes a frame, and `room` zeroes behind it, which reserve what the next frame needs.
    fn write_frame(&mut self, kind: u8, body: &[u8], room: usize) -> Result<()> {
        let len = u32::try_from(body.len()).map_err(|_| {
            let message = format!(
                "an edit of {} bytes for {}",
                body.len(),
                self.path.display()
            );
            Error::new(ErrorKind::Invalid, message)
        })?;
        let mut frame = Encoder::with_capacity(FRAME_HEADER_BYTES + body.len());
        frame
            .u32(FRAME_MAGIC)
            .u8(kind)
            .u32(len)
            .u32(frame_checksum(self.salt, self.len, kind, body))
            .raw(body);
        let mut frame = frame.into_vec();
        let frame_bytes = frame.len();
        frame.resize(frame_bytes + room, 0);
        self.write(&frame)?;
        self.len -= room as u64;
        Ok(())
    }

    fn seal(&mut self) -> Result<()> {
        self.append(KIND_SEAL, &[])
    }

    /// Writes the last frame, a seal, once more: the same bytes, and synced.
    fn seal_again(&mut self) -> Result<()> {
        self.len -= FRAME_HEADER_BYTES as u64;
        self.seal()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_at(bytes, self.len)
            .map_err(|e| Error::io(format!("write manifest {}", self.path.display()), e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        if on(Planted::ManifestNotSynced) {
            return Ok(());
        }
        self.file
            .sync_data()
            .map_err(|e| Error::io(format!("sync manifest {}", self.path.display()), e))
    }

    /// The frame at an offset; `None` at the end of the file.
    fn frame(&self, contents: &Bytes, offset: u64) -> Result<Option<Frame>, &'static str> {
        let start = usize::try_from(offset).map_err(|_| "an offset larger than memory")?;
        let rest = contents.get(start..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let mut input = Decoder::new(contents.slice(start..));
        let mut parse = || -> Result<_, DecodeError> {
            let magic = input.u32("magic")?;
            let kind = input.u8("kind")?;
            let len = input.u32("length")?;
            let crc = input.u32("checksum")?;
            let body = input.raw("body", len as usize)?;
            Ok((magic, kind, crc, body))
        };
        let (magic, kind, crc, body) = parse().map_err(|e| e.problem)?;
        if magic != FRAME_MAGIC || !matches!(kind, KIND_EDIT | KIND_SEAL) {
            return Err("no frame begins here");
        }
        if crc != frame_checksum(self.salt, offset, kind, &body) {
            return Err("the checksum is wrong");
        }
        let len = (FRAME_HEADER_BYTES + body.len()) as u64;
        Ok(Some(Frame { kind, body, len }))
    }

    /// Whether a valid frame begins anywhere behind `offset`.
    fn anything_follows(&self, contents: &Bytes, offset: u64) -> bool {
        self.next_frame(contents, offset).is_some()
    }

    /// Where the first valid frame behind `offset` begins.
    fn next_frame(&self, contents: &Bytes, offset: u64) -> Option<u64> {
        (offset + 1..contents.len() as u64)
            .find(|offset| matches!(self.frame(contents, *offset), Ok(Some(_))))
    }
}

fn frame_checksum(salt: u64, offset: u64, kind: u8, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&salt.to_le_bytes());
    crc.update(&offset.to_le_bytes());
    crc.update(&[kind]);
    crc.update(body);
    crc.finalize()
}

/// Points `CURRENT` to a generation, durably.
fn switch(vfs: &Arc<dyn Vfs>, dir: &Path, generation: u64) -> Result<()> {
    let (new, current) = (dir.join(CURRENT_NEW), dir.join(CURRENT));
    remove_if_there(vfs, &new)?;
    let failed = |e| Error::io(format!("write {}", new.display()), e);
    let mut body = generation.to_le_bytes().to_vec();
    body.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    let file = vfs.open(&new, OpenMode::CreateNew).map_err(failed)?;
    file.write_at(&body, 0).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    vfs.rename(&new, &current)
        .map_err(|e| Error::io(format!("switch {}", current.display()), e))
        .and_then(|()| {
            hit(Point::ManifestSwitched);
            sync_dir(vfs, dir)
        })
        .map_err(in_doubt)
}

/// Nobody may take a failure after which the disk's contents are unknown for one that changed
/// nothing.
fn in_doubt(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Full => Error::with_source(ErrorKind::Io, "the manifest is in doubt", error),
        _ => error,
    }
}

fn read_current(vfs: &Arc<dyn Vfs>, dir: &Path) -> Result<u64> {
    let path = dir.join(CURRENT);
    let file = vfs
        .open(&path, OpenMode::Read)
        .map_err(|e| Error::io(format!("open {}", path.display()), e))?;
    let contents = read_all(file.as_ref(), &path)?;
    let damaged = || Error::corrupt(&path, 0, "the checksum is wrong");
    let (body, crc) = contents.split_last_chunk::<4>().ok_or_else(damaged)?;
    let generation = <[u8; 8]>::try_from(body).map_err(|_| damaged())?;
    if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
        return Err(damaged());
    }
    Ok(u64::from_le_bytes(generation))
}

fn read_all(file: &dyn File, path: &Path) -> Result<Bytes> {
    let failed = |e| Error::io(format!("read {}", path.display()), e);
    let len = usize::try_from(file.len().map_err(failed)?)
        .map_err(|_| Error::corrupt(path, 0, "a file larger than memory"))?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    Ok(bytes.into())
}

fn remove_if_there(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<()> {
    match vfs.remove(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()), e))
        }
        _ => Ok(()),
    }
}

pub(super) fn sync_dir(vfs: &Arc<dyn Vfs>, dir: &Path) -> Result<()> {
    if on(Planted::StoreFolderNotSynced) {
        return Ok(());
    }
    vfs.sync_dir(dir)
        .map_err(|e| Error::io(format!("sync folder {}", dir.display()), e))
}

fn log_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{generation:016x}"))
}
