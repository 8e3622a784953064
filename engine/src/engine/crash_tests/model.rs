//! What an embedded engine means, in maps: the answer to every command, and the state after it.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use self::rows::{ModelRow, Rows};
use crate::command::{Command, Commit, Guard, NewMessage, Op, OpResult, Outcome, Refusal, Request};
use crate::engine::Engine;
use crate::ids::{Offset, PartitionId, Revision, SessionId, TopicId};
use crate::query::{ConsumerGroupView, FetchRequest, Message};

/// Rows of the default keyspace, topics, and the answers that sessions remember.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// How many entries were applied.
    pub(super) applied: u64,
    pub(super) revision: Revision,
    pub(super) floor: Revision,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) session: Option<SessionId>,
    /// The latest time of a command.
    now_ms: u64,
    /// The commit under way has done something beside rows.
    changed: bool,
    rows: Arc<Rows>,
    /// The rows at each revision that changed something.
    history: BTreeMap<Revision, Arc<Rows>>,
    answers: BTreeMap<(SessionId, u64), Outcome>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Topic {
    pub(super) partitions: Vec<Vec<Message>>,
    groups: BTreeMap<String, Vec<Option<Offset>>>,
    turn: usize,
}

impl Model {
    /// Applies a command as the engine must.
    pub(super) fn apply(&mut self, command: &Command, now_ms: u64) -> Outcome {
        self.applied += 1;
        self.now_ms = self.now_ms.max(now_ms);
        match command {
            Command::Commit(commit) => self.commit(commit),
            Command::CreateTopic { name, partitions } => self.create_topic(name, *partitions),
            Command::OpenSession => {
                let session = SessionId(self.session.map_or(1, |last| last.0 + 1));
                self.session = Some(session);
                Outcome::SessionOpened { session }
            }
            Command::RaiseFloor { revision } => {
                self.floor = *revision;
                Outcome::Done
            }
            Command::Tick => {
                let revision = Revision(self.revision.0 + 1);
                Arc::make_mut(&mut self.rows).tick(revision, self.now_ms);
                self.changed = false;
                self.advance();
                Outcome::Done
            }
            Command::AlterKeyspace { options, .. } => {
                if let Err(refusal) = Arc::make_mut(&mut self.rows).alter(options) {
                    return Outcome::Refused(refusal);
                }
                self.revision.0 += 1;
                Outcome::KeyspaceAltered {
                    revision: self.revision,
                }
            }
            _ => panic!("workloads do not ask for it"),
        }
    }

    fn create_topic(&mut self, name: &str, partitions: u32) -> Outcome {
        if self.topics.contains_key(name) {
            let name = name.to_owned();
            return Outcome::Refused(Refusal::TopicExists { name, partitions });
        }
        let made = self.topics.entry(name.to_owned()).or_default();
        made.partitions.resize(partitions as usize, Vec::new());
        self.revision.0 += 1;
        Outcome::TopicCreated {
            topic: TopicId(u32::try_from(self.topics.len()).expect("few topics")),
            revision: self.revision,
        }
    }

    fn commit(&mut self, commit: &Commit) -> Outcome {
        let Some(request) = commit.request else {
            return self.decide(commit);
        };
        let Request {
            session,
            number,
            acked_below,
        } = request;
        if let Some(known) = self.answers.get(&(session, number)) {
            return known.clone();
        }
        let outcome = self.decide(commit);
        self.answers
            .retain(|(of, number), _| *of != session || *number >= acked_below);
        self.answers.insert((session, number), outcome.clone());
        outcome
    }

    fn decide(&mut self, commit: &Commit) -> Outcome {
        for (place, guard) in (0..).zip(&commit.guards) {
            let (Guard::Exists(row) | Guard::Absent(row)) = guard else {
                panic!("workloads guard by existence alone");
            };
            let found = self.rows.living(&row.key, self.now_ms);
            if found.is_some() != matches!(guard, Guard::Exists(_)) {
                return Outcome::Refused(Refusal::GuardFailed {
                    guard: place,
                    actual: found.map(|row| row.view.mod_revision),
                });
            }
        }
        let before = self.clone();
        let revision = Revision(self.revision.0 + 1);
        let mut results = Vec::new();
        self.changed = false;
        for op in &commit.ops {
            match self.op(op, revision) {
                Ok(result) => results.push(result),
                Err(refusal) => {
                    *self = before;
                    return Outcome::Refused(refusal);
                }
            }
        }
        if let Err(refusal) = self.rows.check_quota(&before.rows) {
            *self = before;
            return Outcome::Refused(refusal);
        }
        self.advance();
        Outcome::Committed {
            revision: self.revision,
            results,
        }
    }

    /// Revisions at which a row was written or deleted, and some at which it was not.
    pub(super) fn known_versions(&self, key: &Bytes) -> Vec<Revision> {
        let mut known = self.rows.kept_revisions(key);
        known.extend(self.history.keys().rev().take(2));
        known
    }

    /// The value that a row was given at a revision, if no floor hides it.
    fn readable(&self, key: &Bytes, at: Revision) -> Option<ModelRow> {
        let (_, rows) = self.history.range(..=at.max(self.floor)).next_back()?;
        let found = rows.living(key, self.now_ms)?;
        (found.view.mod_revision == at).then(|| found.clone())
    }

    /// Counts a revision if something has changed.
    fn advance(&mut self) {
        let rows = std::mem::take(&mut Arc::make_mut(&mut self.rows).changed);
        if rows || self.changed {
            self.revision.0 += 1;
            self.history.insert(self.revision, Arc::clone(&self.rows));
        }
    }

    fn op(&mut self, op: &Op, revision: Revision) -> Result<OpResult, Refusal> {
        Ok(match op {
            Op::Publish {
                topic,
                partition,
                message,
            } => {
                let topic = self.topics.get_mut(topic).expect("workloads make it first");
                self.changed = true;
                topic.publish(*partition, message, revision, self.now_ms)
            }
            Op::CommitOffset {
                topic,
                partition,
                consumer_group,
                next,
            } => {
                let topic = self.topics.get_mut(topic).expect("workloads make it first");
                let none = vec![None; topic.partitions.len()];
                let group = topic.groups.entry(consumer_group.clone()).or_insert(none);
                group[partition.0 as usize] = Some(*next);
                self.changed = true;
                OpResult::OffsetCommitted
            }
            Op::Revert { row, to } => {
                let readable = self.readable(&row.key, *to);
                let rows = Arc::make_mut(&mut self.rows);
                rows.revert(row, *to, readable, (revision, self.now_ms))?
            }
            op => Arc::make_mut(&mut self.rows).op(op, revision, self.now_ms)?,
        })
    }

    /// Compares all that an engine answers; `past` chooses an older revision to be read too.
    pub(super) fn check(&self, engine: &Engine, past: u64) -> Result<(), String> {
        let view = engine.replica().view();
        if (view.revision, view.floor) != (self.revision, self.floor) {
            let (revision, floor) = (self.revision, self.floor);
            return Err(format!("{view:?}, not at {revision} with floor {floor}"));
        }
        self.rows.check(engine, None, self.now_ms)?;
        let readable = self.history.range(self.floor..);
        if let Some((at, rows)) = readable.cycle().nth(usize::try_from(past).expect("small")) {
            rows.check(engine, Some(*at), self.now_ms)?;
        }
        let topics: Vec<&String> = self.topics.keys().collect();
        if engine.replica().topics().iter().collect::<Vec<_>>() != topics {
            return Err(format!("the topics are not {topics:?}"));
        }
        for (name, topic) in &self.topics {
            topic.check(engine, name)?;
        }
        Ok(())
    }
}

impl Topic {
    fn publish(
        &mut self,
        partition: Option<PartitionId>,
        message: &NewMessage,
        revision: Revision,
        now_ms: u64,
    ) -> OpResult {
        let partition = partition.unwrap_or_else(|| {
            let turn = self.turn % self.partitions.len();
            self.turn += 1;
            PartitionId(u32::try_from(turn).expect("few partitions"))
        });
        let messages = &mut self.partitions[partition.0 as usize];
        let offset = Offset(messages.len() as u64);
        messages.push(Message {
            offset,
            revision,
            timestamp_ms: now_ms,
            body: message.clone(),
        });
        OpResult::Published { partition, offset }
    }

    fn check(&self, engine: &Engine, name: &str) -> Result<(), String> {
        for (partition, messages) in (0..).zip(&self.partitions) {
            let answer = engine.replica().fetch(&FetchRequest {
                topic: name.to_owned(),
                partition: PartitionId(partition),
                from: Offset(0),
                limit: 0,
            });
            let answer = answer.map_err(|error| format!("fetch {name}/{partition}: {error}"))?;
            if answer.messages != *messages || answer.end.0 != messages.len() as u64 {
                return Err(format!("{name}/{partition}: {answer:?}, not {messages:?}"));
            }
        }
        let expected = self.groups.iter().map(|(name, next)| ConsumerGroupView {
            name: name.clone(),
            next: next.clone(),
        });
        let view = engine.replica().topic(name);
        let found = view.map_err(|error| error.to_string())?.consumer_groups;
        let expected: Vec<_> = expected.collect();
        if found == expected {
            return Ok(());
        }
        Err(format!("groups of {name}: {found:?}, not {expected:?}"))
    }
}
