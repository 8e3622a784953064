//! One function for each message of another node, to be called with any bytes whatever: see the
//! folder `fuzz`.
//!
//! None may panic or allocate beyond a small multiple of its input, and what was decoded is
//! encoded to what is decoded again.

use bytes::Bytes;
use engine::command::{Outcome, Payload};
use engine_proto::v1::{PeerRequest, PeerResponse, SnapshotChunk};
use openraft::raft::{
    SnapshotResponse, StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fetch::Wanted;
use crate::network::SnapshotHead;
use crate::network::fuzzing::append;
use crate::types::{Membership, TypeConfig, Vote, decode, encode};

/// A message's name, and the function that feeds its decoder.
pub type Target = (&'static str, fn(&[u8]));

/// All decoders.
pub const TARGETS: [Target; 2] = [("peer_append", append), ("peer_message", message)];

/// Envelopes, and the bodies in them, but for entries.
fn message(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind {
        0 => envelope::<PeerRequest>(data),
        1 => envelope::<PeerResponse>(data),
        2 => envelope::<SnapshotChunk>(data),
        3 => body::<VoteRequest<TypeConfig>>(data),
        4 => body::<VoteResponse<TypeConfig>>(data),
        5 => body::<TransferLeaderRequest<TypeConfig>>(data),
        6 => body::<TransferLeaderResponse<TypeConfig>>(data),
        7 => body::<SnapshotHead>(data),
        8 => body::<SnapshotResponse<TypeConfig>>(data),
        9 => body::<StreamAppendResult<TypeConfig>>(data),
        10 => body::<u64>(data),
        11 => body::<Vote>(data),
        12 => body::<Membership>(data),
        13 => drop(Outcome::decode(Bytes::copy_from_slice(data))),
        14 => body::<Wanted>(data),
        _ => drop(Payload::decode(Bytes::copy_from_slice(data))),
    }
}

fn envelope<T: Message + Default + PartialEq>(data: &[u8]) {
    if let Ok(message) = T::decode(data) {
        let again = T::decode(message.encode_to_vec().as_slice());
        assert!(again.is_ok_and(|again| again == message));
    }
}

fn body<T: Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(body) = decode::<T>(data) {
        let bytes = encode(&body);
        let again = decode::<T>(&bytes).expect("our own bytes");
        assert_eq!(encode(&again), bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_kept_input_passes_its_target() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let inputs = std::fs::read_dir(corpus.join(name)).expect("each target has kept inputs");
            let count = inputs
                .map(|input| std::fs::read(input.expect("a name").path()).expect("its bytes"))
                .map(|bytes| target(&bytes))
                .count();
            assert!(count > 0, "{name}");
        }
    }
}
