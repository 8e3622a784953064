//! A node that remembers what it was asked and misbehaves on request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use engine_proto::v1 as pb;
use engine_proto::v1::cluster_server::{Cluster, ClusterServer};
use engine_proto::v1::commit_server::{Commit, CommitServer};
use engine_proto::v1::kv_server::{Kv, KvServer};
use futures::{Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What a node does with the next request, instead of answering it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Fails with this reason, and the leader's address if given.
    Fail {
        reason: &'static str,
        certain: bool,
        leader: Option<String>,
    },
    /// Does it, and never answers.
    DoAndHang,
    /// Does it, and breaks the connection's stream.
    DoAndBreak,
}

impl Step {
    pub(crate) fn certain(reason: &'static str) -> Self {
        Self::Fail {
            reason,
            certain: true,
            leader: None,
        }
    }

    pub(crate) fn hint(leader: &str) -> Self {
        Self::Fail {
            reason: "NOT_LEADER",
            certain: true,
            leader: Some(leader.to_owned()),
        }
    }
}

/// What a node has seen and done.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Writes as they arrived: key and request id.
    pub(crate) writes: Vec<(String, Option<pb::RequestId>)>,
    /// Reads that arrived.
    pub(crate) reads: usize,
    /// How often each key was really written.
    pub(crate) done: BTreeMap<String, u64>,
    pub(crate) sessions: u64,
    pub(crate) closed: Vec<u64>,
    pub(crate) grpc_timeouts: Vec<String>,
    /// Where streams of pages were to begin.
    pub(crate) cursors: Vec<String>,
    outcomes: BTreeMap<(u64, u64), u64>,
    revision: u64,
}

#[derive(Debug, Default)]
struct State {
    seen: Mutex<Seen>,
    writes: Mutex<VecDeque<Step>>,
    reads: Mutex<VecDeque<Step>>,
    leader: Mutex<Option<String>>,
}

/// One running fake node.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) address: String,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = Arc::new(State::default());
        let node = Node {
            state: Arc::clone(&state),
        };
        let server = tonic::transport::Server::builder()
            .add_service(CommitServer::new(node.clone()))
            .add_service(KvServer::new(node.clone()))
            .add_service(ClusterServer::new(node))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self {
            address,
            state,
            server: tokio::spawn(async move {
                server.await.expect("the fake serves");
            }),
        }
    }

    /// What to do with the next writes; afterwards they are answered.
    pub(crate) fn on_writes(&self, steps: impl IntoIterator<Item = Step>) {
        self.state.writes.lock().extend(steps);
    }

    /// What to do with the next reads; afterwards they are answered.
    pub(crate) fn on_reads(&self, steps: impl IntoIterator<Item = Step>) {
        self.state.reads.lock().extend(steps);
    }

    /// Whom `Cluster.Status` names.
    pub(crate) fn names_leader(&self, address: &str) {
        *self.state.leader.lock() = Some(address.to_owned());
    }

    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.state.seen.lock())
    }
}

#[derive(Clone, Debug)]
struct Node {
    state: Arc<State>,
}

enum Written {
    Revision(u64),
    Hang,
    Break,
}

impl Node {
    fn write(&self, key: &[u8], request: Option<pb::RequestId>) -> Result<Written, Status> {
        let key = String::from_utf8_lossy(key).into_owned();
        let mut seen = self.state.seen.lock();
        seen.writes.push((key.clone(), request));
        let step = self.state.writes.lock().pop_front();
        if let Some(Step::Fail {
            reason,
            certain,
            leader,
        }) = step
        {
            return Err(failure(reason, certain, leader));
        }
        let identity = request.map(|request| (request.session, request.number));
        let known = identity.and_then(|identity| seen.outcomes.get(&identity).copied());
        let revision = if let Some(known) = known {
            known
        } else {
            seen.revision += 1;
            *seen.done.entry(key).or_default() += 1;
            let revision = seen.revision;
            if let Some(identity) = identity {
                seen.outcomes.insert(identity, revision);
            }
            revision
        };
        Ok(match step {
            Some(Step::DoAndHang) => Written::Hang,
            Some(Step::DoAndBreak) => Written::Break,
            _ => Written::Revision(revision),
        })
    }

    async fn answer_write(
        &self,
        key: &[u8],
        request: Option<pb::RequestId>,
    ) -> Result<u64, Status> {
        match self.write(key, request)? {
            Written::Revision(revision) => Ok(revision),
            Written::Hang => std::future::pending().await,
            // What a client sees of a broken connection: a status without our details.
            Written::Break => Err(Status::unavailable("connection reset")),
        }
    }

    fn note_timeout<T>(&self, request: &Request<T>) {
        if let Some(timeout) = request.metadata().get("grpc-timeout") {
            let timeout = timeout.to_str().expect("it is ASCII").to_owned();
            self.state.seen.lock().grpc_timeouts.push(timeout);
        }
    }
}

fn failure(reason: &str, certain: bool, leader: Option<String>) -> Status {
    let word = if certain { "certain" } else { "unknown" };
    let mut metadata = HashMap::from([("certainty".to_owned(), word.to_owned())]);
    metadata.extend(leader.map(|leader| ("leader".to_owned(), leader)));
    Status::with_error_details(
        Code::Unavailable,
        "as the script says",
        ErrorDetails::with_error_info(reason, "engine", metadata),
    )
}

fn header(revision: u64) -> pb::ResponseHeader {
    pb::ResponseHeader {
        revision,
        ..pb::ResponseHeader::default()
    }
}

/// Rows `at` and the one behind it.
fn page(at: u64) -> pb::ScanResponse {
    let row = |at: u64| pb::Row {
        key: at.to_string().into(),
        ..pb::Row::default()
    };
    pb::ScanResponse {
        header: Some(header(1)),
        rows: vec![row(at), row(at + 1)],
        next_cursor: if at == 8 {
            String::new()
        } else {
            (at + 2).to_string()
        },
    }
}

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not part of these tests"))
}

fn first_key(commit: &pb::CommitRequest) -> Vec<u8> {
    match commit.ops.first().and_then(|op| op.op.as_ref()) {
        Some(pb::op::Op::Put(put)) => put
            .row
            .as_ref()
            .map(|row| row.key.to_vec())
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Commit for Node {
    type PipelineStream = Answers<pb::PipelineResponse>;

    async fn commit(
        &self,
        request: Request<pb::CommitRequest>,
    ) -> Result<Response<pb::CommitResponse>, Status> {
        let commit = request.into_inner();
        let revision = self
            .answer_write(&first_key(&commit), commit.request)
            .await?;
        Ok(Response::new(pb::CommitResponse {
            header: Some(header(revision)),
            ..pb::CommitResponse::default()
        }))
    }

    async fn pipeline(
        &self,
        request: Request<Streaming<pb::PipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        let node = self.clone();
        let answers = request.into_inner().then(move |request| {
            let node = node.clone();
            async move {
                let request = request?;
                let commit = request.commit.expect("a commit");
                let outcome = match node.write(&first_key(&commit), commit.request) {
                    Ok(Written::Revision(revision)) => {
                        pb::pipeline_response::Outcome::Response(pb::CommitResponse {
                            header: Some(header(revision)),
                            ..pb::CommitResponse::default()
                        })
                    }
                    Ok(Written::Hang) => std::future::pending().await,
                    Ok(Written::Break) => return Err(Status::unavailable("connection reset")),
                    Err(status) => {
                        let info = status
                            .get_details_error_info()
                            .expect("the fake gives details");
                        pb::pipeline_response::Outcome::Failure(pb::Failure {
                            code: status.code().into(),
                            message: status.message().to_owned(),
                            reason: info.reason,
                            metadata: info.metadata,
                        })
                    }
                };
                Ok(pb::PipelineResponse {
                    tag: request.tag,
                    outcome: Some(outcome),
                })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn open_session(
        &self,
        _: Request<pb::OpenSessionRequest>,
    ) -> Result<Response<pb::OpenSessionResponse>, Status> {
        let mut seen = self.state.seen.lock();
        seen.sessions += 1;
        Ok(Response::new(pb::OpenSessionResponse {
            header: Some(header(0)),
            session: seen.sessions,
        }))
    }

    async fn close_session(
        &self,
        request: Request<pb::CloseSessionRequest>,
    ) -> Result<Response<pb::CloseSessionResponse>, Status> {
        self.state
            .seen
            .lock()
            .closed
            .push(request.into_inner().session);
        Ok(Response::new(pb::CloseSessionResponse {
            header: Some(header(0)),
        }))
    }
}

#[tonic::async_trait]
impl Kv for Node {
    type GetPipelineStream = Answers<pb::GetPipelineResponse>;
    type ScanStreamStream = Answers<pb::ScanResponse>;

    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<pb::GetResponse>, Status> {
        self.note_timeout(&request);
        self.state.seen.lock().reads += 1;
        let step = self.state.reads.lock().pop_front();
        match step {
            None => Ok(Response::new(pb::GetResponse {
                header: Some(header(1)),
                row: None,
            })),
            Some(Step::Fail {
                reason,
                certain,
                leader,
            }) => Err(failure(reason, certain, leader)),
            Some(Step::DoAndHang) => std::future::pending().await,
            Some(Step::DoAndBreak) => Err(Status::unavailable("connection reset")),
        }
    }

    async fn put(
        &self,
        request: Request<pb::PutRequest>,
    ) -> Result<Response<pb::PutResponse>, Status> {
        let put = request.into_inner();
        let key = put.row.map(|row| row.key).unwrap_or_default();
        let revision = self.answer_write(&key, put.request).await?;
        Ok(Response::new(pb::PutResponse {
            header: Some(header(revision)),
            guard_failed: None,
            version: 1,
        }))
    }

    async fn get_pipeline(
        &self,
        _: Request<Streaming<pb::GetPipelineRequest>>,
    ) -> Result<Response<Self::GetPipelineStream>, Status> {
        unused()
    }

    async fn scan(
        &self,
        _: Request<pb::ScanRequest>,
    ) -> Result<Response<pb::ScanResponse>, Status> {
        unused()
    }

    /// Ten rows in pages of two; `DoAndHang` ends the stream behind the first page without a
    /// status, `DoAndBreak` with one that has no details.
    async fn scan_stream(
        &self,
        request: Request<pb::ScanRequest>,
    ) -> Result<Response<Self::ScanStreamStream>, Status> {
        let request = request.into_inner();
        self.state.seen.lock().cursors.push(request.cursor.clone());
        let step = self.state.reads.lock().pop_front();
        let first = request.cursor.parse().unwrap_or(0_u64);
        let mut pages: Vec<_> = (first..10).step_by(2).map(|at| Ok(page(at))).collect();
        match step {
            None => {}
            Some(Step::Fail {
                reason,
                certain,
                leader,
            }) => return Err(failure(reason, certain, leader)),
            Some(Step::DoAndHang) => pages.truncate(1),
            Some(Step::DoAndBreak) => {
                pages.truncate(1);
                pages.push(Err(Status::unavailable("connection reset")));
            }
        }
        Ok(Response::new(futures::stream::iter(pages).boxed()))
    }

    async fn count(
        &self,
        _: Request<pb::CountRequest>,
    ) -> Result<Response<pb::CountResponse>, Status> {
        unused()
    }

    async fn delete(
        &self,
        _: Request<pb::DeleteRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        unused()
    }

    async fn batch_get(
        &self,
        _: Request<pb::BatchGetRequest>,
    ) -> Result<Response<pb::BatchGetResponse>, Status> {
        unused()
    }

    async fn members(
        &self,
        _: Request<pb::MembersRequest>,
    ) -> Result<Response<pb::MembersResponse>, Status> {
        unused()
    }

    async fn member(
        &self,
        _: Request<pb::MemberRequest>,
    ) -> Result<Response<pb::MemberResponse>, Status> {
        unused()
    }

    async fn versions(
        &self,
        _: Request<pb::VersionsRequest>,
    ) -> Result<Response<pb::VersionsResponse>, Status> {
        unused()
    }

    async fn version(
        &self,
        _: Request<pb::VersionRequest>,
    ) -> Result<Response<pb::VersionResponse>, Status> {
        unused()
    }
}

#[tonic::async_trait]
impl Cluster for Node {
    async fn status(
        &self,
        _: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let group = self
            .state
            .leader
            .lock()
            .clone()
            .map(|leader| pb::GroupStatus {
                leader: Some(1),
                members: vec![pb::Member {
                    node_id: 1,
                    client_address: leader,
                    ..pb::Member::default()
                }],
                ..pb::GroupStatus::default()
            });
        Ok(Response::new(pb::StatusResponse {
            groups: group.into_iter().collect(),
            ..pb::StatusResponse::default()
        }))
    }

    async fn add_learner(
        &self,
        _: Request<pb::AddLearnerRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        unused()
    }

    async fn promote(
        &self,
        _: Request<pb::PromoteRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        unused()
    }

    async fn remove(
        &self,
        _: Request<pb::RemoveRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        unused()
    }

    async fn transfer_leader(
        &self,
        _: Request<pb::TransferLeaderRequest>,
    ) -> Result<Response<pb::MembershipResponse>, Status> {
        unused()
    }
}
