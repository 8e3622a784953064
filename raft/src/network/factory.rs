//! Connections to other nodes, shared by all groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::env::Workers;
use engine::ids::{Boot, GroupId, NodeId};
use engine_proto::Dialer;
use engine_proto::v1::peer_client::PeerClient;
use engine_proto::v1::{PeerRequest, PeerResponse};
use openraft::network::RaftNetworkFactory;
use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::peer::Peer;
use super::{MESSAGE_BYTES_MAX, STALE_BOOT};
use crate::boot::{Boots, Home, Identity};
use crate::config::Timings;
use crate::failure::Failure;
use crate::types::{Member, TypeConfig};

/// What must not wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Heartbeats, votes and other small calls.
    Urgent,
    /// Entries.
    Entries,
    /// Checkpoints.
    Snapshots,
}

/// All connections of a node.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) identity: Identity,
    pub(crate) boots: Arc<Boots>,
    pub(crate) timings: Timings,
    pub(crate) failure: Failure,
    home: Home,
    pub(crate) dialer: Dialer,
    /// For reading checkpoints that are sent.
    pub(crate) workers: Arc<dyn Workers>,
    channels: Mutex<BTreeMap<(String, Lane), Channel>>,
}

/// What an unanswering connection is given before it is dropped.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What one stream may send ahead: several of the largest usual messages.
const WINDOW_BYTES: u32 = 8 * 1024 * 1024;

impl Peers {
    pub(crate) fn new(
        identity: Identity,
        boots: Arc<Boots>,
        timings: Timings,
        failure: Failure,
        home: Home,
        dialer: Dialer,
        workers: Arc<dyn Workers>,
    ) -> Self {
        Self {
            identity,
            boots,
            timings,
            failure,
            home,
            dialer,
            workers,
            channels: Mutex::default(),
        }
    }

    /// A client on the connection for `lane`; it connects when it is first used.
    pub(crate) fn client(&self, address: &str, lane: Lane) -> Result<PeerClient<Channel>, Status> {
        let mut channels = self.channels.lock();
        let key = (address.to_owned(), lane);
        let channel = if let Some(channel) = channels.get(&key) {
            channel.clone()
        } else {
            let channel = self.connect(address)?;
            channels.insert(key, channel.clone());
            channel
        };
        Ok(PeerClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX))
    }

    fn connect(&self, address: &str) -> Result<Channel, Status> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Status::unavailable(format!("{address:?} is no address: {error}")))?;
        let endpoint = endpoint
            .connect_timeout(self.timings.election_min)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.timings.election_max)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        Ok(self.dialer.channel(&endpoint))
    }

    /// A message to `to`.
    pub(crate) fn request(
        &self,
        to: NodeId,
        group: GroupId,
        kind: u32,
        body: impl Into<Bytes>,
    ) -> PeerRequest {
        PeerRequest {
            cluster_id: self.identity.cluster.0,
            from: self.identity.node.0,
            boot: self.identity.boot.0,
            to: to.0,
            group: group.0,
            kind,
            body: body.into(),
        }
    }

    /// The body of an answer, if it comes from the node that was asked, in its present life.
    pub(crate) fn answer(&self, to: NodeId, response: PeerResponse) -> Result<Bytes, Status> {
        if response.from != to.0 {
            let from = response.from;
            return Err(Status::failed_precondition(format!(
                "node {from} answered where node {to} was asked"
            )));
        }
        match self.boots.hear(to, Boot(response.boot)) {
            Ok(()) => Ok(response.body),
            Err(known) => Err(Status::failed_precondition(format!(
                "node {to} answered in its start {}, but start {known} is known",
                response.boot
            ))),
        }
    }

    /// Stops this node if a peer says that its disk is an old copy.
    pub(crate) fn heed(&self, status: &Status) {
        if status.code() == Code::FailedPrecondition
            && let Some(reason) = status.message().strip_prefix(STALE_BOOT)
        {
            self.stop_stale(reason.trim_start_matches([':', ' ']).to_owned());
        }
    }

    /// Stops this node, whose disk is an old copy, for good.
    pub(crate) fn stop_stale(&self, reason: String) {
        if self.failure.reason().is_none()
            && let Err(error) = self.home.refuse(&reason)
        {
            tracing::error!(%error, "the refusal could not be kept in the node's folder");
        }
        self.failure.fail(reason);
    }
}

/// Makes one group's handles to other nodes.
#[derive(Clone, Debug)]
pub(crate) struct Factory {
    pub(crate) peers: Arc<Peers>,
    pub(crate) group: GroupId,
}

impl Factory {
    fn peer(&self, target: NodeId, member: &Member, lane: Lane) -> Peer {
        Peer {
            peers: Arc::clone(&self.peers),
            group: self.group,
            target,
            address: member.peer_address.clone(),
            lane,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Factory {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, node: &Member) -> Peer {
        self.peer(target, node, Lane::Entries)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, node: &Member) -> Peer {
        self.peer(target, node, Lane::Urgent)
    }

    async fn new_snapshot_client(&mut self, target: NodeId, node: &Member) -> Peer {
        self.peer(target, node, Lane::Snapshots)
    }
}
