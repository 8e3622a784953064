//! Nodes among themselves: what they say, and how it becomes bytes.
//!
//! ```text
//! Append        one stream per follower and group: requests ahead, answers in order
//! Vote          votes and pre-votes      TransferLeader · ReadIndex · Announce      unary
//! Snapshot      a checkpoint in chunks, one answer
//!
//! append body = head_len:u32 head entry*        head (postcard) = vote, prev, commit, [(log id, len)]
//! ```
//!
//! Each pair of nodes has three connections, so that neither entries nor a checkpoint stand in
//! the way of heartbeats and votes. Entries' bytes are the ones on disk, decoded by nobody here.

mod factory;
mod peer;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use bytes::{BufMut, Bytes, BytesMut};
use engine::codec::DecodeError;
use openraft::raft::AppendEntriesRequest;
use serde::{Deserialize, Serialize};

pub(crate) use factory::{Factory, Lane, Peers};

use crate::types::{RaftLogId, SnapshotMeta, TypeConfig, Vote, decode, encode, entry, entry_body};

/// Largest message between peers: the largest entry with room to spare.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Kinds of the `Vote` call.
pub(crate) const KIND_VOTE: u32 = 1;
pub(crate) const KIND_PRE_VOTE: u32 = 2;

/// Begins the message of a status that tells a node that its disk is an old copy.
pub(crate) const STALE_BOOT: &str = "STALE_BOOT";

/// Opens a stream of chunks.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
}

#[derive(Serialize, Deserialize)]
struct AppendHead {
    vote: Vote,
    prev: Option<RaftLogId>,
    commit: Option<RaftLogId>,
    entries: Vec<(RaftLogId, u32)>,
}

/// A message of entries as bytes.
pub(crate) fn encode_append(request: &AppendEntriesRequest<TypeConfig>) -> Bytes {
    let bodies: Vec<Bytes> = request
        .entries
        .iter()
        .map(|entry| entry_body(&entry.payload))
        .collect();
    let entries = request.entries.iter().zip(&bodies).map(|(entry, body)| {
        let len = u32::try_from(body.len()).expect("an entry is at most 16 MiB long");
        (entry.log_id, len)
    });
    let head = encode(&AppendHead {
        vote: request.vote,
        prev: request.prev_log_id,
        commit: request.leader_commit,
        entries: entries.collect(),
    });
    let bytes: usize = bodies.iter().map(Bytes::len).sum();
    let mut out = BytesMut::with_capacity(4 + head.len() + bytes);
    out.put_u32_le(u32::try_from(head.len()).expect("a head is a few kilobytes"));
    out.put_slice(&head);
    for body in &bodies {
        out.put_slice(body);
    }
    out.freeze()
}

/// The reverse of [`encode_append`]; entries share the message's bytes.
pub(crate) fn decode_append(
    mut bytes: Bytes,
) -> Result<AppendEntriesRequest<TypeConfig>, DecodeError> {
    let wrong = |problem| DecodeError {
        field: "append message",
        position: 0,
        problem,
    };
    let short = || wrong("the message is too short");
    let head_len = take(&mut bytes, 4).ok_or_else(short)?;
    let head_len: [u8; 4] = head_len.as_ref().try_into().map_err(|_| short())?;
    let head = take(&mut bytes, u32::from_le_bytes(head_len)).ok_or_else(short)?;
    let head: AppendHead = decode(&head)?;
    let mut entries = Vec::with_capacity(head.entries.len());
    for (log_id, len) in head.entries {
        let body = take(&mut bytes, len).ok_or_else(short)?;
        entries.push(entry(log_id, body)?);
    }
    if !bytes.is_empty() {
        return Err(wrong("bytes follow the last entry"));
    }
    Ok(AppendEntriesRequest {
        vote: head.vote,
        prev_log_id: head.prev,
        entries,
        leader_commit: head.commit,
    })
}

fn take(bytes: &mut Bytes, len: u32) -> Option<Bytes> {
    let len = usize::try_from(len).ok()?;
    (len <= bytes.len()).then(|| bytes.split_to(len))
}

#[cfg(test)]
mod tests {
    use engine::command::{Batch, Command, Payload};
    use engine::ids::{LogId, NodeId};
    use engine::limits::ENTRY_COMMANDS_MAX;
    use openraft::EntryPayload;

    use super::*;
    use crate::types::{Entry, Membership, Proposal, raft_log_id};

    fn request() -> AppendEntriesRequest<TypeConfig> {
        let batch = Payload::Batch(Batch {
            now_ms: 5,
            commands: vec![Command::OpenSession, Command::Tick],
        });
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(batch.encode())),
            EntryPayload::Membership(Membership::default()),
        ];
        AppendEntriesRequest {
            vote: openraft::Vote::new_committed(3, NodeId(2)),
            prev_log_id: Some(raft_log_id(LogId::new(2, 9))),
            entries: (10_u64..)
                .zip(payloads)
                .map(|(index, payload)| Entry {
                    log_id: raft_log_id(LogId::new(3, index)),
                    payload,
                })
                .collect(),
            leader_commit: None,
        }
    }

    #[test]
    fn a_message_of_entries_comes_back_as_it_went() {
        let request = request();
        let back = decode_append(encode_append(&request)).expect("our own bytes");
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
    }

    #[test]
    fn a_message_of_too_many_commands_is_refused_before_the_log_has_them() {
        let message = |commands| {
            let batch = Payload::Batch(Batch {
                now_ms: 5,
                commands: vec![Command::Tick; commands],
            });
            let payload = EntryPayload::Normal(Proposal(batch.encode()));
            let log_id = raft_log_id(LogId::new(3, 10));
            encode_append(&AppendEntriesRequest {
                entries: vec![Entry { log_id, payload }],
                ..request()
            })
        };
        decode_append(message(ENTRY_COMMANDS_MAX)).expect("as many as may be");
        decode_append(message(ENTRY_COMMANDS_MAX + 1)).expect_err("one too many");
        decode_append(message(8 << 20)).expect_err("a message of 8 MiB");
    }

    #[test]
    fn no_cut_message_is_taken() {
        let bytes = encode_append(&request());
        for len in 0..bytes.len() {
            decode_append(bytes.slice(..len)).expect_err("a part of a message");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        decode_append(longer.into()).expect_err("more than a message");
    }
}
