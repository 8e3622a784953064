//! One partition: its files, and the messages that are not in a file yet.
//!
//! ```text
//! offsets  start ......................................................... end
//!          |-- files, written -------------------|-- moving --|-- tail --|
//! ```
//!
//! The writer fills `tail`; when it is large enough, it becomes `moving`, is written without the
//! lock on the state, and then belongs to the newest file. A reader takes the state's lock only to
//! learn where its next offset is, or to copy a piece of the tail.

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::file::{HEADER_BYTES, Header, PartitionFile, folder_path};
use super::index::Place;
use super::lengths::{FileLength, PartitionLength, PartitionRef};
use super::open_files::OpenFiles;
use super::page::Page;
use super::partitions::QueueOptions;
use super::record::{FRAME_HEAD_BYTES, StoredMessage, encode_body, put_frame};
use super::unsynced::Unsynced;
use crate::env::{Env, File};
use crate::failpoint::{Point, hit};
use crate::ids::{GroupId, Offset};
use crate::{Error, ErrorKind, Result};

/// What all partitions of a group share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) dir: PathBuf,
    pub(super) group: GroupId,
    pub(super) options: QueueOptions,
    /// Bytes of frames that are not in a file yet, of all partitions.
    pub(super) buffered: AtomicUsize,
    pub(super) open_files: OpenFiles,
    pub(super) unsynced: Unsynced,
    /// The disk had no room for the last write: what it should have taken waits in memory.
    pub(super) full: AtomicBool,
}

/// One partition.
#[derive(Debug)]
pub(super) struct Partition {
    at: PartitionRef,
    /// Held by whoever appends or writes, for as long as that takes.
    writer: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    start: Offset,
    files: BTreeMap<Offset, Written>,
    moving: Option<Arc<Tail>>,
    tail: Tail,
}

/// A file and how much of it a reader may read.
#[derive(Clone, Debug)]
struct Written {
    file: Arc<PartitionFile>,
    bytes: u64,
}

/// Frames on their way to a file. The header of a new file goes with its first frames.
#[derive(Clone, Debug)]
struct Tail {
    file: Option<Arc<PartitionFile>>,
    /// Where in the file the bytes will stand.
    position: u64,
    bytes: Vec<u8>,
    /// The offset of the first message.
    first: Offset,
    /// Where in `bytes` each message's frame begins.
    frames: Vec<usize>,
}

/// Where the message at some offset is.
enum Source {
    File {
        written: Written,
        until: Offset,
    },
    Memory {
        file: Arc<PartitionFile>,
        bytes: Bytes,
        position: u64,
        until: Offset,
    },
}

impl Partition {
    /// A partition without messages, whose first will have the offset `start`.
    pub(super) fn new(at: PartitionRef, start: Offset) -> Self {
        Self::with_files(at, start, BTreeMap::new(), Tail::after(None, 0, start))
    }

    /// A partition whose files are open and have their recorded lengths.
    pub(super) fn recover(
        at: PartitionRef,
        recorded: &PartitionLength,
        files: Vec<PartitionFile>,
    ) -> Self {
        let mut known = BTreeMap::new();
        let mut newest = Tail::after(None, 0, recorded.end);
        for (file, length) in files.into_iter().zip(&recorded.files) {
            let file = Arc::new(file);
            if let Some(older) = newest.file.take() {
                older.seal();
            }
            newest = Tail::after(Some(Arc::clone(&file)), length.bytes, recorded.end);
            let bytes = length.bytes;
            known.insert(length.base, Written { file, bytes });
        }
        Self::with_files(at, recorded.start, known, newest)
    }

    fn with_files(
        at: PartitionRef,
        start: Offset,
        files: BTreeMap<Offset, Written>,
        tail: Tail,
    ) -> Self {
        Self {
            at,
            writer: Mutex::new(()),
            state: Mutex::new(State {
                start,
                files,
                moving: None,
                tail,
            }),
        }
    }

    /// Appends a message and answers its offset.
    pub(super) fn append(&self, shared: &Shared, message: &StoredMessage) -> Result<Offset> {
        let _writer = self.writer.lock();
        let offset = self.state.lock().tail.end();
        let body = encode_body(offset, message)?;
        let frame_bytes = FRAME_HEAD_BYTES + body.len();
        let options = &shared.options;
        // On a full disk a file grows beyond its size rather than that the partition stops.
        if !self.state.lock().has_room(frame_bytes as u64, options) && !refused(self.write(shared))?
        {
            self.begin_file(shared, offset);
        }
        let here = self.state.lock().tail.push(&body);
        let everywhere = frame_bytes + shared.buffered.fetch_add(frame_bytes, Ordering::Relaxed);
        if here >= options.buffer_bytes || everywhere > options.buffers_bytes_max {
            refused(self.write(shared))?;
        }
        Ok(offset)
    }

    /// Gives the messages from `from` on to the page, until it is full.
    pub(super) fn fetch(&self, shared: &Shared, from: Offset, page: &mut Page) -> Result<()> {
        let (start, end) = self.bounds();
        if from < start || from > end {
            return Err(out_of_range(self.at, from, (start, end)));
        }
        let mut next = from;
        while next < end && !page.is_full() {
            let source = self.state.lock().find(next, page.bytes_left());
            match source {
                Some(Source::File { written, until }) => {
                    let handle = shared.open_files.get(&written.file)?;
                    let (file, bytes) = (&written.file, written.bytes);
                    file.read(handle.as_ref(), bytes, &mut next, until, page)?;
                }
                Some(Source::Memory {
                    file,
                    bytes,
                    position,
                    until,
                }) => file.read_memory(bytes, position, &mut next, until, page)?,
                // Retention took it away meanwhile: what is on the page is still an answer.
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The oldest offset kept, and that of the next message.
    pub(super) fn bounds(&self) -> (Offset, Offset) {
        let state = self.state.lock();
        (state.start, state.tail.end())
    }

    /// Writes what is buffered and answers how long the files are then.
    pub(super) fn flush(&self, shared: &Shared) -> Result<PartitionLength> {
        let _writer = self.writer.lock();
        self.write(shared)?;
        let state = self.state.lock();
        let files = state.files.iter().map(|(base, written)| FileLength {
            base: *base,
            bytes: written.bytes,
        });
        Ok(PartitionLength {
            start: state.start,
            end: state.tail.end(),
            files: files.collect(),
        })
    }

    /// Seals the newest file, all of which is written, and prepares the next.
    fn begin_file(&self, shared: &Shared, base: Offset) {
        let header = Header {
            group: shared.group,
            at: self.at,
            base,
            salt: shared.env.rng.next_u64(),
        };
        let file = Arc::new(PartitionFile::new(&shared.dir, header));
        let written = Written {
            file: Arc::clone(&file),
            bytes: 0,
        };
        let mut state = self.state.lock();
        if let Some(older) = &state.tail.file {
            older.seal();
        }
        state.files.insert(base, written);
        state.tail = Tail::after(Some(file), 0, base);
        state.tail.bytes = header.encode();
    }

    /// Moves the tail into its file. `Full` leaves everything as it was, to be tried again; any
    /// other failure leaves the messages readable and stops the queue.
    fn write(&self, shared: &Shared) -> Result<()> {
        shared.unsynced.check()?;
        let Some((moving, file)) = self.state.lock().begin_move() else {
            return Ok(());
        };
        if let Err(error) = self.write_moving(shared, &moving, &file) {
            if error.kind() == ErrorKind::Full {
                drop(moving);
                self.state.lock().take_back();
                shared.full.store(true, Ordering::Release);
                return Err(error);
            }
            return shared.unsynced.guard(Err(error));
        }
        shared.full.store(false, Ordering::Release);
        file.index.lock().appended(moving.places());
        let bytes = moving.frames_bytes();
        shared.buffered.fetch_sub(bytes, Ordering::Relaxed);
        let mut state = self.state.lock();
        if let Some(written) = state.files.get_mut(&file.header.base) {
            written.bytes = moving.file_bytes();
        }
        state.moving = None;
        Ok(())
    }

    fn write_moving(
        &self,
        shared: &Shared,
        moving: &Tail,
        file: &Arc<PartitionFile>,
    ) -> Result<()> {
        let handle = if moving.position == 0 {
            self.create(shared, file)?
        } else {
            shared.open_files.get(file)?
        };
        let written = handle
            .write_at(&moving.bytes, moving.position)
            .map_err(|error| Error::io(format!("write {}", file.path.display()), error));
        if written.is_err() && moving.position == 0 {
            // It is created anew by the next try; if this fails, that says so.
            shared.open_files.forget(file);
            drop(handle);
            let _ = shared.env.vfs.remove(&file.path);
            return written;
        }
        written?;
        hit(Point::MessagesWritten);
        shared.unsynced.wrote(file, handle)
    }

    fn create(&self, shared: &Shared, file: &Arc<PartitionFile>) -> Result<Arc<dyn File>> {
        let folder = folder_path(&shared.dir, self.at);
        create_folder(shared, &folder)?;
        let handle = shared.open_files.create(file)?;
        hit(Point::MessagesFileBegun);
        shared.unsynced.named(&folder);
        Ok(handle)
    }
}

impl State {
    /// Whether a frame of so many bytes belongs into the newest file.
    fn has_room(&self, frame_bytes: u64, options: &QueueOptions) -> bool {
        let bytes = self.tail.file_bytes();
        let has_messages = bytes > HEADER_BYTES;
        self.tail.file.is_some() && (!has_messages || bytes + frame_bytes <= options.file_bytes)
    }

    /// The tail, if it holds messages, begins its way to the file.
    fn begin_move(&mut self) -> Option<(Arc<Tail>, Arc<PartitionFile>)> {
        if self.tail.frames.is_empty() {
            return None;
        }
        let file = self.tail.file.clone()?;
        let next = Tail::after(
            Some(Arc::clone(&file)),
            self.tail.file_bytes(),
            self.tail.end(),
        );
        let moving = Arc::new(mem::replace(&mut self.tail, next));
        self.moving = Some(Arc::clone(&moving));
        Some((moving, file))
    }

    /// What could not be moved is the tail again. The writer's lock is held, so nothing was
    /// added meanwhile.
    fn take_back(&mut self) {
        if let Some(moving) = self.moving.take() {
            // Readers copy what they need, so nobody else holds it.
            self.tail = Arc::unwrap_or_clone(moving);
        }
    }

    /// Where the message at `offset` is; from memory, about `bytes_max` bytes from there on.
    fn find(&self, offset: Offset, bytes_max: usize) -> Option<Source> {
        if offset >= self.tail.first {
            return self.tail.copy(offset, bytes_max);
        }
        let moving = self.moving.as_deref();
        if let Some(moving) = moving.filter(|moving| offset >= moving.first) {
            return moving.copy(offset, bytes_max);
        }
        let (base, written) = self.files.range(..=offset).next_back()?;
        let memory = moving.map_or(self.tail.first, |moving| moving.first);
        let mut newer = self.files.range(Offset(base.0 + 1)..);
        let until = newer.next().map_or(memory, |(base, _)| memory.min(*base));
        Some(Source::File {
            written: written.clone(),
            until,
        })
    }
}

impl Tail {
    /// What follows the first `position` bytes of a file, the next message being `first`.
    fn after(file: Option<Arc<PartitionFile>>, position: u64, first: Offset) -> Self {
        Self {
            file,
            position,
            bytes: Vec::new(),
            first,
            frames: Vec::new(),
        }
    }

    /// The offset of the next message.
    fn end(&self) -> Offset {
        Offset(self.first.0 + self.frames.len() as u64)
    }

    /// How long the file will be.
    fn file_bytes(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }

    /// How many of the bytes are frames: all but a new file's header.
    fn frames_bytes(&self) -> usize {
        self.frames
            .first()
            .map_or(0, |header| self.bytes.len() - header)
    }

    /// Adds a message's frame; answers how many bytes wait.
    fn push(&mut self, body: &[u8]) -> usize {
        let file = self
            .file
            .as_ref()
            .expect("a frame follows its file's header");
        let (salt, position) = (file.header.salt, self.file_bytes());
        self.frames.push(self.bytes.len());
        put_frame(&mut self.bytes, salt, position, body);
        self.bytes.len()
    }

    /// Where in the file the messages stand.
    fn places(&self) -> impl Iterator<Item = Place> {
        self.frames
            .iter()
            .zip(self.first.0..)
            .map(|(frame, offset)| Place {
                offset: Offset(offset),
                position: self.position + *frame as u64,
            })
    }

    /// A copy of the frames from `offset` on, at least one and few beyond `bytes_max` bytes.
    fn copy(&self, offset: Offset, bytes_max: usize) -> Option<Source> {
        let skipped = usize::try_from(offset.0.checked_sub(self.first.0)?).ok()?;
        let begin = *self.frames.get(skipped)?;
        let within = |frame: &usize| *frame <= begin.saturating_add(bytes_max);
        let count = self.frames.partition_point(within);
        let end = self.frames.get(count).copied().unwrap_or(self.bytes.len());
        Some(Source::Memory {
            file: self.file.clone()?,
            bytes: Bytes::copy_from_slice(self.bytes.get(begin..end)?),
            position: self.position + begin as u64,
            until: Offset(self.first.0 + count as u64),
        })
    }
}

/// Whether the disk had no room for a write, which is then tried again later.
fn refused(written: Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == ErrorKind::Full => Ok(true),
        Err(error) => Err(error),
    }
}

pub(super) fn out_of_range(at: PartitionRef, from: Offset, bounds: (Offset, Offset)) -> Error {
    let (start, end) = bounds;
    let PartitionRef { topic, partition } = at;
    Error::new(
        ErrorKind::OutOfRange,
        format!(
            "fetch offset {from} of topic {topic}, partition {partition}: it holds {start} to {end}"
        ),
    )
}

/// Makes sure that a folder of the queue is there, and remembers its name for the next sync.
fn create_folder(shared: &Shared, folder: &Path) -> Result<()> {
    let context = || format!("create folder {}", folder.display());
    let vfs = &shared.env.vfs;
    if !vfs
        .exists(folder)
        .map_err(|error| Error::io(context(), error))?
    {
        vfs.create_dir_all(folder)
            .map_err(|error| Error::io(context(), error))?;
        shared.unsynced.named(&shared.dir);
    }
    Ok(())
}
