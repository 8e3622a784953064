//! `kv watch`: prints changes as they happen.

use engine_client::{Change, Client, Event, Keys, ReadOptions, Watch, WatchedCommit};
use serde::Serialize;
use tokio::signal::ctrl_c;

use crate::args::WatchArgs;
use crate::command::Context;
use crate::command::kv::RowShown;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::Report;
use crate::text::Text;

pub(crate) async fn run(args: WatchArgs, client: &Client, context: &Context) -> Result<ExitCode> {
    tokio::select! {
        result = follow(args, client, context) => result,
        _ = ctrl_c() => Ok(ExitCode::Done),
    }
}

async fn follow(args: WatchArgs, client: &Client, context: &Context) -> Result<ExitCode> {
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut newest = None;
    if args.no_follow {
        // Any read tells how far history goes.
        let read = ReadOptions::default();
        let looked = client.kv().get_with(&args.at.keyspace, "-", read).await?;
        newest = Some(looked.revision);
    }
    let mut watcher = client.watch(wanted(args)).await?;
    while left > 0 && newest.is_none_or(|newest| watcher.next_revision() <= newest) {
        let Some(watched) = watcher.next().await? else {
            break;
        };
        for commit in &watched.commits {
            for event in &commit.events {
                if left > 0 {
                    context.output.report(&Shown::new(commit, event))?;
                    left -= 1;
                }
            }
        }
    }
    Ok(ExitCode::Done)
}

fn wanted(args: WatchArgs) -> Watch {
    let keys = match (args.key, args.prefix) {
        (Some(key), _) => Keys::One(key.into()),
        (None, Some(prefix)) => Keys::Prefix(prefix.into()),
        (None, None) => {
            let start = args.start.unwrap_or_default();
            Keys::Range(start.into(), args.end.map(Into::into))
        }
    };
    Watch {
        keys,
        from_revision: args.from,
        no_puts: args.no_puts,
        no_deletes: args.no_deletes,
        previous: args.previous,
        keys_only: args.keys_only,
        local: args.local,
        ..Watch::new(args.at.keyspace)
    }
}

/// One change, as a line.
#[derive(Serialize)]
pub(super) struct Shown {
    revision: u64,
    at_ms: u64,
    #[serde(flatten)]
    event: EventShown,
}

/// What happened, and to what.
#[derive(Serialize)]
pub(super) struct EventShown {
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<RowShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<RowShown>,
}

impl Shown {
    fn new(commit: &WatchedCommit, event: &Event) -> Self {
        Self {
            revision: commit.revision,
            at_ms: commit.at_ms,
            event: EventShown::new(event),
        }
    }
}

impl EventShown {
    pub(super) fn new(event: &Event) -> Self {
        let mut shown = Self {
            change: "put",
            key: None,
            row: None,
            start: None,
            end: None,
            previous: event.previous.clone().map(RowShown::new),
        };
        match &event.change {
            Change::Put(row) => {
                shown.key = Some(Text(row.key.clone()));
                shown.row = Some(RowShown::new(row.clone()));
            }
            Change::Deleted(key) => {
                shown.change = "deleted";
                shown.key = Some(Text(key.clone()));
            }
            Change::Ended(key) => {
                shown.change = "ended";
                shown.key = Some(Text(key.clone()));
            }
            Change::RangeDeleted(start, end) => {
                shown.change = "range deleted";
                shown.start = Some(Text(start.clone()));
                shown.end = end.clone().map(Text);
            }
            Change::KeyspaceDropped => shown.change = "keyspace dropped",
        }
        shown
    }

    /// One line: what happened, to which key, what is there now and what was.
    pub(super) fn line(&self) -> String {
        let mut parts = vec![self.change.to_owned()];
        parts.extend(self.key.as_ref().map(ToString::to_string));
        parts.extend(self.row.as_ref().map(RowShown::brief));
        if let Some(start) = &self.start {
            let end = self.end.as_ref().map(|end| format!("'{end}'"));
            let end = end.unwrap_or_else(|| "the end".to_owned());
            parts.push(format!("from '{start}' to {end}"));
        }
        let was = self.previous.as_ref();
        parts.extend(was.map(|was| format!("was {}", was.brief())));
        parts.join("\t")
    }
}

impl Report for Shown {
    fn human(&self) -> String {
        format!("{}\t{}", self.revision, self.event.line())
    }
}
