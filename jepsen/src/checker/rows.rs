//! Rows that one process writes: the last acknowledged value is there, and each write counted once.
//!
//! A process that got no answer writes nothing more, so a key has at most one write of unknown
//! fate, and it is the last. The row's version tells how often it was really written.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::history::{Act, Call, End};
use crate::state::State;

/// What the calls say about one key.
#[derive(Debug, Default)]
struct Expected {
    /// The last acknowledged value.
    acknowledged: Option<String>,
    /// How many writes were acknowledged.
    acknowledged_count: u64,
    /// The value of unknown fate.
    unknown: Option<String>,
    /// The first answer that counted wrongly: what it said, and what was due.
    miscounted: Option<(u64, u64)>,
}

/// Judges all rows; those that are compared and set are left to [`register`](super::register).
pub fn check(calls: &[Call], state: &State) -> Vec<Violation> {
    let mut expected: BTreeMap<&str, Expected> = BTreeMap::new();
    let mut shared: BTreeSet<&str> = BTreeSet::new();
    for call in calls {
        let (key, value) = match &call.act {
            Act::Put { key, value } => (key, value.clone()),
            Act::Commit { row, sequence, .. } => (row, sequence.to_string()),
            Act::Cas { key, .. } => {
                shared.insert(key);
                continue;
            }
            Act::Read { .. } | Act::Produce { .. } => continue,
        };
        expected.entry(key).or_default().write(value, &call.end);
    }
    let mut violations: Vec<Violation> = expected
        .iter()
        .filter_map(|(key, expected)| expected.judge(key, state))
        .collect();
    violations.extend(
        state
            .rows
            .keys()
            .filter(|key| !expected.contains_key(key.as_str()))
            .filter(|key| !shared.contains(key.as_str()))
            .map(|key| Violation::Phantom(format!("row {key} was never written"))),
    );
    violations
}

impl Expected {
    fn write(&mut self, value: String, end: &End) {
        match end {
            End::Ok { answer, .. } => {
                self.acknowledged = Some(value);
                self.acknowledged_count += 1;
                if let Some(version) = answer.version
                    && version != self.acknowledged_count
                {
                    self.miscounted
                        .get_or_insert((version, self.acknowledged_count));
                }
            }
            End::Fail => {}
            End::Unknown => self.unknown = Some(value),
        }
    }

    fn judge(&self, key: &str, state: &State) -> Option<Violation> {
        if let Some((said, due)) = self.miscounted {
            return Some(Violation::Twice(format!(
                "row {key} had version {said} after {due} writes"
            )));
        }
        let Some(row) = state.rows.get(key) else {
            return self
                .acknowledged
                .as_ref()
                .map(|value| Violation::Lost(format!("row {key} with value {value} is absent")));
        };
        let due = if self.unknown.as_ref() == Some(&row.value) {
            self.acknowledged_count + 1
        } else if self.acknowledged.as_ref() == Some(&row.value) {
            self.acknowledged_count
        } else {
            let found = format!("row {key} holds {}", row.value);
            return Some(match &self.acknowledged {
                Some(value) => Violation::Lost(format!("{found}, acknowledged was {value}")),
                None => Violation::Phantom(format!("{found}, which was refused")),
            });
        };
        (row.version != due).then(|| {
            Violation::Twice(format!(
                "row {key} has version {} after {due} writes",
                row.version
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::planted::{put, rows, written};
    use super::*;

    #[test]
    fn acknowledged_and_unknown_writes_may_be_there() {
        let calls = [
            put("a", "1", 0, written(1, 1)),
            put("a", "2", 2, written(3, 2)),
            put("b", "3", 4, End::Unknown),
            put("c", "4", 5, End::Unknown),
            put("d", "5", 6, End::Fail),
        ];
        assert_eq!(check(&calls, &rows(&[("a", "2", 2), ("b", "3", 1)])), []);
    }

    #[test]
    fn a_lost_row_is_found() {
        let calls = [put("a", "1", 0, written(1, 1))];
        assert!(matches!(
            check(&calls, &State::default())[..],
            [Violation::Lost(_)]
        ));
    }

    #[test]
    fn an_older_value_is_a_lost_write() {
        let calls = [
            put("a", "1", 0, written(1, 1)),
            put("a", "2", 2, written(3, 2)),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("a", "1", 1)]))[..],
            [Violation::Lost(_)]
        ));
    }

    #[test]
    fn phantoms_are_found() {
        let calls = [put("a", "1", 0, End::Fail)];
        assert!(matches!(
            check(&calls, &rows(&[("a", "1", 1), ("z", "9", 1)]))[..],
            [Violation::Phantom(_), Violation::Phantom(_)]
        ));
    }

    #[test]
    fn a_write_that_was_done_twice_is_found() {
        let calls = [put("a", "1", 0, written(1, 1))];
        assert!(matches!(
            check(&calls, &rows(&[("a", "1", 2)]))[..],
            [Violation::Twice(_)]
        ));
        let calls = [
            put("a", "1", 0, written(1, 1)),
            put("a", "2", 2, written(3, 3)),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("a", "2", 3)]))[..],
            [Violation::Twice(_)]
        ));
    }
}
