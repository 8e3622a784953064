//! `inspect blob`: the values in one blob file.

use std::path::Path;
use std::sync::Arc;

use engine::env::Vfs;
use engine::inspect::{BlobFileView, BlobItem, BlobValueView, Seen};
use serde::Serialize;

use super::findings::Findings;
use super::shown::{Escaped, Shown};
use crate::args::LookArgs;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::{Output, Report, table};
use crate::text::thousands;

/// Characters of a value in a table for eyes.
const WIDTH: usize = 40;

pub(super) fn run(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    look: LookArgs,
    output: Output,
) -> Result<ExitCode> {
    let mut report = BlobReport {
        file: None,
        values_found: 0,
        value_bytes: 0,
        values: Shown::new(look.limit),
        values_left_out: 0,
        findings: Findings::new(),
    };
    engine::inspect::blob(vfs, path, &mut |seen| match seen {
        Seen::Item(BlobItem::File(file)) => report.file = Some(file),
        Seen::Item(BlobItem::Value(value)) => {
            report.values_found += 1;
            report.value_bytes += u64::from(value.bytes);
            report.values.push(value);
        }
        Seen::Problem(problem) => report.findings.push(problem),
    })
    .map_err(|error| super::failed(&error))?;
    report.values_left_out = report.values.left_out;
    output.report(&report)?;
    Ok(report.findings.code())
}

#[derive(Serialize)]
struct BlobReport {
    file: Option<BlobFileView>,
    values_found: u64,
    value_bytes: u64,
    #[serde(serialize_with = "super::shown::items")]
    values: Shown<ValueShown>,
    values_left_out: u64,
    #[serde(flatten)]
    findings: Findings,
}

#[derive(Serialize)]
struct ValueShown {
    offset: u64,
    bytes: u32,
    beginning: Escaped,
}

impl From<BlobValueView> for ValueShown {
    fn from(value: BlobValueView) -> Self {
        Self {
            offset: value.offset,
            bytes: value.bytes,
            beginning: Escaped(value.beginning),
        }
    }
}

impl Report for BlobReport {
    fn human(&self) -> String {
        let file = self.file.as_ref().map(|file| {
            let recorded = match file.recorded_bytes {
                Some(_) => "a table names it",
                None => "no table beside it names it",
            };
            let bytes = thousands(file.bytes);
            let BlobFileView { id, version, .. } = file;
            format!("blob file {id} of {bytes} bytes, format {version}; {recorded}\n\n")
        });
        let header = ["byte", "bytes", "value begins"];
        let values = self.values.human(table(header), "values", |value| {
            vec![
                value.offset.to_string(),
                thousands(u64::from(value.bytes)),
                value.beginning.short(WIDTH),
            ]
        });
        format!(
            "{}{values}{} values of {} bytes read\n{}",
            file.unwrap_or_default(),
            thousands(self.values_found),
            thousands(self.value_bytes),
            self.findings.human()
        )
    }
}
