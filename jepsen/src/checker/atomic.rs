//! Commits of a row and a message: both are there, or neither.
//!
//! Judged by the last scan and by the fetches after it, so once nobody writes any more.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Report};
use crate::history::{Act, Call, Found, FoundRow, History};

/// Judges all commits of a row and a message.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut report = Report::new("atomic");
    let Some((rows, scanned_at)) = calls.iter().rev().find_map(last_scan) else {
        return report;
    };
    let messages = messages_after(&calls, scanned_at);
    for call in &calls {
        let Act::Commit { row, key, sequence } = call.act else {
            continue;
        };
        // What came after the scan is in the messages alone.
        if call.invoked_at > scanned_at {
            continue;
        }
        report.judged += 1;
        let has_row = rows.contains_key(row);
        let has_message = messages.contains(&(key.as_str(), *sequence));
        if has_row != has_message {
            let (there, missing) = if has_row {
                ("row", "message")
            } else {
                ("message", "row")
            };
            let what = format!(
                "line {}: the commit of row {row} and message {sequence} of key {key} left its \
                 {there} without its {missing}",
                call.line()
            );
            report.violate(Kind::Torn, what);
        }
    }
    report
}

/// The rows of a scan, and when it began.
fn last_scan<'a>(call: &Call<'a>) -> Option<(&'a BTreeMap<String, FoundRow>, usize)> {
    match call.answer()?.found.as_ref()? {
        Found::Rows(rows) => Some((rows, call.invoked_at)),
        _ => None,
    }
}

fn messages_after<'a>(calls: &[Call<'a>], scanned_at: usize) -> BTreeSet<(&'a str, u64)> {
    let fetches = calls.iter().filter(|call| call.invoked_at > scanned_at);
    fetches
        .filter_map(|call| match call.answer()?.found.as_ref()? {
            Found::Messages { messages, .. } => Some(messages),
            _ => None,
        })
        .flatten()
        .map(|message| (message.key.as_str(), message.sequence))
        .collect()
}

#[cfg(test)]
mod tests;
