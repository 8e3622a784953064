//! Commits of a row and a message: both are there, or neither.
//!
//! Judged by the last scan and by the fetches after it, so once nobody writes any more. A commit
//! of unknown outcome may happen between the two: its message without its row says nothing, unless
//! the message was seen before the scan.

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
    let messages = found_in(calls.iter().filter(|call| call.invoked_at > scanned_at));
    let before_scan = |call: &&Call| call.acknowledged_at().is_some_and(|at| at < scanned_at);
    let messages_before = found_in(calls.iter().filter(before_scan));
    let perhaps_done: BTreeSet<&str> = calls
        .iter()
        .filter(|call| !call.failed())
        .filter_map(|call| match call.act {
            Act::Commit { row, .. } => Some(row.as_str()),
            _ => None,
        })
        .collect();
    for call in &calls {
        let Act::Commit { row, key, sequence } = call.act else {
            continue;
        };
        // What came after the scan is in the messages alone.
        let is_later = call.invoked_at > scanned_at;
        // A refused attempt says nothing of another one.
        if is_later || (call.failed() && perhaps_done.contains(row.as_str())) {
            continue;
        }
        report.judged += 1;
        let has_row = rows.contains_key(row);
        let message = (key.as_str(), *sequence);
        let has_message = messages.contains(&message);
        let may_come_between = !call.failed() && !before_scan(&call);
        let came_between = !has_row && may_come_between && !messages_before.contains(&message);
        if has_row != has_message && !came_between {
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

/// The messages that fetches found.
fn found_in<'c, 'a: 'c>(fetches: impl Iterator<Item = &'c Call<'a>>) -> BTreeSet<(&'a str, u64)> {
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
