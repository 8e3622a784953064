//! `commit`: one atomic commit from a JSON document.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use engine_client::{
    Client, Commit, Committed, Condition, Expiry, Guarded, Header, NewMessage, NumberChange,
    OpResult,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::CommitArgs;
use crate::command::kv::{RowShown, guard_failed};
use crate::command::{Context, input};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Report, lines, table};

pub(crate) async fn run(args: CommitArgs, context: &Context) -> Result<ExitCode> {
    let text = input::file(&args.file)?;
    let document: Document = serde_json::from_slice(&text).map_err(|error| {
        Failure::usage(format!("{}: {error}", args.file.display()))
            .hint("'engine-cli commit --help' shows the document")
    })?;
    let commit = document.into_commit();
    context
        .with_client(|client| send(commit, client, context))
        .await
}

async fn send(commit: Commit, client: Client, context: &Context) -> Result<ExitCode> {
    match client.commit(commit).await? {
        Guarded::Done(committed) => {
            context.output.report(&Shown::new(committed))?;
            Ok(ExitCode::Done)
        }
        Guarded::Failed(failed) => guard_failed(failed, context),
    }
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    guards: Vec<GuardShape>,
    #[serde(default)]
    ops: Vec<OpShape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum GuardShape {
    Exists(RowShape),
    Absent(RowShape),
    RevisionIs(RowAtRevision),
    ValueIs(RowWithValue),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum OpShape {
    Put(PutShape),
    Number(NumberShape),
    Append(AppendShape),
    Read(RowShape),
    Expire(ExpireShape),
    SetAdd(SetAddShape),
    SetRemove(SetRemoveShape),
    HashSet(HashSetShape),
    HashRemove(HashRemoveShape),
    Undelete(RowShape),
    Revert(RowAtRevision),
    Delete(RowShape),
    DeletePrefix(PrefixShape),
    Publish(MessageShape),
    CommitOffset(OffsetShape),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowShape {
    keyspace: String,
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrefixShape {
    keyspace: String,
    prefix: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowAtRevision {
    keyspace: String,
    key: String,
    revision: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowWithValue {
    keyspace: String,
    key: String,
    value: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PutShape {
    keyspace: String,
    key: String,
    value: Value,
    expiry: Option<ExpiryShape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberShape {
    keyspace: String,
    key: String,
    change: ChangeShape,
    expiry: Option<ExpiryShape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendShape {
    keyspace: String,
    key: String,
    suffix: String,
    expiry: Option<ExpiryShape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpireShape {
    keyspace: String,
    key: String,
    expiry: ExpiryShape,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAddShape {
    keyspace: String,
    key: String,
    members: Vec<String>,
    expiry: Option<ExpiryShape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRemoveShape {
    keyspace: String,
    key: String,
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashSetShape {
    keyspace: String,
    key: String,
    fields: BTreeMap<String, Value>,
    expiry: Option<ExpiryShape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashRemoveShape {
    keyspace: String,
    key: String,
    fields: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ChangeShape {
    Add(i64),
    Max(i64),
    Min(i64),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ExpiryShape {
    Never,
    Keep,
    AfterMs(u64),
    AtMs(u64),
    IfNewMs(u64),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageShape {
    topic: String,
    key: Option<String>,
    value: Value,
    partition: Option<u32>,
    #[serde(default)]
    headers: Vec<HeaderShape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderShape {
    name: String,
    value: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OffsetShape {
    topic: String,
    partition: u32,
    consumer_group: String,
    next: u64,
}

impl Document {
    fn into_commit(self) -> Commit {
        let mut commit = Commit::new();
        for guard in self.guards {
            commit = match guard {
                GuardShape::Exists(row) => commit.guard(row.keyspace, row.key, Condition::Exists),
                GuardShape::Absent(row) => commit.guard(row.keyspace, row.key, Condition::Absent),
                GuardShape::RevisionIs(row) => {
                    commit.guard_revision(row.keyspace, row.key, row.revision)
                }
                GuardShape::ValueIs(row) => {
                    commit.guard_value(row.keyspace, row.key, bytes(row.value))
                }
            };
        }
        for op in self.ops {
            commit = match op {
                OpShape::Put(put) => {
                    let (value, expiry) = (bytes(put.value), wanted(put.expiry));
                    commit.put_with(put.keyspace, put.key, value, expiry)
                }
                OpShape::Number(number) => {
                    let change = match number.change {
                        ChangeShape::Add(by) => NumberChange::Add(by),
                        ChangeShape::Max(to) => NumberChange::Max(to),
                        ChangeShape::Min(to) => NumberChange::Min(to),
                    };
                    let expiry = wanted(number.expiry);
                    commit.number(number.keyspace, number.key, change, expiry)
                }
                OpShape::Append(append) => {
                    let expiry = wanted(append.expiry);
                    commit.append(append.keyspace, append.key, append.suffix, expiry)
                }
                OpShape::Read(row) => commit.read(row.keyspace, row.key),
                OpShape::Expire(row) => {
                    commit.expire(row.keyspace, row.key, wanted(Some(row.expiry)))
                }
                OpShape::SetAdd(add) => {
                    let expiry = wanted(add.expiry);
                    commit.set_add(add.keyspace, add.key, add.members, expiry)
                }
                OpShape::SetRemove(set) => commit.set_remove(set.keyspace, set.key, set.members),
                OpShape::HashSet(set) => {
                    let fields = set.fields.into_iter().map(|(f, value)| (f, bytes(value)));
                    commit.hash_set(set.keyspace, set.key, fields, wanted(set.expiry))
                }
                OpShape::HashRemove(hash) => {
                    commit.hash_remove(hash.keyspace, hash.key, hash.fields)
                }
                OpShape::Undelete(row) => commit.undelete(row.keyspace, row.key),
                OpShape::Revert(row) => commit.revert(row.keyspace, row.key, row.revision),
                OpShape::Delete(row) => commit.delete(row.keyspace, row.key),
                OpShape::DeletePrefix(range) => commit.delete_prefix(range.keyspace, range.prefix),
                OpShape::Publish(message) => {
                    let headers = message.headers.into_iter().map(|header| Header {
                        name: header.name,
                        value: bytes(header.value),
                    });
                    let new = NewMessage {
                        key: message.key.map(Bytes::from),
                        value: bytes(message.value),
                        headers: headers.collect(),
                    };
                    commit.publish_message(message.topic, message.partition, new)
                }
                OpShape::CommitOffset(offset) => commit.commit_offset(
                    offset.topic,
                    offset.partition,
                    offset.consumer_group,
                    offset.next,
                ),
            };
        }
        commit
    }
}

fn wanted(expiry: Option<ExpiryShape>) -> Expiry {
    match expiry {
        None => Expiry::Default,
        Some(ExpiryShape::Never) => Expiry::Never,
        Some(ExpiryShape::Keep) => Expiry::Keep,
        Some(ExpiryShape::AfterMs(ms)) => Expiry::After(Duration::from_millis(ms)),
        Some(ExpiryShape::AtMs(ms)) => Expiry::At(UNIX_EPOCH + Duration::from_millis(ms)),
        Some(ExpiryShape::IfNewMs(ms)) => Expiry::IfNew(Duration::from_millis(ms)),
    }
}

/// A JSON text is that text; anything else is its JSON.
fn bytes(value: Value) -> Bytes {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

#[derive(Serialize)]
struct Shown {
    done: bool,
    revision: u64,
    results: Vec<ResultShown>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ResultShown {
    Put { version: u64 },
    Deleted { existed: bool },
    Published { partition: u32, offset: u64 },
    OffsetCommitted {},
    RangeDeleted {},
    Number { value: i64 },
    Appended { len: u64 },
    Expires { existed: bool },
    Read { row: Option<RowShown> },
    Members { changed: u64, count: u64 },
    Restored { from_revision: u64, version: u64 },
}

impl Shown {
    fn new(committed: Committed) -> Self {
        let results = committed
            .results
            .into_iter()
            .map(|result| match result {
                OpResult::Put { version } => ResultShown::Put { version },
                OpResult::Deleted { existed } => ResultShown::Deleted { existed },
                OpResult::Published { partition, offset } => {
                    ResultShown::Published { partition, offset }
                }
                OpResult::OffsetCommitted => ResultShown::OffsetCommitted {},
                OpResult::RangeDeleted => ResultShown::RangeDeleted {},
                OpResult::Number { value } => ResultShown::Number { value },
                OpResult::Appended { len } => ResultShown::Appended { len },
                OpResult::Read { row } => ResultShown::Read {
                    row: row.map(RowShown::new),
                },
                OpResult::Expires { existed } => ResultShown::Expires { existed },
                OpResult::Members { changed, count } => ResultShown::Members { changed, count },
                OpResult::Restored {
                    from_revision,
                    version,
                } => ResultShown::Restored {
                    from_revision,
                    version,
                },
            })
            .collect();
        Self {
            done: true,
            revision: committed.revision,
            results,
        }
    }
}

impl Report for Shown {
    fn human(&self) -> String {
        let mut ops = table(["op", "did", "result"]);
        for (index, result) in self.results.iter().enumerate() {
            let (did, result) = match result {
                ResultShown::Put { version } => ("put", format!("version {version}")),
                ResultShown::Deleted { existed: true } => ("delete", "removed".to_owned()),
                ResultShown::Deleted { existed: false } => ("delete", "was not there".to_owned()),
                ResultShown::Published { partition, offset } => {
                    ("publish", format!("partition {partition}, offset {offset}"))
                }
                ResultShown::OffsetCommitted {} => ("commit_offset", "recorded".to_owned()),
                ResultShown::RangeDeleted {} => ("delete_prefix", "all removed".to_owned()),
                ResultShown::Number { value } => ("number", format!("is {value}")),
                ResultShown::Appended { len } => ("append", format!("{len} bytes")),
                ResultShown::Read { row: None } => ("read", "was not there".to_owned()),
                ResultShown::Read { row: Some(row) } => ("read", row.brief()),
                ResultShown::Expires { existed: true } => ("expire", "done".to_owned()),
                ResultShown::Expires { existed: false } => ("expire", "was not there".to_owned()),
                ResultShown::Members { changed, count } => {
                    ("members", format!("{changed} changed, {count} there"))
                }
                ResultShown::Restored {
                    from_revision,
                    version,
                } => (
                    "restore",
                    format!("version {version}, as at revision {from_revision}"),
                ),
            };
            ops.add_row([index.to_string(), did.to_owned(), result]);
        }
        format!("{}\ncommitted at revision {}", lines(&ops), self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<Commit, String> {
        serde_json::from_str::<Document>(text)
            .map(Document::into_commit)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_document_of_the_help_is_understood() {
        use clap::CommandFactory as _;
        let help = crate::args::Cli::command()
            .find_subcommand("commit")
            .and_then(clap::Command::get_after_help)
            .map(ToString::to_string)
            .expect("the command has help");
        let begin = help.find("  {\n").expect("an example begins");
        let end = help.find("\n  }\n").expect("an example ends") + 4;
        let commit = parse(help.get(begin..end).expect("in order")).expect("it is valid");
        assert_eq!(commit.len(), 15);
    }

    #[test]
    fn ops_and_guards_become_a_commit() {
        let commit = parse(
            r#"{"guards": [{"value_is": {"keyspace": "k", "key": "a", "value": "x"}}],
                "ops": [{"put": {"keyspace": "k", "key": "a", "value": {"n": 1}}},
                        {"publish": {"topic": "t", "value": [1]}}]}"#,
        )
        .expect("it is valid");
        let expected = Commit::new()
            .guard_value("k", "a", "x")
            .put("k", "a", r#"{"n":1}"#)
            .publish_message(
                "t",
                None,
                NewMessage {
                    key: None,
                    value: "[1]".into(),
                    headers: Vec::new(),
                },
            );
        assert_eq!(commit, expected);
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        let cases = [
            (r#"{"opps": []}"#, "opps"),
            (r#"{"ops": [{"putt": {}}]}"#, "putt"),
            (
                r#"{"ops": [{"put": {"keyspace": "k", "key": "a", "value": "", "ttl": 1}}]}"#,
                "ttl",
            ),
            (
                r#"{"ops": [{"put": {"keyspace": "k", "key": "a"}}]}"#,
                "value",
            ),
            (
                r#"{"guards": [{"exists": {"keyspace": "k", "key": "a", "revision": 1}}]}"#,
                "revision",
            ),
        ];
        for (text, word) in cases {
            let error = parse(text).expect_err("it is refused");
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
