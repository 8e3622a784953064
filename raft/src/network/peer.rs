//! One group's handle to another node: what openraft says to it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::failpoint::{Point, hit};
use engine::ids::{GroupId, NodeId};
use engine_proto::v1::{PeerResponse, SnapshotChunk};
use futures::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::factory::{Lane, Peers};
use super::{KIND_PRE_VOTE, KIND_VOTE, SnapshotHead, encode_append};
use crate::fetch::{CHUNKS_AHEAD, read_chunks};
use crate::snapshot::{SnapshotData, doubted};
use crate::types::{Snapshot, TypeConfig, Vote, decode, encode};

/// How long the oldest message of entries may wait for its answer: a slow disk's time, not a
/// heartbeat's, which has a connection of its own.
const APPEND_ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long to leave a peer alone whose stream could not be opened.
const REOPEN_AFTER: Duration = Duration::from_millis(100);

/// A node, as one group sees it, on one lane.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(super) peers: Arc<Peers>,
    pub(super) group: GroupId,
    pub(super) target: NodeId,
    pub(super) address: String,
    pub(super) lane: Lane,
}

type RpcResult<T> = Result<T, RPCError<TypeConfig>>;

impl Peer {
    /// A small question, asked in `ttl`.
    async fn ask<T: DeserializeOwned>(
        &self,
        action: RPCTypes,
        kind: u32,
        body: Vec<u8>,
        ttl: Duration,
    ) -> RpcResult<T> {
        let request = self.peers.request(self.target, self.group, kind, body);
        let mut client = self
            .peers
            .client(&self.address, Lane::Urgent)
            .map_err(|status| self.failed(&status))?;
        let call = async {
            match action {
                RPCTypes::TransferLeader => client.transfer_leader(request).await,
                _ => client.vote(request).await,
            }
        };
        match timeout(ttl, call).await {
            Ok(Ok(response)) => self.open(response.into_inner()),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(self.timed_out(action, ttl)),
        }
    }

    fn open<T: DeserializeOwned>(&self, response: PeerResponse) -> RpcResult<T> {
        let body = self
            .peers
            .answer(self.target, response)
            .map_err(|status| self.failed(&status))?;
        decode(&body).map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }

    fn failed(&self, status: &Status) -> RPCError<TypeConfig> {
        self.peers.heed(status);
        tracing::debug!(
            group = self.group.0, target = self.target.0, lane = ?self.lane, %status,
            "a peer could not be asked"
        );
        match status.code() {
            // A full disk is left alone for a while, as is a peer that is down.
            Code::Unavailable
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::Unimplemented
            | Code::ResourceExhausted => RPCError::Unreachable(Unreachable::new(status)),
            _ => RPCError::Network(NetworkError::new(status)),
        }
    }

    fn timed_out(&self, action: RPCTypes, after: Duration) -> RPCError<TypeConfig> {
        RPCError::Timeout(Timeout {
            action,
            id: self.peers.identity.node,
            target: self.target,
            timeout: after,
        })
    }

    async fn open_append<S>(&self, input: S, ttl: Duration) -> RpcResult<Answers>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static,
    {
        let asked = Arc::new(AtomicU64::new(0));
        let (peers, target, group) = (Arc::clone(&self.peers), self.target, self.group);
        let counted = Arc::clone(&asked);
        let requests = input.map(move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            peers.request(target, group, 0, encode_append(&request))
        });
        let mut client = self
            .peers
            .client(&self.address, self.lane)
            .map_err(|status| self.failed(&status))?;
        match timeout(ttl, client.append(requests)).await {
            Ok(Ok(response)) => Ok(Answers {
                peer: self.clone(),
                stream: response.into_inner(),
                asked,
                answered: 0,
                ended: false,
            }),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(self.timed_out(RPCTypes::AppendEntries, ttl)),
        }
    }
}

/// The answers to a stream of entries.
struct Answers {
    peer: Peer,
    stream: Streaming<PeerResponse>,
    asked: Arc<AtomicU64>,
    answered: u64,
    ended: bool,
}

type AppendAnswer = RpcResult<StreamAppendResult<TypeConfig>>;

impl Answers {
    async fn next(mut self) -> Option<(AppendAnswer, Self)> {
        if self.ended {
            return None;
        }
        let answer = loop {
            let waiting = self.asked.load(Ordering::Relaxed) > self.answered;
            match timeout(APPEND_ANSWER_MAX, self.stream.message()).await {
                Ok(Ok(Some(response))) => break self.peer.open(response),
                Ok(Ok(None)) => return None,
                Ok(Err(status)) => break Err(self.peer.failed(&status)),
                // Silence is no fault unless something was asked before it began.
                Err(_) if !waiting => {}
                Err(_) => {
                    let action = RPCTypes::AppendEntries;
                    break Err(self.peer.timed_out(action, APPEND_ANSWER_MAX));
                }
            }
        };
        self.answered += 1;
        self.ended = !matches!(answer, Ok(Ok(_)));
        Some((answer, self))
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<TypeConfig>> {
        let once = futures::stream::iter([rpc]);
        let answers = self.open_append(once, option.soft_ttl()).await?;
        match answers.next().await {
            Some((Ok(Ok(matched)), _)) => Ok(AppendEntriesResponse::PartialSuccess(matched)),
            Some((Ok(Err(StreamAppendError::Conflict(_))), _)) => {
                Ok(AppendEntriesResponse::Conflict)
            }
            Some((Ok(Err(StreamAppendError::HigherVote(vote))), _)) => {
                Ok(AppendEntriesResponse::HigherVote(vote))
            }
            Some((Err(error), _)) => Err(error),
            None => Err(self.failed(&Status::unavailable("the stream ended without an answer"))),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, RpcResult<BoxStream<'s, AppendAnswer>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            // Opening waits for the first message, which a slow disk may hold up on the way.
            let ttl = match self.lane {
                Lane::Urgent => option.hard_ttl(),
                Lane::Entries | Lane::Snapshots => APPEND_ANSWER_MAX,
            };
            let answers = match self.open_append(input, ttl).await {
                Ok(answers) => answers,
                Err(error) => {
                    // Openraft's own patience begins only with a stream; without this, a peer
                    // that is down is asked thousands of times a second.
                    sleep(REOPEN_AFTER).await;
                    return Err(error);
                }
            };
            let answers: BoxStream<'s, AppendAnswer> =
                Box::pin(futures::stream::unfold(answers, Answers::next));
            Ok(answers)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        self.ask(RPCTypes::Vote, KIND_VOTE, encode(&rpc), option.soft_ttl())
            .await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        self.ask(
            RPCTypes::Vote,
            KIND_PRE_VOTE,
            encode(&rpc),
            option.soft_ttl(),
        )
        .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let SnapshotData::Reader(reader, replica) = snapshot.snapshot else {
            let status = Status::internal("only a checkpoint of this node can be sent");
            return Err(self.failed(&status).into());
        };
        hit(Point::SnapshotSending);
        let head = SnapshotHead {
            vote,
            meta: snapshot.meta,
        };
        let request = self
            .peers
            .request(self.target, self.group, 0, encode(&head));
        let (chunks, waiting) = mpsc::channel(CHUNKS_AHEAD);
        let first = SnapshotChunk {
            request: Some(request),
            ..SnapshotChunk::default()
        };
        let workers = Arc::clone(&self.peers.workers);
        let wrap = |chunk| SnapshotChunk {
            request: None,
            chunk,
        };
        let reading = tokio::spawn(async move {
            match chunks.send(first).await {
                Ok(()) => read_chunks(workers, *reader, wrap, &chunks).await,
                Err(_) => Ok(()),
            }
        });
        let mut client = self
            .peers
            .client(&self.address, self.lane)
            .map_err(|status| self.failed(&status))?;
        let ttl = option.hard_ttl();
        let mut cancel = pin!(cancel);
        let sent = tokio::select! {
            closed = &mut cancel => return Err(closed.into()),
            sent = timeout(ttl, client.snapshot(ReceiverStream::new(waiting))) => sent,
        };
        let response = match sent {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => {
                if status.code() == Code::DataLoss {
                    tokio::select! {
                        closed = cancel => return Err(closed.into()),
                        _ = doubted(&replica, self.target) => {}
                    }
                }
                return Err(self.failed(&status).into());
            }
            Err(_) => return Err(self.timed_out(RPCTypes::InstallSnapshot, ttl).into()),
        };
        if let Ok(Err(error)) = reading.await {
            let status = Status::data_loss(format!("read the checkpoint: {error}"));
            return Err(self.failed(&status).into());
        }
        hit(Point::SnapshotSent);
        Ok(self.open(response)?)
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<TypeConfig>> {
        let action = RPCTypes::TransferLeader;
        self.ask(action, 0, encode(&req), option.soft_ttl()).await
    }
}
