//! Committed entries → `Replica::apply`; checkpoints as openraft's snapshots.
//!
//! # Invariants
//! - An entry is applied only when **this node's own log** has synced it: otherwise a checkpoint
//!   could hold what a power cut takes from the log.
//! - A snapshot is the newest durable checkpoint of the engine, never built on demand.

use std::io;
use std::sync::Arc;

use engine::checkpoint::{CheckpointReader, CheckpointView, CheckpointWriter};
use engine::command::Payload;
use engine::ids::LogIndex;
use engine::replica::Replica;
use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::{Notify, watch};

use crate::types::{
    EntryPayload, Outcomes, RaftLogId, SnapshotMeta, StoredMembership, TypeConfig, decode, encode,
    invalid, io_error, our_id, their_id,
};

/// A checkpoint on its way out of a node or into one.
#[derive(Debug)]
pub enum Checkpoint {
    /// Read from this node, to be sent.
    Sent(Box<CheckpointReader>),
    /// Received whole from a peer, to be installed.
    Received(Box<CheckpointWriter>),
}

/// Drives one group's replica.
#[derive(Debug)]
pub struct StateMachine {
    replica: Replica,
    synced: watch::Receiver<LogIndex>,
    /// Notified when a flush has made room for more.
    ready: Arc<Notify>,
    /// Told of the fault that stops this node.
    failed: watch::Sender<Option<String>>,
}

/// Answers the newest durable checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointSource(Replica);

impl StateMachine {
    /// A driver for `replica`; `synced` follows the group's part of the log.
    pub fn new(
        replica: Replica,
        synced: watch::Receiver<LogIndex>,
        failed: watch::Sender<Option<String>>,
    ) -> Self {
        let ready = Arc::new(Notify::new());
        let notify = ready.clone();
        replica.on_ready(Box::new(move || notify.notify_one()));
        Self { replica, synced, ready, failed }
    }

    async fn wait_until_synced(&mut self, index: LogIndex) -> io::Result<()> {
        let seen = self.synced.wait_for(|synced| *synced >= index).await;
        seen.map(drop).map_err(|_| io::Error::other("the log has stopped"))
    }

    async fn wait_until_ready(&self) {
        while !self.replica.ready() && self.replica.fault().is_none() {
            self.ready.notified().await;
        }
    }

    fn fault(&self, error: engine::Error) -> io::Error {
        self.failed.send_replace(Some(error.to_string()));
        io_error(error)
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Checkpoint;
    type SnapshotBuilder = CheckpointSource;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, StoredMembership)> {
        let applied = self.replica.applied().map(their_id);
        Ok((applied, stored_membership(self.replica.membership())?))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let log_id = our_id(&entry.log_id);
            self.wait_until_synced(log_id.index).await?;
            self.wait_until_ready().await;
            let payload = match entry.payload {
                EntryPayload::Blank => Payload::Blank,
                EntryPayload::Normal(proposal) => Payload::decode(proposal.0).map_err(invalid)?,
                EntryPayload::Membership(membership) => Payload::Membership(encode(&membership)),
            };
            let outcomes =
                self.replica.apply(log_id, &payload).map_err(|error| self.fault(error))?;
            if let Some(responder) = responder {
                responder.send(Outcomes(outcomes));
            }
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<CheckpointSource> {
        self.replica.checkpoint()?;
        Some(CheckpointSource(self.replica.clone()))
    }

    async fn get_snapshot_builder(&mut self) -> CheckpointSource {
        CheckpointSource(self.replica.clone())
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta, received: Checkpoint) -> io::Result<()> {
        let Checkpoint::Received(writer) = received else {
            return Err(io::Error::other("only a received checkpoint can be installed"));
        };
        let replica = self.replica.clone();
        let installed = tokio::task::spawn_blocking(move || replica.install(*writer)).await;
        installed.map_err(io::Error::other)?.map_err(|error| self.fault(error))
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<Snapshot<TypeConfig, Checkpoint>>> {
        if self.replica.checkpoint().is_none() {
            return Ok(None);
        }
        CheckpointSource(self.replica.clone()).read().map(Some)
    }
}

impl CheckpointSource {
    fn read(&self) -> io::Result<Snapshot<TypeConfig, Checkpoint>> {
        let reader = self.0.read_checkpoint().map_err(io_error)?;
        let meta = snapshot_meta(reader.view())?;
        Ok(Snapshot { meta, snapshot: Checkpoint::Sent(Box::new(reader)) })
    }
}

impl RaftSnapshotBuilder<TypeConfig> for CheckpointSource {
    type SnapshotData = Checkpoint;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot<TypeConfig, Checkpoint>> {
        self.read()
    }
}

/// What openraft wants to know of a checkpoint.
pub(crate) fn snapshot_meta(view: &CheckpointView) -> io::Result<SnapshotMeta> {
    Ok(SnapshotMeta {
        last_log_id: Some(their_id(view.log_id)),
        last_membership: stored_membership(view.membership.clone())?,
    })
}

fn stored_membership(
    membership: Option<(engine::ids::LogId, bytes::Bytes)>,
) -> io::Result<StoredMembership> {
    match membership {
        Some((log_id, bytes)) => {
            Ok(StoredMembership::new(Some(their_id(log_id)), decode(&bytes)?))
        }
        None => Ok(StoredMembership::default()),
    }
}
