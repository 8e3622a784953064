//! One atomic commit over rows, messages and consumer offsets.

use bytes::Bytes;
use engine_proto::v1 as pb;
use engine_proto::v1::commit_client::CommitClient;

use crate::call::{Calls, Kind, service};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::kv::Row;

/// A commit in the making: guards and ops, done together or not at all.
///
/// ```
/// use engine_client::Commit;
///
/// let commit = Commit::new()
///     .guard_absent("orders", "order-17")
///     .put("orders", "order-17", r#"{"state":"new"}"#)
///     .publish("order-events", "order-17", "created");
/// assert_eq!(commit.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    guards: Vec<pb::Guard>,
    ops: Vec<pb::Op>,
    bytes: usize,
}

/// What must be true of a row before a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The row is there.
    Exists,
    /// The row is not there.
    Absent,
    /// The row was last changed at exactly this revision.
    RevisionIs(u64),
    /// The row holds exactly this value.
    ValueIs(Bytes),
}

/// The answer to a write with guards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guarded<T> {
    /// All guards held; it is done and durable on a majority.
    Done(T),
    /// A guard did not hold; nothing happened.
    Failed(GuardFailed),
}

impl<T> Guarded<T> {
    /// What was done, if it was.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(done) => Some(done),
            Self::Failed(_) => None,
        }
    }
}

/// The first guard that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardFailed {
    /// Its place in the commit, from 0.
    pub guard: u32,
    /// When the row was last changed; `None` if it is not there.
    pub actual_revision: Option<u64>,
    /// The revision at which the guard was looked at.
    pub revision: u64,
}

/// A commit that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The commit's revision.
    pub revision: u64,
    /// One for each op, in order.
    pub results: Vec<OpResult>,
}

/// What came of one op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// A put: how often the row was written since it came into being.
    Put {
        /// 1 for a new row.
        version: u64,
    },
    /// A delete.
    Deleted {
        /// Whether the row was there.
        existed: bool,
    },
    /// A range of rows is empty; how many there were is not counted.
    RangeDeleted,
    /// A number was changed, or left as it was.
    Number {
        /// What it is now.
        value: i64,
    },
    /// Bytes were added.
    Appended {
        /// How long the value is now.
        len: u64,
    },
    /// A row was read.
    Read {
        /// As the ops before have left it; `None` if it was not there.
        row: Option<Row>,
    },
    /// A row's end was said anew.
    Expires {
        /// Whether the row was there.
        existed: bool,
    },
    /// A set or hash was changed.
    Members {
        /// How many members or fields came or went.
        changed: u64,
        /// How many there are now.
        count: u64,
    },
    /// A row has a value that it had before.
    Restored {
        /// When that value was written.
        from_revision: u64,
        /// How often the row was written since it came into being.
        version: u64,
    },
    /// A publish: where the message stands.
    Published {
        /// The partition.
        partition: u32,
        /// The offset there.
        offset: u64,
    },
    /// A consumer group's progress is recorded.
    OffsetCommitted,
}

impl Commit {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a row.
    pub fn put(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Self {
        self.put_with(keyspace, key, value, Expiry::Default)
    }

    /// Reads a row as the ops before it have left it: what was there before an op changes it, or what
    /// came of it. Keys and values that a commit reads have at most 256 KiB together; for more, read
    /// at the commit's revision.
    pub fn read(self, keyspace: impl Into<String>, key: impl Into<Bytes>) -> Self {
        let row = row(keyspace, key);
        let bytes = row.key.len();
        self.op(bytes, pb::op::Op::Read(pb::ReadOp { row: Some(row) }))
    }

    /// Removes a row; one that is not there is no error.
    pub fn delete(self, keyspace: impl Into<String>, key: impl Into<Bytes>) -> Self {
        let row = row(keyspace, key);
        self.op(
            row.key.len(),
            pb::op::Op::Delete(pb::DeleteOp { row: Some(row) }),
        )
    }

    /// Removes every row from `start` up to, but without, `end` (`None`: to the keyspace's end), in
    /// one step however many they are. Rows that later ops of this commit write there stay.
    pub fn delete_range(
        self,
        keyspace: impl Into<String>,
        start: impl Into<Bytes>,
        end: Option<Bytes>,
    ) -> Self {
        let start = start.into();
        self.op(
            start.len() + end.as_ref().map_or(0, Bytes::len),
            pb::op::Op::DeleteRange(pb::DeleteRangeOp {
                keyspace: keyspace.into(),
                start,
                end,
            }),
        )
    }

    /// Removes every row whose key begins with `prefix`, as [`Commit::delete_range`] does.
    pub fn delete_prefix(self, keyspace: impl Into<String>, prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        let end = end_of_prefix(&prefix);
        self.delete_range(keyspace, prefix, end)
    }

    /// Appends a message to the partition that its key belongs to.
    pub fn publish(
        self,
        topic: impl Into<String>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Self {
        let message = pb::NewMessage {
            key: Some(key.into()),
            value: value.into(),
            headers: Vec::new(),
        };
        self.publish_message(topic, None, message)
    }

    /// Appends a message with or without key and headers; `partition` overrules the key.
    pub fn publish_message(
        self,
        topic: impl Into<String>,
        partition: Option<u32>,
        message: pb::NewMessage,
    ) -> Self {
        let bytes = message_bytes(&message);
        self.op(
            bytes,
            pb::op::Op::Publish(pb::PublishOp {
                topic: topic.into(),
                partition,
                message: Some(message),
            }),
        )
    }

    /// Records how far a consumer group has come in a partition; `next` is the next offset to
    /// read. In one commit with the rows and messages that a message led to, it makes their
    /// processing exactly-once.
    pub fn commit_offset(
        self,
        topic: impl Into<String>,
        partition: u32,
        consumer_group: impl Into<String>,
        next: u64,
    ) -> Self {
        self.op(
            16,
            pb::op::Op::CommitOffset(pb::CommitOffsetOp {
                topic: topic.into(),
                partition,
                consumer_group: consumer_group.into(),
                next,
            }),
        )
    }

    /// Only if the row is there.
    pub fn guard_exists(self, keyspace: impl Into<String>, key: impl Into<Bytes>) -> Self {
        self.guard(keyspace, key, Condition::Exists)
    }

    /// Only if the row is not there.
    pub fn guard_absent(self, keyspace: impl Into<String>, key: impl Into<Bytes>) -> Self {
        self.guard(keyspace, key, Condition::Absent)
    }

    /// Only if the row was last changed at exactly this revision.
    pub fn guard_revision(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        revision: u64,
    ) -> Self {
        self.guard(keyspace, key, Condition::RevisionIs(revision))
    }

    /// Only if the row holds exactly this value.
    pub fn guard_value(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Self {
        self.guard(keyspace, key, Condition::ValueIs(value.into()))
    }

    /// Only if the condition holds for the row.
    pub fn guard(
        mut self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        condition: Condition,
    ) -> Self {
        let row = row(keyspace, key);
        self.bytes += row.key.len();
        let condition = match condition {
            Condition::Exists => pb::guard::Condition::Exists(true),
            Condition::Absent => pb::guard::Condition::Exists(false),
            Condition::RevisionIs(revision) => pb::guard::Condition::RevisionIs(revision),
            Condition::ValueIs(value) => {
                self.bytes += value.len();
                pb::guard::Condition::ValueIs(value)
            }
        };
        self.guards.push(pb::Guard {
            row: Some(row),
            condition: Some(condition),
        });
        self
    }

    /// How many ops it has.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether it has no op.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Bytes of keys, values and headers; a commit may hold 4 MiB.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn into_request(self) -> pb::CommitRequest {
        pb::CommitRequest {
            request: None,
            guards: self.guards,
            ops: self.ops,
            group: 0,
        }
    }

    pub(crate) fn op(mut self, bytes: usize, op: pb::op::Op) -> Self {
        self.bytes += bytes;
        self.ops.push(pb::Op { op: Some(op) });
        self
    }
}

impl Client {
    /// Does a commit. Durable on a majority once answered.
    ///
    /// # Errors
    /// Those of every call; `UNKNOWN_KEYSPACE`, `UNKNOWN_TOPIC`, `UNKNOWN_PARTITION`,
    /// `DUPLICATE_KEY`, and the limits' words. A guard that does not hold is an answer.
    pub async fn commit(&self, commit: Commit) -> Result<Guarded<Committed>> {
        self.calls().commit(commit).await
    }
}

impl Calls {
    pub(crate) async fn commit(&self, commit: Commit) -> Result<Guarded<Committed>> {
        let request = commit.into_request();
        let answer = self
            .call(Kind::WRITE, |attempt| {
                let mut request = request.clone();
                request.request = attempt.request;
                async move {
                    service!(CommitClient, attempt)
                        .commit(attempt.message(request))
                        .await
                }
            })
            .await?;
        committed(answer)
    }
}

/// Reads the answer to a commit.
pub(crate) fn committed(answer: pb::CommitResponse) -> Result<Guarded<Committed>> {
    let revision = revision(answer.header.as_ref());
    if let Some(failed) = answer.guard_failed {
        return Ok(Guarded::Failed(guard_failed(failed, revision)));
    }
    let results = answer
        .results
        .into_iter()
        .map(|result| match result.result {
            Some(pb::op_result::Result::PutVersion(version)) => Ok(OpResult::Put { version }),
            Some(pb::op_result::Result::Deleted(existed)) => Ok(OpResult::Deleted { existed }),
            Some(pb::op_result::Result::Published(published)) => Ok(OpResult::Published {
                partition: published.partition,
                offset: published.offset,
            }),
            Some(pb::op_result::Result::OffsetCommitted(_)) => Ok(OpResult::OffsetCommitted),
            Some(pb::op_result::Result::RangeDeleted(_)) => Ok(OpResult::RangeDeleted),
            Some(pb::op_result::Result::Number(value)) => Ok(OpResult::Number { value }),
            Some(pb::op_result::Result::AppendedLen(len)) => Ok(OpResult::Appended { len }),
            Some(pb::op_result::Result::Expires(existed)) => Ok(OpResult::Expires { existed }),
            Some(pb::op_result::Result::Members(members)) => Ok(OpResult::Members {
                changed: members.changed,
                count: members.count,
            }),
            Some(pb::op_result::Result::Read(read)) => Ok(OpResult::Read { row: read.row }),
            Some(pb::op_result::Result::Restored(restored)) => Ok(OpResult::Restored {
                from_revision: restored.from_revision,
                version: restored.version,
            }),
            None => Err(Error::bad_answer("an op's result is missing")),
        })
        .collect::<Result<_>>()?;
    Ok(Guarded::Done(Committed { revision, results }))
}

pub(crate) fn guard_failed(failed: pb::GuardFailed, revision: u64) -> GuardFailed {
    GuardFailed {
        guard: failed.guard,
        actual_revision: failed.actual_revision,
        revision,
    }
}

pub(crate) fn revision(header: Option<&pb::ResponseHeader>) -> u64 {
    header.map_or(0, |header| header.revision)
}

/// The first key behind all that begin with a prefix; `None` if there is no such key.
fn end_of_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

pub(crate) fn row(keyspace: impl Into<String>, key: impl Into<Bytes>) -> pb::RowRef {
    pb::RowRef {
        keyspace: keyspace.into(),
        key: key.into(),
    }
}

/// What a message counts towards the limit of a commit.
pub(crate) fn message_bytes(message: &pb::NewMessage) -> usize {
    let headers: usize = message
        .headers
        .iter()
        .map(|header| header.name.len() + header.value.len())
        .sum();
    message.key.as_ref().map_or(0, Bytes::len) + message.value.len() + headers
}
