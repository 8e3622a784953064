//! The checks that several messages share.

use bytes::Bytes;
use engine::command::{NewMessage, RowRef};
use engine::ids::{GroupId, SessionId};
use engine::{command, limits};
use engine_proto::v1 as pb;

use super::Invalid;

/// How much of a name that was refused is told back.
const ECHO_CHARS_MAX: usize = 40;

/// Counts the bytes of one commit.
#[derive(Debug, Default)]
pub(super) struct Budget {
    bytes: usize,
}

impl Budget {
    /// Takes `bytes` more, if the commit may hold them.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Invalid> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > limits::COMMIT_BYTES_MAX {
            return Err(Invalid::CommitTooLarge);
        }
        Ok(())
    }
}

/// A name of a keyspace, topic or consumer group.
pub(super) fn name(field: &'static str, name: &str) -> Result<String, Invalid> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || !name.bytes().all(plain) {
        return Err(Invalid::BadName {
            field,
            name: shortened(name),
        });
    }
    Ok(name.to_owned())
}

/// Where a node can be dialled: a host and a port that is not 0.
pub(super) fn address(field: &'static str, address: &str) -> Result<String, Invalid> {
    if crate::config::dialable(address) {
        return Ok(address.to_owned());
    }
    Err(Invalid::BadAddress {
        field,
        address: shortened(address),
    })
}

/// A row's name, with a key that is there.
pub(super) fn row(row: Option<&pb::RowRef>, budget: &mut Budget) -> Result<RowRef, Invalid> {
    let row = row.ok_or(Invalid::MissingField { field: "row" })?;
    let keyspace = name("row.keyspace", &row.keyspace)?;
    if row.key.is_empty() {
        return Err(Invalid::KeyEmpty { field: "row.key" });
    }
    let key = key("row.key", &row.key)?;
    budget.take(key.len())?;
    Ok(RowRef { keyspace, key })
}

/// A key or prefix, possibly empty.
pub(super) fn key(field: &'static str, key: &Bytes) -> Result<Bytes, Invalid> {
    if key.len() > limits::KEY_BYTES_MAX {
        return Err(Invalid::KeyTooLong {
            field,
            bytes: key.len(),
        });
    }
    Ok(key.clone())
}

/// A bound of a range of keys, possibly empty.
pub(super) fn bound(
    field: &'static str,
    bound: &Bytes,
    budget: &mut Budget,
) -> Result<Bytes, Invalid> {
    let bound = key(field, bound)?;
    budget.take(bound.len())?;
    Ok(bound)
}

/// A member of a set, or the name of a field of a hash.
pub(super) fn member(
    field: &'static str,
    member: &Bytes,
    budget: &mut Budget,
) -> Result<Bytes, Invalid> {
    if member.len() > limits::MEMBER_BYTES_MAX {
        return Err(Invalid::MemberTooLong {
            field,
            bytes: member.len(),
        });
    }
    budget.take(member.len())?;
    Ok(member.clone())
}

/// A value of a row or a message.
pub(super) fn value(
    field: &'static str,
    value: &Bytes,
    budget: &mut Budget,
) -> Result<Bytes, Invalid> {
    if value.len() > limits::VALUE_BYTES_MAX {
        return Err(Invalid::ValueTooLarge {
            field,
            bytes: value.len(),
        });
    }
    budget.take(value.len())?;
    Ok(value.clone())
}

/// A message as a producer sends it.
pub(super) fn message(
    message: &pb::NewMessage,
    budget: &mut Budget,
) -> Result<NewMessage, Invalid> {
    let key = message
        .key
        .as_ref()
        .map(|bytes| key("message.key", bytes))
        .transpose()?;
    budget.take(key.as_ref().map_or(0, Bytes::len))?;
    let value = value("message.value", &message.value, budget)?;
    let count = message.headers.len();
    let bytes = message.headers.iter().fold(0_usize, |sum, header| {
        sum.saturating_add(header.name.len() + header.value.len())
    });
    if count > limits::HEADERS_MAX || bytes > limits::HEADERS_BYTES_MAX {
        return Err(Invalid::HeadersTooLarge { count, bytes });
    }
    budget.take(bytes)?;
    let headers = message
        .headers
        .iter()
        .map(|header| (header.name.clone(), header.value.clone()))
        .collect();
    Ok(NewMessage {
        key,
        value,
        headers,
    })
}

/// Who asks and how often, if the client wants exactly once.
pub(super) fn request(
    request: Option<&pb::RequestId>,
) -> Result<Option<command::Request>, Invalid> {
    let Some(request) = request else {
        return Ok(None);
    };
    if request.session == 0 {
        return Err(Invalid::MissingField {
            field: "request.session",
        });
    }
    within("request.number", request.number, 1, u64::MAX)?;
    within(
        "request.acked_below",
        request.acked_below,
        0,
        request.number,
    )?;
    Ok(Some(command::Request {
        session: SessionId(request.session),
        number: request.number,
        acked_below: request.acked_below,
    }))
}

/// Whether a read must be linearizable.
pub(super) fn linearizable(consistency: i32) -> Result<bool, Invalid> {
    match pb::Consistency::try_from(consistency) {
        Ok(pb::Consistency::Linearizable) => Ok(true),
        Ok(pb::Consistency::Local) => Ok(false),
        Err(_) => Err(Invalid::FieldOutOfRange {
            field: "consistency",
            value: u64::try_from(consistency).unwrap_or(u64::MAX),
            min: 0,
            max: 1,
        }),
    }
}

/// A number in its range, ends included.
pub(super) fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), Invalid> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Invalid::FieldOutOfRange {
        field,
        value,
        min,
        max,
    })
}

/// How many guards and ops one commit has.
pub(super) fn count(count: usize) -> Result<(), Invalid> {
    if count > limits::COMMIT_OPS_MAX {
        return Err(Invalid::TooManyOps { count });
    }
    Ok(())
}

/// A page's size; a `u32` always fits.
pub(super) fn items(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The Raft group that a request names.
pub(super) fn group(group: u32) -> GroupId {
    GroupId(group)
}

fn shortened(text: &str) -> String {
    if text.chars().nth(ECHO_CHARS_MAX).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(ECHO_CHARS_MAX).collect();
    short.push('…');
    short
}
