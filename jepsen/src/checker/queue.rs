//! Messages: every acknowledged one stands where it was said to, once, and in order for its key.

use std::collections::BTreeMap;

use super::Violation;
use crate::history::{Call, End, Place};
use crate::state::State;

/// Judges all messages.
pub fn check(calls: &[Call], state: &State) -> Vec<Violation> {
    let produced: BTreeMap<(&str, u64), &End> = calls
        .iter()
        .filter_map(|call| Some((call.act.message()?, &call.end)))
        .collect();
    let mut found: BTreeMap<(&str, u64), Place> = BTreeMap::new();
    let mut violations = Vec::new();
    for (place, message) in &state.messages {
        let identity = (message.key.as_str(), message.sequence);
        let name = format!("message {} of key {}", message.sequence, message.key);
        if let Some(first) = found.insert(identity, *place) {
            violations.push(Violation::Twice(format!(
                "{name} stands at {first} and at {place}"
            )));
        }
        match produced.get(&identity) {
            None => violations.push(Violation::Phantom(format!(
                "{name} at {place} was never produced"
            ))),
            Some(End::Fail) => {
                violations.push(Violation::Phantom(format!("{name} at {place} was refused")));
            }
            Some(End::Ok { .. } | End::Unknown) => {}
        }
    }
    for ((key, sequence), end) in &produced {
        let End::Ok { answer, .. } = end else {
            continue;
        };
        let place = found.get(&(*key, *sequence));
        if place.is_none() || (answer.place.is_some() && answer.place.as_ref() != place) {
            let said = answer.place.map_or_else(String::new, |said| {
                format!(" where it was acknowledged: {said}")
            });
            violations.push(Violation::Lost(format!(
                "message {sequence} of key {key} is not there{said}"
            )));
        }
    }
    violations.extend(order(state));
    violations
}

/// A key lives in one partition, and its sequence grows there.
fn order(state: &State) -> Vec<Violation> {
    let mut last: BTreeMap<&str, (Place, u64)> = BTreeMap::new();
    let mut violations = Vec::new();
    for (place, message) in &state.messages {
        let Some((before, sequence)) = last.insert(&message.key, (*place, message.sequence)) else {
            continue;
        };
        if before.partition != place.partition {
            violations.push(Violation::Reordered(format!(
                "key {} stands in partitions {} and {}",
                message.key, before.partition, place.partition
            )));
        } else if message.sequence < sequence {
            violations.push(Violation::Reordered(format!(
                "message {} of key {} at {place} stands after message {sequence}",
                message.sequence, message.key
            )));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::planted::{messages, placed, produce};
    use super::*;
    use crate::state::FoundMessage;

    #[test]
    fn acknowledged_and_unknown_messages_may_be_there() {
        let calls = [
            produce("a", 0, placed(0)),
            produce("b", 0, placed(1)),
            produce("a", 1, End::Fail),
            produce("a", 2, placed(2)),
            produce("a", 3, End::Unknown),
            produce("b", 1, End::Unknown),
        ];
        let state = messages(&[("a", 0), ("b", 0), ("a", 2), ("a", 3)]);
        assert_eq!(check(&calls, &state), []);
    }

    #[test]
    fn a_lost_message_is_found() {
        let calls = [produce("a", 0, placed(0)), produce("a", 1, placed(1))];
        assert!(matches!(
            check(&calls, &messages(&[("a", 0)]))[..],
            [Violation::Lost(_)]
        ));
    }

    #[test]
    fn a_message_elsewhere_than_acknowledged_is_found() {
        let calls = [produce("a", 0, placed(1)), produce("b", 0, End::Unknown)];
        assert!(matches!(
            check(&calls, &messages(&[("a", 0), ("b", 0)]))[..],
            [Violation::Lost(_)]
        ));
    }

    #[test]
    fn phantoms_are_found() {
        let calls = [produce("a", 0, End::Fail)];
        assert!(matches!(
            check(&calls, &messages(&[("a", 0), ("z", 0)]))[..],
            [Violation::Phantom(_), Violation::Phantom(_)]
        ));
    }

    #[test]
    fn a_duplicate_is_found() {
        let calls = [produce("a", 0, End::Unknown)];
        assert!(matches!(
            check(&calls, &messages(&[("a", 0), ("a", 0)]))[..],
            [Violation::Twice(_)]
        ));
    }

    #[test]
    fn two_messages_of_a_key_in_the_wrong_order_are_found() {
        let calls = [produce("a", 0, placed(1)), produce("a", 1, placed(0))];
        assert!(matches!(
            check(&calls, &messages(&[("a", 1), ("a", 0)]))[..],
            [Violation::Reordered(_)]
        ));
    }

    #[test]
    fn a_key_in_two_partitions_is_found() {
        let calls = [produce("a", 0, placed(0)), produce("a", 1, End::Unknown)];
        let mut state = messages(&[("a", 0)]);
        state.messages.insert(
            Place {
                partition: 1,
                offset: 0,
            },
            FoundMessage {
                key: "a".to_owned(),
                sequence: 1,
            },
        );
        assert!(matches!(
            check(&calls, &state)[..],
            [Violation::Reordered(_)]
        ));
    }
}
