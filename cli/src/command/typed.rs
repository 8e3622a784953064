//! `kv number|append|expire|set|hash`: numbers, ends of rows, sets and hashes.

use std::time::Duration;

use bytes::Bytes;
use engine_client::{
    Client, Commit, Expiry, Guarded, MembersChanged, MembersScan, NumberChange, OpResult, RowKind,
    Ttl,
};
use serde::Serialize;

use crate::args::{ExpiryArgs, HashCommand, MembersArgs, NumberArgs, SetCommand, TypedCommand};
use crate::command::{Context, input, kv};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Report, lines, table, write_line};
use crate::text::{Text, thousands};

/// When a row ends, as the arguments say.
pub(crate) fn expiry(args: ExpiryArgs) -> Expiry {
    match args {
        ExpiryArgs { ttl: Some(ttl), .. } => Expiry::After(ttl),
        ExpiryArgs {
            ttl_if_new: Some(ttl),
            ..
        } => Expiry::IfNew(ttl),
        ExpiryArgs {
            expires_at: Some(at),
            ..
        } => Expiry::At(at),
        ExpiryArgs { keep_ttl: true, .. } => Expiry::Keep,
        ExpiryArgs { no_ttl: true, .. } => Expiry::Never,
        ExpiryArgs { .. } => Expiry::Default,
    }
}

pub(crate) async fn run(
    command: TypedCommand,
    client: &Client,
    context: &Context,
) -> Result<ExitCode> {
    match command {
        TypedCommand::Number(args) => number(args, client, context).await,
        TypedCommand::Append {
            key,
            suffix,
            at,
            expiry,
        } => {
            let (suffix, expiry) = (input::value(suffix)?, self::expiry(expiry));
            let commit = Commit::new().append(at.keyspace, key, suffix, expiry);
            append(commit, client, context).await
        }
        TypedCommand::Expire { key, at, expiry } => {
            expire(at.keyspace, key, expiry, client, context).await
        }
        TypedCommand::Ttl { key, at } => ttl(at.keyspace, key, client, context).await,
        TypedCommand::Set(command) => set(command, client, context).await,
        TypedCommand::Hash(command) => hash(command, client, context).await,
    }
}

async fn number(args: NumberArgs, client: &Client, context: &Context) -> Result<ExitCode> {
    let change = match (args.change.add, args.change.max, args.change.min) {
        (Some(by), ..) => NumberChange::Add(by),
        (_, Some(to), _) => NumberChange::Max(to),
        // clap wants exactly one of the three.
        (.., to) => NumberChange::Min(to.unwrap_or_default()),
    };
    let kv = client.kv();
    let expiry = expiry(args.expiry);
    let value = kv
        .number(args.at.keyspace, args.key, change, expiry)
        .await?;
    context.output.report(&Number { value })?;
    Ok(ExitCode::Done)
}

async fn append(commit: Commit, client: &Client, context: &Context) -> Result<ExitCode> {
    match client.commit(commit).await? {
        Guarded::Done(done) => {
            let len = match done.results.as_slice() {
                [OpResult::Appended { len }] => *len,
                _ => 0,
            };
            let revision = done.revision;
            context.output.report(&Appended { len, revision })?;
            Ok(ExitCode::Done)
        }
        Guarded::Failed(failed) => kv::guard_failed(failed, context),
    }
}

async fn expire(
    keyspace: String,
    key: String,
    args: ExpiryArgs,
    client: &Client,
    context: &Context,
) -> Result<ExitCode> {
    let existed = client.kv().expire(keyspace, key, expiry(args)).await?;
    context.output.report(&Expires { existed })?;
    Ok(there(existed))
}

async fn ttl(
    keyspace: String,
    key: String,
    client: &Client,
    context: &Context,
) -> Result<ExitCode> {
    let ttl = client.kv().ttl(&keyspace, key.clone()).await?;
    let left = match ttl {
        Ttl::Absent => {
            let message = format!("there is no row '{key}' in {keyspace}");
            return Err(Failure::new(ExitCode::NotThere, message));
        }
        Ttl::Never => None,
        Ttl::Left(left) => Some(left),
    };
    let ttl_ms = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    context.output.report(&TtlShown { ttl_ms })?;
    Ok(ExitCode::Done)
}

async fn set(command: SetCommand, client: &Client, context: &Context) -> Result<ExitCode> {
    match command {
        SetCommand::Add {
            key,
            members,
            at,
            expiry,
        } => {
            let expiry = self::expiry(expiry);
            let commit = Commit::new().set_add(at.keyspace, key, members, expiry);
            changed(commit, client, context).await
        }
        SetCommand::Rm { key, members, at } => {
            let commit = Commit::new().set_remove(at.keyspace, key, members);
            changed(commit, client, context).await
        }
        SetCommand::Has {
            key,
            member,
            at,
            read,
        } => {
            let read = kv::options(read);
            let found = client.kv().member(at.keyspace, key, member, read).await?;
            let is_member = found.is_some();
            context.output.report(&Has { is_member })?;
            Ok(there(is_member))
        }
        SetCommand::Ls(args) => members(args, RowKind::Set, client, context).await,
    }
}

async fn hash(command: HashCommand, client: &Client, context: &Context) -> Result<ExitCode> {
    match command {
        HashCommand::Set {
            key,
            fields,
            at,
            expiry,
        } => {
            let expiry = self::expiry(expiry);
            let commit = Commit::new().hash_set(at.keyspace, key, fields, expiry);
            changed(commit, client, context).await
        }
        HashCommand::Rm { key, fields, at } => {
            let commit = Commit::new().hash_remove(at.keyspace, key, fields);
            changed(commit, client, context).await
        }
        HashCommand::Get {
            key,
            field,
            at,
            read,
        } => {
            let read = kv::options(read);
            let kv = client.kv();
            let value = kv.member(at.keyspace, key, field.clone(), read).await?;
            if context.output.is_json() {
                let code = there(value.is_some());
                let value = value.map(Text);
                context.output.report(&FieldShown { value })?;
                return Ok(code);
            }
            match value {
                Some(value) => write_line(&value).map(|()| ExitCode::Done),
                None => Err(Failure::new(
                    ExitCode::NotThere,
                    format!("there is no field '{field}'"),
                )),
            }
        }
        HashCommand::Ls(args) => members(args, RowKind::Hash, client, context).await,
    }
}

/// Whether it is there, as an exit code.
fn there(is_there: bool) -> ExitCode {
    if is_there {
        ExitCode::Done
    } else {
        ExitCode::NotThere
    }
}

async fn changed(commit: Commit, client: &Client, context: &Context) -> Result<ExitCode> {
    match client.commit(commit).await? {
        Guarded::Done(done) => {
            let members = match done.results.as_slice() {
                [OpResult::Members { changed, count }] => MembersChanged {
                    changed: *changed,
                    count: *count,
                },
                _ => MembersChanged {
                    changed: 0,
                    count: 0,
                },
            };
            context.output.report(&SetChange {
                changed: members.changed,
                count: members.count,
                revision: done.revision,
            })?;
            Ok(ExitCode::Done)
        }
        Guarded::Failed(failed) => kv::guard_failed(failed, context),
    }
}

async fn members(
    args: MembersArgs,
    wanted: RowKind,
    client: &Client,
    context: &Context,
) -> Result<ExitCode> {
    let keyspace = args.at.keyspace;
    let scan = MembersScan {
        after: args.after.map(Bytes::from),
        limit: args.limit,
        read: kv::options(args.read),
    };
    let page = client
        .kv()
        .members(&keyspace, args.key.clone(), scan)
        .await?;
    let Some(kind) = page.kind else {
        let context = format!("there is no row '{}' in {keyspace}", args.key);
        return Err(Failure::new(ExitCode::NotThere, context));
    };
    if kind != wanted {
        let hint = match kind {
            RowKind::Set => "it is a set: engine-cli kv set ls",
            _ => "it is a hash: engine-cli kv hash ls",
        };
        let context = format!("row '{}' is something else", args.key);
        return Err(Failure::new(ExitCode::Usage, context).hint(hint.to_owned()));
    }
    let shown = page.members.into_iter().map(|(name, value)| FieldOf {
        name: Text(name),
        value: (kind == RowKind::Hash).then_some(Text(value)),
    });
    context.output.report(&Listed {
        members: shown.collect(),
        more: page.more,
        revision: page.revision,
    })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Number {
    value: i64,
}

impl Report for Number {
    fn human(&self) -> String {
        self.value.to_string()
    }
}

#[derive(Serialize)]
struct Appended {
    len: u64,
    revision: u64,
}

impl Report for Appended {
    fn human(&self) -> String {
        format!(
            "{} bytes at revision {}",
            thousands(self.len),
            self.revision
        )
    }
}

#[derive(Serialize)]
struct Expires {
    existed: bool,
}

impl Report for Expires {
    fn human(&self) -> String {
        if self.existed {
            "done".to_owned()
        } else {
            "it is not there".to_owned()
        }
    }
}

#[derive(Serialize)]
struct TtlShown {
    ttl_ms: Option<u64>,
}

impl Report for TtlShown {
    fn human(&self) -> String {
        match self.ttl_ms {
            None => "it does not end".to_owned(),
            Some(ms) => humantime::format_duration(Duration::from_millis(ms)).to_string(),
        }
    }
}

#[derive(Serialize)]
struct SetChange {
    changed: u64,
    count: u64,
    revision: u64,
}

impl Report for SetChange {
    fn human(&self) -> String {
        format!(
            "{} changed, {} there at revision {}",
            thousands(self.changed),
            thousands(self.count),
            self.revision
        )
    }
}

#[derive(Serialize)]
struct Has {
    is_member: bool,
}

impl Report for Has {
    fn human(&self) -> String {
        if self.is_member {
            "yes".to_owned()
        } else {
            "no".to_owned()
        }
    }
}

#[derive(Serialize)]
struct FieldShown {
    value: Option<Text>,
}

impl Report for FieldShown {
    fn human(&self) -> String {
        self.value.as_ref().map(Text::to_string).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct FieldOf {
    name: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Text>,
}

#[derive(Serialize)]
struct Listed {
    members: Vec<FieldOf>,
    more: bool,
    revision: u64,
}

impl Report for Listed {
    fn human(&self) -> String {
        const NAME_WIDTH: usize = 40;
        const VALUE_WIDTH: usize = 60;
        let is_hash = self.members.iter().any(|member| member.value.is_some());
        let mut rows = if is_hash {
            table(["field", "value"])
        } else {
            table(["member"])
        };
        for member in &self.members {
            let mut cells = vec![member.name.short(NAME_WIDTH)];
            cells.extend(member.value.as_ref().map(|value| value.short(VALUE_WIDTH)));
            rows.add_row(cells);
        }
        let count = thousands(u64::try_from(self.members.len()).unwrap_or(u64::MAX));
        let more = match self.members.last() {
            Some(last) if self.more => format!("there are more: add --after {}", last.name),
            _ => "these are all".to_owned(),
        };
        format!(
            "{}\n{count} at revision {}; {more}",
            lines(&rows),
            self.revision
        )
    }
}
