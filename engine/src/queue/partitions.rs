//! All partitions of a group.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::file::{FileRef, PartitionFile, file_name, file_path, folder_path};
use super::lengths::{FileLength, PartitionLength, PartitionLengths, PartitionRef};
use super::open_files::OpenFiles;
use super::page::Page;
use super::partition::{Partition, Shared, out_of_range};
use super::record::StoredMessage;
use super::unsynced::Unsynced;
use crate::env::vfs::{DirEntry, OpenMode, create_dir_durable};
use crate::env::{Env, Vfs};
use crate::failpoint::{Point, hit};
use crate::ids::{GroupId, Offset, Revision};
use crate::planted::{Planted, on};
use crate::query::Message;
use crate::{Error, ErrorKind, Result};

/// How a group's partitions use memory and disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// A partition begins a new file rather than let one grow beyond this.
    pub file_bytes: u64,
    /// Each partition holds up to this much in memory before it writes.
    pub buffer_bytes: usize,
    /// All partitions together hold up to this much in memory; beyond, each message is written at
    /// once.
    pub buffers_bytes_max: usize,
    /// Most files kept open for reading, and most kept open until they are synced.
    pub open_files_max: usize,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            file_bytes: 64 * 1024 * 1024,
            buffer_bytes: 64 * 1024,
            buffers_bytes_max: 64 * 1024 * 1024,
            open_files_max: 256,
        }
    }
}

/// All partitions of a group, in one folder that is theirs alone.
///
/// One caller appends and flushes; any number fetch, and one syncs, at the same time.
#[derive(Debug)]
pub struct Partitions {
    shared: Shared,
    partitions: RwLock<BTreeMap<PartitionRef, Arc<Partition>>>,
}

impl Partitions {
    /// Opens the folder as it was when `lengths` were recorded: files are cut to their recorded
    /// length, and whatever is not recorded is removed. Default lengths make it empty.
    ///
    /// # Errors
    /// `Corrupt` if a recorded file is missing, shorter than recorded or another's; `Unsupported`
    /// if a newer build wrote it; `Io`. Messages are checked when they are read.
    pub fn open(
        env: &Env,
        dir: &Path,
        group: GroupId,
        options: QueueOptions,
        lengths: &PartitionLengths,
    ) -> Result<Self> {
        for (&at, length) in &lengths.partitions {
            check(dir, at, length)?;
        }
        let vfs = &env.vfs;
        let shared = Shared {
            env: env.clone(),
            dir: dir.to_owned(),
            group,
            options,
            buffered: AtomicUsize::new(0),
            open_files: OpenFiles::new(Arc::clone(vfs), options.open_files_max),
            unsynced: Unsynced::new(Arc::clone(vfs), options.open_files_max),
            full: AtomicBool::new(false),
        };
        create_dir_durable(vfs.as_ref(), dir)
            .map_err(|error| Error::io(format!("create folder {}", dir.display()), error))?;
        remove_unrecorded(vfs.as_ref(), dir, lengths)?;
        let mut partitions = BTreeMap::new();
        for (&at, length) in &lengths.partitions {
            partitions.insert(at, Arc::new(recover(&shared, at, length)?));
        }
        Ok(Self {
            shared,
            partitions: RwLock::new(partitions),
        })
    }

    /// Appends a message to a partition, which comes into being with its first, and answers its
    /// offset. `fetch` sees it at once.
    ///
    /// # Errors
    /// `Invalid` for a message beyond every limit; `Io` if a full buffer could not be written,
    /// and `Stopped` ever after. On a full disk the message stays in memory: see
    /// [`Partitions::is_full`].
    ///
    /// # Durability
    /// None before a [`flush`](Self::flush) and the [`sync`](Self::sync) of its lengths.
    pub fn append(&self, at: PartitionRef, message: &StoredMessage) -> Result<Offset> {
        self.shared.unsynced.check()?;
        let partition = self.partition(at).unwrap_or_else(|| {
            let mut partitions = self.partitions.write();
            let new = || Arc::new(Partition::new(at, Offset(0)));
            Arc::clone(partitions.entry(at).or_insert_with(new))
        });
        partition.append(&self.shared, message)
    }

    /// Messages from the offset `from` on, of commits up to `visible`: at most `items_max`, and at
    /// most `bytes_max` bytes of frames, though one message is always answered if there is one. A
    /// partition that never had a message is empty.
    ///
    /// # Errors
    /// `OutOfRange` below the partition's start or above its end; `Corrupt` for damaged files; `Io`.
    pub fn fetch(
        &self,
        at: PartitionRef,
        from: Offset,
        visible: Revision,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Message>> {
        let mut page = Page::new(visible, items_max, bytes_max);
        match self.partition(at) {
            Some(partition) => partition.fetch(&self.shared, from, &mut page)?,
            None if from == Offset(0) => {}
            None => return Err(out_of_range(at, from, (Offset(0), Offset(0)))),
        }
        Ok(page.into_messages())
    }

    /// The oldest offset kept, and the one that the next message will have.
    pub fn bounds(&self, at: PartitionRef) -> (Offset, Offset) {
        self.partition(at)
            .map_or((Offset(0), Offset(0)), |partition| partition.bounds())
    }

    /// Writes all buffers, without syncing, and answers how long every file is then.
    ///
    /// # Errors
    /// `Full` if there is no room: nothing is lost, try again. `Io` if a write failed, and
    /// `Stopped` ever after.
    pub fn flush(&self) -> Result<PartitionLengths> {
        self.shared.unsynced.check()?;
        let partitions = self.partitions.read().clone();
        let mut lengths = PartitionLengths::default();
        for (at, partition) in partitions {
            let length = partition.flush(&self.shared)?;
            if on(Planted::MissingLength) && at.partition.0 == 0 {
                continue;
            }
            if length.end > Offset(0) {
                lengths.partitions.insert(at, length);
            }
        }
        Ok(lengths)
    }

    /// Whether the disk had no room for the last write. What it should have taken waits in
    /// memory, beyond every budget: whoever appends should pause.
    pub fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Acquire)
    }

    /// Makes everything up to `lengths`, as [`flush`](Self::flush) answered them, durable.
    ///
    /// # Errors
    /// `Io` if a sync failed, and `Stopped` ever after: what was written is not known any more.
    ///
    /// # Durability
    /// Once this returns, [`open`](Self::open) with these lengths finds every message below them.
    pub fn sync(&self, lengths: &PartitionLengths) -> Result<()> {
        self.shared.unsynced.sync(lengths)
    }

    /// The files below `lengths`, to be copied: the first `bytes` of each never change.
    pub fn pin(&self, lengths: &PartitionLengths) -> Vec<FileRef> {
        let dir = &self.shared.dir;
        let partitions = lengths.partitions.iter();
        let files = partitions.flat_map(|(&at, length)| {
            length.files.iter().map(move |file| FileRef {
                at,
                base: file.base,
                bytes: file.bytes,
                path: file_path(dir, at, file.base),
            })
        });
        files.collect()
    }

    fn partition(&self, at: PartitionRef) -> Option<Arc<Partition>> {
        self.partitions.read().get(&at).map(Arc::clone)
    }
}

fn check(dir: &Path, at: PartitionRef, length: &PartitionLength) -> Result<()> {
    length.check().map_err(|problem| {
        let folder = folder_path(dir, at).display().to_string();
        let context = format!("open partition {folder}: its recorded lengths are wrong: {problem}");
        Error::new(ErrorKind::Corrupt, context)
    })
}

fn remove_unrecorded(vfs: &dyn Vfs, dir: &Path, lengths: &PartitionLengths) -> Result<()> {
    let mut folders = BTreeMap::new();
    for (&at, length) in &lengths.partitions {
        folders.insert(folder_path(dir, at), length);
    }
    for entry in list(vfs, dir)? {
        let path = dir.join(&entry.name);
        match folders.get(&path) {
            Some(length) if entry.is_dir => {
                let files = &length.files;
                for entry in list(vfs, &path)? {
                    let order = |file: &FileLength| file_name(file.base).cmp(&entry.name);
                    if files.binary_search_by(order).is_err() {
                        remove(vfs, path.join(&entry.name), &entry)?;
                    }
                }
            }
            _ => remove(vfs, path, &entry)?,
        }
    }
    Ok(())
}

fn list(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<DirEntry>> {
    vfs.list(dir)
        .map_err(|error| Error::io(format!("list {}", dir.display()), error))
}

fn remove(vfs: &dyn Vfs, path: PathBuf, entry: &DirEntry) -> Result<()> {
    let removed = if entry.is_dir {
        vfs.remove_dir_all(&path)
    } else {
        vfs.remove(&path)
    };
    removed.map_err(|error| Error::io(format!("remove {}", path.display()), error))
}

fn recover(shared: &Shared, at: PartitionRef, length: &PartitionLength) -> Result<Partition> {
    let files = length.files.iter();
    let files = files
        .map(|recorded| recover_file(shared, at, *recorded))
        .collect::<Result<_>>()?;
    Ok(Partition::recover(at, length, files))
}

fn recover_file(shared: &Shared, at: PartitionRef, recorded: FileLength) -> Result<PartitionFile> {
    let path = file_path(&shared.dir, at, recorded.base);
    let fail = |error| Error::io(format!("open {}", path.display()), error);
    let vfs = &shared.env.vfs;
    let file = match vfs.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::corrupt(&path, 0, "the recorded file is missing"));
        }
        opened => opened.map_err(fail)?,
    };
    let len = file.len().map_err(fail)?;
    if len < recorded.bytes {
        let what = format!("{} bytes were recorded", recorded.bytes);
        return Err(Error::corrupt(&path, len, what));
    }
    if len > recorded.bytes {
        let file = vfs.open(&path, OpenMode::ReadWrite).map_err(fail)?;
        file.set_len(recorded.bytes).map_err(fail)?;
        hit(Point::MessagesFilesCut);
    }
    PartitionFile::recover(path, file.as_ref(), shared.group, at, recorded)
}
