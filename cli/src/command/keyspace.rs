//! `keyspace`: the named sets that rows live in.

use engine_client::{Client, Keyspace, KeyspaceOptions, ReadOptions};
use serde::Serialize;

use crate::args::{KeyspaceArgs, KeyspaceCommand};
use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Report, lines, table};
use crate::text::thousands;

pub(crate) async fn run(command: KeyspaceCommand, context: &Context) -> Result<ExitCode> {
    let client = context.client().await?;
    let keyspaces = client.keyspaces();
    match command {
        KeyspaceCommand::Create { name, options } => {
            keyspaces.create_with(&name, wanted(options)).await?;
            context.output.report(&Created { keyspace: name })?;
        }
        KeyspaceCommand::Alter { name, options } => {
            let revision = keyspaces.alter(&name, wanted(options)).await?;
            let keyspace = name;
            context.output.report(&Altered { keyspace, revision })?;
        }
        KeyspaceCommand::Drop { name, yes: false } => {
            let message = format!("all rows of keyspace {name} would go for ever");
            return Err(Failure::usage(message).hint("if that is meant, add --yes"));
        }
        KeyspaceCommand::Drop { name, yes: true } => {
            let revision = keyspaces.drop(&name).await?;
            let keyspace = name;
            context.output.report(&Dropped { keyspace, revision })?;
        }
        KeyspaceCommand::Ls => {
            let keyspaces = keyspaces.list().await?;
            let keyspaces = keyspaces.into_iter().map(KeyspaceShown::new).collect();
            context.output.report(&Keyspaces { keyspaces })?;
        }
        KeyspaceCommand::Describe { name } => {
            let described = describe(&client, &name).await?;
            context.output.report(&described)?;
        }
    }
    Ok(ExitCode::Done)
}

async fn describe(client: &Client, name: &str) -> Result<Described> {
    let all = client.keyspaces().list().await?;
    let found = all.into_iter().find(|keyspace| keyspace.name == name);
    let Some(keyspace) = found else {
        let message = format!("there is no keyspace '{name}'");
        let failure = Failure::new(ExitCode::NotThere, message);
        return Err(failure.hint("see what there is: engine-cli keyspace ls"));
    };
    let counted = client.kv().count(name, "", ReadOptions::default()).await?;
    Ok(Described {
        keyspace: KeyspaceShown::new(keyspace),
        rows: counted.count,
        revision: counted.revision,
    })
}

fn wanted(args: KeyspaceArgs) -> KeyspaceOptions {
    KeyspaceOptions {
        default_ttl: args.default_ttl,
        versioned: args.versioned,
        rows_max: args.rows_max,
        bytes_max: args.bytes_max,
        uncached: args.uncached,
    }
}

#[derive(Serialize)]
struct Created {
    keyspace: String,
}

impl Report for Created {
    fn human(&self) -> String {
        format!("keyspace {} is there", self.keyspace)
    }
}

#[derive(Serialize)]
struct Altered {
    keyspace: String,
    revision: u64,
}

impl Report for Altered {
    fn human(&self) -> String {
        format!(
            "keyspace {} is changed from revision {} on",
            self.keyspace, self.revision
        )
    }
}

#[derive(Serialize)]
struct Dropped {
    keyspace: String,
    revision: u64,
}

impl Report for Dropped {
    fn human(&self) -> String {
        format!(
            "keyspace {} is gone since revision {}",
            self.keyspace, self.revision
        )
    }
}

#[derive(Serialize)]
struct KeyspaceShown {
    name: String,
    default_ttl_ms: Option<u64>,
    #[serde(skip)]
    default_ttl: String,
    versioned: bool,
    rows_max: Option<u64>,
    bytes_max: Option<u64>,
    uncached: bool,
    usage: Option<Used>,
}

/// What a keyspace with a quota holds.
#[derive(Serialize)]
struct Used {
    rows: u64,
    bytes: u64,
    complete: bool,
}

impl KeyspaceShown {
    fn new(keyspace: Keyspace) -> Self {
        let ttl = keyspace.options.default_ttl;
        Self {
            name: keyspace.name,
            versioned: keyspace.options.versioned,
            rows_max: keyspace.options.rows_max,
            bytes_max: keyspace.options.bytes_max,
            uncached: keyspace.options.uncached,
            usage: keyspace.usage.map(|usage| Used {
                rows: usage.rows,
                bytes: usage.bytes,
                complete: usage.complete,
            }),
            default_ttl_ms: ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            default_ttl: ttl.map_or("never".to_owned(), |ttl| {
                format!("after {}", humantime::format_duration(ttl))
            }),
        }
    }

    fn versions(&self) -> &'static str {
        if self.versioned { "kept" } else { "not kept" }
    }

    fn cached(&self) -> &'static str {
        if self.uncached { "no" } else { "yes" }
    }

    /// What it holds of what it may hold.
    fn quota(&self) -> String {
        let Some(used) = &self.usage else {
            return "none".to_owned();
        };
        let of = |used: u64, max: Option<u64>, what: &str| {
            max.map(|max| format!("{} of {} {what}", thousands(used), thousands(max)))
        };
        let rows = of(used.rows, self.rows_max, "rows");
        let bytes = of(used.bytes, self.bytes_max, "bytes");
        let both: Vec<String> = rows.into_iter().chain(bytes).collect();
        let so_far = if used.complete {
            ""
        } else {
            " (being counted)"
        };
        format!("{}{so_far}", both.join(", "))
    }
}

#[derive(Serialize)]
struct Keyspaces {
    keyspaces: Vec<KeyspaceShown>,
}

impl Report for Keyspaces {
    fn human(&self) -> String {
        let mut rows = table(["keyspace", "rows end", "versions", "cached", "quota"]);
        for keyspace in &self.keyspaces {
            rows.add_row([
                keyspace.name.as_str(),
                &keyspace.default_ttl,
                keyspace.versions(),
                keyspace.cached(),
                &keyspace.quota(),
            ]);
        }
        lines(&rows)
    }
}

#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    keyspace: KeyspaceShown,
    rows: u64,
    revision: u64,
}

impl Report for Described {
    fn human(&self) -> String {
        let mut rows = table([
            "keyspace",
            "rows end",
            "versions",
            "cached",
            "quota",
            "rows",
            "at revision",
        ]);
        rows.add_row([
            self.keyspace.name.clone(),
            self.keyspace.default_ttl.clone(),
            self.keyspace.versions().to_owned(),
            self.keyspace.cached().to_owned(),
            self.keyspace.quota(),
            thousands(self.rows),
            self.revision.to_string(),
        ]);
        lines(&rows)
    }
}
