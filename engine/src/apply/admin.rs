//! Names, sessions, nodes, time and the compaction floor.

use std::collections::BTreeMap;

use super::Apply;
use super::changes::range_records;
use super::expiry::check_ttl;
use super::keys::{self, KEYSPACE_IDS_END};
use crate::changes::Cause;
use crate::command::{KeyspaceOptions, Outcome, Refusal};
use crate::error::Result;
use crate::ids::{Boot, KeyspaceId, NodeId, Revision, SessionId, TopicId};
use crate::limits::{KEYSPACES_MAX, NAME_BYTES_MAX, PARTITIONS_MAX, TOPICS_MAX};
use crate::planted::{Planted, on};
use crate::state::{DEFAULT_KEYSPACE, Keyspace, Topic};
use crate::store::KeyRange;
use crate::usage::Usage;

impl Apply<'_> {
    pub(super) fn open_session(&mut self) -> Outcome {
        match self.state.sessions.open(self.state.now_ms) {
            Ok(session) => Outcome::SessionOpened { session },
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    pub(super) fn close_session(&mut self, session: SessionId) -> Outcome {
        self.state.sessions.close(session);
        Outcome::Done
    }

    pub(super) fn create_keyspace(&mut self, name: &str, options: &KeyspaceOptions) -> Outcome {
        if let Err(refusal) = check_name(name).and_then(|()| check_options(options)) {
            return Outcome::Refused(refusal);
        }
        if self.state.keyspaces.contains_key(name) {
            return Outcome::Refused(Refusal::KeyspaceExists {
                name: name.to_owned(),
            });
        }
        if self.state.keyspaces.len() >= KEYSPACES_MAX {
            return limit_reached("keyspaces", KEYSPACES_MAX);
        }
        let Some(id) = next_keyspace(self.state.keyspaces_made) else {
            return limit_reached(
                "keyspaces that were ever made",
                KEYSPACE_IDS_END as usize - 1,
            );
        };
        self.state.keyspaces_made = id.0;
        let keyspace = Keyspace {
            options: options.clone(),
            has_versions: options.versioned,
            usage: options.has_quota().then(Usage::default),
            ..Keyspace::new(id)
        };
        self.state.keyspaces.insert(name.to_owned(), keyspace);
        Outcome::KeyspaceCreated {
            keyspace: id,
            revision: self.advance(Cause::KeyspaceCreated(name.to_owned())),
        }
    }

    pub(super) fn alter_keyspace(&mut self, name: &str, options: &KeyspaceOptions) -> Outcome {
        if let Err(refusal) = check_options(options) {
            return Outcome::Refused(refusal);
        }
        let Some(keyspace) = self.state.keyspaces.get_mut(name) else {
            return unknown_keyspace(name);
        };
        if options.plain_values_only() && keyspace.has_members {
            return invalid(format!(
                "keyspace {name:?} holds, or once held, sets or hashes, and these have neither \
                 versions nor quotas: make another keyspace for plain values"
            ));
        }
        keyspace.usage = options.has_quota().then(|| {
            let known = keyspace.usage.take();
            known.unwrap_or_else(|| Usage::unknown(keyspace.id))
        });
        keyspace.options = options.clone();
        keyspace.has_versions |= options.versioned;
        Outcome::KeyspaceAltered {
            revision: self.advance(Cause::KeyspaceAltered(name.to_owned())),
        }
    }

    /// In one step, however many rows there are: their timers are left to find nothing.
    pub(super) fn drop_keyspace(&mut self, name: &str) -> Result<Outcome> {
        if name == DEFAULT_KEYSPACE {
            let reason = format!("keyspace {name:?} is always there");
            return Ok(invalid(reason));
        }
        let Some(keyspace) = self.state.keyspaces.remove(name) else {
            return Ok(unknown_keyspace(name));
        };
        let revision = Revision(self.state.revision.0 + 1);
        let mut deleted = vec![KeyRange::prefix(keys::row_key(keyspace.id, b""))];
        if keyspace.has_members {
            deleted.push(keys::members_of_range(keyspace.id, b"", None));
        }
        if keyspace.has_versions {
            deleted.push(keys::versions_of_keyspace(keyspace.id));
        }
        self.write(revision, &[], &deleted)?;
        let rows = range_records(&deleted).collect();
        let cause = Cause::KeyspaceDropped(name.to_owned());
        self.record(revision, cause, rows, Vec::new());
        self.state.revision = revision;
        Ok(Outcome::KeyspaceDropped { revision })
    }

    pub(super) fn create_topic(&mut self, name: &str, partitions: u32) -> Outcome {
        if let Err(refusal) = check_name(name) {
            return Outcome::Refused(refusal);
        }
        if partitions == 0 || partitions > PARTITIONS_MAX {
            return invalid(format!("a topic has 1 to {PARTITIONS_MAX} partitions"));
        }
        if let Some(topic) = self.state.topics.get(name) {
            return Outcome::Refused(Refusal::TopicExists {
                name: name.to_owned(),
                partitions: topic.partitions,
            });
        }
        if self.state.topics.len() >= TOPICS_MAX {
            return limit_reached("topics", TOPICS_MAX);
        }
        self.state.topics_made += 1;
        let id = TopicId(self.state.topics_made);
        let topic = Topic {
            id,
            partitions,
            turn: 0,
            consumer_groups: BTreeMap::new(),
        };
        self.state.topics.insert(name.to_owned(), topic);
        Outcome::TopicCreated {
            topic: id,
            revision: self.advance(Cause::TopicCreated(name.to_owned())),
        }
    }

    pub(super) fn tick(&mut self) -> Result<Outcome> {
        self.state.sessions.expire(self.state.now_ms);
        self.sweep()?;
        self.walk_on()?;
        Ok(Outcome::Done)
    }

    pub(super) fn node_started(&mut self, node: NodeId, boot: Boot) -> Outcome {
        let known = self.state.boots.get(&node).copied().unwrap_or_default();
        if boot <= known && !on(Planted::OldBoot) {
            return Outcome::Refused(Refusal::StaleBoot {
                announced: boot.0,
                known: known.0,
            });
        }
        self.state.boots.insert(node, boot);
        Outcome::Done
    }

    pub(super) fn raise_floor(&mut self, revision: Revision) -> Outcome {
        if revision < self.state.floor || revision > self.state.revision {
            return Outcome::Refused(Refusal::FloorOutOfRange {
                floor: self.state.floor,
                revision: self.state.revision,
            });
        }
        self.state.floor = revision;
        // Whoever gives up old revisions wants their space back.
        self.store.compact_whole();
        Outcome::Done
    }
}

/// The number of the next keyspace, if there is one left.
fn next_keyspace(made: u32) -> Option<KeyspaceId> {
    (made < KEYSPACE_IDS_END - 1).then(|| KeyspaceId(made + 1))
}

fn check_options(options: &KeyspaceOptions) -> Result<(), Refusal> {
    options.default_ttl_ms.map_or(Ok(()), check_ttl)
}

fn unknown_keyspace(name: &str) -> Outcome {
    Outcome::Refused(Refusal::UnknownKeyspace {
        name: name.to_owned(),
    })
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(Refusal::Invalid {
            reason: format!(
                "a name has 1 to {NAME_BYTES_MAX} bytes of letters, digits, '-', '_' and '.'"
            ),
        });
    }
    Ok(())
}

fn limit_reached(what: &str, max: usize) -> Outcome {
    Outcome::Refused(Refusal::LimitReached {
        what: what.to_owned(),
        max: max as u64,
    })
}

fn invalid(reason: String) -> Outcome {
    Outcome::Refused(Refusal::Invalid { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyspaces_have_numbers_below_those_of_versions_and_members() {
        assert_eq!(next_keyspace(1), Some(KeyspaceId(2)));
        let last = KeyspaceId(KEYSPACE_IDS_END - 1);
        assert_eq!(next_keyspace(last.0 - 1), Some(last));
        assert_eq!(next_keyspace(last.0), None);
    }
}
