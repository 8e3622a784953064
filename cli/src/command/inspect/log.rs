//! `inspect log`: segments and their frames.

use std::path::Path;
use std::sync::Arc;

use engine::env::Vfs;
use engine::inspect::{FrameView, LogItem, LogView, Place, Seen, SegmentView};
use serde::Serialize;

use super::findings::Findings;
use super::shown::Shown;
use crate::args::LookArgs;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::{Output, Report, table};
use crate::text::thousands;

pub(super) fn run(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    look: LookArgs,
    output: Output,
) -> Result<ExitCode> {
    let mut segments = Shown::new(look.limit);
    let mut frames = Shown::new(look.limit);
    let mut findings = Findings::new();
    let log = engine::inspect::log(vfs, path, &mut |seen| match seen {
        Seen::Item(LogItem::Segment(segment)) => segments.push(segment),
        Seen::Item(LogItem::Frame(frame)) => frames.push(frame),
        Seen::Problem(problem) => findings.push(problem),
    })
    .map_err(|error| super::failed(&error))?;
    let report = LogReport {
        log,
        segments_left_out: segments.left_out,
        frames_left_out: frames.left_out,
        segments,
        frames,
        findings,
    };
    output.report(&report)?;
    Ok(report.findings.code())
}

#[derive(Serialize)]
struct LogReport {
    log: LogView,
    #[serde(serialize_with = "super::shown::items")]
    segments: Shown<SegmentView>,
    segments_left_out: u64,
    #[serde(serialize_with = "super::shown::items")]
    frames: Shown<FrameView>,
    frames_left_out: u64,
    #[serde(flatten)]
    findings: Findings,
}

impl Report for LogReport {
    fn human(&self) -> String {
        let header = [
            "segment",
            "bytes",
            "groups",
            "the one before ended",
            "cluster",
            "file",
        ];
        let segments = self.segments.human(table(header), "segments", |segment| {
            let previous = segment.previous.map_or_else(|| "-".to_owned(), place);
            let groups = segment.groups.map(|groups| groups.to_string());
            vec![
                segment.segment.to_string(),
                thousands(u64::from(segment.bytes)),
                groups.unwrap_or_else(|| "unused".to_owned()),
                previous,
                segment.cluster.to_string(),
                segment.path.display().to_string(),
            ]
        });
        let header = ["place", "kind", "group", "entry", "body", "durable up to"];
        let frames = self.frames.human(table(header), "frames", |frame| {
            let lost = if frame.counts { "" } else { " (lost)" };
            let entry = match frame.kind {
                "entry" | "purge" | "reset" => frame.log_id.to_string(),
                "truncate-after" => frame.log_id.index.to_string(),
                _ => "-".to_owned(),
            };
            vec![
                place(frame.at),
                format!("{}{lost}", frame.kind),
                frame.group.to_string(),
                entry,
                thousands(frame.body_bytes as u64),
                place(frame.mark),
            ]
        });
        let LogView {
            segments: count,
            frames: all,
            entries,
            end,
            marked,
        } = &self.log;
        let end = end.map_or_else(
            || "is empty".to_owned(),
            |end| format!("ends at {}", place(end)),
        );
        format!(
            "{segments}{frames}{} segments, {} frames, {} entries; the log {end}, and says that \
             it was durable up to {}\n{}",
            thousands(*count),
            thousands(*all),
            thousands(*entries),
            place(*marked),
            self.findings.human()
        )
    }
}

/// Segment and byte.
fn place(place: Place) -> String {
    format!("{}:{}", place.segment, place.offset)
}
