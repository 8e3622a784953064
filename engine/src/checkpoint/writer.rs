//! Receiving: chunks become a folder that can be opened, or nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::check::check_files;
use super::chunk::{Chunk, FileHead, FileKind};
use crate::env::vfs::OpenMode;
use crate::env::{Env, File};
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::{Point, hit};
use crate::limits::{DELETED_RANGES_MAX, KEY_BYTES_MAX, SESSION_OUTCOME_BYTES_MAX};
use crate::planted::{Planted, on};
use crate::queue::file_path;
use crate::store::{InstalledTable, Lsm, blob_file_name, decode_deleted, table_file_name};

/// The largest state accepted: the sessions' outcomes and room for all names.
const STATE_BYTES_MAX: u64 = 4 * SESSION_OUTCOME_BYTES_MAX as u64;

/// The most bytes of deleted ranges accepted: as many as there may be, with the longest keys.
const DELETED_BYTES_MAX: u64 = (DELETED_RANGES_MAX * (2 * KEY_BYTES_MAX + 64)) as u64;

/// Writes a received checkpoint into a folder of its own; removed on drop unless installed.
#[derive(Debug)]
pub struct CheckpointWriter {
    env: Env,
    dir: PathBuf,
    files: Vec<FileHead>,
    state: Vec<u8>,
    /// The encoded list; empty if there is none.
    deleted: Vec<u8>,
    tables: Vec<InstalledTable>,
    current: Option<Current>,
    ended: bool,
    kept: bool,
}

/// The file being written: its place in the list, bytes so far, and where they go (`None` for
/// what is kept in memory: the state and the deleted ranges).
type Current = (usize, u64, Option<Arc<dyn File>>);

impl CheckpointWriter {
    pub(crate) fn new(env: Env, dir: PathBuf) -> Result<Self> {
        let failed = |source| Error::io(format!("create {}", dir.display()), source);
        env.vfs.remove_dir_all(&dir).map_err(failed)?;
        env.vfs.create_dir_all(&store_dir(&dir)).map_err(failed)?;
        env.vfs
            .create_dir_all(&partitions_dir(&dir))
            .map_err(failed)?;
        hit(Point::InstallBegun);
        Ok(Self {
            env,
            dir,
            files: Vec::new(),
            state: Vec::new(),
            deleted: Vec::new(),
            tables: Vec::new(),
            current: None,
            ended: false,
            kept: false,
        })
    }

    /// Reads and checks every byte that was received.
    ///
    /// # Errors
    /// `Corrupt` names the file that is damaged: it was so at the sender.
    pub fn check(&self) -> Result<()> {
        check_files(&self.env, &self.dir)
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// `Corrupt` for a damaged, repeated, missing or misplaced chunk; `Io` or `Full` from the
    /// disk. After an error the writer is of no more use.
    pub fn write(&mut self, chunk: Bytes) -> Result<()> {
        match Chunk::decode(chunk)? {
            Chunk::Files(files) if self.files.is_empty() => self.begin(files),
            Chunk::Data { file, offset, data } => self.data(file as usize, offset, &data),
            Chunk::End => self.end(),
            Chunk::Files(_) => Err(bad("a second list of files")),
        }
    }

    fn begin(&mut self, files: Vec<FileHead>) -> Result<()> {
        let state = files.first().filter(|head| head.kind == FileKind::State);
        if state.is_none_or(|head| head.bytes > STATE_BYTES_MAX) {
            return Err(bad("the state is not first, or too large"));
        }
        let in_memory = |head: &&FileHead| head.kind == FileKind::DeletedRanges;
        let deleted: Vec<_> = files.iter().filter(in_memory).collect();
        if deleted.len() > 1 || deleted.iter().any(|head| head.bytes > DELETED_BYTES_MAX) {
            return Err(bad("the deleted ranges come twice, or are too many"));
        }
        self.files = files;
        self.current = None;
        Ok(())
    }

    fn data(&mut self, file: usize, offset: u64, data: &[u8]) -> Result<()> {
        loop {
            let (at, written) = self
                .current
                .as_ref()
                .map_or((0, 0), |(at, done, _)| (*at, *done));
            let head = self
                .files
                .get(at)
                .ok_or_else(|| bad("data beyond the last file"))?
                .clone();
            if self.current.is_none() {
                self.open(0, &head)?;
            } else if written == head.bytes {
                self.seal()?;
                let next = self
                    .files
                    .get(at + 1)
                    .ok_or_else(|| bad("data beyond the last file"))?;
                self.open(at + 1, &next.clone())?;
            } else {
                if file != at || offset != written || written + data.len() as u64 > head.bytes {
                    return Err(bad("data out of order"));
                }
                return self.put(offset, data);
            }
        }
    }

    fn open(&mut self, at: usize, head: &FileHead) -> Result<()> {
        let path = match head.kind {
            FileKind::State | FileKind::DeletedRanges => None,
            FileKind::Blob { id } => Some(store_dir(&self.dir).join(blob_file_name(id))),
            FileKind::Table { id, level } => {
                self.tables.push(InstalledTable {
                    id,
                    level,
                    len: head.bytes,
                });
                Some(store_dir(&self.dir).join(table_file_name(id)))
            }
            FileKind::Partition { at, base } => {
                Some(file_path(&partitions_dir(&self.dir), at, base))
            }
        };
        let file = path.map(|path| self.create(&path)).transpose()?;
        self.current = Some((at, 0, file));
        Ok(())
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let failed = |source| Error::io(format!("create {}", path.display()), source);
        let folder = path.parent().expect("the path has a folder above it");
        self.env.vfs.create_dir_all(folder).map_err(failed)?;
        self.env.vfs.open(path, OpenMode::CreateNew).map_err(failed)
    }

    fn put(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        let (at, written, file) = self.current.as_mut().expect("a file is open");
        match file {
            Some(file) => file
                .write_at(data, offset)
                .map_err(|source| Error::io("write a received checkpoint", source))?,
            None if *at == 0 => self.state.extend_from_slice(data),
            None => self.deleted.extend_from_slice(data),
        }
        *written += data.len() as u64;
        Ok(())
    }

    fn seal(&mut self) -> Result<()> {
        if let Some((_, _, Some(file))) = self.current.take()
            && !on(Planted::InstallNotSynced)
        {
            file.sync_data()
                .map_err(|source| Error::io("sync a received checkpoint", source))?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let (mut at, written) = self
            .current
            .as_ref()
            .map_or((0, 0), |(at, done, _)| (*at, *done));
        while let Some(head) = self.files.get(at).cloned() {
            let complete = if self.current.as_ref().is_some_and(|(open, ..)| *open == at) {
                written == head.bytes
            } else {
                self.open(at, &head)?;
                head.bytes == 0
            };
            if !complete {
                return Err(bad("the last chunk came before all data"));
            }
            self.seal()?;
            at += 1;
        }
        if self.files.is_empty() || self.ended {
            return Err(bad("an end without a beginning"));
        }
        self.ended = true;
        hit(Point::InstallReceived);
        Ok(())
    }

    /// Whether the last chunk has been written.
    pub fn is_complete(&self) -> bool {
        self.ended
    }

    /// Makes the folder durable under its final name.
    pub(crate) fn finish(self, to: &Path) -> Result<()> {
        self.finish_checked(to, |_| Ok(()))
    }

    /// The same, if `check` finds nothing wrong in the complete folder.
    pub(crate) fn finish_checked(
        mut self,
        to: &Path,
        check: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        if !self.ended {
            return Err(bad("the checkpoint is not complete"));
        }
        let failed = |source| Error::io("publish a received checkpoint", source);
        let vfs = self.env.vfs.clone();
        let partitions = partitions_dir(&self.dir);
        for entry in vfs.list(&partitions).map_err(failed)? {
            vfs.sync_dir(&partitions.join(entry.name)).map_err(failed)?;
        }
        vfs.sync_dir(&partitions).map_err(failed)?;
        let state = Bytes::from(std::mem::take(&mut self.state));
        let deleted = if self.deleted.is_empty() {
            Vec::new()
        } else {
            decode_deleted(std::mem::take(&mut self.deleted).into())?
        };
        let dir = store_dir(&self.dir);
        Lsm::install(&self.env, &dir, &self.tables, &deleted, state)?;
        vfs.sync_dir(&store_dir(&self.dir)).map_err(failed)?;
        vfs.sync_dir(&self.dir).map_err(failed)?;
        check(&self.dir)?;
        self.kept = true;
        hit(Point::InstallStored);
        vfs.rename(&self.dir, to).map_err(failed)?;
        hit(Point::InstallNamed);
        let parent = to.parent().expect("the group's folder is above it");
        vfs.sync_dir(parent).map_err(failed)
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = self.env.vfs.remove_dir_all(&self.dir)
        {
            tracing::warn!(%error, dir = %self.dir.display(), "an incomplete checkpoint stays");
        }
    }
}

/// The store's folder below a state folder.
pub(crate) fn store_dir(dir: &Path) -> PathBuf {
    dir.join("store")
}

/// The partitions' folder below a state folder.
pub(crate) fn partitions_dir(dir: &Path) -> PathBuf {
    dir.join("partitions")
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("receive a checkpoint: {what}"))
}
