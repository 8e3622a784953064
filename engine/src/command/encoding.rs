//! Commands and outcomes as bytes. A kind once released keeps its number for ever.

mod op;

use bytes::Bytes;

use super::{Batch, Command, Commit, Guard, KeyspaceOptions, NewMessage, Op, Payload};
use super::{OpResult, Outcome, Quota, Refusal, Request, RowRef};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::{Boot, KeyspaceId, NodeId, Offset, PartitionId, Revision, SessionId, TopicId};
use crate::limits::ENTRY_COMMANDS_MAX;
use crate::query::RowView;
use crate::store::RowKind;

/// The kind of a payload of commands.
const BATCH: u8 = 2;

/// The first byte of a keyspace's options: 0 or 1, that of an `option`, before keyspaces could be
/// versioned.
const HAS_DEFAULT_TTL: u8 = 1;
const IS_VERSIONED: u8 = 2;
const HAS_ROWS_MAX: u8 = 4;
const HAS_BYTES_MAX: u8 = 8;
const IS_UNCACHED: u8 = 16;
const OPTIONS: u8 = 31;

impl Batch {
    /// The bytes of an entry that carries this batch.
    pub fn encode(&self) -> Bytes {
        let size: usize = self.commands.iter().map(Command::size_hint).sum();
        let mut out = Encoder::with_capacity(16 + size);
        out.u8(BATCH).u64(self.now_ms).count(self.commands.len());
        for command in &self.commands {
            command.put(&mut out);
        }
        out.finish()
    }
}

impl Payload {
    /// The entry's bytes.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Blank => Bytes::from_static(&[0]),
            Self::Membership(membership) => {
                let mut out = Encoder::with_capacity(1 + membership.len());
                out.u8(1).raw(membership);
                out.finish()
            }
            Self::Batch(batch) => batch.encode(),
        }
    }

    /// Reads an entry's bytes; values share the buffer.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let payload = match input.u8("payload kind")? {
            0 => Self::Blank,
            1 => {
                let len = input.remaining();
                Self::Membership(input.raw("membership", len)?)
            }
            BATCH => Self::Batch(Batch {
                now_ms: input.u64("now")?,
                commands: input.list_of_at_most(ENTRY_COMMANDS_MAX, "commands", Command::get)?,
            }),
            _ => return Err(input.error("payload kind", "the kind is unknown")),
        };
        input.end("payload")?;
        Ok(payload)
    }

    /// Whether an entry's bytes are a batch, by its head alone: its commands stay encoded, but
    /// there are no more of them than [`Payload::decode`] takes.
    pub fn is_batch(bytes: &Bytes) -> Result<bool, DecodeError> {
        let mut input = Decoder::new(bytes.clone());
        if input.u8("payload kind")? != BATCH {
            return Ok(false);
        }
        input.u64("now")?;
        input.list_of_at_most(ENTRY_COMMANDS_MAX, "commands", |_| Ok(()))?;
        Ok(true)
    }
}

impl Command {
    /// About how many bytes the command takes; for sizing buffers and batches.
    pub fn size_hint(&self) -> usize {
        match self {
            Self::Commit(commit) => commit.size_hint(),
            _ => 192,
        }
    }

    fn put(&self, out: &mut Encoder) {
        match self {
            Self::Commit(commit) => {
                out.u8(1);
                commit.put(out);
            }
            Self::OpenSession => {
                out.u8(2);
            }
            Self::CloseSession { session } => {
                out.u8(3).u64(session.0);
            }
            Self::CreateKeyspace { name, options } => {
                out.u8(9).str(name);
                options.put(out);
            }
            Self::AlterKeyspace { name, options } => {
                out.u8(10).str(name);
                options.put(out);
            }
            Self::DropKeyspace { name } => {
                out.u8(11).str(name);
            }
            Self::CreateTopic { name, partitions } => {
                out.u8(5).str(name).u32(*partitions);
            }
            Self::Tick => {
                out.u8(6);
            }
            Self::NodeStarted { node, boot } => {
                out.u8(7).u64(node.0).u64(boot.0);
            }
            Self::RaiseFloor { revision } => {
                out.u8(8).u64(revision.0);
            }
        }
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match input.u8("command kind")? {
            1 => Self::Commit(Commit::get(input)?),
            2 => Self::OpenSession,
            3 => Self::CloseSession {
                session: SessionId(input.u64("session")?),
            },
            // Before keyspaces had options.
            4 => Self::CreateKeyspace {
                name: input.str("keyspace name")?,
                options: KeyspaceOptions::default(),
            },
            9 => Self::CreateKeyspace {
                name: input.str("keyspace name")?,
                options: KeyspaceOptions::get(input)?,
            },
            5 => Self::CreateTopic {
                name: input.str("topic name")?,
                partitions: input.u32("partitions")?,
            },
            6 => Self::Tick,
            7 => Self::NodeStarted {
                node: NodeId(input.u64("node")?),
                boot: Boot(input.u64("boot")?),
            },
            8 => Self::RaiseFloor {
                revision: Revision(input.u64("floor")?),
            },
            10 => Self::AlterKeyspace {
                name: input.str("keyspace name")?,
                options: KeyspaceOptions::get(input)?,
            },
            11 => Self::DropKeyspace {
                name: input.str("keyspace name")?,
            },
            _ => return Err(input.error("command kind", "the kind is unknown")),
        })
    }
}

impl Commit {
    /// About how many bytes the commit takes.
    pub fn size_hint(&self) -> usize {
        let guards: usize = self
            .guards
            .iter()
            .map(|guard| match guard {
                Guard::Exists(row) | Guard::Absent(row) => row.size_hint() + 1,
                Guard::RevisionIs(row, _) => row.size_hint() + 9,
                Guard::ValueIs(row, value) => row.size_hint() + value.len() + 5,
            })
            .sum();
        let ops: usize = self.ops.iter().map(Op::size_hint).sum();
        40 + guards + ops
    }

    fn put(&self, out: &mut Encoder) {
        out.option(self.request, |out, request| {
            out.u64(request.session.0)
                .u64(request.number)
                .u64(request.acked_below);
        });
        out.count(self.guards.len());
        for guard in &self.guards {
            match guard {
                Guard::Exists(row) => row.put(out.u8(1)),
                Guard::Absent(row) => row.put(out.u8(2)),
                Guard::RevisionIs(row, revision) => {
                    row.put(out.u8(3));
                    out.u64(revision.0);
                }
                Guard::ValueIs(row, value) => {
                    row.put(out.u8(4));
                    out.bytes(value);
                }
            }
        }
        out.count(self.ops.len());
        for op in &self.ops {
            op.put_into(out);
        }
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        let request = input.option("request", |input| {
            Ok(Request {
                session: SessionId(input.u64("session")?),
                number: input.u64("request number")?,
                acked_below: input.u64("acknowledged below")?,
            })
        })?;
        let guards = input.list("guards", |input| {
            Ok(match input.u8("guard kind")? {
                1 => Guard::Exists(RowRef::get(input)?),
                2 => Guard::Absent(RowRef::get(input)?),
                3 => Guard::RevisionIs(RowRef::get(input)?, Revision(input.u64("revision")?)),
                4 => Guard::ValueIs(RowRef::get(input)?, input.bytes("value")?),
                _ => return Err(input.error("guard kind", "the kind is unknown")),
            })
        })?;
        Ok(Self {
            request,
            guards,
            ops: input.list("ops", Op::get)?,
        })
    }
}

impl KeyspaceOptions {
    /// Appends the options' fields.
    pub(crate) fn put(&self, out: &mut Encoder) {
        let flags = [
            (self.default_ttl_ms.is_some(), HAS_DEFAULT_TTL),
            (self.versioned, IS_VERSIONED),
            (self.rows_max.is_some(), HAS_ROWS_MAX),
            (self.bytes_max.is_some(), HAS_BYTES_MAX),
            (self.uncached, IS_UNCACHED),
        ];
        out.u8(flags
            .iter()
            .map(|(is_set, flag)| u8::from(*is_set) * flag)
            .sum());
        let numbers = [self.default_ttl_ms, self.rows_max, self.bytes_max];
        for number in numbers.into_iter().flatten() {
            out.u64(number);
        }
    }

    /// Reads the options' fields.
    pub(crate) fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        let flags = input.u8("keyspace options")?;
        if flags > OPTIONS {
            return Err(input.error("keyspace options", "a flag is unknown"));
        }
        let mut number = |flag: u8, field: &'static str| {
            let has_it = flags & flag != 0;
            has_it.then(|| input.u64(field)).transpose()
        };
        Ok(Self {
            default_ttl_ms: number(HAS_DEFAULT_TTL, "default ttl")?,
            versioned: flags & IS_VERSIONED != 0,
            rows_max: number(HAS_ROWS_MAX, "most rows")?,
            bytes_max: number(HAS_BYTES_MAX, "most bytes")?,
            uncached: flags & IS_UNCACHED != 0,
        })
    }
}

impl RowRef {
    fn size_hint(&self) -> usize {
        self.keyspace.len() + self.key.len() + 8
    }

    fn put(&self, out: &mut Encoder) {
        out.str(&self.keyspace).bytes(&self.key);
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            keyspace: input.str("keyspace")?,
            key: input.bytes("key")?,
        })
    }
}

impl NewMessage {
    /// Appends the message's fields.
    pub fn put(&self, out: &mut Encoder) {
        out.option(self.key.as_ref(), |out, key| {
            out.bytes(key);
        });
        out.bytes(&self.value).count(self.headers.len());
        for (name, value) in &self.headers {
            out.str(name).bytes(value);
        }
    }

    /// Reads the message's fields.
    pub fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            key: input.option("message key", |input| input.bytes("message key"))?,
            value: input.bytes("message value")?,
            headers: input.list("headers", |input| {
                Ok((input.str("header name")?, input.bytes("header value")?))
            })?,
        })
    }
}

impl Outcome {
    /// The outcome's bytes: what a session remembers and the digest covers.
    pub fn encode(&self) -> Bytes {
        let mut out = Encoder::with_capacity(32);
        self.put(&mut out);
        out.finish()
    }

    /// Reads an outcome's bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let outcome = Self::get(&mut input)?;
        input.end("outcome")?;
        Ok(outcome)
    }

    fn put(&self, out: &mut Encoder) {
        match self {
            Self::Committed { revision, results } => {
                out.u8(1).u64(revision.0).count(results.len());
                for result in results {
                    match result {
                        OpResult::Put { version } => out.u8(1).u64(*version),
                        OpResult::Deleted { existed } => out.u8(2).bool(*existed),
                        OpResult::Published { partition, offset } => {
                            out.u8(3).u32(partition.0).u64(offset.0)
                        }
                        OpResult::OffsetCommitted => out.u8(4),
                        OpResult::RangeDeleted => out.u8(5),
                        OpResult::Number { value } => out.u8(6).i64(*value),
                        OpResult::Appended { len } => out.u8(7).u64(*len),
                        OpResult::Expires { existed } => out.u8(8).bool(*existed),
                        OpResult::Members { changed, count } => out.u8(9).u64(*changed).u64(*count),
                        OpResult::Restored { from, version } => {
                            out.u8(10).u64(from.0).u64(*version)
                        }
                        OpResult::Read { row } => out.u8(11).option(row.as_ref(), put_row),
                    };
                }
            }
            Self::Refused(refusal) => {
                out.u8(2);
                refusal.put(out);
            }
            Self::SessionOpened { session } => {
                out.u8(3).u64(session.0);
            }
            Self::KeyspaceCreated { keyspace, revision } => {
                out.u8(4).u32(keyspace.0).u64(revision.0);
            }
            Self::TopicCreated { topic, revision } => {
                out.u8(5).u32(topic.0).u64(revision.0);
            }
            Self::Done => {
                out.u8(6);
            }
            Self::KeyspaceAltered { revision } => {
                out.u8(7).u64(revision.0);
            }
            Self::KeyspaceDropped { revision } => {
                out.u8(8).u64(revision.0);
            }
        }
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match input.u8("outcome kind")? {
            1 => Self::Committed {
                revision: Revision(input.u64("revision")?),
                results: input.list("results", |input| {
                    Ok(match input.u8("result kind")? {
                        1 => OpResult::Put {
                            version: input.u64("version")?,
                        },
                        2 => OpResult::Deleted {
                            existed: input.bool("existed")?,
                        },
                        3 => OpResult::Published {
                            partition: PartitionId(input.u32("partition")?),
                            offset: Offset(input.u64("offset")?),
                        },
                        4 => OpResult::OffsetCommitted,
                        5 => OpResult::RangeDeleted,
                        6 => OpResult::Number {
                            value: input.i64("number")?,
                        },
                        7 => OpResult::Appended {
                            len: input.u64("length")?,
                        },
                        8 => OpResult::Expires {
                            existed: input.bool("existed")?,
                        },
                        9 => OpResult::Members {
                            changed: input.u64("members changed")?,
                            count: input.u64("members")?,
                        },
                        10 => OpResult::Restored {
                            from: Revision(input.u64("restored revision")?),
                            version: input.u64("version")?,
                        },
                        11 => OpResult::Read {
                            row: input.option("row", get_row)?,
                        },
                        _ => return Err(input.error("result kind", "the kind is unknown")),
                    })
                })?,
            },
            2 => Self::Refused(Refusal::get(input)?),
            3 => Self::SessionOpened {
                session: SessionId(input.u64("session")?),
            },
            4 => Self::KeyspaceCreated {
                keyspace: KeyspaceId(input.u32("keyspace")?),
                revision: Revision(input.u64("revision")?),
            },
            5 => Self::TopicCreated {
                topic: TopicId(input.u32("topic")?),
                revision: Revision(input.u64("revision")?),
            },
            6 => Self::Done,
            7 => Self::KeyspaceAltered {
                revision: Revision(input.u64("revision")?),
            },
            8 => Self::KeyspaceDropped {
                revision: Revision(input.u64("revision")?),
            },
            _ => return Err(input.error("outcome kind", "the kind is unknown")),
        })
    }
}

impl Refusal {
    fn put(&self, out: &mut Encoder) {
        match self {
            Self::GuardFailed { guard, actual } => {
                out.u8(1).u32(*guard).option(*actual, |out, at| {
                    out.u64(at.0);
                })
            }
            Self::UnknownKeyspace { name } => out.u8(2).str(name),
            Self::KeyspaceExists { name } => out.u8(3).str(name),
            Self::UnknownTopic { name } => out.u8(4).str(name),
            Self::TopicExists { name, partitions } => out.u8(5).str(name).u32(*partitions),
            Self::UnknownPartition {
                topic,
                partition,
                partitions,
            } => out.u8(6).str(topic).u32(partition.0).u32(*partitions),
            Self::OffsetBeyondEnd { next, end } => out.u8(7).u64(next.0).u64(end.0),
            Self::SessionExpired { session } => out.u8(8).u64(session.0),
            Self::RequestExpired { number } => out.u8(9).u64(*number),
            Self::SessionFull { max } => out.u8(10).u64(*max),
            Self::LimitReached { what, max } => out.u8(11).str(what).u64(*max),
            Self::StaleBoot { announced, known } => out.u8(12).u64(*announced).u64(*known),
            Self::FloorOutOfRange { floor, revision } => out.u8(13).u64(floor.0).u64(revision.0),
            Self::Invalid { reason } => out.u8(14).str(reason),
            Self::WrongKind { found, wanted } => out.u8(15).u8(found.number()).u8(wanted.number()),
            Self::NotANumber => out.u8(16),
            Self::NumberOverflow { value } => out.u8(17).i64(*value),
            Self::ExpiryInThePast { at_ms, now_ms } => out.u8(18).u64(*at_ms).u64(*now_ms),
            Self::RowExists { revision } => out.u8(19).u64(revision.0),
            Self::NothingToRestore => out.u8(20),
            Self::UnknownVersion { revision } => out.u8(21).u64(revision.0),
            Self::NotVersioned { name } => out.u8(22).str(name),
            Self::PlainValuesOnly { name } => out.u8(23).str(name),
            Self::QuotaReached {
                name,
                quota,
                max,
                wanted,
            } => out
                .u8(24)
                .str(name)
                .u8(quota.number())
                .u64(*max)
                .u64(*wanted),
        };
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match input.u8("refusal kind")? {
            1 => Self::GuardFailed {
                guard: input.u32("guard")?,
                actual: input.option("actual", |input| Ok(Revision(input.u64("actual")?)))?,
            },
            2 => Self::UnknownKeyspace {
                name: input.str("name")?,
            },
            3 => Self::KeyspaceExists {
                name: input.str("name")?,
            },
            4 => Self::UnknownTopic {
                name: input.str("name")?,
            },
            5 => Self::TopicExists {
                name: input.str("name")?,
                partitions: input.u32("partitions")?,
            },
            6 => Self::UnknownPartition {
                topic: input.str("topic")?,
                partition: PartitionId(input.u32("partition")?),
                partitions: input.u32("partitions")?,
            },
            7 => Self::OffsetBeyondEnd {
                next: Offset(input.u64("next")?),
                end: Offset(input.u64("end")?),
            },
            8 => Self::SessionExpired {
                session: SessionId(input.u64("session")?),
            },
            9 => Self::RequestExpired {
                number: input.u64("number")?,
            },
            10 => Self::SessionFull {
                max: input.u64("max")?,
            },
            11 => Self::LimitReached {
                what: input.str("what")?,
                max: input.u64("max")?,
            },
            12 => Self::StaleBoot {
                announced: input.u64("announced")?,
                known: input.u64("known")?,
            },
            13 => Self::FloorOutOfRange {
                floor: Revision(input.u64("floor")?),
                revision: Revision(input.u64("revision")?),
            },
            14 => Self::Invalid {
                reason: input.str("reason")?,
            },
            kind => Self::get_of_values(kind, input)?,
        })
    }

    /// Reads a refusal that came with typed values or versions.
    fn get_of_values(kind: u8, input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match kind {
            15 => Self::WrongKind {
                found: get_row_kind(input)?,
                wanted: get_row_kind(input)?,
            },
            16 => Self::NotANumber,
            17 => Self::NumberOverflow {
                value: input.i64("number")?,
            },
            18 => Self::ExpiryInThePast {
                at_ms: input.u64("end")?,
                now_ms: input.u64("now")?,
            },
            19 => Self::RowExists {
                revision: Revision(input.u64("revision")?),
            },
            20 => Self::NothingToRestore,
            21 => Self::UnknownVersion {
                revision: Revision(input.u64("revision")?),
            },
            22 => Self::NotVersioned {
                name: input.str("name")?,
            },
            23 => Self::PlainValuesOnly {
                name: input.str("name")?,
            },
            24 => Self::QuotaReached {
                name: input.str("name")?,
                quota: {
                    let quota = Quota::of(input.u8("quota")?);
                    quota.ok_or_else(|| input.error("quota", "the kind is unknown"))?
                },
                max: input.u64("max")?,
                wanted: input.u64("wanted")?,
            },
            _ => return Err(input.error("refusal kind", "the kind is unknown")),
        })
    }
}

fn put_row(out: &mut Encoder, row: &RowView) {
    out.bytes(&row.key).bytes(&row.value);
    out.u64(row.create_revision.0)
        .u64(row.mod_revision.0)
        .u64(row.version)
        .option(row.expires_at_ms, |out, at_ms| {
            out.u64(at_ms);
        });
    out.u8(row.kind.number()).u64(row.members);
}

fn get_row(input: &mut Decoder) -> Result<RowView, DecodeError> {
    Ok(RowView {
        key: input.bytes("key")?,
        value: input.bytes("value")?,
        create_revision: Revision(input.u64("create revision")?),
        mod_revision: Revision(input.u64("modification revision")?),
        version: input.u64("version")?,
        expires_at_ms: input.option("end", |input| input.u64("end"))?,
        kind: get_row_kind(input)?,
        members: input.u64("members")?,
    })
}

fn get_row_kind(input: &mut Decoder) -> Result<RowKind, DecodeError> {
    let kind = RowKind::of(input.u8("row kind")?);
    kind.ok_or_else(|| input.error("row kind", "the kind is unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(count: usize) -> Bytes {
        let payload = Payload::Batch(Batch {
            now_ms: 5,
            commands: vec![Command::Tick; count],
        });
        payload.encode()
    }

    #[test]
    fn a_batch_of_more_commands_than_an_entry_may_have_is_refused() {
        let most = ticks(ENTRY_COMMANDS_MAX);
        assert_eq!(Payload::is_batch(&most), Ok(true));
        let Ok(Payload::Batch(batch)) = Payload::decode(most) else {
            panic!("as many as may be");
        };
        assert_eq!(batch.commands.len(), ENTRY_COMMANDS_MAX);
        // One more, and a whole message of commands that take a byte each here, and a hundred
        // times as much in memory.
        for count in [ENTRY_COMMANDS_MAX + 1, 8 << 20] {
            let error = Payload::decode(ticks(count)).expect_err("too many");
            assert_eq!((error.field, error.position), ("commands", 9));
            Payload::is_batch(&ticks(count)).expect_err("too many");
        }
    }

    #[test]
    fn answers_about_versions_come_back_as_they_were() {
        let name = "docs".to_owned();
        let revision = Revision(7);
        let refusals = [
            Refusal::RowExists { revision },
            Refusal::NothingToRestore,
            Refusal::UnknownVersion { revision },
            Refusal::NotVersioned { name: name.clone() },
            Refusal::PlainValuesOnly { name: name.clone() },
            Refusal::QuotaReached {
                name: name.clone(),
                quota: Quota::Rows,
                max: 7,
                wanted: 8,
            },
            Refusal::QuotaReached {
                name,
                quota: Quota::Bytes,
                max: u64::MAX - 1,
                wanted: u64::MAX,
            },
        ];
        let restored = Outcome::Committed {
            revision,
            results: vec![OpResult::Restored {
                from: Revision(3),
                version: 2,
            }],
        };
        let refused = refusals.into_iter().map(Outcome::Refused);
        for outcome in refused.chain([restored]) {
            assert_eq!(Outcome::decode(outcome.encode()), Ok(outcome));
        }
    }

    #[test]
    fn options_of_keyspaces_are_the_same_bytes_as_before_there_were_more() {
        let bytes = |options: KeyspaceOptions| {
            let mut out = Encoder::with_capacity(16);
            options.put(&mut out);
            let bytes = out.finish();
            let read = KeyspaceOptions::get(&mut Decoder::new(bytes.clone()));
            assert_eq!(read, Ok(options));
            bytes
        };
        let old = |default_ttl_ms, versioned| KeyspaceOptions {
            default_ttl_ms,
            versioned,
            ..KeyspaceOptions::default()
        };
        assert_eq!(bytes(old(None, false)), &[0][..]);
        assert_eq!(bytes(old(Some(5), false)), &[1, 5, 0, 0, 0, 0, 0, 0, 0][..]);
        assert_eq!(bytes(old(None, true)), &[2][..]);
        assert_eq!(bytes(old(Some(5), true)), &[3, 5, 0, 0, 0, 0, 0, 0, 0][..]);
        let all = KeyspaceOptions {
            rows_max: Some(6),
            bytes_max: Some(7),
            uncached: true,
            ..old(Some(5), true)
        };
        let numbers = [5, 6, 7].map(u64::to_le_bytes);
        assert_eq!(bytes(all), [&[31][..], numbers.as_flattened()].concat());
        let unknown = Bytes::from_static(&[32]);
        KeyspaceOptions::get(&mut Decoder::new(unknown)).expect_err("a flag is unknown");
    }

    #[test]
    fn only_a_batch_is_one() {
        for other in [
            Payload::Blank,
            Payload::Membership(Bytes::from_static(&[2])),
        ] {
            assert_eq!(Payload::is_batch(&other.encode()), Ok(false));
        }
        Payload::is_batch(&Bytes::new()).expect_err("nothing is no payload");
    }
}
