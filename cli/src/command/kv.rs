//! `kv`: rows.

use engine_client::{
    Client, Commit, Condition, GuardFailed, Guarded, ReadOptions, Row, RowKind, Scan,
};
use serde::Serialize;

use crate::args::{ConditionArgs, KvCommand, ReadArgs, ScanArgs};
use crate::command::{Context, checksum, export, import, input, typed, versions, watch};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Report, lines, table, write_line};
use crate::text::{Text, thousands};

pub(crate) async fn run(command: KvCommand, context: &Context) -> Result<ExitCode> {
    match command {
        KvCommand::Import(args) => import::run(args, context).await,
        KvCommand::Export(args) => export::run(args, context).await,
        command => {
            context
                .with_client(|client| ask(command, client, context))
                .await
        }
    }
}

async fn ask(command: KvCommand, client: Client, context: &Context) -> Result<ExitCode> {
    let kv = client.kv();
    let output = context.output;
    match command {
        KvCommand::Put {
            key,
            value,
            at,
            expiry,
        } => {
            let (value, expiry) = (input::value(value)?, typed::expiry(expiry));
            let written = kv.put_with(at.keyspace, key, value, expiry).await?;
            output.report(&Written {
                revision: written.revision,
                version: written.version,
            })?;
        }
        KvCommand::Get {
            key,
            version_at,
            at,
            read,
        } => {
            return match version_at {
                Some(then) => {
                    versions::get(at.keyspace, key, then, read.local, &client, context).await
                }
                None => get(at.keyspace, key, read, &client, context).await,
            };
        }
        KvCommand::Del {
            prefix: Some(prefix),
            at,
            ..
        } => {
            let commit = Commit::new().delete_prefix(at.keyspace, prefix);
            return match client.commit(commit).await? {
                Guarded::Done(committed) => {
                    output.report(&RangeRemoved {
                        revision: committed.revision,
                    })?;
                    Ok(ExitCode::Done)
                }
                Guarded::Failed(failed) => guard_failed(failed, context),
            };
        }
        KvCommand::Del { key, at, .. } => {
            let key = key.unwrap_or_default();
            let removed = kv.delete(at.keyspace, key).await?;
            output.report(&Removed {
                existed: removed.existed,
                revision: removed.revision,
            })?;
        }
        KvCommand::Cas {
            key,
            value,
            at,
            condition,
        } => {
            let value = input::value(value)?;
            let condition = wanted(condition);
            let answer = kv.put_if(at.keyspace, key, condition, value).await?;
            return compared(answer, context);
        }
        KvCommand::Count { at, prefix, read } => {
            let counted = kv.count(at.keyspace, prefix, options(read)).await?;
            output.report(&Counted::new(&counted))?;
        }
        KvCommand::Checksum { at, read } => checksum::run(at, read, &client, context).await?,
        KvCommand::Scan(args) => scan(args, &client, context).await?,
        KvCommand::Watch(args) => return watch::run(args, &client, context).await,
        KvCommand::Typed(command) => return typed::run(command, &client, context).await,
        KvCommand::Versions(command) => return versions::run(command, &client, context).await,
        KvCommand::Import(args) => return import::run(args, context).await,
        KvCommand::Export(args) => return export::run(args, context).await,
    }
    Ok(ExitCode::Done)
}

async fn get(
    keyspace: String,
    key: String,
    read: ReadArgs,
    client: &Client,
    context: &Context,
) -> Result<ExitCode> {
    let kv = client.kv();
    let looked = kv.get_with(&keyspace, key.clone(), options(read)).await?;
    let Some(row) = looked.row else {
        return missing(&key, &keyspace, looked.revision, context);
    };
    if context.output.is_json() {
        context.output.report(&Found {
            row: Some(RowShown::new(row)),
            revision: looked.revision,
        })?;
    } else if row.kind() != RowKind::Value {
        return Err(not_a_value(&key, row.kind()));
    } else {
        write_line(&row.value)?;
    }
    Ok(ExitCode::Done)
}

/// Tells what came of a compare and set.
fn compared(answer: Guarded<engine_client::Written>, context: &Context) -> Result<ExitCode> {
    match answer {
        Guarded::Done(written) => {
            context.output.report(&Written {
                revision: written.revision,
                version: written.version,
            })?;
            Ok(ExitCode::Done)
        }
        Guarded::Failed(failed) => guard_failed(failed, context),
    }
}

async fn scan(args: ScanArgs, client: &Client, context: &Context) -> Result<()> {
    let scan = Scan {
        keyspace: args.at.keyspace,
        prefix: args.prefix.into(),
        limit: if args.all { 0 } else { args.limit },
        cursor: args.cursor,
        reverse: args.reverse,
        keys_only: args.keys_only,
        read: options(args.read),
    };
    if args.all {
        return scan_all(scan, client, context).await;
    }
    let page = client.kv().scan(scan).await?;
    context.output.report(&Page {
        rows: page.rows.into_iter().map(RowShown::new).collect(),
        next_cursor: page.next_cursor,
        revision: page.revision,
        keys_only: args.keys_only,
    })
}

/// Prints pages as they come, and keeps none.
async fn scan_all(scan: Scan, client: &Client, context: &Context) -> Result<()> {
    let keys_only = scan.keys_only;
    let mut pages = client.kv().scan_stream(scan);
    while let Some(page) = pages.next().await? {
        let rows = page.rows.into_iter().map(RowShown::new);
        if context.output.is_json() {
            for row in rows {
                context.output.report(&row)?;
            }
        } else {
            context.output.report(&Page {
                rows: rows.collect(),
                next_cursor: page.next_cursor,
                revision: page.revision,
                keys_only,
            })?;
        }
    }
    Ok(())
}

/// Tells that a guard did not hold: an answer, with an exit code of its own.
pub(crate) fn guard_failed(failed: GuardFailed, context: &Context) -> Result<ExitCode> {
    let report = NotDone {
        done: false,
        guard_failed: GuardShown {
            guard: failed.guard,
            actual_revision: failed.actual_revision,
        },
    };
    context.output.report(&report)?;
    Ok(ExitCode::NotThere)
}

fn not_a_value(key: &str, kind: RowKind) -> Failure {
    let (kind, command) = match kind {
        RowKind::Hash => ("a hash", "hash"),
        _ => ("a set", "set"),
    };
    Failure::new(ExitCode::Usage, format!("row '{key}' is {kind}")).hint(format!(
        "print what is in it: engine-cli kv {command} ls {key}"
    ))
}

fn missing(key: &str, keyspace: &str, revision: u64, context: &Context) -> Result<ExitCode> {
    if context.output.is_json() {
        context.output.report(&Found {
            row: None,
            revision,
        })?;
        return Ok(ExitCode::NotThere);
    }
    Err(Failure::new(
        ExitCode::NotThere,
        format!("there is no row '{key}' in {keyspace}"),
    )
    .hint(format!(
        "see what is there: engine-cli kv scan --keyspace {keyspace}"
    )))
}

pub(crate) fn options(read: ReadArgs) -> ReadOptions {
    ReadOptions {
        revision: read.revision,
        local: read.local,
    }
}

fn wanted(condition: ConditionArgs) -> Condition {
    match condition {
        ConditionArgs {
            if_value: Some(value),
            ..
        } => Condition::ValueIs(value.into()),
        ConditionArgs {
            if_revision: Some(revision),
            ..
        } => Condition::RevisionIs(revision),
        ConditionArgs {
            if_exists: true, ..
        } => Condition::Exists,
        // clap wants exactly one of the four.
        ConditionArgs { .. } => Condition::Absent,
    }
}

#[derive(Serialize)]
struct Written {
    revision: u64,
    version: u64,
}

impl Report for Written {
    fn human(&self) -> String {
        format!(
            "written at revision {}, version {}",
            self.revision, self.version
        )
    }
}

#[derive(Serialize)]
struct Removed {
    existed: bool,
    revision: u64,
}

impl Report for Removed {
    fn human(&self) -> String {
        if self.existed {
            format!("removed at revision {}", self.revision)
        } else {
            "it was not there".to_owned()
        }
    }
}

#[derive(Serialize)]
struct RangeRemoved {
    revision: u64,
}

impl Report for RangeRemoved {
    fn human(&self) -> String {
        format!("all removed at revision {}", self.revision)
    }
}

#[derive(Serialize)]
struct Counted {
    count: u64,
    revision: u64,
}

impl Counted {
    fn new(counted: &engine_client::Counted) -> Self {
        Self {
            count: counted.count,
            revision: counted.revision,
        }
    }
}

impl Report for Counted {
    fn human(&self) -> String {
        self.count.to_string()
    }
}

#[derive(Serialize)]
struct NotDone {
    done: bool,
    guard_failed: GuardShown,
}

#[derive(Serialize)]
struct GuardShown {
    guard: u32,
    actual_revision: Option<u64>,
}

impl Report for NotDone {
    fn human(&self) -> String {
        let state = match self.guard_failed.actual_revision {
            Some(revision) => format!("the row was last changed at revision {revision}"),
            None => "the row is not there".to_owned(),
        };
        format!(
            "nothing was changed: guard {} does not hold; {state}",
            self.guard_failed.guard
        )
    }
}

#[derive(Serialize)]
pub(super) struct RowShown {
    key: Text,
    value: Text,
    create_revision: u64,
    mod_revision: u64,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u64>,
}

impl RowShown {
    pub(super) fn new(row: Row) -> Self {
        let kind = match row.kind() {
            RowKind::Value => None,
            RowKind::Set => Some("set"),
            RowKind::Hash => Some("hash"),
        };
        Self {
            expires_at_ms: row.expires_at_ms,
            kind,
            members: kind.map(|_| row.members),
            key: Text(row.key),
            value: Text(row.value),
            create_revision: row.create_revision,
            mod_revision: row.mod_revision,
            version: row.version,
        }
    }

    /// What the row holds, in a few words.
    pub(super) fn brief(&self) -> String {
        match (self.kind, self.members) {
            (Some(kind), Some(members)) => format!("{kind} of {}", thousands(members)),
            _ => self.value.to_string(),
        }
    }
}

impl Report for RowShown {
    fn human(&self) -> String {
        self.key.to_string()
    }
}

#[derive(Serialize)]
struct Found {
    row: Option<RowShown>,
    revision: u64,
}

impl Report for Found {
    fn human(&self) -> String {
        self.row
            .as_ref()
            .map_or_else(String::new, |row| row.value.to_string())
    }
}

#[derive(Serialize)]
struct Page {
    rows: Vec<RowShown>,
    next_cursor: Option<String>,
    revision: u64,
    #[serde(skip)]
    keys_only: bool,
}

impl Report for Page {
    fn human(&self) -> String {
        const KEY_WIDTH: usize = 40;
        const VALUE_WIDTH: usize = 60;
        let mut rows = if self.keys_only {
            table(["key", "version", "revision"])
        } else {
            table(["key", "value", "version", "revision"])
        };
        for row in &self.rows {
            let mut cells = vec![row.key.short(KEY_WIDTH)];
            if !self.keys_only {
                cells.push(match (row.kind, row.members) {
                    (Some(kind), Some(members)) => format!("({kind} of {members})"),
                    _ => row.value.short(VALUE_WIDTH),
                });
            }
            cells.extend([row.version.to_string(), row.mod_revision.to_string()]);
            rows.add_row(cells);
        }
        let count = thousands(u64::try_from(self.rows.len()).unwrap_or(u64::MAX));
        let more = match &self.next_cursor {
            Some(cursor) => format!("there are more: add --cursor {cursor}"),
            None => "these are all".to_owned(),
        };
        format!(
            "{}\n{count} rows at revision {}; {more}",
            lines(&rows),
            self.revision
        )
    }
}
