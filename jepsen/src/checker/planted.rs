//! Judges the judges: tables of planted violations that a checker must find, and of odd histories
//! that it must pass.

use std::collections::BTreeSet;

use super::{Report, Verdict};
use crate::history::{History, notation};

/// How many of each a checker's tables must hold at least.
const CASES_MIN: usize = 20;

/// A planted violation: its name, the kind that must be among the findings, and the history.
pub(crate) type Planted = (&'static str, &'static str, &'static str);
/// An odd but valid history with its name.
pub(crate) type Valid = (&'static str, &'static str);

/// Every planted violation is found as what it is, and nothing else is.
pub(crate) fn all_are_found(check: impl Fn(&History) -> Report, planted: &[Planted]) {
    enough_and_distinct(planted.iter().map(|(name, _, history)| (*name, *history)));
    for (name, kind, text) in planted {
        let report = check(&notation::parse(text));
        assert_eq!(report.verdict(), Verdict::Violated, "{name}: {report:#?}");
        let kinds: BTreeSet<String> = report
            .violations
            .iter()
            .map(|violation| violation.kind.to_string())
            .collect();
        assert!(kinds.contains(*kind), "{name}: {report:#?}");
    }
}

/// Every odd history passes, and the checker has judged some of it.
pub(crate) fn all_pass(check: impl Fn(&History) -> Report, valid: &[Valid]) {
    enough_and_distinct(valid.iter().copied());
    for (name, text) in valid {
        let report = check(&notation::parse(text));
        assert_eq!(report.verdict(), Verdict::Ok, "{name}: {report:#?}");
    }
}

fn enough_and_distinct(cases: impl ExactSizeIterator<Item = (&'static str, &'static str)>) {
    let count = cases.len();
    assert!(count >= CASES_MIN, "{count} cases are too few");
    let (names, texts): (BTreeSet<_>, BTreeSet<_>) = cases.unzip();
    assert_eq!(
        (names.len(), texts.len()),
        (count, count),
        "a case stands twice"
    );
}
