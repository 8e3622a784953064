//! `kv history|revert|undelete`, and one version of a row.

use engine_client::{Client, Restored, RowVersion, VersionsScan};
use serde::Serialize;

use crate::args::{HistoryArgs, VersionsCommand};
use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Report, lines, table, write_line};
use crate::text::{Text, thousands};

pub(crate) async fn run(
    command: VersionsCommand,
    client: &Client,
    context: &Context,
) -> Result<ExitCode> {
    let kv = client.kv();
    let restored = match command {
        VersionsCommand::History(args) => return history(args, client, context).await,
        VersionsCommand::Revert { key, to, at } => kv.revert(at.keyspace, key, to).await?,
        VersionsCommand::Undelete { key, at } => kv.undelete(at.keyspace, key).await?,
    };
    context.output.report(&Done::new(restored))?;
    Ok(ExitCode::Done)
}

/// Prints the version of a row that was written at a revision.
pub(crate) async fn get(
    keyspace: String,
    key: String,
    version_at: u64,
    local: bool,
    client: &Client,
    context: &Context,
) -> Result<ExitCode> {
    let kv = client.kv();
    let found = kv
        .version(&keyspace, key.clone(), version_at, local)
        .await?;
    if context.output.is_json() {
        let is_there = found.as_ref().is_some_and(|found| !found.is_delete_marker);
        let version = found.map(VersionShown::new);
        context.output.report(&Found { version })?;
        return Ok(if is_there {
            ExitCode::Done
        } else {
            ExitCode::NotThere
        });
    }
    let message = match found {
        Some(found) if !found.is_delete_marker => {
            return write_line(&found.value).map(|()| ExitCode::Done);
        }
        Some(_) => format!("row '{key}' in {keyspace} was removed at revision {version_at}"),
        None => format!("no version of row '{key}' in {keyspace} was written at {version_at}"),
    };
    Err(Failure::new(ExitCode::NotThere, message).hint(format!(
        "see what there is: engine-cli kv history {key} --keyspace {keyspace}"
    )))
}

async fn history(args: HistoryArgs, client: &Client, context: &Context) -> Result<ExitCode> {
    let scan = VersionsScan {
        before: args.before,
        limit: args.limit,
        local: args.local,
    };
    let keyspace = args.at.keyspace;
    let kv = client.kv();
    let page = kv.versions(&keyspace, args.key.clone(), scan).await?;
    if page.versions.is_empty() && !context.output.is_json() {
        let message = format!("there is no version of row '{}' in {keyspace}", args.key);
        let failure = Failure::new(ExitCode::NotThere, message);
        return Err(if page.kept {
            failure
        } else {
            failure.hint("the keyspace keeps none: see 'engine-cli keyspace alter --help'")
        });
    }
    let code = if page.versions.is_empty() {
        ExitCode::NotThere
    } else {
        ExitCode::Done
    };
    context.output.report(&History {
        kept: page.kept,
        versions: page.versions.into_iter().map(VersionShown::new).collect(),
        more: page.more,
        revision: page.revision,
    })?;
    Ok(code)
}

#[derive(Serialize)]
struct VersionShown {
    revision: u64,
    is_delete_marker: bool,
    version: u64,
    create_revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    bytes: usize,
    value: Text,
}

impl VersionShown {
    fn new(version: RowVersion) -> Self {
        Self {
            revision: version.revision,
            is_delete_marker: version.is_delete_marker,
            version: version.version,
            create_revision: version.create_revision,
            expires_at_ms: version.expires_at_ms,
            bytes: version.value.len(),
            value: Text(version.value),
        }
    }

    fn cells(&self) -> [String; 4] {
        const VALUE_WIDTH: usize = 60;
        let revision = self.revision.to_string();
        if !self.is_delete_marker {
            return [
                revision,
                self.version.to_string(),
                thousands(u64::try_from(self.bytes).unwrap_or(u64::MAX)),
                self.value.short(VALUE_WIDTH),
            ];
        }
        let went = if self.expires_at_ms.is_some() {
            "(ended)"
        } else {
            "(deleted)"
        };
        [revision, String::new(), String::new(), went.to_owned()]
    }
}

#[derive(Serialize)]
struct Found {
    version: Option<VersionShown>,
}

impl Report for Found {
    fn human(&self) -> String {
        let version = self.version.as_ref();
        version.map_or_else(String::new, |version| version.value.to_string())
    }
}

#[derive(Serialize)]
struct History {
    kept: bool,
    versions: Vec<VersionShown>,
    more: bool,
    revision: u64,
}

impl Report for History {
    fn human(&self) -> String {
        let mut rows = table(["revision", "version", "bytes", "value"]);
        for version in &self.versions {
            rows.add_row(version.cells());
        }
        let count = thousands(u64::try_from(self.versions.len()).unwrap_or(u64::MAX));
        let more = match self.versions.last() {
            Some(last) if self.more => {
                format!("there are more: add --before {}", last.revision)
            }
            _ if self.kept => "these are all that were kept".to_owned(),
            _ => "these are all in the readable history".to_owned(),
        };
        format!(
            "{}\n{count} at revision {}; {more}",
            lines(&rows),
            self.revision
        )
    }
}

#[derive(Serialize)]
struct Done {
    revision: u64,
    from_revision: u64,
    version: u64,
}

impl Done {
    fn new(restored: Restored) -> Self {
        Self {
            revision: restored.revision,
            from_revision: restored.from_revision,
            version: restored.version,
        }
    }
}

impl Report for Done {
    fn human(&self) -> String {
        format!(
            "written at revision {}, version {}, as it was at revision {}",
            self.revision, self.version, self.from_revision
        )
    }
}
