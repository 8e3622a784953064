//! `inspect manifest`: tables, checkpoint and edits of a store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::env::Vfs;
use engine::inspect::{CheckpointView, EditView, ManifestItem, ManifestTable, ManifestView, Seen};
use serde::Serialize;

use super::findings::Findings;
use super::shown::Shown;
use crate::args::LookArgs;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::{Output, Report, lines, table};
use crate::text::thousands;

pub(super) fn run(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    look: LookArgs,
    output: Output,
) -> Result<ExitCode> {
    let mut edits = Shown::new(look.limit);
    let mut findings = Findings::new();
    let manifest = engine::inspect::manifest(vfs, path, &mut |seen| match seen {
        Seen::Item(ManifestItem::Edit(edit)) => edits.push(edit),
        Seen::Item(ManifestItem::Seal { .. }) => {}
        Seen::Problem(problem) => findings.push(problem),
    })
    .map_err(|error| super::failed(&error))?;
    let report = ManifestReport {
        limit: look.limit,
        levels: Level::all(&manifest.tables),
        manifest,
        edits_left_out: edits.left_out,
        edits,
        findings,
    };
    output.report(&report)?;
    Ok(report.findings.code())
}

#[derive(Serialize)]
struct ManifestReport {
    #[serde(skip)]
    limit: usize,
    manifest: ManifestView,
    levels: Vec<Level>,
    #[serde(serialize_with = "super::shown::items")]
    edits: Shown<EditView>,
    edits_left_out: u64,
    #[serde(flatten)]
    findings: Findings,
}

#[derive(Serialize)]
struct Level {
    #[serde(rename = "level")]
    number: usize,
    tables: u64,
    bytes: u64,
    entries: u64,
}

impl Level {
    fn all(tables: &[ManifestTable]) -> Vec<Self> {
        let mut levels: BTreeMap<usize, Self> = BTreeMap::new();
        for table in tables {
            let level = levels.entry(table.level).or_insert(Self {
                number: table.level,
                tables: 0,
                bytes: 0,
                entries: 0,
            });
            level.tables += 1;
            level.bytes += table.bytes;
            level.entries += table.entries;
        }
        levels.into_values().collect()
    }
}

impl Report for ManifestReport {
    fn human(&self) -> String {
        let manifest = &self.manifest;
        let mut levels = table(["level", "tables", "bytes", "entries"]);
        for level in &self.levels {
            levels.add_row([
                level.number.to_string(),
                thousands(level.tables),
                thousands(level.bytes),
                thousands(level.entries),
            ]);
        }
        let mut tables = Shown::new(self.limit);
        for table in &manifest.tables {
            tables.push(table);
        }
        let header = ["table", "level", "bytes", "entries", "revisions"];
        let tables = tables.human(table(header), "tables", |table: &&ManifestTable| {
            vec![
                table.id.to_string(),
                table.level.to_string(),
                thousands(table.bytes),
                thousands(table.entries),
                format!("{} to {}", table.revision_min, table.revision_max),
            ]
        });
        let header = ["byte", "edit: tables added", "removed", "checkpoint bytes"];
        let edits = self.edits.human(table(header), "edits", |edit| {
            let added = edit.added.iter();
            let added = added.map(|table| format!("{} in L{}", table.id, table.level));
            let removed = edit.removed.iter().map(ToString::to_string);
            let checkpoint = edit.checkpoint_bytes.map(|bytes| thousands(bytes as u64));
            vec![
                edit.offset.to_string(),
                added.collect::<Vec<_>>().join(", "),
                removed.collect::<Vec<_>>().join(", "),
                checkpoint.unwrap_or_else(|| "-".to_owned()),
            ]
        });
        let checkpoint = match &manifest.checkpoint {
            Some(checkpoint) => describe(checkpoint),
            None => "no checkpoint\n".to_owned(),
        };
        format!(
            "generation {} of {} bytes; the next table is {}\n\n{}\n\n{tables}{edits}{checkpoint}\n{}",
            manifest.generation,
            thousands(manifest.bytes as u64),
            manifest.next_id,
            lines(&levels),
            self.findings.human()
        )
    }
}

fn describe(checkpoint: &CheckpointView) -> String {
    let keyspaces = checkpoint.keyspaces.iter();
    let keyspaces = keyspaces.map(|(name, id)| format!("{name} ({id})"));
    let topics = checkpoint.topics.iter();
    let topics =
        topics.map(|(name, id, partitions)| format!("{name} ({id}, {partitions} partitions)"));
    let applied = checkpoint.applied.map(|applied| applied.to_string());
    format!(
        "checkpoint of {} bytes: applied {}, revision {}, floor {}, digest {:016x}\nkeyspaces: \
         {}\ntopics: {}\n{} sessions; {} partition files of {} bytes\n",
        thousands(checkpoint.bytes as u64),
        applied.unwrap_or_else(|| "nothing".to_owned()),
        checkpoint.revision,
        checkpoint.floor,
        checkpoint.digest,
        keyspaces.collect::<Vec<_>>().join(", "),
        topics.collect::<Vec<_>>().join(", "),
        thousands(checkpoint.sessions as u64),
        thousands(checkpoint.partition_files as u64),
        thousands(checkpoint.partition_bytes),
    )
}
