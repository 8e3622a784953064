//! Who watches is told every change once, in order, whole, and as it was.
//!
//! Each page of a watch is a claim of its own: these, and no others, are the changes of these rows
//! from one revision up to another. All claims must agree with what writers were told, and with each
//! other; where a watch began anew, or on another node, does not matter then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Kind, Report};
use crate::history::{Act, Call, Found, FoundCommit, History};

type Rows = BTreeMap<String, Option<String>>;

/// Judges all watches.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut report = Report::new("watch");
    let claims: Vec<Claim> = calls.iter().filter_map(Claim::of).collect();
    let mut written = Written::of(&calls);
    written.bind(&claims, &mut report);
    for claim in &claims {
        report.judged += 1;
        claim.judge_order(&mut report);
        claim.judge_beginning(&written, &mut report);
        claim.judge_contents(&written, &mut report);
        claim.judge_previous(&written, &mut report);
    }
    report
}

/// What one page of a watch says.
struct Claim<'a> {
    /// The only row that is watched, or all.
    key: Option<&'a str>,
    /// It shows what stood there before.
    previous: bool,
    /// It has just begun with what happens from now on.
    is_new: bool,
    from: u64,
    upto: u64,
    commits: &'a [FoundCommit],
    invoked_at: usize,
    line: usize,
}

/// What writers did, at which revisions.
#[derive(Default)]
struct Written<'a> {
    /// By revision, as far as a writer or a watcher was told.
    at: BTreeMap<u64, &'a Rows>,
    /// When it was acknowledged, and the revision.
    acknowledged: Vec<(usize, u64)>,
    /// Of unknown outcome, and seen by nobody yet.
    unknown: Vec<&'a Rows>,
    refused: Vec<&'a Rows>,
    /// Revisions of each row's changes.
    of_key: BTreeMap<&'a str, BTreeSet<u64>>,
}

impl<'a> Claim<'a> {
    fn of(call: &Call<'a>) -> Option<Self> {
        let Act::Watch {
            key,
            previous,
            from,
        } = call.act
        else {
            return None;
        };
        let Found::Watched {
            from: began,
            upto,
            commits,
        } = call.answer()?.found.as_ref()?
        else {
            return None;
        };
        Some(Self {
            key: key.as_deref(),
            previous: *previous,
            is_new: from.is_none(),
            from: *began,
            upto: *upto,
            commits,
            invoked_at: call.invoked_at,
            line: call.line(),
        })
    }

    fn watches(&self, key: &str) -> bool {
        self.key.is_none_or(|only| only == key)
    }

    fn name(&self) -> String {
        let (from, upto) = (self.from, self.upto);
        format!("line {}: the watch from {from} to {upto}", self.line)
    }

    fn judge_order(&self, report: &mut Report) {
        let mut last = 0;
        for commit in self.commits {
            let revision = commit.revision;
            let (kind, what) = if revision == last {
                (Kind::Twice, "tells it twice")
            } else if revision < last {
                (Kind::Reordered, "tells it behind a later one")
            } else if revision < self.from {
                (Kind::Twice, "was told it before")
            } else if revision > self.upto {
                (Kind::Future, "is not that far")
            } else {
                last = revision;
                continue;
            };
            let name = self.name();
            report.violate(kind, format!("{name} {what}: revision {revision}"));
        }
    }

    /// A watch from now on begins behind all that was acknowledged.
    fn judge_beginning(&self, written: &Written, report: &mut Report) {
        if !self.is_new {
            return;
        }
        let known = written.acknowledged.iter();
        let known = known.filter(|(at, _)| *at < self.invoked_at);
        let newest = known.map(|(_, revision)| *revision).max();
        if let Some(newest) = newest.filter(|newest| *newest >= self.from) {
            let name = self.name();
            let what = format!("{name} begins before revision {newest}, which was acknowledged");
            report.violate(Kind::Stale, what);
        }
    }

    fn judge_contents(&self, written: &Written, report: &mut Report) {
        let told: BTreeMap<u64, &FoundCommit> = self
            .commits
            .iter()
            .map(|commit| (commit.revision, commit))
            .collect();
        let name = self.name();
        if self.from <= self.upto {
            for (revision, rows) in written.at.range(self.from..=self.upto) {
                let must = self.must(written, *revision, rows);
                match told.get(revision) {
                    None if !must.is_empty() => {
                        let what = format!("{name} leaves out revision {revision}");
                        report.violate(Kind::Lost, what);
                    }
                    None => {}
                    Some(commit) => judge_commit(&name, commit, &must, rows, report),
                }
            }
        }
        for (revision, commit) in told {
            if written.at.contains_key(&revision) {
                continue;
            }
            for change in &commit.changes {
                let is_it =
                    |rows: &&Rows| rows.get(&change.key).is_some_and(|v| *v == change.value);
                let has = format!("{name} has {} at revision {revision}", change.key);
                if written.unknown.iter().any(is_it) {
                    // A deletion has no name of its own, so that it is seen and not bound.
                    continue;
                }
                if written.refused.iter().any(is_it) && change.value.is_some() {
                    report.violate(Kind::Aborted, format!("{has}, which was refused"));
                } else {
                    report.violate(Kind::Phantom, format!("{has}, which nobody wrote"));
                }
            }
        }
    }

    /// What of a commit must be told: a deletion of what was not there is none.
    fn must<'w>(
        &self,
        written: &Written,
        revision: u64,
        rows: &'w Rows,
    ) -> BTreeMap<&'w str, &'w Option<String>> {
        let watched = rows.iter().filter(|(key, _)| self.watches(key));
        let told = watched.filter(|(key, value)| {
            value.is_some()
                || (written.before(key, revision).is_some() && !written.is_doubtful(key))
        });
        told.map(|(key, value)| (key.as_str(), value)).collect()
    }

    fn judge_previous(&self, written: &Written, report: &mut Report) {
        if !self.previous {
            return;
        }
        for commit in self.commits {
            let revision = commit.revision;
            for change in &commit.changes {
                let key = change.key.as_str();
                let before = written.before(key, revision);
                if change.previous.as_ref() == before || written.is_doubtful(key) {
                    continue;
                }
                let (name, shown) = (self.name(), &change.previous);
                let what = format!("{name} shows {shown:?} in {key} before {revision}: {before:?}");
                report.violate(Kind::Stale, what);
            }
        }
    }
}

/// A commit that was told against what was written: all of it, and nothing else.
fn judge_commit(
    name: &str,
    commit: &FoundCommit,
    must: &BTreeMap<&str, &Option<String>>,
    rows: &Rows,
    report: &mut Report,
) {
    let revision = commit.revision;
    let told = commit.changes.iter();
    let told: HashMap<&str, _> = told
        .map(|change| (change.key.as_str(), &change.value))
        .collect();
    if told.len() < commit.changes.len() {
        let what = format!("{name} has a row twice at revision {revision}");
        report.violate(Kind::Twice, what);
    }
    for key in must.keys().filter(|key| !told.contains_key(**key)) {
        let what = format!("{name} lacks {key} at revision {revision}");
        report.violate(Kind::Torn, what);
    }
    for (key, value) in told {
        match rows.get(key) {
            None => {
                let what = format!("{name} has {key} at {revision}, which it did not change");
                report.violate(Kind::Phantom, what);
            }
            Some(was) if was != value => {
                let what = format!("{name} has {value:?} in {key} at {revision}: it was {was:?}");
                report.violate(Kind::Conflicting, what);
            }
            Some(_) => {}
        }
    }
}

impl<'a> Written<'a> {
    fn of(calls: &[Call<'a>]) -> Self {
        let mut written = Self::default();
        for call in calls {
            let Act::Change { rows } = call.act else {
                continue;
            };
            match call.answer() {
                Some(answer) => {
                    written.note(answer.revision, rows);
                    let at = call.acknowledged_at();
                    written
                        .acknowledged
                        .extend(at.map(|at| (at, answer.revision)));
                }
                None if call.failed() => written.refused.push(rows),
                None => written.unknown.push(rows),
            }
        }
        written
    }

    fn note(&mut self, revision: u64, rows: &'a Rows) {
        self.at.insert(revision, rows);
        for key in rows.keys() {
            self.of_key.entry(key).or_default().insert(revision);
        }
    }

    /// Finds for changes of unknown outcome the revisions at which watchers saw them.
    fn bind(&mut self, claims: &[Claim], report: &mut Report) {
        let mut by_value: HashMap<(&str, &str), (&'a Rows, Option<u64>)> = HashMap::new();
        let unknown = self.unknown.iter().map(|rows| (*rows, None));
        let known = self
            .at
            .iter()
            .map(|(revision, rows)| (*rows, Some(*revision)));
        for (rows, at) in unknown.chain(known) {
            for (key, value) in rows {
                if let Some(value) = value {
                    by_value.insert((key, value), (rows, at));
                }
            }
        }
        for claim in claims {
            for commit in claim.commits {
                for change in &commit.changes {
                    let Some(value) = &change.value else {
                        continue;
                    };
                    let Some((rows, at)) = by_value.get_mut(&(&change.key, value)) else {
                        continue;
                    };
                    match at {
                        None => {
                            *at = Some(commit.revision);
                            let rows = *rows;
                            self.note(commit.revision, rows);
                            self.unknown.retain(|other| !std::ptr::eq(*other, rows));
                        }
                        Some(at) if *at != commit.revision => {
                            let (name, key) = (claim.name(), &change.key);
                            let revision = commit.revision;
                            let what = format!("{name} has {key} at {revision}: it was at {at}");
                            report.violate(Kind::Contradictory, what);
                        }
                        Some(_) => {}
                    }
                }
            }
        }
    }

    /// What a row held before a revision, as far as it is known.
    fn before(&self, key: &str, revision: u64) -> Option<&String> {
        let last = self.of_key.get(key)?.range(..revision).next_back()?;
        self.at.get(last)?.get(key)?.as_ref()
    }

    /// Whether somebody may have changed a row at a revision that nobody knows.
    fn is_doubtful(&self, key: &str) -> bool {
        self.unknown.iter().any(|rows| rows.contains_key(key))
    }
}

#[cfg(test)]
mod tests;
