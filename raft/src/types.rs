//! The one type configuration, our aliases, and the step between openraft's counting and ours.
//!
//! openraft counts log entries from 0, the engine from 1: `engine index = raft index + 1`. The
//! body of an entry on disk, between peers and under apply is one and the same: an encoded
//! [`Payload`], so a proposal is encoded once.

use std::fmt;

use bytes::Bytes;
use engine::codec::DecodeError;
use engine::command::{Outcome, Payload};
use engine::ids::{LogId, LogIndex, NodeId, Term};
use openraft::EntryPayload;
use openraft::alias::{
    CommittedLeaderIdOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};
use openraft::impls::leader_id_std::LeaderId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::snapshot::SnapshotData;
use crate::state_machine::StateMachine;

openraft::declare_raft_types!(
    /// Our openraft.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Answer,
        NodeId = NodeId,
        Node = Member,
        Term = u64,
        LeaderId = LeaderId<u64, NodeId>,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
pub(crate) type RaftLogId = LogIdOf<TypeConfig>;
pub(crate) type Vote = VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<NodeId, Member>;
pub(crate) type RaftMetrics = openraft::RaftMetrics<TypeConfig>;
pub(crate) type StoredMembership = StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = SnapshotOf<TypeConfig, SnapshotData>;

/// Where a member of the cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// By its peers, `host:port`.
    pub peer_address: String,
    /// By clients, `host:port`.
    pub client_address: String,
}

/// An encoded [`Payload::Batch`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proposal(pub(crate) Bytes);

/// One outcome for each command of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) Vec<Outcome>);

/// openraft's name of an entry, as the engine writes it.
pub(crate) fn engine_log_id(log_id: RaftLogId) -> LogId {
    LogId {
        term: Term(log_id.leader_id.term),
        index: engine_index(log_id.index),
    }
}

/// The engine's name of an entry, as openraft writes it.
pub(crate) fn raft_log_id(log_id: LogId) -> RaftLogId {
    RaftLogId {
        leader_id: CommittedLeaderIdOf::<TypeConfig>::new(log_id.term.0),
        index: log_id.index.0.saturating_sub(1),
    }
}

/// The engine's index of openraft's.
pub(crate) fn engine_index(index: u64) -> LogIndex {
    LogIndex(index.saturating_add(1))
}

/// What an entry says, as bytes.
pub(crate) fn entry_body(payload: &EntryPayload<Proposal, NodeId, Member>) -> Bytes {
    match payload {
        EntryPayload::Blank => Payload::Blank.encode(),
        EntryPayload::Normal(proposal) => proposal.0.clone(),
        EntryPayload::Membership(membership) => {
            Payload::Membership(encode(membership).into()).encode()
        }
    }
}

/// An entry from its bytes; commands stay encoded until they are applied, but more of them than
/// an entry may have are refused here, before the log has them.
pub(crate) fn entry(log_id: RaftLogId, body: Bytes) -> Result<Entry, DecodeError> {
    let payload = if Payload::is_batch(&body)? {
        EntryPayload::Normal(Proposal(body))
    } else {
        match Payload::decode(body)? {
            Payload::Blank => EntryPayload::Blank,
            Payload::Membership(membership) => EntryPayload::Membership(decode(&membership)?),
            Payload::Batch(batch) => EntryPayload::Normal(Proposal(Payload::Batch(batch).encode())),
        }
    };
    Ok(Entry { log_id, payload })
}

/// Small structures of Raft as bytes.
///
/// # Panics
/// Never: these types have no map with keys that could fail, and memory is the only sink.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("Raft's structures always have an encoding")
}

/// The reverse of [`encode`]; nothing may follow.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let wrong = |problem| DecodeError {
        field: "raft structure",
        position: 0,
        problem,
    };
    let (value, rest) =
        postcard::take_from_bytes(bytes).map_err(|_| wrong("the bytes are no such structure"))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(wrong("bytes follow the structure"))
    }
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

// openraft asks for serde on everything it may carry; our own encodings never use these two.
impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outcomes: Vec<Vec<u8>> = self.0.iter().map(|o| o.encode().to_vec()).collect();
        outcomes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let outcomes = Vec::<Vec<u8>>::deserialize(deserializer)?;
        let decoded: Result<Vec<_>, _> = outcomes
            .into_iter()
            .map(|bytes| Outcome::decode(bytes.into()))
            .collect();
        decoded.map(Self).map_err(serde::de::Error::custom)
    }
}
