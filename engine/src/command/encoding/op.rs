//! The steps of a commit as bytes.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::command::{Expiry, NewMessage, NumberChange, Op, RowRef};
use crate::ids::{Offset, PartitionId, Revision};

impl Op {
    /// About how many bytes the op takes.
    pub(super) fn size_hint(&self) -> usize {
        let names = |names: &[Bytes]| names.iter().map(|name| name.len() + 4).sum::<usize>();
        match self {
            Self::Put { row, value, .. } => row.size_hint() + value.len() + 15,
            Self::Number { row, .. } => row.size_hint() + 20,
            Self::Append { row, suffix, .. } => row.size_hint() + suffix.len() + 15,
            Self::Expire { row, .. } => row.size_hint() + 10,
            Self::SetAdd { row, members, .. } => row.size_hint() + names(members) + 15,
            Self::SetRemove { row, members } => row.size_hint() + names(members) + 5,
            Self::HashSet { row, fields, .. } => {
                let fields = fields.iter().map(|(f, v)| f.len() + v.len() + 8);
                row.size_hint() + fields.sum::<usize>() + 15
            }
            Self::HashRemove { row, fields } => row.size_hint() + names(fields) + 5,
            Self::Delete { row } | Self::Undelete { row } | Self::Read { row } => {
                row.size_hint() + 1
            }
            Self::Revert { row, .. } => row.size_hint() + 9,
            Self::DeleteRange {
                keyspace,
                start,
                end,
            } => keyspace.len() + start.len() + end.as_ref().map_or(0, Bytes::len) + 14,
            Self::Publish { topic, message, .. } => {
                let headers = message.headers.iter();
                let headers: usize = headers.map(|(n, v)| n.len() + v.len() + 8).sum();
                let key = message.key.as_ref().map_or(0, Bytes::len);
                topic.len() + key + message.value.len() + headers + 24
            }
            Self::CommitOffset {
                topic,
                consumer_group,
                ..
            } => topic.len() + consumer_group.len() + 24,
        }
    }

    pub(super) fn put_into(&self, out: &mut Encoder) {
        match self {
            Self::Put { row, value, expiry } => {
                // Most rows have no end of their own, and keep the shorter form.
                let plain = *expiry == Expiry::Default;
                row.put(out.u8(if plain { 1 } else { 6 }));
                out.bytes(value);
                if !plain {
                    expiry.put(out);
                }
            }
            Self::Delete { row } => row.put(out.u8(2)),
            Self::Publish {
                topic,
                partition,
                message,
            } => {
                out.u8(3).str(topic).option(*partition, |out, partition| {
                    out.u32(partition.0);
                });
                message.put(out);
            }
            Self::CommitOffset {
                topic,
                partition,
                consumer_group,
                next,
            } => {
                out.u8(4).str(topic).u32(partition.0);
                out.str(consumer_group).u64(next.0);
            }
            Self::DeleteRange {
                keyspace,
                start,
                end,
            } => {
                out.u8(5).str(keyspace).bytes(start);
                out.option(end.as_ref(), |out, end| {
                    out.bytes(end);
                });
            }
            typed => typed.put_typed(out),
        }
    }

    /// Writes an op that came with typed values or versions.
    fn put_typed(&self, out: &mut Encoder) {
        match self {
            Self::Number {
                row,
                change,
                expiry,
            } => {
                row.put(out.u8(7));
                change.put(out);
                expiry.put(out);
            }
            Self::Append {
                row,
                suffix,
                expiry,
            } => {
                row.put(out.u8(8));
                expiry.put(out.bytes(suffix));
            }
            Self::Read { row } => row.put(out.u8(16)),
            Self::Expire { row, expiry } => {
                row.put(out.u8(9));
                expiry.put(out);
            }
            Self::SetAdd {
                row,
                members,
                expiry,
            } => {
                put_names(out, 10, row, members);
                expiry.put(out);
            }
            Self::SetRemove { row, members } => put_names(out, 11, row, members),
            Self::HashSet {
                row,
                fields,
                expiry,
            } => {
                row.put(out.u8(12));
                out.count(fields.len());
                for (field, value) in fields {
                    out.bytes(field).bytes(value);
                }
                expiry.put(out);
            }
            Self::HashRemove { row, fields } => put_names(out, 13, row, fields),
            Self::Undelete { row } => row.put(out.u8(14)),
            Self::Revert { row, to } => {
                row.put(out.u8(15));
                out.u64(to.0);
            }
            _ => {}
        }
    }

    pub(super) fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match input.u8("op kind")? {
            1 => Self::Put {
                row: RowRef::get(input)?,
                value: input.bytes("value")?,
                expiry: Expiry::Default,
            },
            2 => Self::Delete {
                row: RowRef::get(input)?,
            },
            3 => Self::Publish {
                topic: input.str("topic")?,
                partition: input.option("partition", |input| {
                    Ok(PartitionId(input.u32("partition")?))
                })?,
                message: NewMessage::get(input)?,
            },
            4 => Self::CommitOffset {
                topic: input.str("topic")?,
                partition: PartitionId(input.u32("partition")?),
                consumer_group: input.str("consumer group")?,
                next: Offset(input.u64("offset")?),
            },
            5 => Self::DeleteRange {
                keyspace: input.str("keyspace")?,
                start: input.bytes("start")?,
                end: input.option("end", |input| input.bytes("end"))?,
            },
            6 => Self::Put {
                row: RowRef::get(input)?,
                value: input.bytes("value")?,
                expiry: Expiry::get(input)?,
            },
            kind => Self::get_typed(kind, input)?,
        })
    }

    /// Reads an op that came with typed values or versions.
    fn get_typed(kind: u8, input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match kind {
            7 => Self::Number {
                row: RowRef::get(input)?,
                change: NumberChange::get(input)?,
                expiry: Expiry::get(input)?,
            },
            8 => Self::Append {
                row: RowRef::get(input)?,
                suffix: input.bytes("suffix")?,
                expiry: Expiry::get(input)?,
            },
            9 => Self::Expire {
                row: RowRef::get(input)?,
                expiry: Expiry::get(input)?,
            },
            10 => Self::SetAdd {
                row: RowRef::get(input)?,
                members: get_names(input)?,
                expiry: Expiry::get(input)?,
            },
            11 => Self::SetRemove {
                row: RowRef::get(input)?,
                members: get_names(input)?,
            },
            12 => Self::HashSet {
                row: RowRef::get(input)?,
                fields: input.list("fields", |input| {
                    Ok((input.bytes("field")?, input.bytes("value")?))
                })?,
                expiry: Expiry::get(input)?,
            },
            13 => Self::HashRemove {
                row: RowRef::get(input)?,
                fields: get_names(input)?,
            },
            14 => Self::Undelete {
                row: RowRef::get(input)?,
            },
            15 => Self::Revert {
                row: RowRef::get(input)?,
                to: Revision(input.u64("revision")?),
            },
            16 => Self::Read {
                row: RowRef::get(input)?,
            },
            _ => return Err(input.error("op kind", "the kind is unknown")),
        })
    }
}

impl Expiry {
    fn put(self, out: &mut Encoder) {
        match self {
            Self::Default => out.u8(0),
            Self::Never => out.u8(1),
            Self::Keep => out.u8(2),
            Self::After(ms) => out.u8(3).u64(ms),
            Self::At(ms) => out.u8(4).u64(ms),
            Self::IfNew(ms) => out.u8(5).u64(ms),
        };
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match input.u8("expiry kind")? {
            0 => Self::Default,
            1 => Self::Never,
            2 => Self::Keep,
            3 => Self::After(input.u64("ttl")?),
            4 => Self::At(input.u64("end")?),
            5 => Self::IfNew(input.u64("ttl")?),
            _ => return Err(input.error("expiry kind", "the kind is unknown")),
        })
    }
}

impl NumberChange {
    fn put(self, out: &mut Encoder) {
        match self {
            Self::Add(by) => out.u8(1).i64(by),
            Self::Max(to) => out.u8(2).i64(to),
            Self::Min(to) => out.u8(3).i64(to),
        };
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        let kind = input.u8("change kind")?;
        let number = input.i64("number")?;
        Ok(match kind {
            1 => Self::Add(number),
            2 => Self::Max(number),
            3 => Self::Min(number),
            _ => return Err(input.error("change kind", "the kind is unknown")),
        })
    }
}

fn put_names(out: &mut Encoder, kind: u8, row: &RowRef, names: &[Bytes]) {
    row.put(out.u8(kind));
    out.count(names.len());
    for name in names {
        out.bytes(name);
    }
}

fn get_names(input: &mut Decoder) -> Result<Vec<Bytes>, DecodeError> {
    input.list("members", |input| input.bytes("member"))
}
