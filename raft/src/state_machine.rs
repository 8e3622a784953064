//! Committed entries become state, in order.
//!
//! ```text
//! committed ─► synced in this node's own log ─► replica is ready ─► apply ─► answer, note
//! ```
//!
//! The first wait is ours: openraft applies what a quorum has, which may be more than this
//! node's disk has. With it, neither state nor checkpoint ever exceeds the node's own log, and
//! what a restarted node has replayed when its log is committed again is all it ever showed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::command::Payload;
use engine::env::{Clock, Env};
use engine::failpoint::{Point, hit};
use engine::ids::{LogId, LogIndex};
use engine::planted::{Planted, on};
use engine::replica::Replica;
use futures::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftStateMachine};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::boot::Boots;
use crate::snapshot::{self, Builder, SnapshotData};
use crate::types::{
    Answer, RaftLogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, engine_log_id,
    entry_body, raft_log_id,
};
use crate::view::View;

/// How long an apply waits for a flush before it asks whether the replica has failed.
const FAULT_CHECK: Duration = Duration::from_millis(200);

/// One group's state, as openraft drives it.
pub(crate) struct StateMachine {
    pub(crate) replica: Replica,
    pub(crate) synced: Synced,
    /// Changes when a flush has made room.
    pub(crate) ready: watch::Receiver<()>,
    pub(crate) view: Arc<View>,
    pub(crate) boots: Arc<Boots>,
}

/// How far this node's own log is synced.
///
/// Asked of the log each time, never remembered: a truncation moves it back.
pub(crate) struct Synced {
    pub(crate) upto: Box<dyn Fn() -> LogIndex + Send + Sync>,
    /// Changes with every group commit.
    pub(crate) changed: watch::Receiver<()>,
}

impl StateMachine {
    async fn apply_entry(&mut self, log_id: LogId, body: bytes::Bytes) -> io::Result<Answer> {
        self.wait_synced(log_id.index).await?;
        self.wait_ready().await?;
        let payload = Payload::decode(body).map_err(io::Error::other)?;
        hit(Point::EntryReady);
        let outcomes = self
            .replica
            .apply(log_id, &payload)
            .map_err(io::Error::other)?;
        hit(Point::EntryApplied);
        if announces(&payload) {
            self.boots.note(self.replica.boots());
        }
        self.view.note(&self.replica);
        Ok(Answer(outcomes))
    }

    async fn wait_synced(&mut self, index: LogIndex) -> io::Result<()> {
        loop {
            self.synced.changed.mark_unchanged();
            if (self.synced.upto)() >= index || on(Planted::ApplyUnsynced) {
                return Ok(());
            }
            if self.synced.changed.changed().await.is_err() {
                return Err(io::Error::other("the log has stopped"));
            }
        }
    }

    async fn wait_ready(&mut self) -> io::Result<()> {
        loop {
            self.ready.mark_unchanged();
            if self.replica.ready() {
                return Ok(());
            }
            if let Some(fault) = self.replica.fault() {
                return Err(io::Error::other(fault));
            }
            // The time limit is for a flush that fails: nobody calls back then.
            timeout(FAULT_CHECK, self.ready.changed()).await.ok();
        }
    }
}

fn announces(payload: &Payload) -> bool {
    let Payload::Batch(batch) = payload else {
        return false;
    };
    batch
        .commands
        .iter()
        .any(|command| matches!(command, engine::command::Command::NodeStarted { .. }))
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, StoredMembership)> {
        let membership = snapshot::membership(self.replica.membership().as_ref())?;
        Ok((self.replica.applied().map(raft_log_id), membership))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let log_id = engine_log_id(entry.log_id);
            let answer = self.apply_entry(log_id, entry_body(&entry.payload)).await?;
            if let Some(responder) = responder {
                responder.send(answer);
            }
            // An entry is at most a few milliseconds of work: others get their turn after each.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        if force {
            return Some(self.get_snapshot_builder().await);
        }
        // Pinned now, between two applies: openraft must never see a snapshot of an entry of
        // which it does not yet know that it is applied.
        snapshot::current(&self.replica)
            .transpose()
            .map(|snapshot| Builder::Newest(Some(snapshot)))
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder::Fresh(self.replica.clone())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        data: SnapshotData,
    ) -> io::Result<()> {
        snapshot::install(&self.replica, meta.last_log_id, data).await?;
        hit(Point::SnapshotInstalled);
        self.boots.note(self.replica.boots());
        self.view.note(&self.replica);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        snapshot::current(&self.replica)
    }
}

/// The time a leader stamps: never behind what the state has seen.
pub(crate) fn now_ms(env: &Env, view: &View) -> u64 {
    let clock: &dyn Clock = env.clock.as_ref();
    clock.wall_ms().max(view.now_ms())
}
