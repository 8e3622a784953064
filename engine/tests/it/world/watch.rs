//! What a script sees of changes.
//!
//! ```text
//! watch KS [key= | prefix= | start= end=] from=REV [previous=true puts=false deletes=false keys=true]
//! changes from=REV [limit=N]
//! ```

use std::fmt::Write as _;

use bytes::Bytes;
use engine::ids::Revision;
use engine::query::{Cause, Change, Keys, QueuedChange, RowView, WatchEvent, WatchRequest};
use engine::replica::Replica;
use goldenscript::{ArgumentConsumer, Command as Line};

use super::{Fallible, option, positional, show_row, text};

/// Runs a command, if it is one of these.
pub(super) fn run(replica: &Replica, line: &Line) -> Fallible<String> {
    let mut args = line.consume_args();
    let mut out = String::new();
    match line.name.as_str() {
        "watch" => {
            let request = request(&mut args)?;
            let from = option::<u64>(&mut args, "from")?.map(Revision);
            let watch = replica.watch(request, Box::new(|| ()))?;
            let mut position = watch.start(from)?;
            loop {
                let page = watch.page(position)?;
                for commit in &page.commits {
                    let part = if commit.complete { "" } else { " in part" };
                    writeln!(
                        out,
                        "revision {} at {} ms{part}",
                        commit.revision, commit.at_ms
                    )?;
                    for event in &commit.events {
                        writeln!(out, "  {}", show_event(event))?;
                    }
                }
                position = page.next;
                if !page.more {
                    break;
                }
            }
            writeln!(out, "next is {}", position.revision)?;
        }
        "changes" => {
            let from = Revision(option::<u64>(&mut args, "from")?.unwrap_or(1));
            let page = replica.changes(from, option(&mut args, "limit")?.unwrap_or(0))?;
            for commit in &page.commits {
                let (revision, at_ms) = (commit.revision, commit.at_ms);
                let cause = show_cause(&commit.cause);
                writeln!(out, "revision {revision} at {at_ms} ms: {cause}")?;
                for row in &commit.rows {
                    let number = row.keyspace_id.to_string();
                    let keyspace = row.keyspace.as_ref().unwrap_or(&number);
                    writeln!(out, "  {keyspace}: {}", show_event(&row.event))?;
                }
                for queued in &commit.queued {
                    writeln!(out, "  {}", show_queued(queued))?;
                }
            }
            let more = if page.more { ", more follow" } else { "" };
            writeln!(out, "next is {}{more}", page.next)?;
        }
        name => return Err(format!("no command is called {name}").into()),
    }
    args.reject_next()?;
    Ok(out)
}

fn request(args: &mut ArgumentConsumer<'_>) -> Fallible<WatchRequest> {
    let keyspace = positional(args.next_pos())?;
    let key = option::<String>(args, "key")?;
    let prefix = option::<String>(args, "prefix")?;
    let start = option::<String>(args, "start")?;
    let end = option::<String>(args, "end")?;
    let keys = match (key, start) {
        (Some(key), _) => Keys::One(key.into()),
        (None, Some(start)) => Keys::Range(start.into(), end.map(Bytes::from)),
        (None, None) => Keys::Prefix(prefix.unwrap_or_default().into()),
    };
    Ok(WatchRequest {
        keyspace,
        keys,
        no_puts: !option(args, "puts")?.unwrap_or(true),
        no_deletes: !option(args, "deletes")?.unwrap_or(true),
        previous: option(args, "previous")?.unwrap_or(false),
        keys_only: option(args, "keys")?.unwrap_or(false),
    })
}

fn show_event(event: &WatchEvent) -> String {
    let change = match &event.change {
        Change::Put(row) => format!("put {}", show_row(row)),
        Change::Deleted(key) => format!("deleted {}", text(key)),
        Change::Ended(key) => format!("ended {}", text(key)),
        Change::RangeDeleted(start, end) => {
            let end = end.as_ref().map_or("the end".to_owned(), |end| text(end));
            format!("deleted from {:?} to {end}", text(start))
        }
        Change::KeyspaceDropped => "the keyspace was dropped".to_owned(),
    };
    let was = |old: &RowView| format!(", was {}", show_row(old));
    change + &event.previous.as_ref().map_or(String::new(), was)
}

fn show_cause(cause: &Cause) -> String {
    match cause {
        Cause::Commit(None) => "a commit".to_owned(),
        Cause::Commit(Some((session, number))) => {
            format!("request {number} of session {session}")
        }
        Cause::RowsEnded => "rows have ended".to_owned(),
        Cause::KeyspaceCreated(name) => format!("keyspace {name} was made"),
        Cause::KeyspaceAltered(name) => format!("keyspace {name} was altered"),
        Cause::KeyspaceDropped(name) => format!("keyspace {name} was dropped"),
        Cause::TopicCreated(name) => format!("topic {name} was made"),
    }
}

fn show_queued(queued: &QueuedChange) -> String {
    match queued {
        QueuedChange::Message {
            topic,
            partition,
            offset,
        } => format!("message {topic}/{partition}/{offset}"),
        QueuedChange::Offset {
            topic,
            partition,
            consumer_group,
            next,
        } => format!("group {consumer_group} is at {topic}/{partition}/{next}"),
    }
}
