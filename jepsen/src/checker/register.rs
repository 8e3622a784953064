//! Shared rows that are compared and set: their values form one chain that agrees with time.
//!
//! Values are unique, so each value names the step that made it and the value before; walking back
//! from what is left gives the only possible order of the steps. A history of one such row is
//! linearizable exactly if
//!
//! - every acknowledged step is in the chain, and no refused one;
//! - no step or read of an earlier link began after one of a later link was answered;
//! - no read answered a value before its step began.

use std::collections::BTreeMap;

use super::Violation;
use crate::history::{Act, Call, End};
use crate::state::State;

/// One compare-and-set.
#[derive(Debug)]
struct Step<'a> {
    expected: Option<&'a str>,
    value: &'a str,
    invoked_us: u64,
    end: &'a End,
}

/// One answered read.
#[derive(Debug)]
struct Look<'a> {
    value: Option<&'a str>,
    invoked_us: u64,
    completed_us: u64,
}

/// What was done to one key.
#[derive(Debug, Default)]
struct Register<'a> {
    steps: Vec<Step<'a>>,
    looks: Vec<Look<'a>>,
}

/// Judges every row that was compared and set.
pub fn check(calls: &[Call], state: &State) -> Vec<Violation> {
    let mut registers: BTreeMap<&str, Register> = BTreeMap::new();
    for call in calls {
        match &call.act {
            Act::Cas {
                key,
                expected,
                value,
            } => registers.entry(key).or_default().steps.push(Step {
                expected: expected.as_deref(),
                value,
                invoked_us: call.invoked_us,
                end: &call.end,
            }),
            Act::Read { key } => {
                if let End::Ok {
                    completed_us,
                    answer,
                } = &call.end
                {
                    registers.entry(key).or_default().looks.push(Look {
                        value: answer.read.as_deref(),
                        invoked_us: call.invoked_us,
                        completed_us: *completed_us,
                    });
                }
            }
            Act::Put { .. } | Act::Produce { .. } | Act::Commit { .. } => {}
        }
    }
    registers
        .iter()
        .flat_map(|(key, register)| {
            let left = state.rows.get(*key).map(|row| row.value.as_str());
            register.judge(key, left)
        })
        .collect()
}

impl Register<'_> {
    fn judge(&self, key: &str, left: Option<&str>) -> Vec<Violation> {
        let chain = match self.chain(key, left) {
            Ok(chain) => chain,
            Err(violation) => return vec![violation],
        };
        // The absent row is link 0.
        let link_of: BTreeMap<&str, usize> = (1..)
            .zip(&chain)
            .map(|(link, step)| (step.value, link))
            .collect();
        let mut violations: Vec<Violation> = self
            .steps
            .iter()
            .filter(|step| matches!(step.end, End::Ok { .. }) && !link_of.contains_key(step.value))
            .map(|step| Violation::Lost(format!("row {key} never went on from {}", step.value)))
            .collect();
        let mut looks: Vec<(usize, &Look)> = Vec::with_capacity(self.looks.len());
        for look in &self.looks {
            let Some(value) = look.value else {
                looks.push((0, look));
                continue;
            };
            if let Some(link) = link_of.get(value) {
                looks.push((*link, look));
            } else {
                violations.push(Violation::Phantom(format!(
                    "row {key} was read as {value}, which it never was"
                )));
            }
        }
        violations.extend(judge_time(key, &chain, &looks));
        violations
    }

    /// The steps from the absent row to what is left.
    fn chain(&self, key: &str, left: Option<&str>) -> Result<Vec<&Step<'_>>, Violation> {
        let by_value: BTreeMap<&str, &Step> =
            self.steps.iter().map(|step| (step.value, step)).collect();
        let mut chain = Vec::new();
        let mut value = left;
        while let Some(made) = value {
            let step = by_value
                .get(made)
                .filter(|step| *step.end != End::Fail)
                .ok_or_else(|| {
                    Violation::Phantom(format!("row {key} was {made}, which nobody set"))
                })?;
            if chain.len() >= self.steps.len() {
                return Err(Violation::Phantom(format!(
                    "row {key} came back to {made}, which was set once"
                )));
            }
            chain.push(*step);
            value = step.expected;
        }
        chain.reverse();
        Ok(chain)
    }
}

/// Whether steps and reads follow each other in the chain as they did in time.
fn judge_time(key: &str, chain: &[&Step], looks: &[(usize, &Look)]) -> Vec<Violation> {
    let mut violations = Vec::new();
    // For each link: when it was first known to be there, by its step's answer or by a read.
    let mut known_us = vec![u64::MAX; chain.len() + 1];
    for (known_us, step) in known_us.iter_mut().skip(1).zip(chain) {
        if let End::Ok { completed_us, .. } = step.end {
            *known_us = *completed_us;
        }
    }
    for (link, look) in looks {
        if let Some(known_us) = known_us.get_mut(*link) {
            *known_us = look.completed_us.min(*known_us);
        }
    }
    // From the end: when the first of all later links was known.
    let mut later_known_us = u64::MAX;
    let mut overtaken_us = vec![u64::MAX; known_us.len()];
    for (overtaken_us, known_us) in overtaken_us.iter_mut().zip(&known_us).rev() {
        *overtaken_us = later_known_us;
        later_known_us = later_known_us.min(*known_us);
    }
    for (overtaken_us, step) in overtaken_us.iter().skip(1).zip(chain) {
        if *overtaken_us < step.invoked_us {
            violations.push(Violation::Reordered(format!(
                "row {key} was set to {} after a later value was known",
                step.value
            )));
        }
    }
    for (link, look) in looks {
        let value = look.value.unwrap_or("absent");
        if overtaken_us
            .get(*link)
            .is_some_and(|overtaken_us| *overtaken_us < look.invoked_us)
        {
            violations.push(Violation::Stale(format!(
                "row {key} was read as {value} after a later value was known"
            )));
        }
        let began = link
            .checked_sub(1)
            .and_then(|index| chain.get(index))
            .map(|step| step.invoked_us);
        if began.is_some_and(|began| look.completed_us < began) {
            violations.push(Violation::Phantom(format!(
                "row {key} was read as {value} before that was set"
            )));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::planted::{cas, read, rows, written};
    use super::*;

    #[test]
    fn a_chain_with_an_unknown_link_is_fine() {
        let calls = [
            read("r", None, 0, 1),
            cas("r", None, "1", 2, written(5, 1)),
            cas("r", Some("1"), "2", 6, End::Unknown),
            cas("r", Some("1"), "x", 7, End::Fail),
            read("r", Some("1"), 7, 9),
            cas("r", Some("2"), "3", 10, written(12, 3)),
            read("r", Some("3"), 13, 14),
        ];
        assert_eq!(check(&calls, &rows(&[("r", "3", 3)])), []);
    }

    #[test]
    fn two_steps_from_one_value_are_found() {
        let calls = [
            cas("r", None, "1", 0, written(1, 1)),
            cas("r", Some("1"), "2", 2, written(4, 2)),
            cas("r", Some("1"), "3", 2, written(4, 2)),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("r", "3", 2)]))[..],
            [Violation::Lost(_)]
        ));
    }

    #[test]
    fn an_acknowledged_step_that_is_gone_is_found() {
        let calls = [cas("r", None, "1", 0, written(1, 1))];
        assert!(matches!(
            check(&calls, &State::default())[..],
            [Violation::Lost(_)]
        ));
    }

    #[test]
    fn a_refused_value_that_is_there_is_found() {
        let calls = [cas("r", None, "1", 0, End::Fail)];
        assert!(matches!(
            check(&calls, &rows(&[("r", "1", 1)]))[..],
            [Violation::Phantom(_)]
        ));
    }

    #[test]
    fn a_stale_read_is_found() {
        let calls = [
            cas("r", None, "1", 0, written(1, 1)),
            cas("r", Some("1"), "2", 2, written(3, 2)),
            read("r", Some("1"), 4, 5),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("r", "2", 2)]))[..],
            [Violation::Stale(_)]
        ));
    }

    #[test]
    fn reads_that_go_back_are_found_though_the_step_was_never_acknowledged() {
        let calls = [
            cas("r", None, "1", 0, End::Unknown),
            read("r", Some("1"), 1, 2),
            read("r", None, 3, 4),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("r", "1", 1)]))[..],
            [Violation::Stale(_)]
        ));
    }

    #[test]
    fn a_read_of_what_never_was_or_was_not_yet_is_found() {
        let calls = [
            read("r", Some("1"), 0, 1),
            cas("r", None, "1", 2, written(3, 1)),
            cas("r", Some("1"), "9", 4, End::Unknown),
            read("r", Some("9"), 5, 6),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("r", "1", 1)]))[..],
            [Violation::Phantom(_), Violation::Phantom(_)]
        ));
    }

    #[test]
    fn a_chain_against_time_is_found() {
        let calls = [
            cas("r", Some("1"), "2", 0, written(1, 1)),
            cas("r", None, "1", 2, written(3, 1)),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("r", "2", 2)]))[..],
            [Violation::Reordered(_)]
        ));
    }

    #[test]
    fn a_circle_is_found() {
        let calls = [
            cas("r", Some("2"), "1", 0, End::Unknown),
            cas("r", Some("1"), "2", 0, End::Unknown),
        ];
        assert!(matches!(
            check(&calls, &rows(&[("r", "2", 2)]))[..],
            [Violation::Phantom(_)]
        ));
    }
}
