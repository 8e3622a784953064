//! Commits of a row and a message: both are there, or neither.

use std::collections::BTreeSet;

use super::Violation;
use crate::history::{Act, Call};
use crate::state::State;

/// Judges all commits of a row and a message.
pub fn check(calls: &[Call], state: &State) -> Vec<Violation> {
    let messages: BTreeSet<(&str, u64)> = state
        .messages
        .values()
        .map(|message| (message.key.as_str(), message.sequence))
        .collect();
    calls
        .iter()
        .filter_map(|call| {
            let Act::Commit { row, key, sequence } = &call.act else {
                return None;
            };
            let has_row = state.rows.contains_key(row);
            let has_message = messages.contains(&(key.as_str(), *sequence));
            (has_row != has_message).then(|| {
                let (there, missing) = if has_row {
                    ("row", "message")
                } else {
                    ("message", "row")
                };
                Violation::Torn(format!(
                    "the commit of row {row} and message {sequence} of key {key} \
                     left its {there} without its {missing}"
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{commit, messages, rows};
    use super::*;
    use crate::history::End;

    #[test]
    fn both_or_neither_is_fine() {
        let calls = [
            commit("r0", "a", 0, End::Unknown),
            commit("r1", "a", 1, End::Unknown),
        ];
        let state = State {
            rows: rows(&[("r0", "0", 1)]).rows,
            ..messages(&[("a", 0)])
        };
        assert_eq!(check(&calls, &state), []);
    }

    #[test]
    fn half_a_commit_is_found() {
        let calls = [
            commit("r0", "a", 0, End::Unknown),
            commit("r1", "a", 1, End::Unknown),
        ];
        let state = State {
            rows: rows(&[("r0", "0", 1)]).rows,
            ..messages(&[("a", 1)])
        };
        assert!(matches!(
            check(&calls, &state)[..],
            [Violation::Torn(_), Violation::Torn(_)]
        ));
    }
}
