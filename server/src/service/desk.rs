//! Where every request is served: admission, deadline, proposal, read barrier, header.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::command::{Command, Outcome};
use engine::ids::{ClusterId, GroupId, NodeId, Revision};
use engine::replica::Replica;
use engine_proto::v1 as pb;
use engine_raft::{Member, Node};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status, Streaming};

use crate::admission::{self, Admission, AdmissionLimits, Permit};
use crate::closing::Closing;
use crate::error::{Absent, Error};
use crate::forward::{Forward, Forwardable, was_forwarded};
use crate::status::{Effect, status};
use crate::watchdog::Stalls;
use crate::wire::{Change, Header, Invalid};

/// What a request brings beside its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// When it must be answered.
    pub(super) deadline: Instant,
    /// Whether another node sent it on.
    forwarded: bool,
}

impl Call {
    /// A unary request's.
    pub(super) fn of<R>(request: &Request<R>) -> Self {
        Self {
            deadline: admission::deadline(request.metadata()),
            forwarded: was_forwarded(request.metadata()),
        }
    }

    /// A request that may wait for news: it has its wait's time and the usual one on top.
    pub(super) fn of_waiting(request: &Request<pb::FetchRequest>) -> Self {
        let mut call = Self::of(request);
        if !admission::names_deadline(request.metadata()) {
            call.deadline += Duration::from_millis(u64::from(request.get_ref().wait_ms));
        }
        call
    }

    /// One of many on a stream, which arrives now: its time is its own.
    pub(super) fn on_stream<R>(request: &Request<Streaming<R>>) -> impl Fn() -> Self + use<R> {
        let forwarded = was_forwarded(request.metadata());
        move || Self {
            deadline: Instant::now() + admission::DEADLINE_DEFAULT,
            forwarded,
        }
    }
}

/// What all services share; cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    node: Node,
    cluster: ClusterId,
    id: NodeId,
    admission: Admission,
    forward: Forward,
    closing: Closing,
    stalls: Stalls,
    /// The newest published revision of each group, for those who wait; set when the desk opens.
    published: OnceLock<BTreeMap<GroupId, watch::Receiver<Revision>>>,
}

impl Desk {
    /// A desk in front of `node`; `closing` tells when nobody shall wait any longer. Until it
    /// opens, it answers for the status alone: the node repairs itself.
    pub(crate) fn new(
        node: Node,
        limits: AdmissionLimits,
        closing: Closing,
        stalls: Stalls,
    ) -> Self {
        let status = node.status();
        Self {
            inner: Arc::new(Inner {
                cluster: status.cluster,
                id: status.node,
                forward: Forward::new(node.dialer().clone()),
                node,
                admission: Admission::new(limits),
                closing,
                stalls,
                published: OnceLock::new(),
            }),
        }
    }

    /// The node takes part: from now on requests are let in.
    pub(crate) fn open(&self) -> engine_raft::Result<()> {
        let mut published = BTreeMap::new();
        for group in &self.node().status().groups {
            let replica = self.node().replica(group.group)?;
            let (sender, receiver) = watch::channel(replica.revision());
            replica.on_published(Box::new(move |revision| {
                sender.send_replace(revision);
            }));
            published.insert(group.group, receiver);
        }
        self.inner.published.get_or_init(|| published);
        Ok(())
    }

    /// The node behind the desk.
    pub(super) fn node(&self) -> &Node {
        &self.inner.node
    }

    /// How long the event loop stood still.
    pub(super) fn stalls(&self) -> &Stalls {
        &self.inner.stalls
    }

    /// Becomes true when the node stops.
    pub(super) fn closing(&self) -> Closing {
        self.inner.closing.clone()
    }

    /// Changes with every published revision of a group.
    pub(super) fn published(&self, group: GroupId) -> Result<watch::Receiver<Revision>, Error> {
        let published = self.inner.published.get().ok_or(Error::Repairing)?;
        let receiver = published.get(&group);
        receiver.cloned().ok_or(Error::Absent(Absent::Group(group)))
    }

    /// Lets a request in, or refuses it at once.
    pub(super) fn enter(&self, request: &impl prost::Message) -> Result<Permit, Error> {
        if self.inner.published.get().is_none() {
            return Err(Error::Repairing);
        }
        self.enter_early(request)
    }

    /// The same before the desk opens.
    pub(super) fn enter_early(&self, request: &impl prost::Message) -> Result<Permit, Error> {
        self.inner.admission.enter(request.encoded_len())
    }

    /// Lets a request wait for news, or refuses it at once.
    pub(super) fn wait(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.inner.admission.wait()
    }

    /// How long a watcher may take no message.
    pub(super) fn stalled_max(&self) -> Duration {
        self.inner.admission.stalled_max()
    }

    /// Lets a stream of pages begin, or refuses it at once.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.inner.admission.stream()
    }

    /// Answers a unary request with what `work` finds before the deadline.
    pub(super) async fn answer<A>(
        &self,
        call: Call,
        effect: Effect,
        work: impl Future<Output = Result<A, Error>>,
    ) -> Result<Response<A>, Status> {
        match in_time(call, work).await {
            Ok(answer) => Ok(Response::new(answer)),
            Err(error) => Err(status(error, effect)),
        }
    }

    /// Proposes what `request` asks for; another node sends it on to the leader, once.
    pub(super) async fn write<R: Forwardable>(
        &self,
        call: Call,
        request: R,
        decode: impl FnOnce(&R) -> Result<(GroupId, Command), Invalid>,
        encode: impl FnOnce(Header, Outcome) -> Result<R::Answer, Error>,
    ) -> Result<R::Answer, Error> {
        let _permit = self.enter(&request)?;
        let (group, command) = decode(&request)?;
        match self.node().propose(group, command).await {
            Ok(outcome) => encode(self.header(group)?, outcome),
            // Boxed: the way on is rare, and its state is large.
            Err(error) => Box::pin(self.send_on(call, request, error)).await,
        }
    }

    /// Changes the cluster as `request` asks; another node sends it on to the leader, once.
    pub(super) async fn change<R: Forwardable>(
        &self,
        call: Call,
        request: R,
        decode: impl FnOnce(&R) -> Result<Change, Invalid>,
        encode: impl FnOnce(Header) -> R::Answer,
    ) -> Result<R::Answer, Error> {
        let _permit = self.enter(&request)?;
        let node = self.node();
        let changed = match decode(&request)? {
            Change::AddLearner(id, member) => Box::pin(node.add_learner(id, member)).await,
            Change::Promote(id) => Box::pin(node.promote(id)).await,
            Change::Remove(id) => Box::pin(node.remove(id)).await,
            Change::TransferLeader(id) => Box::pin(node.transfer_leader(id)).await,
        };
        match changed {
            Ok(()) => Ok(encode(self.header(GroupId(0))?)),
            // Boxed: the way on is rare, and its state is large.
            Err(error) => Box::pin(self.send_on(call, request, error)).await,
        }
    }

    /// A replica that has applied every write acknowledged before now, if that is asked for.
    pub(super) async fn replica(
        &self,
        group: GroupId,
        linearizable: bool,
    ) -> Result<Replica, Error> {
        let replica = self.local(group)?;
        if linearizable {
            self.node().read_barrier(group).await?;
        }
        Ok(replica)
    }

    /// Does work that may touch the disk, away from the threads that serve.
    ///
    /// The permit stays with the work: one whose caller has left is at work still.
    pub(super) async fn blocking<A: Send + 'static>(
        &self,
        permit: Permit,
        work: impl FnOnce() -> Result<A, Error> + Send + 'static,
    ) -> Result<A, Error> {
        let work = move || {
            let _permit = permit;
            work()
        };
        match self.node().blocking(work).await {
            Ok(answer) => answer,
            Err(error) => Err(Error::Bug(format!("a read did not end: {error}"))),
        }
    }

    /// Who answers, for the top of an answer.
    pub(super) fn header(&self, group: GroupId) -> Result<Header, Error> {
        let replica = self.local(group)?;
        Ok(Header {
            cluster: self.inner.cluster,
            node: self.inner.id,
            group,
            term: self.node().term(group),
            revision: replica.revision(),
            now_ms: replica.now_ms(),
        })
    }

    fn local(&self, group: GroupId) -> Result<Replica, Error> {
        self.node().replica(group).map_err(|error| match error {
            engine_raft::Error::UnknownGroup => Error::Absent(Absent::Group(group)),
            other => Error::Raft(other),
        })
    }

    async fn send_on<R: Forwardable>(
        &self,
        call: Call,
        request: R,
        error: engine_raft::Error,
    ) -> Result<R::Answer, Error> {
        match error {
            engine_raft::Error::NotLeader {
                leader: Some((id, member)),
            } if !call.forwarded && id != self.inner.id => {
                let Member { client_address, .. } = member;
                self.inner
                    .forward
                    .send(&client_address, request, call.deadline)
                    .await
            }
            other => Err(Error::Raft(other)),
        }
    }
}

/// What `work` finds before the deadline.
pub(super) async fn in_time<A>(
    call: Call,
    work: impl Future<Output = Result<A, Error>>,
) -> Result<A, Error> {
    timeout_at(call.deadline, work)
        .await
        .unwrap_or(Err(Error::DeadlinePassed))
}
