//! Records as bytes. A kind once released keeps its number for ever.

use bytes::Bytes;

use super::{Cause, CommitRecord, EntryRecord, QueuedChange, RowRecord};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::{LogId, Offset, PartitionId, Revision, SessionId};
use crate::store::KeyRange;

const FORMAT: u8 = 1;

impl EntryRecord {
    /// The record's bytes: names, no values.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Encoder::with_capacity(64 * (1 + self.commits.len()));
        out.u8(FORMAT)
            .u64(self.log_id.term.0)
            .u64(self.log_id.index.0)
            .u64(self.now_ms)
            .count(self.commits.len());
        for commit in &self.commits {
            commit.put(&mut out);
        }
        out.finish()
    }

    /// Reads a record's bytes.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        if input.u8("record format")? != FORMAT {
            return Err(input.error("record format", "the format is unknown"));
        }
        let record = Self {
            log_id: LogId::new(input.u64("term")?, input.u64("index")?),
            now_ms: input.u64("now")?,
            commits: input.list("commits", CommitRecord::get)?,
        };
        let ascend = |pair: &[CommitRecord]| pair[0].revision < pair[1].revision;
        let first = record.commits.first().map_or(0, |commit| commit.revision.0);
        let has_neighbours = first > 0 && record.last_revision() < Revision(u64::MAX);
        if !has_neighbours || !record.commits.windows(2).all(ascend) {
            return Err(input.error("commits", "their revisions do not ascend"));
        }
        input.end("record")?;
        Ok(record)
    }
}

impl CommitRecord {
    fn put(&self, out: &mut Encoder) {
        out.u64(self.revision.0);
        self.cause.put(out);
        out.count(self.rows.len());
        for row in &self.rows {
            row.put(out);
        }
        out.count(self.queued.len());
        for queued in &self.queued {
            queued.put(out);
        }
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            revision: Revision(input.u64("revision")?),
            cause: Cause::get(input)?,
            rows: input.list("rows", RowRecord::get)?,
            queued: input.list("queued", QueuedChange::get)?,
        })
    }
}

impl Cause {
    fn put(&self, out: &mut Encoder) {
        match self {
            Self::Commit(None) => out.u8(0),
            Self::Commit(Some((session, number))) => out.u8(1).u64(session.0).u64(*number),
            Self::RowsEnded => out.u8(2),
            Self::KeyspaceCreated(name) => out.u8(3).str(name),
            Self::KeyspaceAltered(name) => out.u8(4).str(name),
            Self::KeyspaceDropped(name) => out.u8(5).str(name),
            Self::TopicCreated(name) => out.u8(6).str(name),
        };
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match input.u8("cause kind")? {
            0 => Self::Commit(None),
            1 => Self::Commit(Some((
                SessionId(input.u64("session")?),
                input.u64("request number")?,
            ))),
            2 => Self::RowsEnded,
            3 => Self::KeyspaceCreated(input.str("keyspace name")?),
            4 => Self::KeyspaceAltered(input.str("keyspace name")?),
            5 => Self::KeyspaceDropped(input.str("keyspace name")?),
            6 => Self::TopicCreated(input.str("topic name")?),
            _ => return Err(input.error("cause kind", "the kind is unknown")),
        })
    }
}

impl RowRecord {
    fn put(&self, out: &mut Encoder) {
        match self {
            Self::Put(key, _) => out.u8(1).bytes(key),
            Self::Deleted(key) => out.u8(2).bytes(key),
            Self::Ended(key) => out.u8(3).bytes(key),
            Self::RangeDeleted(range) => {
                let start = out.u8(4).bytes(&range.start);
                start.option(range.end.as_ref(), |out, end| {
                    out.bytes(end);
                })
            }
        };
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match input.u8("change kind")? {
            1 => Self::Put(input.bytes("key")?, None),
            2 => Self::Deleted(input.bytes("key")?),
            3 => Self::Ended(input.bytes("key")?),
            4 => Self::RangeDeleted(KeyRange {
                start: input.bytes("start")?,
                end: input.option("end", |input| input.bytes("end"))?,
            }),
            _ => return Err(input.error("change kind", "the kind is unknown")),
        })
    }
}

impl QueuedChange {
    fn put(&self, out: &mut Encoder) {
        match self {
            Self::Message {
                topic,
                partition,
                offset,
            } => out.u8(1).str(topic).u32(partition.0).u64(offset.0),
            Self::Offset {
                topic,
                partition,
                consumer_group,
                next,
            } => {
                let partition = out.u8(2).str(topic).u32(partition.0);
                partition.str(consumer_group).u64(next.0)
            }
        };
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        let kind = input.u8("queued kind")?;
        let topic = input.str("topic")?;
        let partition = PartitionId(input.u32("partition")?);
        Ok(match kind {
            1 => Self::Message {
                topic,
                partition,
                offset: Offset(input.u64("offset")?),
            },
            2 => Self::Offset {
                topic,
                partition,
                consumer_group: input.str("consumer group")?,
                next: Offset(input.u64("offset")?),
            },
            _ => return Err(input.error("queued kind", "the kind is unknown")),
        })
    }
}
