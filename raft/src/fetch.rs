//! A checkpoint fetched from any node, by one whose own state is damaged: both sides.
//!
//! ```text
//! FetchCheckpoint   request body = at_least: the index that it must reach
//!                                  doubted: whether the last one was damaged
//!                   answers      = its chunks, in order
//! ```
//!
//! It holds committed entries alone, so it need not come from the leader, and no majority need
//! be up: what is asked for is known, not decided.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::checkpoint::{CheckpointReader, CheckpointWriter};
use engine::env::Workers;
use engine::ids::{GroupId, LogId, LogIndex, NodeId};
use engine::replica::{Repair, Replica};
use engine_proto::v1::PeerResponse;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::blocking::blocking;
use crate::group::Group;
use crate::network::{Lane, Peers};
use crate::snapshot::{doubted, fresh, on_replica};
use crate::types::{Member, encode};

/// How many chunks of a checkpoint wait to be sent.
pub(crate) const CHUNKS_AHEAD: usize = 4;

/// How long a peer may be silent: it may have to make a checkpoint first.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// The index that the checkpoint must reach.
    pub(crate) at_least: LogIndex,
    /// Whether the last one from this node was damaged: it must look at its own files first.
    pub(crate) doubted: bool,
}

/// Sends the newest checkpoint, or a new one if that ends before what is wanted.
pub(crate) async fn serve(
    group: &Arc<Group>,
    (by, wanted): (NodeId, Wanted),
    answer: impl Fn(Bytes) -> PeerResponse + Send + Sync + 'static,
) -> Result<ReceiverStream<Result<PeerResponse, Status>>, Status> {
    let failed = |error: io::Error| Status::internal(format!("read a checkpoint: {error}"));
    if wanted.doubted {
        doubted(&group.replica, by).await.map_err(failed)?;
    }
    let at_least = wanted.at_least;
    let index = |log_id: Option<LogId>| log_id.map_or(LogIndex(0), |log_id| log_id.index);
    let applied = index(group.view.applied());
    if applied < at_least.max(LogIndex(1)) {
        return Err(Status::unavailable(format!(
            "the state of this node ends at entry {applied}, the asker needs {at_least}"
        )));
    }
    let checkpoint = group.replica.checkpoint().map(|view| view.log_id);
    if checkpoint.is_none() || index(checkpoint) < at_least {
        fresh(&group.replica).await.map_err(failed)?;
    }
    let reader = on_replica(&group.replica, Replica::read_checkpoint);
    let reader = reader.await.map_err(failed)?;
    let (chunks, waiting) = mpsc::channel(CHUNKS_AHEAD);
    let workers = Arc::clone(&group.env.workers);
    tokio::spawn(async move {
        let read = read_chunks(workers, reader, |chunk| Ok(answer(chunk)), &chunks).await;
        if let Err(error) = read {
            // Whoever asked may be gone; then nobody is told.
            chunks.send(Err(failed(error))).await.ok();
        }
    });
    Ok(ReceiverStream::new(waiting))
}

/// Reads a checkpoint as fast as the peer takes it; ends early if the peer is gone.
pub(crate) async fn read_chunks<T: Send>(
    workers: Arc<dyn Workers>,
    mut reader: CheckpointReader,
    wrap: impl Fn(Bytes) -> T,
    chunks: &mpsc::Sender<T>,
) -> io::Result<()> {
    loop {
        let read = blocking(workers.as_ref(), move || {
            let chunk = reader.next_chunk();
            (reader, chunk)
        });
        let (back, chunk) = read.await?;
        reader = back;
        let Some(chunk) = chunk.map_err(io::Error::other)? else {
            return Ok(());
        };
        if chunks.send(wrap(chunk)).await.is_err() {
            return Ok(());
        }
    }
}

/// A peer's checkpoint, received and not yet checked. When the node stops, only what waits for
/// the peer is given up: what is at work on the disk ends first.
pub(crate) async fn fetch(
    peers: &Peers,
    group: GroupId,
    (from, member): (NodeId, &Member),
    wanted: Wanted,
    repair: &Arc<Repair>,
    stopping: &watch::Receiver<bool>,
) -> Result<CheckpointWriter, Status> {
    let request = peers.request(from, group, 0, encode(&wanted));
    let mut client = peers.client(&member.peer_address, Lane::Snapshots)?;
    let opened = in_time(client.fetch_checkpoint(request), stopping).await?;
    let mut chunks = opened.into_inner();
    let disk = |error: io::Error| Status::internal(format!("receive a checkpoint: {error}"));
    let begun = Arc::clone(repair);
    let mut writer = work(peers, move || begun.begin()).await.map_err(disk)?;
    while let Some(response) = in_time(chunks.message(), stopping).await? {
        let chunk = peers.answer(from, response)?;
        let written = work(peers, move || writer.write(chunk).map(|()| writer));
        writer = written.await.map_err(disk)?;
    }
    Ok(writer)
}

/// Long work for a repair.
async fn work<A: Send + 'static>(
    peers: &Peers,
    work: impl FnOnce() -> engine::Result<A> + Send + 'static,
) -> io::Result<A> {
    let done = blocking(peers.workers.as_ref(), work).await?;
    done.map_err(io::Error::other)
}

async fn in_time<A>(
    ask: impl Future<Output = Result<A, Status>>,
    stopping: &watch::Receiver<bool>,
) -> Result<A, Status> {
    let mut stopping = stopping.clone();
    tokio::select! {
        answer = timeout(SILENCE_MAX, ask) => answer.unwrap_or_else(|_| {
            Err(Status::deadline_exceeded("the peer was silent for too long"))
        }),
        _ = stopping.wait_for(|stopping| *stopping) => Err(Status::cancelled("the node is stopping")),
    }
}
