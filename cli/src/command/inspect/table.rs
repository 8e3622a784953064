//! `inspect table`: sections, blocks and rows of one table.

use std::path::Path;
use std::sync::Arc;

use engine::env::Vfs;
use engine::inspect::{BlockView, SectionView, Seen, TableItem, TableView, VersionView};
use engine::store::NEVER_MS;
use serde::Serialize;

use super::findings::Findings;
use super::shown::{Escaped, RowKey, Shown};
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
    rows: bool,
    look: LookArgs,
    output: Output,
) -> Result<ExitCode> {
    let mut report = TableReport {
        table: None,
        entries_found: 0,
        blocks: Shown::new(look.limit),
        blocks_left_out: 0,
        rows: Shown::new(look.limit),
        rows_left_out: 0,
        findings: Findings::new(),
    };
    engine::inspect::table(vfs, path, &mut |seen| match seen {
        Seen::Item(TableItem::Table(table)) => report.table = Some(TableShown::from(table)),
        Seen::Item(TableItem::Block(block)) => report.blocks.push(block),
        Seen::Item(TableItem::Version(version)) => {
            report.entries_found += 1;
            if rows {
                report.rows.push(version);
            }
        }
        Seen::Problem(problem) => report.findings.push(problem),
    })
    .map_err(|error| super::failed(&error))?;
    report.blocks_left_out = report.blocks.left_out;
    report.rows_left_out = report.rows.left_out;
    output.report(&report)?;
    Ok(report.findings.code())
}

#[derive(Serialize)]
struct TableReport {
    table: Option<TableShown>,
    entries_found: u64,
    #[serde(serialize_with = "super::shown::items")]
    blocks: Shown<BlockShown>,
    blocks_left_out: u64,
    #[serde(serialize_with = "super::shown::items")]
    rows: Shown<RowShown>,
    rows_left_out: u64,
    #[serde(flatten)]
    findings: Findings,
}

#[derive(Serialize)]
struct TableShown {
    path: String,
    id: u64,
    version: u32,
    salt: u64,
    bytes: u64,
    sections: Vec<SectionView>,
    blocks: Option<usize>,
    entries: Option<u64>,
    smallest: Option<RowKey>,
    largest: Option<RowKey>,
    revision_min: Option<u64>,
    revision_max: Option<u64>,
    blob_files: Vec<u64>,
}

impl From<TableView> for TableShown {
    fn from(table: TableView) -> Self {
        let (smallest, largest) = table.keys.unzip();
        let (revision_min, revision_max) = table.revisions.unzip();
        Self {
            path: table.path.display().to_string(),
            id: table.id,
            version: table.version,
            salt: table.salt,
            bytes: table.bytes,
            sections: table.sections,
            blocks: table.blocks,
            entries: table.entries,
            smallest: smallest.map(RowKey::from),
            largest: largest.map(RowKey::from),
            revision_min: revision_min.map(|revision| revision.0),
            revision_max: revision_max.map(|revision| revision.0),
            blob_files: table.blob_files,
        }
    }
}

#[derive(Serialize)]
struct BlockShown {
    number: usize,
    offset: u64,
    bytes: u32,
    entries: u64,
    first: RowKey,
}

impl From<BlockView> for BlockShown {
    fn from(block: BlockView) -> Self {
        Self {
            number: block.number,
            offset: block.offset,
            bytes: block.bytes,
            entries: block.entries,
            first: block.first.into(),
        }
    }
}

#[derive(Serialize)]
struct RowShown {
    block: u64,
    #[serde(flatten)]
    key: RowKey,
    revision: u64,
    /// Nothing more for a tombstone.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_file: Option<u64>,
    /// Of a row without one the value is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Escaped>,
}

impl From<VersionView> for RowShown {
    fn from(found: VersionView) -> Self {
        let row = found.row.as_ref();
        Self {
            block: found.block,
            key: found.key.into(),
            revision: found.revision.0,
            created: row.map(|row| row.meta.create_revision.0),
            version: row.map(|row| row.meta.version),
            expires_at_ms: row
                .map(|row| row.meta.expires_at_ms)
                .filter(|at_ms| *at_ms != NEVER_MS),
            kind: row.map(|row| row.meta.kind.to_string()),
            blob_file: row.and_then(|row| row.blob_file),
            value: row.and_then(|row| row.value.clone()).map(Escaped),
        }
    }
}

impl Report for TableReport {
    fn human(&self) -> String {
        let mut text = self
            .table
            .as_ref()
            .map(TableShown::human)
            .unwrap_or_default();
        let header = ["block", "byte", "bytes", "entries", "first key"];
        text += &self.blocks.human(table(header), "blocks", |block| {
            vec![
                block.number.to_string(),
                block.offset.to_string(),
                thousands(u64::from(block.bytes)),
                thousands(block.entries),
                block.first.short(WIDTH),
            ]
        });
        let header = ["key", "revision", "created", "version", "value"];
        text += &self.rows.human(table(header), "rows", |row| {
            let or_dash = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
            let value = row.value.as_ref().map(|value| value.short(WIDTH));
            let absent = if row.version.is_some() {
                "(damaged)"
            } else {
                "(deleted)"
            };
            vec![
                row.key.short(WIDTH),
                row.revision.to_string(),
                or_dash(row.created),
                or_dash(row.version),
                value.unwrap_or_else(|| absent.to_owned()),
            ]
        });
        let entries = thousands(self.entries_found);
        format!("{text}{entries} entries read\n{}", self.findings.human())
    }
}

impl TableShown {
    fn human(&self) -> String {
        let number = |number: Option<u64>| number.map_or("?".to_owned(), thousands);
        let key = |key: &Option<RowKey>| {
            let key = key.as_ref().map(|key| key.short(WIDTH));
            key.unwrap_or_else(|| "?".to_owned())
        };
        let mut text = format!(
            "table {} of {} bytes, format {}: {} entries in {} blocks\nkeys {} to {}, revisions \
             {} to {}\n\n",
            self.id,
            thousands(self.bytes),
            self.version,
            number(self.entries),
            number(self.blocks.map(|blocks| blocks as u64)),
            key(&self.smallest),
            key(&self.largest),
            number(self.revision_min),
            number(self.revision_max),
        );
        let mut sections = Shown::new(self.sections.len());
        for section in &self.sections {
            sections.push(*section);
        }
        let header = table(["section", "byte", "bytes"]);
        text += &sections.human(header, "sections", |section: &SectionView| {
            vec![
                section.name.to_owned(),
                section.offset.to_string(),
                thousands(u64::from(section.bytes)),
            ]
        });
        text
    }
}
