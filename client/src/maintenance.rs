//! Looking after nodes: scrubs of their disks, and hashes of what they hold.

use std::sync::Arc;
use std::time::Duration;

use engine_proto::v1 as pb;
use engine_proto::v1::maintenance_client::MaintenanceClient;
use tonic::Streaming;

use crate::call::{Calls, Kind, service};
use crate::client::MESSAGE_BYTES_MAX;
use crate::error::{Error, Result};
use crate::kv::consistency;
use crate::leader::once;

pub use engine_proto::v1::{ScrubFind, ScrubResponse as ScrubProgress};

/// How long a node may take to hash its rows, beside the usual time for a call.
const HASH_MAX: Duration = Duration::from_mins(9);

/// Calls that look after nodes; from [`Client::maintenance`](crate::Client::maintenance).
#[derive(Clone, Debug)]
pub struct Maintenance {
    calls: Arc<Calls>,
}

/// What all rows of a keyspace amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceHash {
    /// The keyspace's name.
    pub name: String,
    /// Equal on nodes that hold the same rows and members.
    pub hash: u128,
    /// How many rows there are, those that have ended and are not swept yet included.
    pub rows: u64,
    /// How many members of sets and fields of hashes.
    pub members: u64,
}

/// Hashes at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The node that answered.
    pub node: u64,
    /// The revision.
    pub revision: u64,
    /// By name.
    pub keyspaces: Vec<KeyspaceHash>,
    /// The digest of the state after the entry that was asked for, if the node still knows it.
    pub digest: Option<u64>,
}

/// What one node holds, or why it did not say.
#[derive(Clone, Debug)]
pub struct HashedNode {
    /// The client address that was asked.
    pub address: String,
    /// Its answer.
    pub hashed: Result<Hashed>,
}

impl Maintenance {
    pub(crate) fn new(calls: Arc<Calls>) -> Self {
        Self { calls }
    }

    /// Hashes one keyspace, or all, at a revision, or at the newest; `local` takes what one node
    /// has. Reads all rows: up to nine minutes beside the usual time.
    ///
    /// # Errors
    /// `UNKNOWN_KEYSPACE`, `REVISION_COMPACTED`, `REVISION_IN_FUTURE`, `OVERLOADED` while the node
    /// hashes for others, and those of every call.
    pub async fn hash(
        &self,
        keyspace: Option<&str>,
        revision: Option<u64>,
        local: bool,
    ) -> Result<Hashed> {
        let request = pb::HashRequest {
            keyspace: keyspace.unwrap_or_default().to_owned(),
            revision,
            consistency: consistency(local),
            ..pb::HashRequest::default()
        };
        let answer = self
            .calls
            .call(Kind::read(local).waiting(HASH_MAX), |attempt| {
                let request = request.clone();
                async move {
                    service!(MaintenanceClient, attempt)
                        .hash(attempt.message(request))
                        .await
                }
            })
            .await?;
        hashed(answer)
    }

    /// Asks some nodes, by their client addresses, for the hashes of all keyspaces at a revision,
    /// and for the digest after an entry; all at once, in the order given.
    pub async fn hash_on(
        &self,
        addresses: impl IntoIterator<Item = String>,
        revision: u64,
        digest_index: u64,
    ) -> Vec<HashedNode> {
        let asked = addresses.into_iter().map(|address| async move {
            let hashed = self.ask(&address, revision, digest_index).await;
            HashedNode { address, hashed }
        });
        futures::future::join_all(asked).await
    }

    async fn ask(&self, address: &str, revision: u64, digest_index: u64) -> Result<Hashed> {
        let within = self.calls.options.deadline + HASH_MAX;
        let mut request = tonic::Request::new(pb::HashRequest {
            revision: Some(revision),
            consistency: consistency(true),
            digest_index,
            ..pb::HashRequest::default()
        });
        request.set_timeout(within);
        let mut client = self.at(address)?;
        hashed(once(address, within, client.hash(request)).await?)
    }

    /// Begins a scrub of one node, by its client address, at so many bytes a second (0: as the node
    /// is configured), or follows the one at work there. One that was begun ends when its
    /// [`Scrubbing`] is dropped.
    ///
    /// # Errors
    /// Why the node does not answer; nothing is tried again.
    pub async fn scrub(&self, address: &str, bytes_per_second: u64) -> Result<Scrubbing> {
        let request = pb::ScrubRequest { bytes_per_second };
        let within = self.calls.options.deadline;
        let mut client = self.at(address)?;
        Ok(Scrubbing {
            address: address.to_owned(),
            progress: once(address, within, client.scrub(request)).await?,
        })
    }

    fn at(&self, address: &str) -> Result<MaintenanceClient<tonic::transport::Channel>> {
        let channel = self.calls.leader.channel(address)?;
        let client = MaintenanceClient::new(channel);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX))
    }
}

/// A scrub that is followed.
#[derive(Debug)]
pub struct Scrubbing {
    address: String,
    progress: Streaming<ScrubProgress>,
}

impl Scrubbing {
    /// How far it has come since it was asked last; `None` after the last message.
    ///
    /// # Errors
    /// The connection is lost, and with it what the scrub would have found.
    pub async fn next(&mut self) -> Result<Option<ScrubProgress>> {
        let failed = |status| Error::from_status(status).harmless().at(&self.address);
        self.progress.message().await.map_err(failed)
    }
}

fn hashed(answer: pb::HashResponse) -> Result<Hashed> {
    let header = answer.header.unwrap_or_default();
    let keyspaces = answer.keyspaces.into_iter().map(|keyspace| {
        let bytes = <[u8; 16]>::try_from(keyspace.hash.as_ref())
            .map_err(|_| Error::bad_answer("a hash that is not 16 bytes long"))?;
        Ok(KeyspaceHash {
            name: keyspace.name,
            hash: u128::from_be_bytes(bytes),
            rows: keyspace.rows,
            members: keyspace.members,
        })
    });
    Ok(Hashed {
        node: header.node_id,
        revision: header.revision,
        keyspaces: keyspaces.collect::<Result<_>>()?,
        digest: answer.digest,
    })
}
