//! Messages: appended, fetched, and how far a consumer group has come.

use std::time::Duration;

use engine::command::{Command, Commit, Op, OpResult, Outcome};
use engine::ids::{GroupId, Offset, PartitionId};
use engine::query::{FetchAnswer, FetchRequest, Message};
use engine_proto::v1 as pb;

use super::commit::{Decision, committed, published};
use super::limit::{self, Budget};
use super::{Header, Invalid, op};
use crate::error::Error;

/// Longest wait of one fetch: a connection that died unnoticed is not held for longer.
const WAIT_MS_MAX: u32 = 30_000;

/// A checked fetch.
#[derive(Clone, Debug)]
pub(crate) struct FetchRead {
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Whether it must see every acknowledged write.
    pub(crate) linearizable: bool,
    /// How long to wait for the first message.
    pub(crate) wait: Duration,
    /// Which messages.
    pub(crate) fetch: FetchRequest,
}

/// Messages to append, as one commit.
pub(crate) fn produce(request: &pb::ProduceRequest) -> Result<(GroupId, Command), Invalid> {
    if request.messages.is_empty() {
        return Err(Invalid::MissingField { field: "messages" });
    }
    limit::count(request.messages.len())?;
    let topic = limit::name("topic", &request.topic)?;
    let partition = request.partition.map(PartitionId);
    let mut budget = Budget::default();
    let publish = |message| {
        Ok(Op::Publish {
            topic: topic.clone(),
            partition,
            message: limit::message(message, &mut budget)?,
        })
    };
    let commit = Commit {
        request: limit::request(request.request.as_ref())?,
        guards: Vec::new(),
        ops: request
            .messages
            .iter()
            .map(publish)
            .collect::<Result<_, _>>()?,
    };
    Ok((limit::group(request.group), Command::Commit(commit)))
}

/// Where the messages stand.
pub(crate) fn produce_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::ProduceResponse, Error> {
    match committed(outcome)? {
        Decision::Done { revision, results } => Ok(pb::ProduceResponse {
            header: header.at(revision),
            published: results
                .iter()
                .map(|result| match result {
                    OpResult::Published { partition, offset } => Ok(published(*partition, *offset)),
                    other => Err(Error::mismatch(std::slice::from_ref(other))),
                })
                .collect::<Result<_, _>>()?,
        }),
        Decision::GuardFailed(_) => Err(Error::mismatch(&[])),
    }
}

/// Messages to read.
pub(crate) fn fetch(request: &pb::FetchRequest) -> Result<FetchRead, Invalid> {
    limit::within(
        "wait_ms",
        u64::from(request.wait_ms),
        0,
        u64::from(WAIT_MS_MAX),
    )?;
    Ok(FetchRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        wait: Duration::from_millis(u64::from(request.wait_ms)),
        fetch: FetchRequest {
            topic: limit::name("topic", &request.topic)?,
            partition: PartitionId(request.partition),
            from: Offset(request.from),
            limit: limit::items(request.limit),
        },
    })
}

/// Messages in offset order.
pub(crate) fn fetch_response(header: Header, answer: FetchAnswer) -> pb::FetchResponse {
    pb::FetchResponse {
        header: header.now(),
        messages: answer.messages.into_iter().map(message).collect(),
        end: answer.end.0,
    }
}

/// Progress to record, as one commit.
pub(crate) fn commit_offset(
    request: &pb::CommitOffsetRequest,
) -> Result<(GroupId, Command), Invalid> {
    let wanted = pb::CommitOffsetOp {
        topic: request.topic.clone(),
        partition: request.partition,
        consumer_group: request.consumer_group.clone(),
        next: request.next,
    };
    let commit = Commit {
        request: limit::request(request.request.as_ref())?,
        guards: Vec::new(),
        ops: vec![op::offset(&wanted, &mut Budget::default())?],
    };
    Ok((limit::group(request.group), Command::Commit(commit)))
}

/// Progress is recorded.
pub(crate) fn commit_offset_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::CommitOffsetResponse, Error> {
    match committed(outcome)? {
        Decision::Done { revision, .. } => Ok(pb::CommitOffsetResponse {
            header: header.at(revision),
        }),
        Decision::GuardFailed(_) => Err(Error::mismatch(&[])),
    }
}

fn message(message: Message) -> pb::Message {
    pb::Message {
        offset: message.offset.0,
        revision: message.revision.0,
        timestamp_ms: message.timestamp_ms,
        key: message.body.key,
        value: message.body.value,
        headers: message
            .body
            .headers
            .into_iter()
            .map(|(name, value)| pb::Header { name, value })
            .collect(),
    }
}
