//! `inspect partition`: messages in partition files.

use std::path::Path;
use std::sync::Arc;

use engine::env::Vfs;
use engine::inspect::{MessageView, PartitionFileView, PartitionItem, PartitionView, Seen};
use serde::Serialize;

use super::findings::Findings;
use super::shown::{Escaped, Shown};
use crate::args::LookArgs;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::{Output, Report, table};
use crate::text::thousands;

/// Characters of a key or value in a table for eyes.
const WIDTH: usize = 40;

pub(super) fn run(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    look: LookArgs,
    output: Output,
) -> Result<ExitCode> {
    let mut files = Shown::new(look.limit);
    let mut messages = Shown::new(look.limit);
    let mut findings = Findings::new();
    // Whose the next messages are.
    let mut whose = (0, 0);
    let partitions = engine::inspect::partition(vfs, path, &mut |seen| match seen {
        Seen::Item(PartitionItem::File(file)) => {
            whose = (file.topic.0, file.partition.0);
            files.push(file);
        }
        Seen::Item(PartitionItem::Message(message)) => {
            messages.push(MessageShown::new(whose, message));
        }
        Seen::Problem(problem) => findings.push(problem),
    })
    .map_err(|error| super::failed(&error))?;
    let report = PartitionReport {
        partitions,
        files_left_out: files.left_out,
        messages_left_out: messages.left_out,
        files,
        messages,
        findings,
    };
    output.report(&report)?;
    Ok(report.findings.code())
}

#[derive(Serialize)]
struct PartitionReport {
    partitions: PartitionView,
    #[serde(serialize_with = "super::shown::items")]
    files: Shown<PartitionFileView>,
    files_left_out: u64,
    #[serde(serialize_with = "super::shown::items")]
    messages: Shown<MessageShown>,
    messages_left_out: u64,
    #[serde(flatten)]
    findings: Findings,
}

#[derive(Serialize)]
struct MessageShown {
    topic: u32,
    partition: u32,
    offset: u64,
    position: u64,
    bytes: usize,
    revision: u64,
    timestamp_ms: u64,
    key: Option<Escaped>,
    value: Escaped,
    headers: Vec<(String, Escaped)>,
}

impl MessageShown {
    fn new((topic, partition): (u32, u32), found: MessageView) -> Self {
        let message = found.message;
        let headers = message.body.headers.into_iter();
        Self {
            topic,
            partition,
            offset: message.offset.0,
            position: found.position,
            bytes: found.bytes,
            revision: message.revision.0,
            timestamp_ms: message.timestamp_ms,
            key: message.body.key.map(Escaped),
            value: Escaped(message.body.value),
            headers: headers
                .map(|(name, value)| (name, Escaped(value)))
                .collect(),
        }
    }
}

impl Report for PartitionReport {
    fn human(&self) -> String {
        let header = ["topic", "partition", "first", "bytes", "recorded", "file"];
        let files = self.files.human(table(header), "files", |file| {
            vec![
                file.topic.to_string(),
                file.partition.to_string(),
                file.base.to_string(),
                thousands(file.bytes),
                file.recorded_bytes
                    .map_or_else(|| "-".to_owned(), thousands),
                file.path.display().to_string(),
            ]
        });
        let header = [
            "offset", "byte", "bytes", "revision", "time ms", "key", "value",
        ];
        let messages = self.messages.human(table(header), "messages", |message| {
            let key = message.key.as_ref().map(|key| key.short(WIDTH));
            vec![
                format!("{}-{}/{}", message.topic, message.partition, message.offset),
                message.position.to_string(),
                thousands(message.bytes as u64),
                message.revision.to_string(),
                message.timestamp_ms.to_string(),
                key.unwrap_or_else(|| "-".to_owned()),
                message.value.short(WIDTH),
            ]
        });
        let PartitionView {
            files: count,
            messages: all,
            bytes,
            recorded,
        } = self.partitions;
        let counts = if recorded {
            "what the newest checkpoint records counts"
        } else {
            "no checkpoint was found beside them: all of it counts"
        };
        format!(
            "{files}{messages}{} files of {} bytes, {} messages; {counts}\n{}",
            thousands(count),
            thousands(bytes),
            thousands(all),
            self.findings.human()
        )
    }
}
