//! A request takes effect once, however often it is sent, and every resend answers the same.
//!
//! What is counted: a row's version counts its writes, a message's places count its appends, a
//! revision names one commit. Attempts under one request count once, all others each for itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Report};
use crate::history::{Act, Answer, Call, Found, History, Place};

/// Judges all requests, and the versions of all rows that were never deleted.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let writes = Write::group(&calls);
    let mut report = Report::new("exactly_once");
    for write in &writes {
        write.judge_attempts(&mut report);
    }
    judge_revisions(&writes, &mut report);
    judge_messages(&writes, &calls, &mut report);
    judge_versions(&writes, &calls, &mut report);
    report
}

/// All attempts of one request; or one attempt without a name.
struct Write<'c, 'a> {
    request: Option<&'a str>,
    attempts: Vec<&'c Call<'a>>,
}

impl<'c, 'a> Write<'c, 'a> {
    fn group(calls: &'c [Call<'a>]) -> Vec<Self> {
        let mut writes: Vec<Self> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for call in calls.iter().filter(|call| call.act.is_write()) {
            let place = call.request.and_then(|request| places.get(request));
            if let Some(write) = place.and_then(|place| writes.get_mut(*place)) {
                write.attempts.push(call);
                continue;
            }
            if let Some(request) = call.request {
                places.insert(request, writes.len());
            }
            writes.push(Self {
                request: call.request,
                attempts: vec![call],
            });
        }
        writes
    }

    fn act(&self) -> &'a Act {
        self.attempts[0].act
    }

    fn answers(&self) -> impl Iterator<Item = (&'c Call<'a>, &'a Answer)> {
        let attempts = self.attempts.iter();
        attempts.filter_map(|call| Some((*call, call.answer()?)))
    }

    /// When an attempt that was not refused began first, if there is one.
    fn begun_at(&self) -> Option<usize> {
        let attempts = self.attempts.iter().filter(|call| !call.failed());
        attempts.map(|call| call.invoked_at).min()
    }

    fn acknowledged_at(&self) -> Option<usize> {
        let attempts = self.attempts.iter();
        attempts.filter_map(|call| call.acknowledged_at()).min()
    }

    fn name(&self) -> String {
        match self.request {
            Some(request) => format!("request {request}"),
            None => format!("the write on line {}", self.attempts[0].line()),
        }
    }

    fn judge_attempts(&self, report: &mut Report) {
        let Some(request) = self.request else {
            return;
        };
        report.judged += 1;
        let acknowledged_at = self.acknowledged_at();
        let first = self.answers().next();
        for call in &self.attempts {
            let line = call.line();
            if call.act != self.act() {
                let what =
                    format!("line {line}: request {request} asked for something else before");
                report.violate(Kind::Reused, what);
            }
            if call.failed() && acknowledged_at.is_some_and(|at| at < call.invoked_at) {
                let what = format!("line {line}: request {request} is refused, and had happened");
                report.violate(Kind::Contradictory, what);
            }
            if let (Some((_, first)), Some(answer)) = (first, call.answer())
                && first != answer
            {
                let what =
                    format!("line {line}: request {request} is answered otherwise than before");
                report.violate(Kind::Contradictory, what);
            }
        }
    }
}

/// No two commits that change something have one revision.
fn judge_revisions(writes: &[Write], report: &mut Report) {
    let mut owners: BTreeMap<u64, &Write> = BTreeMap::new();
    for write in writes.iter().filter(|write| always_changes(write.act())) {
        let revisions: BTreeSet<u64> = write.answers().map(|(_, one)| one.revision).collect();
        for revision in revisions.into_iter().filter(|revision| *revision != 0) {
            report.judged += 1;
            if let Some(owner) = owners.insert(revision, write) {
                let what = format!(
                    "{} and {} have revision {revision}",
                    owner.name(),
                    write.name()
                );
                report.violate(Kind::Conflicting, what);
            }
        }
    }
}

/// Whether a commit of it that happened made a revision. A delete may find nothing.
fn always_changes(act: &Act) -> bool {
    act.is_write() && !matches!(act, Act::Delete { .. })
}

/// A request's message stands once, whatever fetches find.
fn judge_messages(writes: &[Write], calls: &[Call], report: &mut Report) {
    let mut places: BTreeMap<(&str, u64), BTreeSet<Place>> = BTreeMap::new();
    for call in calls {
        let found = call.answer().and_then(|answer| answer.found.as_ref());
        if let (Act::Fetch { partition, .. }, Some(Found::Messages { messages, .. })) =
            (call.act, found)
        {
            for message in messages {
                let place = Place {
                    partition: *partition,
                    offset: message.offset,
                };
                let name = (message.key.as_str(), message.sequence);
                places.entry(name).or_default().insert(place);
            }
        }
    }
    let mut senders: BTreeMap<(&str, u64), Vec<&Write>> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.begun_at().is_some()) {
        if let Some(message) = write.act().message() {
            senders.entry(message).or_default().push(write);
        }
    }
    for (message, senders) in senders {
        let standing = places.get(&message).map_or(0, BTreeSet::len);
        let named = senders.iter().any(|write| write.request.is_some());
        if named && standing > senders.len() {
            let what = format!(
                "message {} of key {} stands {standing} times after {} request(s)",
                message.1,
                message.0,
                senders.len()
            );
            report.violate(Kind::Twice, what);
        }
    }
}

/// A row's version lies between how many writes of it must and may have happened.
fn judge_versions(writes: &[Write], calls: &[Call], report: &mut Report) {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for write in writes {
        let key = match write.act() {
            Act::Put { key, .. } | Act::Cas { key, .. } | Act::Delete { key } => key,
            Act::Commit { row, .. } => row,
            _ => continue,
        };
        let row = rows.entry(key).or_default();
        let Some(begun_at) = write.begun_at() else {
            continue;
        };
        row.is_deleted |= matches!(write.act(), Act::Delete { .. });
        row.begun.push(begun_at);
        row.acknowledged.extend(write.acknowledged_at());
        // A resend is answered as the first was: with the version of that time.
        if let Some((call, answer)) = write.answers().next()
            && let (Some(version), Some(at)) = (answer.version, call.acknowledged_at())
        {
            row.counted.push(Counted {
                version,
                from: begun_at,
                until: at,
                line: call.line(),
                is_write: true,
            });
        }
    }
    for call in calls {
        let found = call.answer().and_then(|answer| answer.found.as_ref());
        if let (Some(Found::Rows(found)), Some(at)) = (found, call.acknowledged_at()) {
            for (key, found) in found {
                if let Some(row) = rows.get_mut(key.as_str()) {
                    row.counted.push(Counted {
                        version: found.version,
                        from: call.invoked_at,
                        until: at,
                        line: call.line(),
                        is_write: false,
                    });
                }
            }
        }
    }
    for (key, row) in rows.iter_mut().filter(|(_, row)| !row.is_deleted) {
        row.judge(key, report);
    }
}

#[derive(Default)]
struct Row {
    /// When each write that was not refused began.
    begun: Vec<usize>,
    /// When each acknowledged write was acknowledged.
    acknowledged: Vec<usize>,
    counted: Vec<Counted>,
    is_deleted: bool,
}

/// Somebody was told a version.
struct Counted {
    version: u64,
    from: usize,
    until: usize,
    line: usize,
    /// Whether it is the version that a write made.
    is_write: bool,
}

impl Row {
    fn judge(&mut self, key: &str, report: &mut Report) {
        self.begun.sort_unstable();
        self.acknowledged.sort_unstable();
        let mut owners: BTreeMap<u64, usize> = BTreeMap::new();
        for counted in &self.counted {
            report.judged += 1;
            let (line, version) = (counted.line, counted.version);
            let done = self.acknowledged.partition_point(|at| *at < counted.from);
            let least = done + usize::from(counted.is_write);
            let most = self.begun.partition_point(|at| *at < counted.until);
            let bound = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            if version > bound(most) {
                let what =
                    format!("line {line}: row {key} has version {version} after {most} writes");
                report.violate(Kind::Twice, what);
            } else if version < bound(least) {
                let what =
                    format!("line {line}: row {key} has version {version}, and {least} are due");
                report.violate(Kind::Lost, what);
            }
            if counted.is_write
                && let Some(other) = owners.insert(version, line)
            {
                let what = format!(
                    "lines {other} and {line}: two writes made version {version} of row {key}"
                );
                report.violate(Kind::Conflicting, what);
            }
        }
    }
}

#[cfg(test)]
mod tests;
