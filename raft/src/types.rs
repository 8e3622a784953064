//! The one type configuration of openraft, and our names for its generics.
//!
//! Nobody else in the workspace names openraft. Its log begins at index 0 and ours at 1, so that
//! 0 can mean "before everything"; [`our_id`] and [`their_id`] are the only translation.

use std::fmt;

use bytes::Bytes;
use engine::codec::DecodeError;
use engine::command::{Outcome, Payload};
use engine::ids::LogId;
use openraft::impls::leader_id_std;
use serde::{Deserialize, Serialize};

/// Commands waiting together at the leader, encoded once as an engine payload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal(pub Bytes);

/// What each command of a proposal answered; none for other entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(pub Vec<Outcome>);

/// How a node is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where its peers reach it, `host:port`.
    pub peer_address: String,
    /// Where clients reach it, `host:port`.
    pub client_address: String,
}

openraft::declare_raft_types!(
    /// Our choices of openraft's types.
    pub TypeConfig:
        D = Proposal,
        R = Outcomes,
        NodeId = u64,
        Node = Member,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
);

pub(crate) type Committed = leader_id_std::CommittedLeaderId<u64>;
pub(crate) type RaftLogId = openraft::LogId<Committed>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type EntryPayload = openraft::EntryPayload<Proposal, u64, Member>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<Committed, u64, Member>;
pub(crate) type SnapshotMeta = openraft::storage::SnapshotMeta<Committed, u64, Member>;
pub(crate) type Raft = openraft::Raft<TypeConfig, crate::state_machine::StateMachine>;

/// The engine's name of an openraft entry.
pub(crate) fn our_id(log_id: &RaftLogId) -> LogId {
    LogId::new(*log_id.committed_leader_id().as_ref_term(), log_id.index() + 1)
}

/// Openraft's name of an engine entry.
pub(crate) fn their_id(log_id: LogId) -> RaftLogId {
    RaftLogId::new(Committed::new(log_id.term.0), log_id.index.0.saturating_sub(1))
}

/// The bytes of an entry, the same for disk and wire.
pub(crate) fn encode_payload(payload: &EntryPayload) -> Bytes {
    match payload {
        EntryPayload::Blank => Payload::Blank.encode(),
        EntryPayload::Normal(proposal) => proposal.0.clone(),
        EntryPayload::Membership(membership) => {
            Payload::Membership(encode(membership)).encode()
        }
    }
}

/// The entry whose bytes these are.
pub(crate) fn decode_entry(log_id: LogId, body: Bytes) -> std::io::Result<Entry> {
    let payload = match body.first() {
        Some(2) => EntryPayload::Normal(Proposal(body)),
        _ => match Payload::decode(body).map_err(invalid)? {
            Payload::Membership(membership) => EntryPayload::Membership(decode(&membership)?),
            Payload::Blank | Payload::Batch(_) => EntryPayload::Blank,
        },
    };
    Ok(Entry { log_id: their_id(log_id), payload })
}

/// Openraft's own structures as bytes.
pub(crate) fn encode<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(postcard::to_stdvec(value).expect("openraft's structures serialize"))
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> std::io::Result<T> {
    postcard::from_bytes(bytes)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

pub(crate) fn invalid(error: DecodeError) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error)
}

/// An engine's failure as openraft wants it.
pub(crate) fn io_error(error: engine::Error) -> std::io::Error {
    std::io::Error::other(error)
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Outcomes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encoded: Vec<Bytes> = self.0.iter().map(Outcome::encode).collect();
        encoded.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Vec::<Bytes>::deserialize(deserializer)?;
        let outcomes: Result<_, _> = encoded.into_iter().map(Outcome::decode).collect();
        Ok(Self(outcomes.map_err(serde::de::Error::custom)?))
    }
}
