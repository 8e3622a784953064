//! Revisions: a write that began after another was acknowledged has the higher one.

use super::Violation;
use crate::history::{Call, End};

/// Judges the revisions of all acknowledged writes.
pub fn check(calls: &[Call]) -> Vec<Violation> {
    let mut writes: Vec<(u64, u64, u64)> = calls
        .iter()
        .filter(|call| call.act.is_write())
        .filter_map(|call| match &call.end {
            End::Ok {
                completed_us,
                answer,
            } => Some((call.invoked_us, *completed_us, answer.revision)),
            End::Fail | End::Unknown => None,
        })
        .collect();
    let mut by_end: Vec<(u64, u64)> = writes
        .iter()
        .map(|(_, completed_us, revision)| (*completed_us, *revision))
        .collect();
    by_end.sort_unstable();
    writes.sort_unstable();
    let mut ended = by_end.iter().peekable();
    let mut highest = 0;
    let mut violations = Vec::new();
    for (invoked_us, _, revision) in writes {
        while let Some((_, earlier)) = ended.next_if(|(completed_us, _)| *completed_us < invoked_us)
        {
            highest = highest.max(*earlier);
        }
        if revision != 0 && revision <= highest {
            violations.push(Violation::Reordered(format!(
                "a write that began at {invoked_us} us has revision {revision}, \
                 and {highest} was acknowledged before"
            )));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::planted::{at_revision, put};
    use super::*;

    #[test]
    fn overlapping_writes_may_have_any_order() {
        let calls = [
            put("a", "1", 0, at_revision(5, 2)),
            put("b", "2", 1, at_revision(4, 1)),
            put("c", "3", 6, at_revision(7, 3)),
        ];
        assert_eq!(check(&calls), []);
    }

    #[test]
    fn a_later_write_with_a_lower_revision_is_found() {
        let calls = [
            put("a", "1", 0, at_revision(5, 2)),
            put("b", "2", 6, at_revision(7, 1)),
        ];
        assert!(matches!(check(&calls)[..], [Violation::Reordered(_)]));
    }

    #[test]
    fn one_revision_for_two_writes_in_a_row_is_found() {
        let calls = [
            put("a", "1", 0, at_revision(5, 2)),
            put("b", "2", 6, at_revision(7, 2)),
        ];
        assert!(matches!(check(&calls)[..], [Violation::Reordered(_)]));
    }
}
