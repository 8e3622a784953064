//! Planted violations, odd histories, and all small histories against every order there is.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::checker::Verdict;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};
use crate::history::notation;

const WRONG: &str = "not-linearizable";

const PLANTED: &[Planted] = &[
    (
        "a stale read after an acknowledged write",
        WRONG,
        "1 put x 1 -> ok; 1 put x 2 -> ok; 2 read x -> 1",
    ),
    (
        "an absent row after an acknowledged write",
        WRONG,
        "1 put x 1 -> ok; 2 read x -> nil",
    ),
    (
        "a value that nobody wrote",
        WRONG,
        "1 put x 1 -> ok; 2 read x -> 9",
    ),
    (
        "a value whose write was refused",
        WRONG,
        "1 put x 1 -> fail; 2 read x -> 1",
    ),
    (
        "a value read before its write began",
        WRONG,
        "2 read x -> 1; 1 put x 1 -> ok",
    ),
    (
        "two readers see two writes in different orders",
        WRONG,
        "1 put x 1; 2 put x 2; 3 read x -> 1; 3 read x -> 2; 4 read x -> 2; 4 read x -> 1
      1 -> ok; 2 -> ok",
    ),
    (
        "a read goes back while the write is still open",
        WRONG,
        "1 put x 1; 2 read x -> 1; 3 read x -> nil; 1 -> ok",
    ),
    (
        "two compare-and-sets from one value",
        WRONG,
        "1 put x 0 -> ok; 1 cas x 0 1 -> ok; 2 cas x 0 2 -> ok",
    ),
    (
        "two overlapping creations of one row",
        WRONG,
        "1 cas x nil 1; 2 cas x nil 2; 1 -> ok; 2 -> ok",
    ),
    (
        "a compare-and-set from a value that never was",
        WRONG,
        "1 cas x 7 8 -> ok",
    ),
    (
        "a lost update by compare-and-set",
        WRONG,
        "1 cas x nil 1 -> ok; 2 cas x 1 2; 3 cas x 1 3; 2 -> ok; 3 -> ok; 1 read x -> 3",
    ),
    (
        "a chain against time",
        WRONG,
        "1 cas x 1 2 -> ok; 1 cas x nil 1 -> ok",
    ),
    (
        "a circle of unknown steps",
        WRONG,
        "1 cas x 2 1 -> info; 2 cas x 1 2 -> info; 3 read x -> 2",
    ),
    (
        "an unknown write is seen and then gone",
        WRONG,
        "1 put x 1 -> info; 2 read x -> 1; 2 read x -> nil",
    ),
    (
        "an unknown write is seen before it began",
        WRONG,
        "2 read x -> 1; 1 put x 1 -> info",
    ),
    (
        "an unknown write takes effect twice",
        WRONG,
        "1 put x 1 -> info; 2 read x -> 1; 2 put x 2 -> ok; 2 read x -> 1",
    ),
    (
        "the last read misses an acknowledged row",
        WRONG,
        "1 put x 1 -> ok; 9 scan ->",
    ),
    (
        "the last read has an older value",
        WRONG,
        "1 put x 1 -> ok; 1 put x 2 -> ok; 9 scan -> x=1*1",
    ),
    (
        "the last read has a row that nobody wrote",
        WRONG,
        "1 put x 1 -> ok; 9 scan -> x=1*1 z=4*1",
    ),
    (
        "the last read has a refused value",
        WRONG,
        "1 put x 1 -> ok; 1 put x 2 -> fail; 9 scan -> x=2*2",
    ),
    (
        "a deleted row comes back",
        WRONG,
        "1 put x 1 -> ok; 1 del x -> ok; 2 read x -> 1",
    ),
    (
        "a delete is acknowledged and never happens",
        WRONG,
        "1 put x 1 -> ok; 2 del x; 3 read x -> 1; 2 -> ok; 3 read x -> 1",
    ),
    (
        "a commit's row is gone",
        WRONG,
        "1 commit r k 4 -> ok; 2 read r -> nil",
    ),
    (
        "one row of two is stale",
        WRONG,
        "1 put x 1 -> ok; 1 put y 1 -> ok; 1 put y 2 -> ok; 2 read x -> 1; 2 read y -> 1",
    ),
    (
        "a counter misses an acknowledged addition",
        WRONG,
        "1 inc c 1 -> ok; 2 count c -> 0",
    ),
    (
        "a counter was added to twice",
        WRONG,
        "1 inc c 1 -> ok; 2 count c -> 2",
    ),
    (
        "a counter goes back",
        WRONG,
        "1 inc c 1; 2 count c -> 1; 2 count c -> 0; 1 -> ok",
    ),
    (
        "a refused addition counts",
        WRONG,
        "1 inc c 5 -> fail; 2 count c -> 5",
    ),
    (
        "two additions are seen in different orders",
        WRONG,
        "1 inc c 1; 2 inc c 2; 3 count c -> 1; 4 count c -> 2; 1 -> ok; 2 -> ok",
    ),
    ("two hold a lock", WRONG, "1 lock l -> 1; 2 lock l -> 2"),
    (
        "a token is given twice",
        WRONG,
        "1 lock l -> 1; 1 unlock l 1 -> ok; 2 lock l -> 1",
    ),
    (
        "a token goes back",
        WRONG,
        "1 lock l -> 5; 1 unlock l 5 -> ok; 2 lock l -> 4",
    ),
    (
        "a lock is given back by another",
        WRONG,
        "1 lease l -> 1; 2 lease l -> 2; 1 unlock l 1 -> ok",
    ),
    (
        "an old holder writes after the new one",
        WRONG,
        "1 lease l -> 1; 2 lease l -> 2; 2 use l 2 -> ok; 1 use l 1 -> ok",
    ),
    (
        "a token that was never given is accepted",
        WRONG,
        "1 lease l -> 1; 2 use l 3 -> ok",
    ),
    (
        "a refused release frees a lock",
        WRONG,
        "1 lock l -> 1; 1 unlock l 1 -> fail; 2 lock l -> 2",
    ),
];

const VALID: &[Valid] = &[
    (
        "one after the other",
        "1 put x 1 -> ok; 2 read x -> 1; 2 put x 2 -> ok; 1 read x -> 2",
    ),
    (
        "a read during a write sees the old value",
        "1 put x 1; 2 read x -> nil; 1 -> ok",
    ),
    (
        "a read during a write sees the new value",
        "1 put x 1; 2 read x -> 1; 1 -> ok",
    ),
    (
        "a slow read sees any value of its time",
        "2 read x; 1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 3 -> ok; 2 -> 2",
    ),
    (
        "a slow read sees what was before it all",
        "2 read x; 1 put x 1 -> ok; 1 put x 2 -> ok; 2 -> nil",
    ),
    (
        "two open writes in either order, first",
        "1 put x 1; 2 put x 2; 1 -> ok; 2 -> ok; 3 read x -> 1",
    ),
    (
        "two open writes in either order, second",
        "1 put x 1; 2 put x 2; 1 -> ok; 2 -> ok; 3 read x -> 2",
    ),
    (
        "an unknown write never happens",
        "1 put x 1 -> info; 2 read x -> nil; 2 read x -> nil",
    ),
    (
        "an unknown write happens at once",
        "1 put x 1 -> info; 2 read x -> 1",
    ),
    (
        "an unknown write happens much later",
        "1 put x 1 -> info; 2 put x 2 -> ok; 2 read x -> 2; 3 read x -> 2; 3 read x -> 1",
    ),
    (
        "an unknown write happens after the last read",
        "1 put x 1 -> info; 2 read x -> nil; 9 scan -> x=1*1",
    ),
    (
        "an operation that was never answered",
        "1 put x 1; 2 read x -> nil; 2 read x -> 1",
    ),
    (
        "a refused write leaves nothing",
        "1 put x 1 -> ok; 2 put x 2 -> fail; 3 read x -> 1",
    ),
    (
        "a read of unknown outcome says nothing",
        "1 put x 1 -> ok; 2 read x -> info; 3 read x; 1 read x -> 1",
    ),
    (
        "a chain with an unknown link",
        "1 cas x nil 1 -> ok; 2 cas x 1 2 -> info; 3 cas x 1 9 -> fail; 3 cas x 2 3 -> ok; 1 read x -> 3",
    ),
    (
        "two unknown links in a row that only the last read shows",
        "1 cas x nil 1 -> info; 2 cas x 1 2 -> info; 3 read x -> nil; 9 scan -> x=2*2",
    ),
    (
        "unknown steps from one value of which one happened",
        "1 put x 0 -> ok; 2 cas x 0 1 -> info; 3 cas x 0 2 -> info; 1 read x -> 2; 1 read x -> 2",
    ),
    (
        "the same value is written twice",
        "1 put x 1 -> ok; 2 put x 2 -> ok; 1 put x 1 -> ok; 2 read x -> 1",
    ),
    (
        "the same value is written twice, once perhaps",
        "1 put x 1 -> ok; 2 put x 1 -> info; 3 put x 2 -> ok; 3 read x -> 2; 3 read x -> 1",
    ),
    (
        "an unknown delete happens late",
        "1 put x 1 -> ok; 2 del x -> info; 3 read x -> 1; 3 read x -> nil",
    ),
    (
        "an unknown delete never happens",
        "1 put x 1 -> ok; 2 del x -> info; 3 read x -> 1; 9 scan -> x=1*1",
    ),
    (
        "a row is deleted and made again",
        "1 cas x nil 1 -> ok; 1 del x -> ok; 2 cas x nil 2 -> ok; 2 read x -> 2",
    ),
    (
        "two rows have orders of their own",
        "1 put x 1; 2 put y 1; 3 read x -> 1; 3 read y -> nil; 4 read y -> 1; 1 -> ok; 2 -> ok",
    ),
    (
        "rows of processes that died",
        "1 put x 1 -> info; 2 put x 2 -> info; 3 put x 3 -> info; 4 read x -> 2; 4 read x -> 1; 9 scan -> x=3*3",
    ),
    (
        "stale caches and followers are not linearizable and need not be",
        "1 put x 1 -> ok; 1 put x 2 -> ok; 2 cached x -> 1; 2 local x -> nil; 2 read x -> 2",
    ),
    (
        "a counter read during additions",
        "1 inc c 1; 2 inc c 2; 3 count c -> 2; 3 count c -> 3; 1 -> ok; 2 -> ok",
    ),
    (
        "a counter with a late addition of unknown outcome",
        "1 inc c 4 -> info; 2 inc c 1 -> ok; 2 count c -> 1; 2 count c -> 5",
    ),
    (
        "a counter goes down",
        "1 inc c 3 -> ok; 2 inc c -5 -> ok; 1 count c -> -2",
    ),
    (
        "a lock goes round",
        "1 lock l -> 1; 1 use l 1 -> ok; 1 unlock l 1 -> ok; 2 lock l -> 4; 2 use l 4 -> ok",
    ),
    (
        "a lock waits for its holder",
        "1 lock l -> 1; 2 lock l; 1 unlock l 1 -> ok; 2 -> 2",
    ),
    (
        "an unknown release frees a lock",
        "1 lock l -> 1; 1 unlock l 1 -> info; 2 lock l -> 2",
    ),
    (
        "an unknown release never happens",
        "1 lock l -> 1; 1 unlock l 1 -> info; 2 lock l -> fail; 2 lock l -> info",
    ),
    (
        "a lease runs out and the old token is refused",
        "1 lease l -> 1; 2 lease l -> 2; 2 use l 2 -> ok; 1 use l 1 -> fail; 1 unlock l 1 -> fail",
    ),
    (
        "an old holder writes before the new one does",
        "1 lease l -> 1; 2 lease l -> 2; 1 use l 1 -> ok; 2 use l 2 -> ok",
    ),
    (
        "an unknown acquisition uses a token up",
        "1 lock l -> info; 2 lock l -> 7; 2 use l 7 -> ok",
    ),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}

#[test]
fn a_search_that_gives_up_is_unknown_and_never_ok() {
    let history = notation::parse("1 put x 1; 2 put x 2; 3 put x 3; 1 -> ok; 2 -> ok; 3 -> ok");
    for steps_max in 0..4 {
        assert_eq!(
            check_within(&history, steps_max).verdict(),
            Verdict::Unknown
        );
    }
    assert_eq!(check_within(&history, 60).verdict(), Verdict::Ok);
}

#[test]
fn the_search_agrees_with_trying_every_order() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..20_000 {
        let mut random = SmallRng::seed_from_u64(seed);
        let history = random_register(&mut random);
        let expected = some_order_explains(&history);
        let verdict = check(&history).verdict();
        let wanted = if expected {
            Verdict::Ok
        } else {
            Verdict::Violated
        };
        assert_eq!(verdict, wanted, "seed {seed}: {:#?}", history.ops);
        *(if expected { &mut good } else { &mut bad }) += 1;
    }
    assert!(
        good > 4000 && bad > 4000,
        "{good} good and {bad} bad histories"
    );
}

/// One row, up to 7 operations of 4 processes, few values, many unknown outcomes.
fn random_register(random: &mut SmallRng) -> History {
    let mut events = vec!["9 read x -> nil".to_owned()];
    let mut open: Vec<(u64, bool)> = Vec::new();
    let mut process = 0;
    let values = ["nil", "1", "2", "3"];
    let pick = |random: &mut SmallRng, from: usize| values[random.random_range(from..4)];
    for _ in 0..random.random_range(2..8) {
        process += 1;
        let is_read = random.random_bool(0.5);
        let act = match random.random_range(0..5) {
            _ if is_read => "read x".to_owned(),
            0 => "del x".to_owned(),
            1 | 2 => format!("put x {}", pick(random, 1)),
            _ => format!("cas x {} {}", pick(random, 0), pick(random, 1)),
        };
        events.push(format!("{process} {act}"));
        open.push((process, is_read));
        while !open.is_empty() && random.random_bool(0.6) {
            let (process, is_read) = open.swap_remove(random.random_range(0..open.len()));
            let end = match random.random_range(0..8) {
                0 => "fail",
                1 | 2 => "info",
                _ if is_read => pick(random, 0),
                _ => "ok",
            };
            events.push(format!("{process} -> {end}"));
        }
    }
    notation::parse(&events.join(";"))
}

/// The definition itself: an order of some operations that explains all answers.
fn some_order_explains(history: &History) -> bool {
    let calls: Vec<Call> = history
        .calls()
        .into_iter()
        .filter(|call| !call.failed())
        .filter(|call| call.answer().is_some() || call.act.is_write())
        .collect();
    extend(&calls, &mut vec![false; calls.len()], None)
}

fn extend<'a>(calls: &[Call<'a>], done: &mut [bool], state: Option<&'a str>) -> bool {
    let open = |index: &usize, done: &[bool]| !done[*index];
    let first_end = (0..calls.len())
        .filter(|index| open(index, done))
        .filter_map(|index| calls[index].acknowledged_at())
        .min();
    let Some(first_end) = first_end else {
        return true;
    };
    for index in 0..calls.len() {
        let call = &calls[index];
        if done[index] || call.invoked_at > first_end {
            continue;
        }
        let next = match call.act {
            Act::Put { value, .. } => Some(value.as_str()),
            Act::Cas {
                expected, value, ..
            } if expected.as_deref() == state => Some(value.as_str()),
            Act::Delete { .. } => None,
            Act::Read { .. }
                if call
                    .answer()
                    .is_some_and(|one| one.read.as_deref() == state) =>
            {
                state
            }
            _ => continue,
        };
        done[index] = true;
        if extend(calls, done, next) {
            return true;
        }
        done[index] = false;
    }
    false
}
