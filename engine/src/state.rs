//! What a group knows beside its rows and messages; written whole with every checkpoint.
//!
//! Rows live in the store and messages in partition files. Everything else is small and stands
//! here, in memory: names, offsets, sessions, membership, time, revision, digest.
//!
//! # Invariants
//! - Only `apply` changes it; iteration order is always key order.
//! - `floor ≤ revision`; `now_ms` never goes back.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::command::KeyspaceOptions;
use crate::ids::{Boot, KeyspaceId, LogId, NodeId, Offset, Revision, TopicId};
use crate::queue::PartitionLengths;
use crate::session::Sessions;
use crate::store::NEVER_MS;
use crate::usage::Usage;

/// The keyspace that every group has from the beginning.
pub const DEFAULT_KEYSPACE: &str = "default";

const FORMAT: u8 = 3;

/// The second format: nothing of changes; still read.
const FORMAT_2: u8 = 2;

/// The first format: keyspaces without options, and no row ends; still read.
const FORMAT_1: u8 = 1;

/// A keyspace's flags: 0 or 1 before keyspaces could be versioned.
const HAS_MEMBERS: u8 = 1;
const HAS_VERSIONS: u8 = 2;
/// Before keyspaces could have quotas it was 0.
const HAS_USAGE: u8 = 4;

/// A group's state beside rows and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The last applied entry.
    pub(crate) applied: Option<LogId>,
    /// One for each commit that changed something.
    pub(crate) revision: Revision,
    /// The oldest readable revision.
    pub(crate) floor: Revision,
    /// The latest time seen in an entry.
    pub(crate) now_ms: u64,
    /// A hash chain over entries, outcomes and changes.
    pub(crate) digest: u64,
    /// The last applied membership and its entry.
    pub(crate) membership: Option<(LogId, Bytes)>,
    /// The last announced start of each node.
    pub(crate) boots: BTreeMap<NodeId, Boot>,
    pub(crate) keyspaces: BTreeMap<String, Keyspace>,
    pub(crate) keyspaces_made: u32,
    /// What changed is on record from this revision on, though those below the floor may not be.
    pub(crate) changes_from: Revision,
    /// No row ends before this time; [`NEVER_MS`] if none ends at all.
    pub(crate) first_expiry_ms: u64,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) topics_made: u32,
    pub(crate) sessions: Sessions,
}

/// A keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keyspace {
    pub(crate) id: KeyspaceId,
    pub(crate) options: KeyspaceOptions,
    /// It once had a set or a hash: its members are rows elsewhere.
    pub(crate) has_members: bool,
    /// It is versioned, or once was: versions are rows elsewhere.
    pub(crate) has_versions: bool,
    /// What it holds; `None` without a quota.
    pub(crate) usage: Option<Usage>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) id: TopicId,
    pub(crate) partitions: u32,
    /// How many messages without a key were given a partition in turn.
    pub(crate) turn: u64,
    /// For each consumer group, the next offset in each partition.
    pub(crate) consumer_groups: BTreeMap<String, Vec<Option<Offset>>>,
}

impl State {
    /// A group before its first entry.
    pub(crate) fn new() -> Self {
        Self {
            applied: None,
            revision: Revision(0),
            floor: Revision(0),
            now_ms: 0,
            digest: 0,
            membership: None,
            boots: BTreeMap::new(),
            keyspaces: BTreeMap::from([(
                DEFAULT_KEYSPACE.to_owned(),
                Keyspace::new(KeyspaceId(1)),
            )]),
            keyspaces_made: 1,
            changes_from: Revision(1),
            first_expiry_ms: NEVER_MS,
            topics: BTreeMap::new(),
            topics_made: 0,
            sessions: Sessions::default(),
        }
    }

    /// Whether a keyspace got its first quota when it had rows, and they are not all counted.
    pub(crate) fn is_counting(&self) -> bool {
        let mut usages = self.keyspaces.values().filter_map(|one| one.usage.as_ref());
        usages.any(|usage| usage.walk.is_some())
    }

    /// The checkpoint's bytes: the state, and how long each partition is at this moment.
    pub(crate) fn encode(&self, lengths: &PartitionLengths) -> Bytes {
        let mut out = Encoder::with_capacity(4096);
        out.u8(FORMAT);
        out.option(self.applied, put_log_id);
        out.u64(self.revision.0)
            .u64(self.floor.0)
            .u64(self.now_ms)
            .u64(self.digest);
        out.option(self.membership.as_ref(), |out, (log_id, membership)| {
            put_log_id(out, *log_id);
            out.bytes(membership);
        });
        out.count(self.boots.len());
        for (node, boot) in &self.boots {
            out.u64(node.0).u64(boot.0);
        }
        out.u32(self.keyspaces_made).count(self.keyspaces.len());
        for (name, keyspace) in &self.keyspaces {
            out.str(name).u32(keyspace.id.0).u8(keyspace.flags());
            keyspace.options.put(&mut out);
            if let Some(usage) = &keyspace.usage {
                usage.put(&mut out);
            }
        }
        out.u64(self.first_expiry_ms).u64(self.changes_from.0);
        out.u32(self.topics_made).count(self.topics.len());
        for (name, topic) in &self.topics {
            out.str(name);
            topic.put(&mut out);
        }
        self.sessions.put(&mut out);
        out.bytes(&lengths.encode());
        out.finish()
    }

    /// Reads a checkpoint's bytes.
    pub(crate) fn decode(bytes: Bytes) -> Result<(Self, PartitionLengths), DecodeError> {
        let mut input = Decoder::new(bytes);
        let format = input.u8("state format")?;
        if !(FORMAT_1..=FORMAT).contains(&format) {
            return Err(input.error("state format", "the format is unknown"));
        }
        let first = format == FORMAT_1;
        let applied = input.option("applied", get_log_id)?;
        let revision = Revision(input.u64("revision")?);
        let state = Self {
            applied,
            revision,
            floor: Revision(input.u64("floor")?),
            now_ms: input.u64("now")?,
            digest: input.u64("digest")?,
            membership: input.option("membership", |input| {
                let log_id = get_log_id(input)?;
                Ok((log_id, Bytes::copy_from_slice(&input.bytes("membership")?)))
            })?,
            boots: input
                .list("boots", |input| {
                    Ok((NodeId(input.u64("node")?), Boot(input.u64("boot")?)))
                })?
                .into_iter()
                .collect(),
            keyspaces_made: input.u32("keyspaces made")?,
            keyspaces: input
                .list("keyspaces", |input| {
                    Ok((input.str("keyspace name")?, Keyspace::get(input, first)?))
                })?
                .into_iter()
                .collect(),
            first_expiry_ms: if first {
                NEVER_MS
            } else {
                input.u64("first end of a row")?
            },
            changes_from: if format <= FORMAT_2 {
                Revision(revision.0.saturating_add(1))
            } else {
                Revision(input.u64("first change")?)
            },
            topics_made: input.u32("topics made")?,
            topics: input
                .list("topics", |input| {
                    Ok((input.str("topic name")?, Topic::get(input)?))
                })?
                .into_iter()
                .collect(),
            sessions: Sessions::get(&mut input)?,
        };
        let lengths = PartitionLengths::decode(input.bytes("partition lengths")?)?;
        input.end("state")?;
        Ok((state, lengths))
    }
}

impl Keyspace {
    /// A new keyspace with default options.
    pub(crate) fn new(id: KeyspaceId) -> Self {
        Self {
            id,
            options: KeyspaceOptions::default(),
            has_members: false,
            has_versions: false,
            usage: None,
        }
    }

    fn flags(&self) -> u8 {
        (u8::from(self.has_members) * HAS_MEMBERS)
            | (u8::from(self.has_versions) * HAS_VERSIONS)
            | (u8::from(self.usage.is_some()) * HAS_USAGE)
    }

    /// Reads a keyspace; the first format has fewer fields.
    fn get(input: &mut Decoder, first: bool) -> Result<Self, DecodeError> {
        let id = KeyspaceId(input.u32("keyspace")?);
        if first {
            return Ok(Self::new(id));
        }
        let flags = input.u8("keyspace flags")?;
        if flags > HAS_MEMBERS | HAS_VERSIONS | HAS_USAGE {
            return Err(input.error("keyspace flags", "a flag is unknown"));
        }
        Ok(Self {
            id,
            has_members: flags & HAS_MEMBERS != 0,
            has_versions: flags & HAS_VERSIONS != 0,
            options: KeyspaceOptions::get(input)?,
            usage: if flags & HAS_USAGE != 0 {
                Some(Usage::get(input)?)
            } else {
                None
            },
        })
    }
}

impl Topic {
    fn put(&self, out: &mut Encoder) {
        out.u32(self.id.0)
            .u32(self.partitions)
            .u64(self.turn)
            .count(self.consumer_groups.len());
        for (name, next) in &self.consumer_groups {
            out.str(name).count(next.len());
            for offset in next {
                out.option(*offset, |out, offset| {
                    out.u64(offset.0);
                });
            }
        }
    }

    fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TopicId(input.u32("topic")?),
            partitions: input.u32("partitions")?,
            turn: input.u64("turn")?,
            consumer_groups: input
                .list("consumer groups", |input| {
                    let name = input.str("consumer group")?;
                    let next = input.list("offsets", |input| {
                        input.option("offset", |input| Ok(Offset(input.u64("offset")?)))
                    })?;
                    Ok((name, next))
                })?
                .into_iter()
                .collect(),
        })
    }
}

fn put_log_id(out: &mut Encoder, log_id: LogId) {
    out.u64(log_id.term.0).u64(log_id.index.0);
}

fn get_log_id(input: &mut Decoder) -> Result<LogId, DecodeError> {
    Ok(LogId::new(input.u64("term")?, input.u64("index")?))
}
