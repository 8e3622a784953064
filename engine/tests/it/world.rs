//! The script language: what a situation does, and how its answers read.
//!
//! ```text
//! put KEYSPACE KEY VALUE · delete KEYSPACE KEY · publish TOPIC KEY VALUE
//! commit exists@KS/KEY absent@KS/KEY revision@KS/KEY=N value@KS/KEY=V
//!        put@KS/KEY=V put-ttl@KS/KEY=V~END delete@KS/KEY read@KS/KEY add|max|min@KS/KEY=N~END
//!        append@KS/KEY=V~END expire@KS/KEY=END set-add@KS/KEY=M,M~END set-remove@KS/KEY=M,M
//!        hash-set@KS/KEY=F:V,F:V~END hash-remove@KS/KEY=F,F undelete@KS/KEY revert@KS/KEY=REV
//!        publish@TOPIC/KEY=V offset@TOPIC/PARTITION/GROUP=N
//!        [session=S number=N acked=N]
//! get KS KEY [at=REV] · scan KS [prefix= after= limit= at= reverse=true keys=true] · count KS [prefix=]
//! fetch TOPIC PARTITION FROM [limit=N] · topic NAME · topics · keyspaces · view
//! members KS KEY [after= limit= at=] · versions KS KEY [before= limit=] · version KS KEY REV
//! create-keyspace NAME [ttl=MS versioned=true rows=N bytes=N uncached=true] · alter-keyspace NAME [ttl=MS versioned=true rows=N bytes=N uncached=true] · drop-keyspace NAME · create-topic NAME PARTITIONS · session · close SESSION
//! see also `watch`
//! tick · boot NODE N · floor REV · wait MS · checkpoint · reopen
//! ```

// Named by its path, as other crates take this file in.
#[path = "world/watch.rs"]
mod watch;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::str::FromStr;

use bytes::Bytes;
use engine::command::{
    Command, Commit, Expiry, Guard, KeyspaceOptions, NewMessage, NumberChange, Op, OpResult,
    Outcome, Request, RowRef,
};
use engine::ids::{Boot, NodeId, Offset, PartitionId, Revision, SessionId};
use engine::query::{
    FetchRequest, MembersRequest, RowView, ScanRequest, UsageView, VersionView, VersionsRequest,
};
use engine::replica::Replica;
use engine::store::RowKind;
use goldenscript::{Argument, ArgumentConsumer, Command as Line, Context, Runner};

type Fallible<T> = Result<T, Box<dyn StdError>>;

/// Something that decides commands: an embedded engine, a cluster.
pub(crate) trait World {
    /// Decides one command.
    fn execute(&mut self, command: Command) -> Fallible<Outcome>;

    /// Where the reads go.
    fn replica(&self) -> Replica;

    /// Stops and starts again on the same disk.
    fn reopen(&mut self) -> Fallible<()>;

    /// Lets the clock run.
    fn wait(&mut self, ms: u64);
}

/// Runs a script in a world.
pub(crate) struct Script<W>(pub(crate) W);

impl<W: World> Runner for Script<W> {
    type Command = Line;

    fn run(&mut self, line: &Line, _: &Context) -> Fallible<String> {
        let mut args = line.consume_args();
        let mut word = |name: &'static str| -> Fallible<String> {
            Ok(args
                .next_pos()
                .ok_or_else(|| format!("{name} is missing"))?
                .to_owned())
        };
        let command = match line.name.as_str() {
            "put" => {
                let row = RowRef {
                    keyspace: word("keyspace")?,
                    key: word("key")?.into(),
                };
                commit(vec![Op::put(row, word("value")?.into())])
            }
            "delete" => {
                let row = RowRef {
                    keyspace: word("keyspace")?,
                    key: word("key")?.into(),
                };
                commit(vec![Op::Delete { row }])
            }
            "delete-range" => {
                let (start, end) = (word("start")?, word("end")?);
                commit(vec![delete_range(&word("keyspace")?, &start, &end)])
            }
            "publish" => {
                let topic = word("topic")?;
                commit(vec![publish(topic, &word("key")?, &word("value")?)])
            }
            "create-keyspace" => Command::CreateKeyspace {
                name: word("name")?,
                options: keyspace_options(line)?,
            },
            "alter-keyspace" => Command::AlterKeyspace {
                name: word("name")?,
                options: keyspace_options(line)?,
            },
            "drop-keyspace" => Command::DropKeyspace {
                name: word("name")?,
            },
            "create-topic" => {
                let name = word("name")?;
                Command::CreateTopic {
                    name,
                    partitions: word("partitions")?.parse()?,
                }
            }
            "session" => Command::OpenSession,
            "close" => Command::CloseSession {
                session: SessionId(word("session")?.parse()?),
            },
            "tick" => Command::Tick,
            "boot" => Command::NodeStarted {
                node: NodeId(word("node")?.parse()?),
                boot: Boot(word("boot")?.parse()?),
            },
            "floor" => Command::RaiseFloor {
                revision: Revision(word("revision")?.parse()?),
            },
            "commit" => parse_commit(line)?,
            _ => return self.other(line),
        };
        Ok(show_outcome(&self.0.execute(command)?))
    }
}

impl<W: World> Script<W> {
    fn other(&mut self, line: &Line) -> Fallible<String> {
        let mut args = line.consume_args();
        let replica = self.0.replica();
        let mut out = String::new();
        match line.name.as_str() {
            "get" => {
                let keyspace = positional(args.next_pos())?;
                let row = RowRef {
                    keyspace,
                    key: positional(args.next_pos())?.into(),
                };
                let at = option::<u64>(&mut args, "at")?.map(Revision);
                let answer = replica.get(&row, at)?;
                match answer.row {
                    Some(row) => writeln!(out, "{} at {}", show_row(&row), answer.revision)?,
                    None => writeln!(out, "absent at {}", answer.revision)?,
                }
            }
            "scan" => {
                let page = replica.scan(&ScanRequest {
                    keyspace: positional(args.next_pos())?,
                    prefix: option::<String>(&mut args, "prefix")?
                        .unwrap_or_default()
                        .into(),
                    after: option::<String>(&mut args, "after")?.map(Bytes::from),
                    at: option::<u64>(&mut args, "at")?.map(Revision),
                    reverse: option(&mut args, "reverse")?.unwrap_or(false),
                    keys_only: option(&mut args, "keys")?.unwrap_or(false),
                    limit: option(&mut args, "limit")?.unwrap_or(0),
                })?;
                for row in &page.rows {
                    writeln!(out, "{}", show_row(row))?;
                }
                let more = if page.more { ", more follow" } else { "" };
                writeln!(out, "{} rows at {}{more}", page.rows.len(), page.revision)?;
            }
            "count" => {
                let keyspace = positional(args.next_pos())?;
                let prefix = option::<String>(&mut args, "prefix")?.unwrap_or_default();
                let (count, revision) = replica.count(&keyspace, prefix.as_bytes(), None)?;
                writeln!(out, "{count} rows at {revision}")?;
            }
            "fetch" => {
                let answer = replica.fetch(&FetchRequest {
                    topic: positional(args.next_pos())?,
                    partition: PartitionId(positional(args.next_pos())?.parse()?),
                    from: Offset(positional(args.next_pos())?.parse()?),
                    limit: option(&mut args, "limit")?.unwrap_or(0),
                })?;
                for message in &answer.messages {
                    let key = message.body.key.as_deref().unwrap_or_default();
                    let (key, value) = (text(key), text(&message.body.value));
                    writeln!(
                        out,
                        "{}: {key}={value} at {}",
                        message.offset, message.revision
                    )?;
                }
                writeln!(out, "end {}", answer.end)?;
            }
            "topic" => {
                let view = replica.topic(&positional(args.next_pos())?)?;
                for (place, partition) in view.partitions.iter().enumerate() {
                    writeln!(
                        out,
                        "partition {place}: {}..{}",
                        partition.start, partition.end
                    )?;
                }
                for group in &view.consumer_groups {
                    let next: Vec<_> = group
                        .next
                        .iter()
                        .map(|next| next.map_or("-".to_owned(), |next| next.to_string()))
                        .collect();
                    writeln!(out, "group {}: next {}", group.name, next.join(" "))?;
                }
            }
            "topics" => writeln!(out, "{}", replica.topics().join(" "))?,
            "keyspaces" => {
                for keyspace in replica.keyspaces() {
                    let ttl = keyspace.options.default_ttl_ms;
                    let ttl = ttl.map_or(String::new(), |ttl| format!(" ttl {ttl} ms"));
                    let versioned = keyspace.options.versioned;
                    let versioned = if versioned { " versioned" } else { "" };
                    write!(out, "{}{ttl}{versioned}", keyspace.name)?;
                    if keyspace.options.uncached {
                        write!(out, " uncached")?;
                    }
                    if let Some(usage) = keyspace.usage {
                        let most =
                            |max: Option<u64>| max.map_or("any".to_owned(), |m| m.to_string());
                        let rows = most(keyspace.options.rows_max);
                        let bytes = most(keyspace.options.bytes_max);
                        let so_far = if usage.complete { "" } else { " so far" };
                        let UsageView {
                            rows: r, bytes: b, ..
                        } = usage;
                        write!(out, " {r} of {rows} rows, {b} of {bytes} bytes{so_far}")?;
                    }
                    writeln!(out)?;
                }
            }
            "members" => {
                let page = replica.members(&MembersRequest {
                    row: RowRef {
                        keyspace: positional(args.next_pos())?,
                        key: positional(args.next_pos())?.into(),
                    },
                    after: option::<String>(&mut args, "after")?.map(Bytes::from),
                    at: option::<u64>(&mut args, "at")?.map(Revision),
                    limit: option(&mut args, "limit")?.unwrap_or(0),
                })?;
                let kind = page
                    .kind
                    .map_or("absent".to_owned(), |kind| kind.to_string());
                let more = if page.more { ", more follow" } else { "" };
                for (member, value) in &page.members {
                    writeln!(out, "{}={}", text(member), text(value))?;
                }
                writeln!(out, "{kind} at {}{more}", page.revision)?;
            }
            "versions" => {
                let page = replica.versions(&VersionsRequest {
                    row: RowRef {
                        keyspace: positional(args.next_pos())?,
                        key: positional(args.next_pos())?.into(),
                    },
                    before: option::<u64>(&mut args, "before")?.map(Revision),
                    limit: option(&mut args, "limit")?.unwrap_or(0),
                })?;
                for version in &page.versions {
                    writeln!(out, "{}", show_version(version))?;
                }
                let kept = if page.kept { "kept" } else { "of the history" };
                let more = if page.more { ", more follow" } else { "" };
                writeln!(out, "{kept} at {}{more}", page.revision)?;
            }
            "version" => {
                let row = RowRef {
                    keyspace: positional(args.next_pos())?,
                    key: positional(args.next_pos())?.into(),
                };
                let at = Revision(positional(args.next_pos())?.parse()?);
                let found = replica.version(&row, at)?.version;
                let found = found.as_ref().map_or("none".to_owned(), show_version);
                writeln!(out, "{found}")?;
            }
            "view" => {
                let view = replica.view();
                writeln!(out, "revision {} floor {}", view.revision, view.floor)?;
            }
            "wait" => self.0.wait(positional(args.next_pos())?.parse()?),
            "checkpoint" => {
                replica.begin_checkpoint()?;
                replica.wait_for_checkpoint()?;
            }
            "reopen" => {
                let before = replica.view();
                drop(replica);
                self.0.reopen()?;
                let after = self.0.replica().view();
                if (before.floor, before.revision) != (after.floor, after.revision) {
                    return Err(format!("{before:?} became {after:?}").into());
                }
            }
            _ => return watch::run(&replica, line),
        }
        args.reject_next()?;
        Ok(out)
    }
}

fn parse_commit(line: &Line) -> Fallible<Command> {
    let mut args = line.consume_args();
    let session = option::<u64>(&mut args, "session")?;
    let request = match session {
        Some(session) => Some(Request {
            session: SessionId(session),
            number: option(&mut args, "number")?.unwrap_or(0),
            acked_below: option(&mut args, "acked")?.unwrap_or(0),
        }),
        None => None,
    };
    let mut commit = Commit {
        request,
        ..Commit::default()
    };
    for argument in args {
        let (step, value) = match argument {
            Argument::KeyValue(step, value) => (step.as_str(), value.as_str()),
            Argument::Positional(step) => (step.as_str(), ""),
            _ => return Err("an argument of an unknown kind".into()),
        };
        let (verb, name) = step.split_once('@').ok_or("a step reads verb@object")?;
        let (space, key) = name.split_once('/').ok_or("an object reads space/key")?;
        let row = || RowRef {
            keyspace: space.to_owned(),
            key: Bytes::from(key.to_owned()),
        };
        let bytes = Bytes::from(value.to_owned());
        match verb {
            "exists" => commit.guards.push(Guard::Exists(row())),
            "absent" => commit.guards.push(Guard::Absent(row())),
            "revision" => {
                commit
                    .guards
                    .push(Guard::RevisionIs(row(), Revision(value.parse()?)));
            }
            "value" => commit.guards.push(Guard::ValueIs(row(), bytes)),
            "put" => commit.ops.push(Op::put(row(), bytes)),
            "put-ttl" => {
                let (value, expiry) = with_expiry(value)?;
                let (row, value) = (row(), value.into());
                commit.ops.push(Op::Put { row, value, expiry });
            }
            "add" | "max" | "min" => {
                let (number, expiry) = with_expiry(value)?;
                let number = number.parse()?;
                let change = match verb {
                    "add" => NumberChange::Add(number),
                    "max" => NumberChange::Max(number),
                    _ => NumberChange::Min(number),
                };
                let row = row();
                commit.ops.push(Op::Number {
                    row,
                    change,
                    expiry,
                });
            }
            "append" => {
                let (suffix, expiry) = with_expiry(value)?;
                let (row, suffix) = (row(), suffix.into());
                commit.ops.push(Op::Append {
                    row,
                    suffix,
                    expiry,
                });
            }
            "expire" => {
                let (_, expiry) = with_expiry(&format!("~{value}"))?;
                commit.ops.push(Op::Expire { row: row(), expiry });
            }
            "set-add" => {
                let (members, expiry) = with_expiry(value)?;
                let (row, members) = (row(), names(&members));
                commit.ops.push(Op::SetAdd {
                    row,
                    members,
                    expiry,
                });
            }
            "set-remove" => {
                let (row, members) = (row(), names(value));
                commit.ops.push(Op::SetRemove { row, members });
            }
            "hash-set" => {
                let (fields, expiry) = with_expiry(value)?;
                let fields = fields.split_terminator(',').map(|field| {
                    let (field, value) = field.split_once(':').unwrap_or((field, ""));
                    (field.to_owned().into(), value.to_owned().into())
                });
                let (row, fields) = (row(), fields.collect());
                commit.ops.push(Op::HashSet {
                    row,
                    fields,
                    expiry,
                });
            }
            "hash-remove" => {
                let (row, fields) = (row(), names(value));
                commit.ops.push(Op::HashRemove { row, fields });
            }
            "read" => commit.ops.push(Op::Read { row: row() }),
            "delete" => commit.ops.push(Op::Delete { row: row() }),
            "undelete" => commit.ops.push(Op::Undelete { row: row() }),
            "revert" => commit.ops.push(Op::Revert {
                row: row(),
                to: Revision(value.parse()?),
            }),
            "delete-range" => commit.ops.push(delete_range(space, key, value)),
            "publish" => commit.ops.push(publish(space.to_owned(), key, value)),
            "offset" => {
                let (partition, group) = key.split_once('/').ok_or("topic/partition/group")?;
                commit.ops.push(Op::CommitOffset {
                    topic: space.to_owned(),
                    partition: PartitionId(partition.parse()?),
                    consumer_group: group.to_owned(),
                    next: Offset(value.parse()?),
                });
            }
            _ => return Err(format!("no step is called {verb}").into()),
        }
    }
    Ok(Command::Commit(commit))
}

fn commit(ops: Vec<Op>) -> Command {
    Command::Commit(Commit {
        ops,
        ..Commit::default()
    })
}

fn keyspace_options(line: &Line) -> Fallible<KeyspaceOptions> {
    let mut args = line.consume_args();
    Ok(KeyspaceOptions {
        default_ttl_ms: option(&mut args, "ttl")?,
        versioned: option(&mut args, "versioned")?.unwrap_or(false),
        rows_max: option(&mut args, "rows")?,
        bytes_max: option(&mut args, "bytes")?,
        uncached: option(&mut args, "uncached")?.unwrap_or(false),
    })
}

/// A value, and when it ends: `V`, `V~after:MS`, `V~at:MS`, `V~new:MS`, `V~never`, `V~keep`.
fn with_expiry(value: &str) -> Fallible<(String, Expiry)> {
    let (value, expiry) = value.split_once('~').unwrap_or((value, ""));
    let (how, ms) = expiry.split_once(':').unwrap_or((expiry, "0"));
    let ms = ms.parse()?;
    let expiry = match how {
        "" => Expiry::Default,
        "never" => Expiry::Never,
        "keep" => Expiry::Keep,
        "after" => Expiry::After(ms),
        "at" => Expiry::At(ms),
        "new" => Expiry::IfNew(ms),
        _ => return Err(format!("no expiry is called {how}").into()),
    };
    Ok((value.to_owned(), expiry))
}

fn names(names: &str) -> Vec<Bytes> {
    let names = names.split_terminator(',');
    names.map(|name| name.to_owned().into()).collect()
}

/// A range of a keyspace; `-` stands for its beginning or end.
fn delete_range(keyspace: &str, start: &str, end: &str) -> Op {
    let bound = |bound: &str| (bound != "-").then(|| Bytes::from(bound.to_owned()));
    Op::DeleteRange {
        keyspace: keyspace.to_owned(),
        start: bound(start).unwrap_or_default(),
        end: bound(end),
    }
}

/// A message; the key `"-"` stands for none.
fn publish(topic: String, key: &str, value: &str) -> Op {
    let key = (key != "-").then(|| Bytes::from(key.to_owned()));
    let message = NewMessage {
        key,
        value: Bytes::from(value.to_owned()),
        headers: Vec::new(),
    };
    Op::Publish {
        topic,
        partition: None,
        message,
    }
}

fn positional(argument: Option<&str>) -> Fallible<String> {
    Ok(argument.ok_or("an argument is missing")?.to_owned())
}

fn option<T: FromStr>(args: &mut ArgumentConsumer<'_>, key: &str) -> Fallible<Option<T>>
where
    T::Err: StdError + 'static,
{
    Ok(args.take_key(key).map(str::parse).transpose()?)
}

fn show_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Committed { revision, results } => {
            let results: Vec<_> = results
                .iter()
                .map(|result| match result {
                    OpResult::Put { version } => format!("version {version}"),
                    OpResult::Read { row: None } => "absent".to_owned(),
                    OpResult::Read { row: Some(row) } => format!("read {}", show_row(row)),
                    OpResult::Deleted { existed: true } => "deleted".to_owned(),
                    OpResult::Deleted { existed: false } | OpResult::Expires { existed: false } => {
                        "was absent".to_owned()
                    }
                    OpResult::Published { partition, offset } => format!("at {partition}/{offset}"),
                    OpResult::OffsetCommitted => "recorded".to_owned(),
                    OpResult::RangeDeleted => "range deleted".to_owned(),
                    OpResult::Number { value } => format!("is {value}"),
                    OpResult::Appended { len } => format!("{len} bytes"),
                    OpResult::Expires { existed: true } => "ends".to_owned(),
                    OpResult::Restored { from, version } => {
                        format!("version {version}, as at {from}")
                    }
                    OpResult::Members { changed, count } => format!("{changed} of {count}"),
                })
                .collect();
            format!("revision {revision}: {}\n", results.join(", "))
        }
        Outcome::Refused(refusal) => format!("refused: {refusal}\n"),
        Outcome::SessionOpened { session } => format!("session {session}\n"),
        Outcome::KeyspaceCreated { keyspace, revision } => {
            format!("keyspace {keyspace} at {revision}\n")
        }
        Outcome::KeyspaceAltered { revision } => format!("altered at {revision}\n"),
        Outcome::KeyspaceDropped { revision } => format!("dropped at {revision}\n"),
        Outcome::TopicCreated { topic, revision } => format!("topic {topic} at {revision}\n"),
        Outcome::Done => "done\n".to_owned(),
    }
}

fn show_version(version: &VersionView) -> String {
    let ends = version.expires_at_ms;
    let ends = ends.map_or(String::new(), |ms| format!(" ends {ms}"));
    if version.is_delete_marker {
        return format!("{}: deleted{ends}", version.revision);
    }
    format!(
        "{}: {} version {} created {}{ends}",
        version.revision,
        text(&version.value),
        version.version,
        version.create_revision
    )
}

fn show_row(row: &RowView) -> String {
    let value = match row.kind {
        RowKind::Bytes => text(&row.value),
        kind => format!("{kind} of {}", row.members),
    };
    let ends = row.expires_at_ms.map(|ms| format!(" ends {ms}"));
    format!(
        "{}={value} created {} modified {} version {}{}",
        text(&row.key),
        row.create_revision,
        row.mod_revision,
        row.version,
        ends.unwrap_or_default()
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
