//! Sending: a pinned checkpoint, cut into chunks.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::CheckpointView;
use super::check::{Check, First};
use super::chunk::{Chunk, DATA_BYTES_MAX, FileHead, FileKind};
use crate::env::vfs::OpenMode;
use crate::env::{File, Vfs};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::FileRef;
use crate::state::State;
use crate::store::{PinnedTables, encode_deleted};

/// Reads a checkpoint chunk by chunk; the files it needs stay until it is dropped.
#[derive(Debug)]
pub struct CheckpointReader {
    vfs: Arc<dyn Vfs>,
    view: CheckpointView,
    files: Vec<(FileHead, Source)>,
    next: Next,
    /// Keeps the tables from being removed.
    _pin: PinnedTables,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    Disk(PathBuf),
}

#[derive(Debug)]
enum Next {
    Files,
    Data {
        file: usize,
        offset: u64,
        open: Option<Arc<dyn File>>,
    },
    Done,
}

impl CheckpointReader {
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        pin: PinnedTables,
        partitions: impl FnOnce(&crate::queue::PartitionLengths) -> Vec<FileRef>,
    ) -> Result<Self> {
        let missing = || Error::new(ErrorKind::NotFound, "there is no checkpoint yet");
        let blob = pin.checkpoint().cloned().ok_or_else(missing)?;
        let (state, lengths) = State::decode(blob.clone())?;
        let mut files = vec![(
            FileHead {
                kind: FileKind::State,
                bytes: blob.len() as u64,
            },
            Source::Memory(blob),
        )];
        for table in pin.tables() {
            let kind = FileKind::Table {
                id: table.id,
                level: table.level,
            };
            let head = FileHead {
                kind,
                bytes: table.len,
            };
            files.push((head, Source::Disk(table.path.clone())));
        }
        for blob in pin.blob_files() {
            let head = FileHead {
                kind: FileKind::Blob { id: blob.id },
                bytes: blob.len,
            };
            files.push((head, Source::Disk(blob.path.clone())));
        }
        if !pin.deleted().is_empty() {
            let ranges = encode_deleted(pin.deleted());
            let head = FileHead {
                kind: FileKind::DeletedRanges,
                bytes: ranges.len() as u64,
            };
            files.push((head, Source::Memory(ranges)));
        }
        for file in partitions(&lengths) {
            let kind = FileKind::Partition {
                at: file.at,
                base: file.base,
            };
            files.push((
                FileHead {
                    kind,
                    bytes: file.bytes,
                },
                Source::Disk(file.path),
            ));
        }
        let view = CheckpointView {
            log_id: state.applied.ok_or_else(missing)?,
            membership: state.membership,
            bytes: files.iter().map(|(head, _)| head.bytes).sum(),
        };
        Ok(Self {
            vfs,
            view,
            files,
            next: Next::Files,
            _pin: pin,
        })
    }

    /// What is being read.
    pub fn view(&self) -> &CheckpointView {
        &self.view
    }

    /// Reads and checks every byte of its files.
    ///
    /// # Errors
    /// `Corrupt` names the first damage; `Io` from the disk.
    pub(crate) fn check(&self) -> Result<()> {
        let mut first = First::default();
        let mut hear = |damage| first.hear(damage);
        let mut check = Check::new(&self.vfs, &mut hear);
        for (_, source) in &self.files {
            if let Source::Disk(path) = source {
                check.file(path)?;
            }
        }
        first.end()
    }

    /// The next chunk, at most 256 KiB of data; `None` after the last.
    ///
    /// # Errors
    /// `Io` if a file cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = match &mut self.next {
            Next::Done => return Ok(None),
            Next::Files => {
                let heads = self.files.iter().map(|(head, _)| head.clone()).collect();
                self.next = Next::Data {
                    file: 0,
                    offset: 0,
                    open: None,
                };
                Chunk::Files(heads)
            }
            Next::Data { file, offset, open } => {
                while self
                    .files
                    .get(*file)
                    .is_some_and(|(head, _)| *offset >= head.bytes)
                {
                    *file += 1;
                    *offset = 0;
                    *open = None;
                }
                match self.files.get(*file) {
                    None => {
                        self.next = Next::Done;
                        Chunk::End
                    }
                    Some((head, source)) => {
                        let len = (head.bytes - *offset).min(DATA_BYTES_MAX);
                        let data = read(&self.vfs, source, open, *offset, len)?;
                        let number = u32::try_from(*file).expect("files are fewer than 2^32");
                        let chunk = Chunk::Data {
                            file: number,
                            offset: *offset,
                            data,
                        };
                        *offset += len;
                        chunk
                    }
                }
            }
        };
        Ok(Some(chunk.encode()))
    }
}

fn read(
    vfs: &Arc<dyn Vfs>,
    source: &Source,
    open: &mut Option<Arc<dyn File>>,
    offset: u64,
    len: u64,
) -> Result<Bytes> {
    let len = usize::try_from(len).expect("a chunk is at most 256 KiB");
    match source {
        Source::Memory(bytes) => {
            let from = usize::try_from(offset).expect("an offset inside bytes in memory");
            Ok(bytes.slice(from..from + len))
        }
        Source::Disk(path) => {
            let failed = |source| Error::io(format!("read {} for a peer", path.display()), source);
            let file = match open {
                Some(file) => file,
                None => open.insert(vfs.open(path, OpenMode::Read).map_err(failed)?),
            };
            let mut data = vec![0; len];
            file.read_exact_at(&mut data, offset).map_err(failed)?;
            Ok(Bytes::from(data))
        }
    }
}
