//! What an embedded engine means, in maps: the answer to every command, and the state after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::command::{Command, Commit, Guard, NewMessage, Op, OpResult, Outcome, Refusal, Request};
use crate::engine::Engine;
use crate::ids::{Offset, PartitionId, Revision, SessionId, TopicId};
use crate::query::{ConsumerGroupView, FetchRequest, Message, RowView, ScanRequest};
use crate::state::DEFAULT_KEYSPACE;

/// The only time of these worlds.
pub(super) const NOW_MS: u64 = 1_000;

/// Rows of the default keyspace, topics, and the answers that sessions remember.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// How many entries were applied.
    pub(super) applied: u64,
    pub(super) revision: Revision,
    pub(super) floor: Revision,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) session: Option<SessionId>,
    rows: Arc<Rows>,
    /// The rows at each revision that changed something.
    history: BTreeMap<Revision, Arc<Rows>>,
    answers: BTreeMap<(SessionId, u64), Outcome>,
}

type Rows = BTreeMap<Bytes, RowView>;

#[derive(Clone, Debug, Default)]
pub(super) struct Topic {
    pub(super) partitions: Vec<Vec<Message>>,
    groups: BTreeMap<String, Vec<Option<Offset>>>,
    turn: usize,
}

impl Model {
    /// Applies a command as the engine must.
    pub(super) fn apply(&mut self, command: &Command) -> Outcome {
        self.applied += 1;
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
            _ => Outcome::Done,
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
            let found = self.rows.get(&row.key);
            if found.is_some() != matches!(guard, Guard::Exists(_)) {
                return Outcome::Refused(Refusal::GuardFailed {
                    guard: place,
                    actual: found.map(|row| row.mod_revision),
                });
            }
        }
        let (before, revision) = (self.revision, Revision(self.revision.0 + 1));
        let mut results = Vec::new();
        for op in &commit.ops {
            let result = self.op(op, revision);
            if !matches!(result, OpResult::Deleted { existed: false }) {
                self.revision = revision;
            }
            results.push(result);
        }
        if self.revision != before {
            self.history.insert(revision, Arc::clone(&self.rows));
        }
        Outcome::Committed {
            revision: self.revision,
            results,
        }
    }

    fn op(&mut self, op: &Op, revision: Revision) -> OpResult {
        match op {
            Op::Put { row, value } => {
                let old = self.rows.get(&row.key);
                let version = old.map_or(1, |old| old.version + 1);
                let written = RowView {
                    key: row.key.clone(),
                    value: value.clone(),
                    create_revision: old.map_or(revision, |old| old.create_revision),
                    mod_revision: revision,
                    version,
                };
                Arc::make_mut(&mut self.rows).insert(row.key.clone(), written);
                OpResult::Put { version }
            }
            Op::Delete { row } => OpResult::Deleted {
                existed: Arc::make_mut(&mut self.rows).remove(&row.key).is_some(),
            },
            Op::DeleteRange { start, end, .. } => {
                let outside =
                    |key: &Bytes| key < start || end.as_ref().is_some_and(|end| key >= end);
                Arc::make_mut(&mut self.rows).retain(|key, _| outside(key));
                OpResult::RangeDeleted
            }
            Op::Publish {
                topic,
                partition,
                message,
            } => {
                let topic = self.topics.get_mut(topic).expect("workloads make it first");
                topic.publish(*partition, message, revision)
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
                OpResult::OffsetCommitted
            }
        }
    }

    /// Compares all that an engine answers; `past` chooses an older revision to be read too.
    pub(super) fn check(&self, engine: &Engine, past: u64) -> Result<(), String> {
        let view = engine.replica().view();
        if (view.revision, view.floor) != (self.revision, self.floor) {
            let (revision, floor) = (self.revision, self.floor);
            return Err(format!("{view:?}, not at {revision} with floor {floor}"));
        }
        check_rows(engine, None, &self.rows)?;
        let readable = self.history.range(self.floor..);
        if let Some((at, rows)) = readable.cycle().nth(usize::try_from(past).expect("small")) {
            check_rows(engine, Some(*at), rows)?;
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
            timestamp_ms: NOW_MS,
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

fn check_rows(engine: &Engine, at: Option<Revision>, rows: &Rows) -> Result<(), String> {
    let request = ScanRequest {
        keyspace: DEFAULT_KEYSPACE.to_owned(),
        at,
        ..ScanRequest::default()
    };
    let page = engine.replica().scan(&request);
    let page = page.map_err(|error| format!("scan at {at:?}: {error}"))?;
    if page.rows.iter().eq(rows.values()) {
        return Ok(());
    }
    Err(format!("at {at:?}: {:?}, not {rows:?}", page.rows))
}
