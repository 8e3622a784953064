//! `changes` and `explain`: what commits did, and who asked.

use engine_client::{Cause, ChangedCommit, ChangedRow};
use serde::Serialize;

use crate::args::{ChangesArgs, ExplainArgs};
use crate::command::Context;
use crate::command::watch::EventShown;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Report;
use crate::text::{thousands, time};

pub(crate) async fn list(args: ChangesArgs, context: &Context) -> Result<ExitCode> {
    let client = context.client().await?;
    let mut from = args.from;
    let mut left = if args.limit == 0 {
        u64::MAX
    } else {
        args.limit
    };
    while left > 0 {
        let limit = u32::try_from(left).unwrap_or(0);
        let page = client.changes(from, limit).await?;
        for commit in &page.commits {
            context.output.report(&Shown::new(commit))?;
            left -= 1;
        }
        if !page.more {
            break;
        }
        from = page.next_revision;
    }
    Ok(ExitCode::Done)
}

pub(crate) async fn explain(args: ExplainArgs, context: &Context) -> Result<ExitCode> {
    let client = context.client().await?;
    let page = client.changes(args.revision, 1).await?;
    let Some(commit) = page.commits.first() else {
        let message = format!("revision {} is not there yet", args.revision);
        return Err(Failure::new(ExitCode::NotThere, message));
    };
    context.output.report(&Shown::new(commit))?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Shown {
    revision: u64,
    at_ms: u64,
    term: u64,
    index: u64,
    cause: CauseShown,
    rows: Vec<RowChanged>,
    row_count: u64,
    messages: Vec<MessageShown>,
    offsets: Vec<OffsetShown>,
}

#[derive(Serialize)]
struct CauseShown {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<u64>,
}

#[derive(Serialize)]
struct RowChanged {
    keyspace: Option<String>,
    keyspace_id: u32,
    #[serde(flatten)]
    event: EventShown,
}

#[derive(Serialize)]
struct MessageShown {
    topic: String,
    partition: u32,
    offset: u64,
}

#[derive(Serialize)]
struct OffsetShown {
    topic: String,
    partition: u32,
    consumer_group: String,
    next: u64,
}

impl Shown {
    fn new(commit: &ChangedCommit) -> Self {
        let messages = commit.messages.iter().map(|message| MessageShown {
            topic: message.topic.clone(),
            partition: message.partition,
            offset: message.offset,
        });
        let offsets = commit.offsets.iter().map(|offset| OffsetShown {
            topic: offset.topic.clone(),
            partition: offset.partition,
            consumer_group: offset.consumer_group.clone(),
            next: offset.next,
        });
        Self {
            revision: commit.revision,
            at_ms: commit.at_ms,
            term: commit.term,
            index: commit.index,
            cause: CauseShown::new(&commit.cause),
            rows: commit.rows.iter().map(RowChanged::new).collect(),
            row_count: commit.row_count,
            messages: messages.collect(),
            offsets: offsets.collect(),
        }
    }
}

impl CauseShown {
    fn new(cause: &Cause) -> Self {
        let (kind, name, request) = match cause {
            Cause::Commit(request) => ("commit", None, *request),
            Cause::RowsEnded => ("rows ended", None, None),
            Cause::KeyspaceCreated(name) => ("keyspace created", Some(name), None),
            Cause::KeyspaceAltered(name) => ("keyspace altered", Some(name), None),
            Cause::KeyspaceDropped(name) => ("keyspace dropped", Some(name), None),
            Cause::TopicCreated(name) => ("topic created", Some(name), None),
        };
        Self {
            kind,
            name: name.cloned(),
            session: request.map(|(session, _)| session),
            request: request.map(|(_, number)| number),
        }
    }

    fn line(&self) -> String {
        match (&self.name, self.session, self.request) {
            (Some(name), ..) => format!("{} {name}", self.kind),
            (None, Some(session), Some(number)) => {
                format!("{}, request {number} of session {session}", self.kind)
            }
            (None, ..) => self.kind.to_owned(),
        }
    }
}

impl RowChanged {
    fn new(row: &ChangedRow) -> Self {
        Self {
            keyspace: row.keyspace.clone(),
            keyspace_id: row.keyspace_id,
            event: EventShown::new(&row.event),
        }
    }

    fn line(&self) -> String {
        let number = format!("keyspace {} (dropped since)", self.keyspace_id);
        let keyspace = self.keyspace.as_ref().unwrap_or(&number);
        format!("  {keyspace}\t{}", self.event.line())
    }
}

impl Report for Shown {
    fn human(&self) -> String {
        let (revision, index) = (self.revision, self.index);
        let (at, term) = (time(self.at_ms), self.term);
        let cause = self.cause.line();
        let mut lines = vec![format!(
            "revision {revision}\t{at}\t{cause}\tentry {index} of term {term}"
        )];
        lines.extend(self.rows.iter().map(RowChanged::line));
        let hidden = self.row_count - self.rows.len() as u64;
        if hidden > 0 {
            lines.push(format!("  and {} more rows", thousands(hidden)));
        }
        for message in &self.messages {
            let (topic, partition, offset) = (&message.topic, message.partition, message.offset);
            lines.push(format!("  message\t{topic}/{partition}/{offset}"));
        }
        for offset in &self.offsets {
            let (group, next) = (&offset.consumer_group, offset.next);
            let (topic, partition) = (&offset.topic, offset.partition);
            lines.push(format!("  group {group}\tis at {topic}/{partition}/{next}"));
        }
        lines.join("\n")
    }
}
