//! What was written and is not durable yet, and the failure that ends all writing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::file::PartitionFile;
use super::lengths::{PartitionLengths, PartitionRef};
use crate::env::{File, Vfs};
use crate::failpoint::{Point, hit};
use crate::ids::Offset;
use crate::planted::{Planted, on};
use crate::{Error, ErrorKind, Result};

/// Files and folders that the next sync must make durable.
#[derive(Debug)]
pub(super) struct Unsynced {
    vfs: Arc<dyn Vfs>,
    files_max: usize,
    pending: Mutex<Pending>,
    /// One sync at a time: what it took from `pending` is not durable before it returns.
    syncing: Mutex<()>,
    failure: OnceLock<String>,
}

#[derive(Debug, Default)]
struct Pending {
    files: BTreeMap<(PartitionRef, Offset), PendingFile>,
    folders: BTreeSet<PathBuf>,
}

/// The handle that wrote is the one to sync: another, opened later, might never hear of a
/// failed write-back.
#[derive(Debug)]
struct PendingFile {
    path: PathBuf,
    file: Arc<dyn File>,
}

impl Unsynced {
    pub(super) fn new(vfs: Arc<dyn Vfs>, files_max: usize) -> Self {
        Self {
            vfs,
            files_max: files_max.max(1),
            pending: Mutex::default(),
            syncing: Mutex::new(()),
            failure: OnceLock::new(),
        }
    }

    /// `Stopped` once a write or sync has failed.
    pub(super) fn check(&self) -> Result<()> {
        match self.failure.get() {
            None => Ok(()),
            Some(cause) => Err(Error::new(
                ErrorKind::Stopped,
                format!("the queue stopped after a failure: {cause}"),
            )),
        }
    }

    /// Remembers the first failure for ever.
    pub(super) fn guard<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|cause| {
            if self.failure.get().is_some() {
                return cause;
            }
            let error = Error::poisoning("the queue", cause);
            self.failure.get_or_init(|| error.to_string());
            error
        })
    }

    /// A folder holds a new name.
    pub(super) fn named(&self, folder: &Path) {
        self.pending.lock().folders.insert(folder.to_owned());
    }

    /// Bytes were written: call this after the write, so that a sync in between leaves a trace.
    pub(super) fn wrote(&self, of: &PartitionFile, file: Arc<dyn File>) -> Result<()> {
        let key = (of.header.at, of.header.base);
        let crowded = {
            let mut pending = self.pending.lock();
            let path = of.path.clone();
            pending.files.insert(key, PendingFile { path, file });
            pending.files.len() > self.files_max
        };
        if crowded {
            self.sync_one_but(key)?;
        }
        Ok(())
    }

    /// Syncs every recorded file that was written, then the folders with new names.
    pub(super) fn sync(&self, lengths: &PartitionLengths) -> Result<()> {
        if on(Planted::MessagesNotSynced) {
            return Ok(());
        }
        let _alone = self.syncing.lock();
        self.check()?;
        let (files, folders) = {
            let mut pending = self.pending.lock();
            let files: BTreeMap<_, _> = pending
                .files
                .extract_if(.., |&(at, base), _| lengths.records(at, base))
                .collect();
            (files, std::mem::take(&mut pending.folders))
        };
        for file in files.values() {
            self.guard(file.sync())?;
            hit(Point::MessagesFileSynced);
        }
        // Deepest first: a name is worth nothing before what it leads to.
        for folder in folders.iter().rev() {
            let synced = self.vfs.sync_dir(folder);
            let context = || format!("sync folder {}", folder.display());
            self.guard(synced.map_err(|error| Error::io(context(), error)))?;
        }
        Ok(())
    }

    /// Keeps the number of open files bounded where very many partitions are written between two
    /// checkpoints.
    fn sync_one_but(&self, newest: (PartitionRef, Offset)) -> Result<()> {
        let _alone = self.syncing.lock();
        self.check()?;
        let taken = {
            let mut pending = self.pending.lock();
            let key = pending.files.keys().find(|key| **key != newest).copied();
            key.and_then(|key| pending.files.remove(&key))
        };
        taken.map_or(Ok(()), |file| self.guard(file.sync()))
    }
}

impl PendingFile {
    fn sync(&self) -> Result<()> {
        let context = || format!("sync {}", self.path.display());
        self.file
            .sync_data()
            .map_err(|error| Error::io(context(), error))
    }
}
