//! The steps of a commit, and what came of them.

use std::collections::HashSet;

use bytes::Bytes;
use engine::command::{Expiry, NumberChange, Op, OpResult};
use engine::ids::{Offset, PartitionId, Revision};
use engine::limits;
use engine_proto::v1 as pb;

use super::Invalid;
use super::commit::published;
use super::limit::{self, Budget};

/// How many ops one counts for, before anything of it is read.
pub(super) fn weight(op: &pb::Op) -> usize {
    use pb::op::Op as Wire;

    let members = match &op.op {
        Some(Wire::SetAdd(add)) => add.members.len(),
        Some(Wire::SetRemove(remove)) => remove.members.len(),
        Some(Wire::HashSet(set)) => set.fields.len(),
        Some(Wire::HashRemove(remove)) => remove.fields.len(),
        _ => 1,
    };
    members.max(1)
}

/// One step, within every limit.
pub(super) fn decode(op: &pb::Op, budget: &mut Budget) -> Result<Op, Invalid> {
    use pb::op::Op as Wire;

    let op = op
        .op
        .as_ref()
        .ok_or(Invalid::MissingField { field: "op" })?;
    Ok(match op {
        Wire::Put(put) => Op::Put {
            row: limit::row(put.row.as_ref(), budget)?,
            value: limit::value("put.value", &put.value, budget)?,
            expiry: expiry(put.expiry.as_ref())?,
        },
        Wire::Delete(delete) => Op::Delete {
            row: limit::row(delete.row.as_ref(), budget)?,
        },
        Wire::DeleteRange(range) => delete_range(range, budget)?,
        Wire::Publish(publish) => self::publish(publish, budget)?,
        Wire::CommitOffset(offset) => self::offset(offset, budget)?,
        Wire::Number(number) => Op::Number {
            row: limit::row(number.row.as_ref(), budget)?,
            change: change(number.change.as_ref())?,
            expiry: expiry(number.expiry.as_ref())?,
        },
        Wire::Append(append) => Op::Append {
            row: limit::row(append.row.as_ref(), budget)?,
            suffix: limit::value("append.suffix", &append.suffix, budget)?,
            expiry: expiry(append.expiry.as_ref())?,
        },
        Wire::Read(read) => Op::Read {
            row: limit::row(read.row.as_ref(), budget)?,
        },
        Wire::Expire(expire) => Op::Expire {
            row: limit::row(expire.row.as_ref(), budget)?,
            expiry: expiry(expire.expiry.as_ref())?,
        },
        Wire::SetAdd(add) => Op::SetAdd {
            row: limit::row(add.row.as_ref(), budget)?,
            members: members("set_add.members", &add.members, budget)?,
            expiry: expiry(add.expiry.as_ref())?,
        },
        Wire::SetRemove(remove) => Op::SetRemove {
            row: limit::row(remove.row.as_ref(), budget)?,
            members: members("set_remove.members", &remove.members, budget)?,
        },
        Wire::HashSet(set) => Op::HashSet {
            row: limit::row(set.row.as_ref(), budget)?,
            fields: fields(&set.fields, budget)?,
            expiry: expiry(set.expiry.as_ref())?,
        },
        Wire::HashRemove(remove) => Op::HashRemove {
            row: limit::row(remove.row.as_ref(), budget)?,
            fields: members("hash_remove.fields", &remove.fields, budget)?,
        },
        Wire::Undelete(undelete) => Op::Undelete {
            row: limit::row(undelete.row.as_ref(), budget)?,
        },
        Wire::Revert(revert) => Op::Revert {
            row: limit::row(revert.row.as_ref(), budget)?,
            to: Revision(revert.to_revision),
        },
    })
}

fn publish(op: &pb::PublishOp, budget: &mut Budget) -> Result<Op, Invalid> {
    let field = "publish.message";
    let message = op.message.as_ref().ok_or(Invalid::MissingField { field })?;
    Ok(Op::Publish {
        topic: limit::name("topic", &op.topic)?,
        partition: op.partition.map(PartitionId),
        message: limit::message(message, budget)?,
    })
}

/// The recorded progress of a consumer group.
pub(super) fn offset(op: &pb::CommitOffsetOp, budget: &mut Budget) -> Result<Op, Invalid> {
    let consumer_group = limit::name("consumer_group", &op.consumer_group)?;
    budget.take(consumer_group.len())?;
    Ok(Op::CommitOffset {
        topic: limit::name("topic", &op.topic)?,
        partition: PartitionId(op.partition),
        consumer_group,
        next: Offset(op.next),
    })
}

/// When a row ends.
pub(super) fn expiry(expiry: Option<&pb::Expiry>) -> Result<Expiry, Invalid> {
    use pb::expiry::End;

    let ttl = |field, ttl_ms| {
        limit::within(field, ttl_ms, 1, limits::TTL_MS_MAX)?;
        Ok(ttl_ms)
    };
    let said = |field, said: bool| said.then_some(()).ok_or(Invalid::MissingField { field });
    let Some(expiry) = expiry else {
        return Ok(Expiry::Default);
    };
    match expiry.end {
        None => Err(Invalid::MissingField {
            field: "expiry.end",
        }),
        Some(End::Never(never)) => said("expiry.never", never).map(|()| Expiry::Never),
        Some(End::Keep(keep)) => said("expiry.keep", keep).map(|()| Expiry::Keep),
        Some(End::AfterMs(ms)) => ttl("expiry.after_ms", ms).map(Expiry::After),
        Some(End::IfNewMs(ms)) => ttl("expiry.if_new_ms", ms).map(Expiry::IfNew),
        // The state knows what time it is.
        Some(End::AtMs(ms)) => Ok(Expiry::At(ms)),
    }
}

/// No row and no consumer group's progress stands twice.
pub(super) fn refuse_duplicates(ops: &[Op]) -> Result<(), Invalid> {
    if ops.len() < 2 {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(ops.len());
    for (place, op) in ops.iter().enumerate() {
        let target = match op {
            Op::Put { row, .. }
            | Op::Delete { row }
            | Op::Number { row, .. }
            | Op::Append { row, .. }
            | Op::Expire { row, .. }
            | Op::SetAdd { row, .. }
            | Op::SetRemove { row, .. }
            | Op::HashSet { row, .. }
            | Op::HashRemove { row, .. }
            | Op::Undelete { row }
            | Op::Revert { row, .. } => Target::Row(&row.keyspace, &row.key),
            Op::CommitOffset {
                topic,
                partition,
                consumer_group,
                ..
            } => Target::Progress(topic, *partition, consumer_group),
            // The state knows which rows a range holds.
            Op::Publish { .. } | Op::DeleteRange { .. } | Op::Read { .. } => continue,
        };
        if !seen.insert(target) {
            return Err(Invalid::DuplicateKey { op: place });
        }
    }
    Ok(())
}

/// What came of one step.
pub(super) fn result(result: OpResult) -> pb::OpResult {
    use pb::op_result::Result;

    let result = match result {
        OpResult::Put { version } => Result::PutVersion(version),
        OpResult::Deleted { existed } => Result::Deleted(existed),
        OpResult::Published { partition, offset } => {
            Result::Published(published(partition, offset))
        }
        OpResult::OffsetCommitted => Result::OffsetCommitted(true),
        OpResult::RangeDeleted => Result::RangeDeleted(true),
        OpResult::Number { value } => Result::Number(value),
        OpResult::Appended { len } => Result::AppendedLen(len),
        OpResult::Expires { existed } => Result::Expires(existed),
        OpResult::Members { changed, count } => {
            Result::Members(pb::MembersChanged { changed, count })
        }
        OpResult::Read { row } => Result::Read(pb::ReadBack {
            row: row.map(super::kv::row),
        }),
        OpResult::Restored { from, version } => Result::Restored(pb::Restored {
            from_revision: from.0,
            version,
        }),
    };
    pb::OpResult {
        result: Some(result),
    }
}

/// What an op writes, where writing it twice in one commit has no meaning.
#[derive(PartialEq, Eq, Hash)]
enum Target<'a> {
    Row(&'a str, &'a [u8]),
    Progress(&'a str, PartitionId, &'a str),
}

fn delete_range(range: &pb::DeleteRangeOp, budget: &mut Budget) -> Result<Op, Invalid> {
    let end = range.end.as_ref();
    Ok(Op::DeleteRange {
        keyspace: limit::name("delete_range.keyspace", &range.keyspace)?,
        start: limit::bound("delete_range.start", &range.start, budget)?,
        end: end
            .map(|end| limit::bound("delete_range.end", end, budget))
            .transpose()?,
    })
}

fn change(change: Option<&pb::number_op::Change>) -> Result<NumberChange, Invalid> {
    use pb::number_op::Change;

    match change {
        None => Err(Invalid::MissingField {
            field: "number.change",
        }),
        Some(Change::Add(by)) => Ok(NumberChange::Add(*by)),
        Some(Change::Max(to)) => Ok(NumberChange::Max(*to)),
        Some(Change::Min(to)) => Ok(NumberChange::Min(*to)),
    }
}

fn members(
    field: &'static str,
    members: &[Bytes],
    budget: &mut Budget,
) -> Result<Vec<Bytes>, Invalid> {
    if members.is_empty() {
        return Err(Invalid::MissingField { field });
    }
    let members = members.iter();
    members
        .map(|member| limit::member(field, member, budget))
        .collect()
}

fn fields(fields: &[pb::Field], budget: &mut Budget) -> Result<Vec<(Bytes, Bytes)>, Invalid> {
    let field = "hash_set.fields";
    if fields.is_empty() {
        return Err(Invalid::MissingField { field });
    }
    let fields = fields.iter();
    fields
        .map(|one| {
            let name = limit::member(field, &one.name, budget)?;
            let value = limit::value("hash_set.fields.value", &one.value, budget)?;
            Ok((name, value))
        })
        .collect()
}
