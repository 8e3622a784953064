//! Checkpoints as openraft's snapshots: handles, never whole in memory.
//!
//! ```text
//! engine makes a checkpoint durable ─► `follow` asks openraft for a snapshot ─► `Builder`
//! answers that checkpoint ─► `ticker` purges the log behind it
//! ```
//!
//! A crash while a received checkpoint is installed leaves either the old state with its log,
//! or the new state with a log that may not reach it; `LogStore::agree_with` mends the latter.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::checkpoint::{CheckpointReader, CheckpointView, CheckpointWriter};
use engine::failpoint::{Point, hit};
use engine::ids::{LogIndex, NodeId};
use engine::replica::Replica;
use openraft::storage::RaftSnapshotBuilder;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::blocking::blocking;
use crate::types::{
    Raft, RaftLogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, decode, raft_log_id,
};

/// How long a full disk is left alone.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// A checkpoint to be sent, or one that was received.
#[derive(Debug)]
pub(crate) enum SnapshotData {
    /// Pinned on this node, whose replica can say whether it is whole.
    Reader(Box<CheckpointReader>, Replica),
    /// Received completely, not yet installed.
    Writer(Box<CheckpointWriter>),
    /// Of a state before its first entry.
    Nothing,
}

/// Answers openraft's wish for a snapshot.
#[derive(Debug)]
pub(crate) enum Builder {
    /// With the newest durable checkpoint.
    Newest(Option<io::Result<Snapshot>>),
    /// With one of the present state: openraft has none and needs one.
    Fresh(Replica),
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        match self {
            Self::Newest(snapshot) => snapshot
                .take()
                .unwrap_or_else(|| Err(io::Error::other("the snapshot was taken already"))),
            Self::Fresh(replica) => {
                fresh(replica).await?;
                hit(Point::SnapshotBuilt);
                Ok(current(replica)?.unwrap_or_else(nothing))
            }
        }
    }
}

/// Makes a checkpoint of the present state; on a full disk, as soon as there is room: to
/// openraft an error is the end of the node.
pub(crate) async fn fresh(replica: &Replica) -> io::Result<()> {
    loop {
        let begun = on_replica(replica, |replica| match replica.begin_checkpoint() {
            Err(error) if error.kind() == engine::ErrorKind::Full => Ok(false),
            begun => begun
                .and_then(|()| replica.wait_for_checkpoint())
                .map(|()| true),
        });
        if begun.await? {
            return Ok(());
        }
        sleep(ROOM_RETRY).await;
    }
}

fn nothing() -> Snapshot {
    Snapshot {
        meta: SnapshotMeta::default(),
        snapshot: SnapshotData::Nothing,
    }
}

/// The newest durable checkpoint, pinned.
pub(crate) fn current(replica: &Replica) -> io::Result<Option<Snapshot>> {
    if replica.checkpoint().is_none() {
        return Ok(None);
    }
    let reader = replica.read_checkpoint().map_err(io::Error::other)?;
    let meta = meta(reader.view())?;
    Ok(Some(Snapshot {
        meta,
        snapshot: SnapshotData::Reader(Box::new(reader), replica.clone()),
    }))
}

/// The same checkpoint in openraft's words.
fn meta(view: &CheckpointView) -> io::Result<SnapshotMeta> {
    Ok(SnapshotMeta {
        last_log_id: Some(raft_log_id(view.log_id)),
        last_membership: membership(view.membership.as_ref())?,
    })
}

/// A membership as the state keeps it.
pub(crate) fn membership(
    stored: Option<&(engine::ids::LogId, bytes::Bytes)>,
) -> io::Result<StoredMembership> {
    let Some((log_id, bytes)) = stored else {
        return Ok(StoredMembership::default());
    };
    let membership = decode(bytes).map_err(io::Error::other)?;
    Ok(StoredMembership::new(
        Some(raft_log_id(*log_id)),
        membership,
    ))
}

/// Installs a checkpoint and checks that it is the one that was announced.
pub(crate) async fn install(
    replica: &Replica,
    expected: Option<RaftLogId>,
    data: SnapshotData,
) -> io::Result<()> {
    on_replica(replica, move |replica| {
        let writer = match data {
            SnapshotData::Writer(writer) => *writer,
            SnapshotData::Reader(reader, _) => copy(replica, *reader)?,
            SnapshotData::Nothing => return Ok(()),
        };
        replica.install(writer)?;
        let applied = replica.applied();
        if applied.map(raft_log_id) == expected {
            return Ok(());
        }
        Err(engine::Error::new(
            engine::ErrorKind::Corrupt,
            format!("the installed checkpoint ends at {applied:?}, announced was {expected:?}"),
        ))
    })
    .await
}

fn copy(replica: &Replica, mut reader: CheckpointReader) -> engine::Result<CheckpointWriter> {
    let mut writer = replica.begin_install()?;
    while let Some(chunk) = reader.next_chunk()? {
        writer.write(chunk)?;
    }
    Ok(writer)
}

/// A peer calls the checkpoint that this node sent it damaged. If it is so on this disk, the
/// replica stops, and the next start repairs it.
pub(crate) async fn doubted(replica: &Replica, by: NodeId) -> io::Result<()> {
    let verified = on_replica(replica, Replica::verify_checkpoint).await;
    match &verified {
        Ok(()) => tracing::warn!(
            by = by.0,
            "a peer calls this node's checkpoint damaged, but every byte of it is right here"
        ),
        Err(error) => tracing::error!(by = by.0, %error, "a peer found this node's damage"),
    }
    verified
}

/// Makes every durable checkpoint openraft's snapshot, until the replica is gone.
pub(crate) async fn follow(raft: Raft, mut durable: watch::Receiver<LogIndex>) {
    while durable.changed().await.is_ok() {
        durable.mark_unchanged();
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// Long work on a replica.
pub(crate) async fn on_replica<A: Send + 'static>(
    replica: &Replica,
    work: impl FnOnce(&Replica) -> engine::Result<A> + Send + 'static,
) -> io::Result<A> {
    let replica = replica.clone();
    let workers = Arc::clone(&replica.env().workers);
    blocking(workers.as_ref(), move || work(&replica))
        .await?
        .map_err(io::Error::other)
}
