//! Checkpoints of a replica: begun, waited for, sent and installed.

use std::sync::Arc;

use super::digests::Digests;
use super::rooms::{Rooms, rooms_name};
use super::{Catalog, Replica, Writer, tell};
use crate::checkpoint::{CheckpointReader, CheckpointView, CheckpointWriter};
use crate::error::Result;
use crate::failpoint::{Point, hit};

/// Where a checkpoint is received.
pub(super) const INCOMING: &str = "incoming";

impl Replica {
    /// Begins a checkpoint at the last applied entry; it becomes durable in the background.
    ///
    /// # Errors
    /// `Full` while the disk has no room for it: nothing was changed. A fault of this node.
    pub fn begin_checkpoint(&self) -> Result<()> {
        self.check_fault()?;
        let mut writer = self.inner.writer.lock();
        if writer.state.applied.is_none() {
            return Ok(());
        }
        let rooms = self.inner.rooms.read().clone();
        self.inner.freeze(&mut writer, &rooms)
    }

    /// Waits until every checkpoint that has begun is durable; on a full disk, until there is
    /// room.
    ///
    /// # Errors
    /// The fault that keeps it from becoming durable; `Stopped` if the replica is closed first.
    pub fn wait_for_checkpoint(&self) -> Result<()> {
        self.inner
            .wait_until(|inner| inner.freezing.lock().is_empty())
    }

    /// The newest durable checkpoint.
    pub fn checkpoint(&self) -> Option<CheckpointView> {
        self.inner.durable.lock().clone()
    }

    /// Reads the newest durable checkpoint while the node goes on working.
    ///
    /// # Errors
    /// `NotFound` if there is none yet.
    pub fn read_checkpoint(&self) -> Result<CheckpointReader> {
        let rooms = self.inner.rooms.read().clone();
        rooms.read_checkpoint(&self.inner.shared.env)
    }

    /// Reads and checks every byte of the newest durable checkpoint, while the node goes on
    /// working: whoever was sent it says that it is damaged.
    ///
    /// # Errors
    /// `Corrupt` names the damage, and stops the replica as a read that meets it does; `NotFound`
    /// if there is no checkpoint yet; `Io`.
    pub fn verify_checkpoint(&self) -> Result<()> {
        self.noticed(self.read_checkpoint()?.check())
    }

    /// Prepares to receive a checkpoint from a peer; one at a time.
    ///
    /// # Errors
    /// `Io` or `Full` from the disk.
    pub fn begin_install(&self) -> Result<CheckpointWriter> {
        CheckpointWriter::new(self.inner.shared.env.clone(), self.inner.dir.join(INCOMING))
    }

    /// Replaces the whole state by a received checkpoint.
    ///
    /// # Durability
    /// Once this returns, a crash falls back to the received checkpoint; before, to the old one.
    ///
    /// # Errors
    /// `Corrupt` if the checkpoint is incomplete or damaged: the old state is still in use.
    pub fn install(&self, received: CheckpointWriter) -> Result<()> {
        let inner = &*self.inner;
        let _checkpointing = inner.checkpointing.lock();
        let _compacting = inner.compacting.lock();
        let mut writer = inner.writer.lock();
        let old = inner.rooms.read().clone();
        let number = old.number + 1;
        received.finish(&inner.dir.join(rooms_name(number)))?;
        let (rooms, state) = Rooms::open(&inner.shared, inner.group, &inner.dir, number)?;
        inner.freezing.lock().clear();
        inner
            .shared
            .rows
            .invalidate_group(inner.group, state.revision);
        *inner.catalog.write() = Catalog::of(&state);
        *inner.rooms.write() = Arc::new(rooms);
        inner.publish(&state);
        inner.feed.jump(state.revision);
        let (applied, revision) = (state.applied, state.revision);
        *writer = Writer {
            digests: Digests::of(&state),
            state,
            uncovered_bytes: 0,
        };
        hit(Point::InstallOpened);
        drop(writer);
        inner.note_durable()?;
        inner.flushed.notify_all();
        old.store.close();
        let old_dir = inner.dir.join(rooms_name(old.number));
        if let Err(error) = inner.shared.env.vfs.remove_dir_all(&old_dir) {
            tracing::warn!(%error, dir = %old_dir.display(), "a replaced state folder stays");
        }
        tell(&inner.on_published, revision);
        if let Some(applied) = applied {
            tell(&inner.on_checkpoint, applied);
        }
        Ok(())
    }
}
