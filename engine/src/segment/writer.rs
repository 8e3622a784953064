//! The one job that writes: group commits, rotation, spare segments, marks.
//!
//! Each step does at most one piece of housekeeping (drop a segment, prepare a spare) and then
//! one group commit of everything queued. No lock is held during either.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::file::{FRAMES_AT, SegmentFile};
use super::folder::Folder;
use super::frame::{FRAME_OVERHEAD_BYTES, FrameHead, Kind, Position};
use super::front::{Append, Phase, Room, Settled, SettledWrite, Shared, Watcher};
use super::index::Place;
use super::write::{Done, Write};
use super::written::Written;
use crate::env::{Job, Step};
use crate::failpoint::{Point, hit};
use crate::ids::{GroupId, LogId, LogIndex, Term};
use crate::planted::{Planted, ignored, on};
use crate::{Error, ErrorKind, Result};

/// How long a disk without room is left alone before it is asked again.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// The writer of one log.
pub(super) struct Writer {
    shared: Arc<Shared>,
    folder: Folder,
    /// The state that the frames up to the newest one tell.
    written: Written,
    current: Arc<SegmentFile>,
    /// Where the last group commit ended: everything before is synced. The next frames carry
    /// it as their mark, also when they are the first ones of a new segment.
    durable: Position,
    /// Where the next group commit begins in the current segment.
    start: u32,
    /// Prepared segments, numbered on from the current one; at least one is wanted.
    spares: VecDeque<SegmentFile>,
    /// The disk had no room for the last spare.
    spare_refused: bool,
    /// What was taken needs a segment that the disk refuses: it waits.
    stranded: bool,
    taken: VecDeque<Append>,
    /// The next frame did not fit into the current segment.
    rotate: bool,
    /// The frames of one group commit; kept from one to the next.
    buffer: Vec<u8>,
    batch: Batch,
    notices: Vec<(Watcher, LogIndex)>,
    mark: MarkState,
}

/// What one group commit will have done.
#[derive(Default)]
struct Batch {
    settled: Vec<Settled>,
    dones: Vec<Done>,
    bytes: usize,
}

/// Whether the end of the last group commit is told by a later frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MarkState {
    Written,
    Due,
    /// Due, and nothing happened since the job last went to sleep.
    Quiet,
}

/// What the front asks of a step.
struct Orders {
    abandoned: bool,
    closing: bool,
    more: bool,
    retry_spare: bool,
}

impl Job for Writer {
    fn step(&mut self) -> Step {
        match self.advance() {
            Ok(step) => step,
            Err(error) => {
                self.poison(error);
                Step::Done
            }
        }
    }
}

impl Writer {
    /// Goes on behind the Head of `current`, which ends at `durable`.
    pub(super) fn new(
        shared: Arc<Shared>,
        folder: Folder,
        written: Written,
        current: Arc<SegmentFile>,
        durable: Position,
    ) -> Self {
        Self {
            shared,
            folder,
            written,
            current,
            durable,
            start: durable.offset,
            spares: VecDeque::new(),
            spare_refused: false,
            stranded: false,
            taken: VecDeque::new(),
            rotate: false,
            buffer: Vec::new(),
            batch: Batch::default(),
            notices: Vec::new(),
            mark: MarkState::Due,
        }
    }

    fn advance(&mut self) -> Result<Step> {
        let orders = self.take_orders();
        if orders.abandoned {
            self.stop(Phase::Closed);
            return Ok(Step::Done);
        }
        // With nothing to write there is time to ask a full disk again.
        let retry_spare = orders.retry_spare || self.stranded || self.taken.is_empty();
        let more_housekeeping = self.keep_house(retry_spare)?;
        if !self.taken.is_empty() {
            self.commit()?;
            if !self.stranded {
                return Ok(Step::Again);
            }
            if orders.closing {
                self.stop(Phase::Closed);
                return Ok(Step::Done);
            }
            return Ok(Step::IdleFor(ROOM_RETRY));
        }
        if orders.more || more_housekeeping {
            return Ok(Step::Again);
        }
        if orders.closing {
            self.write_mark()?;
            match self.tidy_up() {
                // All of it stays, and is looked through at the next open.
                Err(error) if error.kind() == ErrorKind::Full => {}
                tidied => tidied?,
            }
            self.stop(Phase::Closed);
            return Ok(Step::Done);
        }
        match self.mark {
            MarkState::Written if self.spare_refused => Ok(Step::IdleFor(ROOM_RETRY)),
            MarkState::Written => Ok(Step::Idle),
            MarkState::Due => {
                self.mark = MarkState::Quiet;
                Ok(Step::IdleFor(self.shared.options.idle_mark_after))
            }
            // A wake without work only makes the mark early, which harms nobody.
            MarkState::Quiet => {
                self.write_mark()?;
                Ok(Step::Again)
            }
        }
    }

    /// Takes appends of about one group commit, unless some are left from the last one.
    fn take_orders(&mut self) -> Orders {
        let mut front = self.shared.front.lock();
        if self.taken.is_empty() {
            let mut bytes = 0;
            while bytes < self.shared.options.group_commit_bytes_max {
                let Some(append) = front.queue.pop_front() else {
                    break;
                };
                bytes += append.writes.iter().map(Write::frame_bytes).sum::<usize>();
                self.taken.push_back(append);
            }
        }
        Orders {
            abandoned: matches!(front.phase, Phase::Abandoned),
            closing: matches!(front.phase, Phase::Closing),
            more: !front.queue.is_empty(),
            retry_spare: std::mem::take(&mut front.room.wanted),
        }
    }

    /// Writes and syncs one group commit, and tells everybody.
    fn commit(&mut self) -> Result<()> {
        self.fill_batch()?;
        if !self.buffer.is_empty() {
            self.write_buffer()?;
            self.mark = MarkState::Due;
        }
        self.settle();
        Ok(())
    }

    /// Encodes taken writes until the batch is full, they end, or the segment does.
    fn fill_batch(&mut self) -> Result<()> {
        self.buffer.clear();
        let mut fresh = std::mem::take(&mut self.rotate);
        if fresh && !self.begin_segment()? {
            return Ok(());
        }
        while let Some(append) = self.taken.front_mut() {
            let Some(write) = append.writes.front() else {
                if let Some(append) = self.taken.pop_front() {
                    self.batch.dones.push(append.done);
                }
                continue;
            };
            if self.buffer.len() >= self.shared.options.group_commit_bytes_max {
                break;
            }
            let frame_bytes = write.frame_bytes();
            if !self.fits(frame_bytes) {
                if self.buffer.is_empty() {
                    fresh = true;
                    if !self.begin_segment()? {
                        break;
                    }
                } else if fresh && self.batch.settled.is_empty() {
                    return Err(Error::new(
                        ErrorKind::Invalid,
                        "write to the log: segment_bytes is too small for its Head and a frame",
                    ));
                } else {
                    self.rotate = true;
                    break;
                }
                continue;
            }
            self.put_next_write()?;
        }
        Ok(())
    }

    /// Whether a frame fits behind the buffer, with room left for the mark that follows it.
    fn fits(&self, frame_bytes: usize) -> bool {
        let used = self.start as usize + self.buffer.len();
        used + frame_bytes + FRAME_OVERHEAD_BYTES <= self.current.len() as usize
    }

    /// Goes on in the next segment: its Head becomes the first frame of the buffer. Everything
    /// before is synced, because a segment ends only with a group commit. `false` if the disk
    /// has no room for it: nothing was changed, and what was taken waits.
    fn begin_segment(&mut self) -> Result<bool> {
        assert!(
            self.buffer.is_empty(),
            "a group commit stays in one segment"
        );
        let next = match self.spares.pop_front() {
            Some(spare) => spare,
            // Accepted writes may use the room that spares leave to others.
            None => match self.folder.create(self.current.seq() + 1) {
                Err(error) if error.kind() == ErrorKind::Full => {
                    if !self.stranded {
                        tracing::error!(%error, "accepted writes wait for room on the disk");
                    }
                    self.stranded = true;
                    self.rotate = true;
                    self.tell_room(true);
                    return Ok(false);
                }
                created => created?,
            },
        };
        self.stranded = false;
        let next = Arc::new(next);
        put_head(&mut self.buffer, &next, &self.written, self.durable)?;
        self.current = Arc::clone(&next);
        self.start = FRAMES_AT;
        // Whatever the disk said of a spare before, now one is missing: ask again.
        self.spare_refused = false;
        // Visible before any slot names it.
        let mut front = self.shared.front.lock();
        front.segments.insert(next.seq(), next);
        drop(front);
        hit(Point::LogSegmentBegun);
        Ok(true)
    }

    /// Encodes the first write of the first taken append.
    fn put_next_write(&mut self) -> Result<()> {
        let offset = buffer_end(&self.current, self.start, &self.buffer)?.offset;
        let Some(append) = self.taken.front_mut() else {
            return Ok(());
        };
        let Some(write) = append.writes.pop_front() else {
            return Ok(());
        };
        let (group, number) = (append.group, append.number);
        append.number += 1;
        self.batch.bytes += write.frame_bytes();
        let mut put = |kind, log_id, body: &[u8]| {
            let head = FrameHead {
                kind,
                group,
                log_id,
                mark: self.durable,
            };
            self.current
                .codec()
                .put(&mut self.buffer, offset, &head, body);
        };
        let what = match write {
            Write::Entry(entry) => {
                put(Kind::Entry, entry.log_id, &entry.body);
                let segment = self.current.seq();
                let index = entry.log_id.index;
                self.written.entry(group, index, segment);
                SettledWrite::Entry(index, Place { segment, offset })
            }
            Write::Vote(_) if on(Planted::LostVote) => SettledWrite::Other,
            Write::Vote(vote) => {
                put(Kind::Vote, LogId::default(), &vote);
                self.written.vote(group, vote);
                SettledWrite::Other
            }
            Write::TruncateAfter(index) => {
                let term = Term(0);
                if !on(Planted::LostTruncation) {
                    put(Kind::TruncateAfter, LogId { term, index }, &[]);
                }
                hit(Point::LogTruncating);
                self.written.truncate_after(group, index);
                SettledWrite::Other
            }
            Write::Purge(id) => {
                put(Kind::Purge, id, &[]);
                hit(Point::LogPurging);
                self.written.purge(group, id);
                SettledWrite::Forget(id)
            }
            Write::Reset(id) => {
                put(Kind::Reset, id, &[]);
                hit(Point::LogReset);
                self.written.reset(group, id);
                SettledWrite::Forget(id)
            }
        };
        self.batch.settled.push(Settled {
            group,
            number,
            what,
        });
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<()> {
        let end = buffer_end(&self.current, self.start, &self.buffer)?;
        assert!(
            end.offset <= self.current.len(),
            "frames were checked to fit into the segment"
        );
        self.current.write_at(&self.buffer, self.start)?;
        hit(Point::LogWritten);
        if !on(Planted::AckBeforeSync) {
            let synced = self.current.sync();
            synced.or_else(|error| ignored(Planted::IgnoreFailedSync, error))?;
        }
        hit(Point::LogSynced);
        self.start = end.offset;
        self.durable = end;
        Ok(())
    }

    /// Marks the batch as synced and runs the callbacks, without the lock.
    fn settle(&mut self) {
        {
            let mut front = self.shared.front.lock();
            front.settle(&self.batch.settled, &mut self.notices);
            front.pending_bytes -= self.batch.bytes;
            front.room.left_bytes = self.left_bytes();
            front.stats.appends += self.batch.dones.len() as u64;
            front.stats.frames += self.batch.settled.len() as u64;
            front.stats.bytes += self.buffer.len() as u64;
            front.stats.group_commits += u64::from(!self.buffer.is_empty());
        }
        hit(Point::LogSettled);
        self.batch.settled.clear();
        self.batch.bytes = 0;
        for done in self.batch.dones.drain(..) {
            done(Ok(()));
        }
        for (watcher, synced) in self.notices.drain(..) {
            watcher(synced);
        }
        // One huge group commit must not hold its memory for ever.
        self.buffer.clear();
        self.buffer
            .shrink_to(2 * self.shared.options.group_commit_bytes_max);
    }

    /// Writes the durable mark alone, if no frame has told it yet.
    fn write_mark(&mut self) -> Result<()> {
        if self.mark == MarkState::Written {
            return Ok(());
        }
        let head = FrameHead {
            kind: Kind::Mark,
            group: GroupId(0),
            log_id: LogId::default(),
            mark: self.durable,
        };
        self.buffer.clear();
        self.current
            .codec()
            .put(&mut self.buffer, self.start, &head, &[]);
        self.write_buffer()?;
        self.buffer.clear();
        self.mark = MarkState::Written;
        let mut front = self.shared.front.lock();
        front.room.left_bytes = self.left_bytes();
        front.stats.marks += 1;
        Ok(())
    }

    /// Leaves nothing behind the last frame: an open need not look for frames there. The spares
    /// stay as headers, and bear witness that there is a segment before them. Not synced: a crash
    /// may undo it.
    fn tidy_up(&mut self) -> Result<()> {
        self.current.cut(self.start)?;
        self.spares
            .drain(..)
            .try_for_each(|spare| spare.cut(FRAMES_AT))
    }

    /// One piece of housekeeping; `true` if there may be more.
    fn keep_house(&mut self, retry_spare: bool) -> Result<bool> {
        if self.drop_segment()? {
            return Ok(true);
        }
        let wanted = self.shared.options.spare_segments.max(1);
        if self.spares.len() >= wanted || (self.spare_refused && !retry_spare) {
            return Ok(false);
        }
        match self.prepare_spare() {
            Ok(spare) => {
                self.spares.push_back(spare);
                self.tell_room(false);
            }
            Err(error) if error.kind() == ErrorKind::Full => {
                if !self.spare_refused {
                    tracing::warn!(%error, "no room for the next log segment");
                }
                self.tell_room(true);
            }
            Err(error) => return Err(error),
        }
        Ok(!self.spare_refused && self.spares.len() < wanted)
    }

    fn prepare_spare(&self) -> Result<SegmentFile> {
        if !self.folder.has_room(self.shared.options.keep_free_bytes) {
            return Err(Error::new(
                ErrorKind::Full,
                "prepare a segment: it would take the room of a checkpoint",
            ));
        }
        self.folder.create(self.next_spare())
    }

    /// Drops the oldest segment if nobody needs it: it becomes a spare, or it is removed.
    ///
    /// Called between group commits, so everything in `written` is durable, the newest Head and
    /// the purges included.
    fn drop_segment(&mut self) -> Result<bool> {
        let current = self.current.seq();
        let needed = self.written.oldest_needed().unwrap_or(current).min(current);
        let old = {
            let mut front = self.shared.front.lock();
            match front.segments.first_entry() {
                Some(oldest) if *oldest.key() < needed => oldest.remove(),
                _ => return Ok(false),
            }
        };
        // One more than is prepared ahead: else there would never be a place for it.
        let spares_max = self.shared.options.spare_segments.max(1) + 1;
        if self.spares.len() < spares_max && self.folder.recyclable(&old) {
            let spare = self.folder.recycle(&old, self.next_spare())?;
            self.spares.push_back(spare);
            self.shared.front.lock().stats.recycled += 1;
            self.tell_room(false);
        } else {
            self.folder.remove(old.seq())?;
            // Room was made: the next step tries again. Nobody is told before it has succeeded.
            self.spare_refused = false;
        }
        Ok(true)
    }

    fn next_spare(&self) -> u64 {
        self.current.seq() + self.spares.len() as u64 + 1
    }

    fn tell_room(&mut self, refused: bool) {
        self.spare_refused = refused;
        self.shared.short.store(refused, Ordering::Release);
        let mut front = self.shared.front.lock();
        front.room = Room {
            last_segment: refused && self.spares.is_empty(),
            left_bytes: self.left_bytes(),
            wanted: front.room.wanted,
        };
    }

    /// What frames can still take in the current segment: besides the mark after them, one may
    /// just be written while an append is measured against this.
    fn left_bytes(&self) -> usize {
        (self.current.len() as usize).saturating_sub(self.start as usize + FRAME_OVERHEAD_BYTES)
    }

    fn poison(&mut self, cause: Error) {
        let error = Error::poisoning("the log", cause);
        tracing::error!(%error, "the log is stopped");
        self.stop(Phase::Poisoned(error));
    }

    /// Ends the log; whoever still waits is told why.
    fn stop(&mut self, phase: Phase) {
        let (error, queue) = {
            let mut front = self.shared.front.lock();
            front.phase = phase;
            let error = match &front.phase {
                Phase::Poisoned(error) => error.again(),
                _ => Error::new(ErrorKind::Stopped, "the log is closed"),
            };
            (error, std::mem::take(&mut front.queue))
        };
        for done in self.batch.dones.drain(..) {
            done(Err(error.again()));
        }
        for append in self.taken.drain(..).chain(queue) {
            (append.done)(Err(error.again()));
        }
    }
}

impl Drop for Writer {
    /// A job that ends without being told to, by a panic or with the whole process, must not
    /// leave anybody waiting.
    fn drop(&mut self) {
        let running = matches!(
            self.shared.front.lock().phase,
            Phase::Open | Phase::Closing | Phase::Abandoned
        );
        if running {
            self.stop(Phase::Poisoned(Error::new(
                ErrorKind::Stopped,
                "the log writer ended early",
            )));
        }
    }
}

/// Encodes the Head of `segment`, which follows `previous`.
pub(super) fn put_head(
    buffer: &mut Vec<u8>,
    segment: &SegmentFile,
    written: &Written,
    previous: Position,
) -> Result<()> {
    let body = written.encode_head(previous);
    if FRAMES_AT as usize + body.len() + 2 * FRAME_OVERHEAD_BYTES > segment.len() as usize {
        return Err(Error::new(
            ErrorKind::Invalid,
            "begin a log segment: segment_bytes is too small for the Head of all groups",
        ));
    }
    let head = FrameHead {
        kind: Kind::Head,
        group: GroupId(0),
        log_id: LogId::default(),
        mark: previous,
    };
    segment.codec().put(buffer, FRAMES_AT, &head, &body);
    Ok(())
}

/// Where a buffer that begins at `offset` of `segment` ends.
pub(super) fn buffer_end(segment: &SegmentFile, offset: u32, buffer: &[u8]) -> Result<Position> {
    u32::try_from(buffer.len())
        .ok()
        .and_then(|len| offset.checked_add(len))
        .map(|end| segment.position(end))
        .ok_or_else(|| segment.corrupt(offset, "a group commit ends beyond 4 GiB"))
}
