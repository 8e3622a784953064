//! One hop to the leader for what only the leader can do.
//!
//! A request that reaches another node travels on as it came, with its remaining time and the
//! mark [`FORWARDED`]; the leader's answer or status travels back untouched. A marked request is
//! never sent on again: if leadership has moved meanwhile, its sender hears `NOT_LEADER`.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use engine::limits;
use engine_proto::{Dialer, v1 as pb};
use tokio::time::Instant;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{ConnectError, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::error::Error;
use crate::status::DOMAIN;

/// The metadata key of a request that a node sent on.
pub const FORWARDED: &str = "x-engine-forwarded";

/// More leaders than any cluster has; beyond, connections are forgotten and made anew.
const CHANNELS_MAX: usize = 16;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A request that the leader can answer for another node.
pub(crate) trait Forwardable: prost::Message + 'static {
    /// Its answer.
    type Answer: prost::Message + Default + 'static;
    /// Its method.
    const PATH: &'static str;
}

macro_rules! forwardable {
    ($($request:ident => $answer:ident at $path:literal,)*) => {$(
        impl Forwardable for pb::$request {
            type Answer = pb::$answer;
            const PATH: &'static str = concat!("/engine.v1.", $path);
        }
    )*};
}

forwardable! {
    CommitRequest => CommitResponse at "Commit/Commit",
    OpenSessionRequest => OpenSessionResponse at "Commit/OpenSession",
    CloseSessionRequest => CloseSessionResponse at "Commit/CloseSession",
    PutRequest => PutResponse at "Kv/Put",
    DeleteRequest => DeleteResponse at "Kv/Delete",
    CreateKeyspaceRequest => CreateKeyspaceResponse at "Keyspaces/Create",
    AlterKeyspaceRequest => AlterKeyspaceResponse at "Keyspaces/Alter",
    DropKeyspaceRequest => DropKeyspaceResponse at "Keyspaces/Drop",
    CreateTopicRequest => CreateTopicResponse at "Topics/Create",
    ProduceRequest => ProduceResponse at "Log/Produce",
    CommitOffsetRequest => CommitOffsetResponse at "Log/CommitOffset",
    AddLearnerRequest => MembershipResponse at "Cluster/AddLearner",
    PromoteRequest => MembershipResponse at "Cluster/Promote",
    RemoveRequest => MembershipResponse at "Cluster/Remove",
    TransferLeaderRequest => MembershipResponse at "Cluster/TransferLeader",
}

/// Whether another node sent this request on.
pub(crate) fn was_forwarded(metadata: &MetadataMap) -> bool {
    metadata.contains_key(FORWARDED)
}

/// Connections to leaders, made when first needed.
#[derive(Debug)]
pub(crate) struct Forward {
    dialer: Dialer,
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl Forward {
    /// Without a connection yet.
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            channels: Mutex::default(),
        }
    }

    /// Sends `request` to the leader at `address` and answers what the leader answers.
    pub(crate) async fn send<R: Forwardable>(
        &self,
        address: &str,
        request: R,
        deadline: Instant,
    ) -> Result<R::Answer, Error> {
        let mut leader = tonic::client::Grpc::new(self.channel(address)?)
            .max_decoding_message_size(limits::REQUEST_BYTES_MAX);
        leader.ready().await.map_err(|error| {
            Error::LeaderUnreachable(format!("connect to the leader at {address}: {error}"))
        })?;
        let mut request = Request::new(request);
        request
            .metadata_mut()
            .insert(FORWARDED, MetadataValue::from_static("1"));
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        leader
            .unary(
                request,
                PathAndQuery::from_static(R::PATH),
                ProstCodec::<R, R::Answer>::default(),
            )
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| failed(address, status))
    }

    fn channel(&self, address: &str) -> Result<Channel, Error> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| {
            Error::LeaderUnreachable(format!("read the leader's address {address:?}: {error}"))
        })?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_while_idle(true);
        let channel = self.dialer.channel(&endpoint);
        if channels.len() >= CHANNELS_MAX {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}

/// Tells what the leader said from what went wrong on the way to it or back.
fn failed(address: &str, status: Status) -> Error {
    let said_by_leader = status
        .get_details_error_info()
        .is_some_and(|info| info.domain == DOMAIN);
    if said_by_leader {
        return Error::Relayed(status);
    }
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return Error::LeaderUnreachable(format!(
                "connect to the leader at {address}: {}",
                status.message()
            ));
        }
        cause = error.source();
    }
    Error::RelayLost(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_leader_that_is_not_there_was_surely_not_asked() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let deadline = Instant::now() + Duration::from_secs(10);
        for address in [address.as_str(), "no address"] {
            let sent = Forward::new(Dialer::default())
                .send(address, pb::PutRequest::default(), deadline)
                .await;
            assert!(matches!(sent, Err(Error::LeaderUnreachable(_))), "{sent:?}");
        }
    }
}
