//! Messages of entries made of any bytes: see [`fuzzing`](crate::fuzzing).

use bytes::Bytes;
use engine::ids::{LogId, NodeId};

use super::{AppendHead, decode_append, encode_append};
use crate::types::{encode, raft_log_id};

/// A message of any bytes, and one whose head is right and whose entries are any bytes.
pub(crate) fn append(data: &[u8]) {
    let _ = decode_append(Bytes::copy_from_slice(data));
    let mut bodies = Vec::new();
    let mut rest = data;
    while let [len, term, tail @ ..] = rest {
        let (body, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        bodies.push((u64::from(*term), body));
        rest = tail;
    }
    let entries = bodies.iter().zip(1..).map(|((term, body), index)| {
        let len = u32::try_from(body.len()).expect("it is short");
        (raft_log_id(LogId::new(*term, index)), len)
    });
    let head = encode(&AppendHead {
        vote: openraft::Vote::new_committed(3, NodeId(2)),
        prev: None,
        commit: None,
        entries: entries.collect(),
    });
    let len = u32::try_from(head.len()).expect("it is short");
    let bodies = bodies.iter().map(|(_, body)| *body).collect::<Vec<_>>();
    let message = [&len.to_le_bytes(), head.as_slice(), &bodies.concat()].concat();
    if let Ok(request) = decode_append(message.into()) {
        let bytes = encode_append(&request);
        let again = decode_append(bytes.clone()).expect("our own bytes");
        assert_eq!(encode_append(&again), bytes);
    }
}
