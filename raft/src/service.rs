//! What other nodes ask of this one: the `Peer` service on the peer port.
//!
//! Every message says who speaks, in which life, and whom it means; what does not fit is refused
//! before openraft sees it: another cluster, another node, a node whose disk is an old copy.

use std::pin::Pin;
use std::sync::Arc;

use engine::ErrorKind;
use engine::codec::DecodeError;
use engine::command::Command;
use engine::failpoint::{Point, hit};
use engine::ids::{Boot, GroupId, NodeId};
use engine::replica::Replica;
use engine_proto::v1::peer_server::{Peer, PeerServer};
use engine_proto::v1::{PeerRequest, PeerResponse, SnapshotChunk};
use futures::{Stream, StreamExt};
use openraft::errors::Fatal;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::boot;
use crate::error::Error;
use crate::fetch::{self, Wanted};
use crate::group::Group;
use crate::network::{
    KIND_PRE_VOTE, KIND_VOTE, MESSAGE_BYTES_MAX, STALE_BOOT, SnapshotHead, decode_append,
};
use crate::node::Inner;
use crate::reads;
use crate::snapshot::{SnapshotData, on_replica};
use crate::types::{Snapshot, TypeConfig, decode, encode};

/// Answers other nodes.
#[derive(Clone)]
pub struct PeerService {
    inner: Arc<Inner>,
}

/// The tonic service of [`PeerService`].
pub(crate) fn server(inner: Arc<Inner>) -> PeerServer<PeerService> {
    PeerServer::new(PeerService { inner })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

impl std::fmt::Debug for PeerService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerService").finish_non_exhaustive()
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<PeerResponse, Status>> + Send>>;

impl PeerService {
    /// Refuses who must not be heard; answers the group that is meant.
    fn check(&self, request: &PeerRequest) -> Result<&Arc<Group>, Status> {
        if *self.inner.stopping().borrow() {
            return Err(Status::unavailable("the node is stopping"));
        }
        let peers = &self.inner.peers;
        let me = peers.identity;
        if request.cluster_id != me.cluster.0 {
            return Err(Status::failed_precondition(format!(
                "node {} belongs to cluster {}, not {}",
                me.node, me.cluster, request.cluster_id
            )));
        }
        if request.to != me.node.0 {
            return Err(Status::failed_precondition(format!(
                "this is node {}, not {}",
                me.node, request.to
            )));
        }
        let (from, spoken) = (NodeId(request.from), Boot(request.boot));
        if let Err(known) = peers.boots.hear(from, spoken) {
            let reason = boot::stale(from, spoken.0, known.0);
            return Err(Status::failed_precondition(format!(
                "{STALE_BOOT}: {reason}"
            )));
        }
        let group = GroupId(request.group);
        self.inner
            .groups()
            .get(&group)
            .ok_or_else(|| Status::not_found(format!("node {} has no group {group}", me.node)))
    }

    fn answer(&self, body: impl Into<bytes::Bytes>) -> PeerResponse {
        let me = self.inner.peers.identity;
        PeerResponse {
            from: me.node.0,
            boot: me.boot.0,
            body: body.into(),
        }
    }

    fn no_room(&self) -> Status {
        let node = self.inner.peers.identity.node;
        Status::resource_exhausted(format!("the disk of node {node} is full"))
    }

    fn reply<T: Serialize>(&self, value: &T) -> Response<PeerResponse> {
        Response::new(self.answer(encode(value)))
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    type AppendStream = Answers;
    type FetchCheckpointStream = Answers;

    async fn append(
        &self,
        request: Request<Streaming<PeerRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut incoming = request.into_inner();
        let mut stopping = self.inner.stopping();
        let first = tokio::select! {
            first = incoming.message() => first?,
            _ = stopping.wait_for(|stopping| *stopping) => None,
        };
        let Some(first) = first else {
            return Ok(Response::new(Box::pin(futures::stream::empty())));
        };
        let group = Arc::clone(self.check(&first)?);
        // What ends the stream early is told after the answers to what came before it.
        let refusal: Arc<Mutex<Option<Status>>> = Arc::default();
        let requests = Requests {
            service: self.clone(),
            group: group.id,
            next: Some(first),
            incoming,
            stopping: self.inner.stopping(),
            refusal: Arc::clone(&refusal),
        };
        let requests = futures::stream::unfold(requests, Requests::next);
        let service = self.clone();
        let answers = group.raft.stream_append(requests).map(move |answer| {
            let matched = answer.map_err(|error| stopped(&error))?;
            Ok(service.answer(encode(&matched)))
        });
        let last = futures::stream::once(async move { refusal.lock().take() })
            .filter_map(|refusal| async move { refusal.map(Err) });
        // A stream without news would keep its connection, and so this node's port, for ever.
        let stopped = async move {
            stopping.wait_for(|stopping| *stopping).await.ok();
        };
        let answers = answers.chain(last).take_until(Box::pin(stopped));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn vote(&self, request: Request<PeerRequest>) -> Result<Response<PeerResponse>, Status> {
        let request = request.into_inner();
        let group = self.check(&request)?;
        let vote: VoteRequest<TypeConfig> = read(&request)?;
        let answer = match request.kind {
            KIND_VOTE => group.raft.vote(vote).await,
            KIND_PRE_VOTE => group.raft.pre_vote(vote).await,
            kind => return Err(Status::unimplemented(format!("there is no vote {kind}"))),
        };
        match answer {
            Ok(answer) => Ok(self.reply(&answer)),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }

    async fn transfer_leader(
        &self,
        request: Request<PeerRequest>,
    ) -> Result<Response<PeerResponse>, Status> {
        let request = request.into_inner();
        let group = self.check(&request)?;
        let transfer: TransferLeaderRequest<TypeConfig> = read(&request)?;
        match group.raft.handle_transfer_leader(transfer).await {
            Ok(answer) => Ok(self.reply(&answer)),
            Err(error) => Err(stopped(&error)),
        }
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<PeerResponse>, Status> {
        let mut incoming = request.into_inner();
        let first = incoming.message().await?;
        let Some(request) = first.and_then(|first| first.request) else {
            return Err(Status::invalid_argument("the first chunk names no request"));
        };
        let group = Arc::clone(self.check(&request)?);
        let SnapshotHead { vote, meta } = read(&request)?;
        let Ok(_receiving) = group.receiving.try_lock() else {
            return Err(Status::aborted("another checkpoint is being received"));
        };
        tracing::info!(
            group = group.id.0, from = request.from, snapshot = %meta, "receiving a checkpoint"
        );
        if self.inner.disk().check().is_err() {
            return Err(self.no_room());
        }
        let writer = receive(&group, incoming).await?;
        hit(Point::SnapshotReceived);
        let snapshot = Snapshot {
            meta,
            snapshot: SnapshotData::Writer(Box::new(writer)),
        };
        match group.raft.install_full_snapshot(vote, snapshot).await {
            Ok(answer) => Ok(self.reply(&answer)),
            Err(error) => Err(stopped(&error)),
        }
    }

    async fn fetch_checkpoint(
        &self,
        request: Request<PeerRequest>,
    ) -> Result<Response<Answers>, Status> {
        let request = request.into_inner();
        let group = self.check(&request)?;
        let wanted: Wanted = read(&request)?;
        tracing::info!(
            group = group.id.0,
            from = request.from,
            ?wanted,
            "a peer repairs itself"
        );
        let service = self.clone();
        let asked = (NodeId(request.from), wanted);
        let answers = fetch::serve(group, asked, move |body| service.answer(body)).await?;
        let mut stopping = self.inner.stopping();
        let stopped = async move {
            stopping.wait_for(|stopping| *stopping).await.ok();
        };
        Ok(Response::new(Box::pin(
            answers.take_until(Box::pin(stopped)),
        )))
    }

    async fn read_index(
        &self,
        request: Request<PeerRequest>,
    ) -> Result<Response<PeerResponse>, Status> {
        let group = self.check(request.get_ref())?;
        match reads::leader_index(group).await {
            Ok(index) => Ok(self.reply(&index.0)),
            Err(error) => Err(refusal(&error)),
        }
    }

    async fn announce(
        &self,
        request: Request<PeerRequest>,
    ) -> Result<Response<PeerResponse>, Status> {
        let request = request.into_inner();
        let group = self.check(&request)?;
        let started = Command::NodeStarted {
            node: NodeId(request.from),
            boot: Boot(request.boot),
        };
        match group.propose(started).await {
            Ok(outcome) => Ok(Response::new(self.answer(outcome.encode()))),
            Err(error) => Err(refusal(&error)),
        }
    }
}

/// The messages of one stream of entries.
struct Requests {
    service: PeerService,
    group: GroupId,
    next: Option<PeerRequest>,
    incoming: Streaming<PeerRequest>,
    stopping: watch::Receiver<bool>,
    refusal: Arc<Mutex<Option<Status>>>,
}

impl Requests {
    async fn next(mut self) -> Option<(AppendEntriesRequest<TypeConfig>, Self)> {
        let request = if let Some(first) = self.next.take() {
            first
        } else {
            let stopped = self.stopping.wait_for(|stopping| *stopping);
            tokio::select! {
                // A stream that breaks off has nobody left who would hear why.
                message = self.incoming.message() => message.ok()??,
                _ = stopped => return None,
            }
        };
        match self.decode(request) {
            Ok(append) => Some((append, self)),
            Err(status) => {
                *self.refusal.lock() = Some(status);
                None
            }
        }
    }

    fn decode(&self, request: PeerRequest) -> Result<AppendEntriesRequest<TypeConfig>, Status> {
        let group = self.service.check(&request)?;
        if group.id != self.group {
            return Err(Status::invalid_argument("a stream belongs to one group"));
        }
        let append = decode_append(request.body).map_err(|error| wrong(&error))?;
        // Refused here, the leader sends them again by and by, and goes on with the others;
        // heartbeats and votes carry none. Inside openraft there is no way back.
        if !append.entries.is_empty() && self.service.inner.disk().status().refused {
            return Err(self.service.no_room());
        }
        Ok(append)
    }
}

/// Writes chunks as they come; an interrupted copy is deleted.
async fn receive(
    group: &Group,
    mut incoming: Streaming<SnapshotChunk>,
) -> Result<engine::checkpoint::CheckpointWriter, Status> {
    let failed = |error: std::io::Error| Status::internal(format!("receive a checkpoint: {error}"));
    let mut writer = on_replica(&group.replica, Replica::begin_install)
        .await
        .map_err(failed)?;
    while let Some(SnapshotChunk { chunk, .. }) = incoming.message().await? {
        writer = on_replica(&group.replica, move |_| {
            writer.write(chunk)?;
            Ok(writer)
        })
        .await
        .map_err(failed)?;
    }
    let checked = on_replica(&group.replica, move |_| Ok(writer.check().map(|()| writer)));
    checked
        .await
        .map_err(failed)?
        .map_err(|error| match error.kind() {
            ErrorKind::Corrupt => damaged_checkpoint(&error),
            _ => failed(std::io::Error::other(error)),
        })
}

/// What tells a sender to look at its own files.
fn damaged_checkpoint(error: &engine::Error) -> Status {
    Status::data_loss(format!("the checkpoint is damaged: {error}"))
}

fn read<T: DeserializeOwned>(request: &PeerRequest) -> Result<T, Status> {
    decode(&request.body).map_err(|error| wrong(&error))
}

fn wrong(error: &DecodeError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: &Fatal<TypeConfig>) -> Status {
    Status::unavailable(error.to_string())
}

fn refusal(error: &Error) -> Status {
    match error {
        Error::NotLeader { .. } | Error::NoQuorum | Error::Overloaded | Error::ShuttingDown => {
            Status::unavailable(error.to_string())
        }
        full if full.is_disk_full() => Status::resource_exhausted(full.to_string()),
        other => Status::internal(other.to_string()),
    }
}
