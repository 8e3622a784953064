//! Planted anomalies, odd histories, and small histories against every serial order there is.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::checker::Verdict;
use crate::checker::planted::{Planted, Valid as Odd, all_are_found, all_pass};
use crate::history::{Answer, Op as Line, Phase, notation};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("G0: two write in each other's way", "G0",
     "1 txn x+1 y+1; 2 txn x+2 y+2; 1 -> ok; 2 -> ok; 3 txn x y -> [1,2] [2,1]"),
    ("G0 of three", "G0",
     "1 txn x+1 z+1; 2 txn x+2 y+2; 3 txn y+3 z+3; 1 -> ok; 2 -> ok; 3 -> ok; 4 txn x y z -> [1,2] [2,3] [3,1]"),
    ("G1a: a refused append is read", "G1a", "1 txn x+1 -> fail; 2 txn x -> [1]"),
    ("G1a: a refused append is read among others", "G1a", "1 txn x+1 -> ok; 2 txn x+2 -> fail; 3 txn x -> [1,2]"),
    ("G1a: a later append stands on a refused one", "dirty-update",
     "1 txn x+1 -> fail; 2 txn x+2 -> ok; 3 txn x -> [1,2]"),
    ("G1b: an intermediate state is read", "G1b", "1 txn x+1 x+2; 2 txn x -> [1]; 1 -> ok"),
    ("G1b: an intermediate state of an unknown transaction", "G1b", "1 txn x+1 x+2 -> info; 2 txn x -> [1]"),
    ("G1c: two read each other's appends", "G1c", "1 txn x+1 y; 2 txn y+1 x; 1 -> [1]; 2 -> [1]"),
    ("G1c: a circle of three readers", "G1c",
     "1 txn x+1 z; 2 txn y+1 x; 3 txn z+1 y; 1 -> [1]; 2 -> [1]; 3 -> [1]"),
    ("G1c: a reader is overwritten by what it read", "G1c",
     "1 txn x+1 y+1; 2 txn y x+2; 1 -> ok; 2 -> [1]; 3 txn x y -> [2,1] [1]"),
    ("G-single: one of two appends is read", "G-single-item", "1 txn x+1 y+1; 2 txn x y -> [1] []; 1 -> ok; 3 txn x y -> [1] [1]"),
    ("G-single: an old list beside a new one", "G-single-item",
     "1 txn x+1 y+1 -> ok; 1 txn x+2 y+2; 2 txn x y -> [1,2] [1]; 1 -> ok; 3 txn x y -> [1,2] [1,2]"),
    ("G-single over a chain of appends", "G-single-item",
     "1 txn x+1; 2 txn x+2 y+1; 3 txn x y -> [] [1]; 1 -> ok; 2 -> ok; 4 txn x y -> [1,2] [1]"),
    ("G-single of an unknown transaction", "G-single-item", "1 txn x+1 y+1 -> info; 2 txn x y -> [1] []; 3 txn y -> [1]"),
    ("a long fork", "G-nonadjacent-item",
     "1 txn x+1; 2 txn y+1; 3 txn x y; 4 txn x y; 3 -> [1] []; 4 -> [] [1]; 1 -> ok; 2 -> ok"),
    ("G2: write skew", "G2-item", "1 txn x y+1; 2 txn y x+1; 1 -> []; 2 -> []; 3 txn x y -> [1] [1]"),
    ("G2 of three", "G2-item",
     "1 txn x y+1; 2 txn y z+1; 3 txn z x+1; 1 -> []; 2 -> []; 3 -> []; 4 txn x y z -> [1] [1] [1]"),
    ("lost update", "lost-update", "1 txn x x+1; 2 txn x x+2; 1 -> []; 2 -> []; 3 txn x -> [1,2]"),
    ("lost update of three", "lost-update",
     "1 txn x+9 -> ok; 1 txn x x+1; 2 txn x x+2; 3 txn x x+3; 1 -> [9]; 2 -> [9]; 3 -> [9]; 4 txn x -> [9,1,2,3]"),
    ("real time: an acknowledged append is not read", "G-single-item-realtime",
     "1 txn x+1 -> ok; 2 txn x -> []; 3 txn x -> [1]"),
    ("real time: an acknowledged append is never read", "G-single-item-realtime", "1 txn x+1 -> ok; 2 txn x -> []"),
    ("real time: a read goes back", "G-single-item-realtime",
     "1 txn x+1; 2 txn x -> [1]; 3 txn x -> []; 1 -> ok"),
    ("real time: appends in the wrong order", "G0-realtime", "1 txn x+1 -> ok; 2 txn x+2 -> ok; 3 txn x -> [2,1]"),
    ("real time: read before it was appended", "G1c-realtime", "2 txn x -> [1]; 1 txn x+1 -> ok"),
    ("real time: one of two lists is old", "G-single-item-realtime",
     "1 txn x+1 -> ok; 2 txn y+1 -> ok; 3 txn x y -> [] [1]; 4 txn x y -> [1] [1]"),
    ("two orders of one list", "incompatible-order", "1 txn x+1; 2 txn x+2; 3 txn x -> [1,2]; 4 txn x -> [2,1]; 1 -> ok; 2 -> ok"),
    ("an element in the middle is lost", "incompatible-order",
     "1 txn x+1 -> ok; 1 txn x+2 -> ok; 1 txn x+3 -> ok; 2 txn x -> [1,2,3]; 3 txn x -> [1,3]"),
    ("an element stands twice", "duplicate-elements", "1 txn x+1 -> ok; 2 txn x -> [1,1]"),
    ("a transaction does not read its own append", "internal", "1 txn x+1 x -> []"),
    ("a transaction reads a list in two states", "internal", "1 txn x+1; 2 txn x x -> [] [1]; 1 -> ok"),
    ("a transaction reads what it appends later", "future-read", "1 txn x x+1 -> [1]; 2 txn x -> [1]"),
    ("an element that nobody appended", "phantom", "1 txn x+1 -> ok; 2 txn x -> [1,7]"),
    ("an element of another list", "phantom", "1 txn x+1 y+2 -> ok; 2 txn x -> [1,2]"),
    ("appends of one transaction in the wrong order", "reordered", "1 txn x+1 x+2 -> ok; 2 txn x -> [2,1]"),
    ("one of two appends of a transaction is missing", "reordered", "1 txn x+1 x+2 -> ok; 2 txn x -> [2]"),
    ("an answer is missing", "misshapen", "1 txn x+1 -> ok; 2 txn x y -> [1]"),
];

#[rustfmt::skip]
const VALID: &[Odd] = &[
    ("one after the other", "1 txn x+1 -> ok; 2 txn x -> [1]; 2 txn x+2 -> ok; 1 txn x -> [1,2]"),
    ("one transaction alone", "1 txn x+1 x -> [1]"),
    ("read, append, read", "1 txn x x+1 x -> [] [1]; 2 txn x x+2 x -> [1] [1,2]"),
    ("two appends of one transaction", "1 txn x+1 x+2 -> ok; 2 txn x -> [1,2]"),
    ("overlapping appends, one order", "1 txn x+1; 2 txn x+2; 1 -> ok; 2 -> ok; 3 txn x -> [1,2]"),
    ("overlapping appends, the other order", "1 txn x+1; 2 txn x+2; 1 -> ok; 2 -> ok; 3 txn x -> [2,1]"),
    ("both lists in one order", "1 txn x+1 y+1; 2 txn x+2 y+2; 1 -> ok; 2 -> ok; 3 txn x y -> [2,1] [2,1]"),
    ("an open append is read", "1 txn x+1; 2 txn x -> [1]; 1 -> ok"),
    ("an open append is not read", "1 txn x+1; 2 txn x -> []; 1 -> ok"),
    ("a slow reader sees a middle state", "9 txn x; 1 txn x+1 -> ok; 1 txn x+2 -> ok; 1 txn x+3 -> ok; 9 -> [1,2]; 2 txn x -> [1,2,3]"),
    ("an unknown append happened", "1 txn x+1 -> info; 2 txn x -> [1]"),
    ("an unknown append did not happen", "1 txn x+1 -> info; 2 txn x -> []; 2 txn x -> []"),
    ("an unknown append happens late", "1 txn x+1 -> info; 2 txn x -> []; 2 txn x+2 -> ok; 2 txn x -> [2]; 3 txn x -> [2,1]"),
    ("an append that was never answered happens late", "1 txn x+1; 2 txn x -> []; 2 txn x -> [1]"),
    ("a refused append is not there", "1 txn x+1 -> ok; 2 txn x+2 -> fail; 3 txn x -> [1]"),
    ("a reader sees one of two open transactions", "1 txn x+1; 2 txn y+1; 3 txn x y -> [1] []; 1 -> ok; 2 -> ok; 4 txn x y -> [1] [1]"),
    ("readers agree on the order of two open transactions",
     "1 txn x+1; 2 txn y+1; 3 txn x y; 4 txn x y; 3 -> [1] []; 4 -> [1] [1]; 1 -> ok; 2 -> ok"),
    ("what looks like write skew, one after the other", "1 txn x y+1 -> []; 2 txn y x+1 -> [1]; 3 txn x y -> [1] [1]"),
    ("updates one after the other", "1 txn x x+1; 2 txn x x+2; 1 -> []; 2 -> [1]; 3 txn x -> [1,2]"),
    ("updates against the order of their answers", "1 txn x x+1; 2 txn x x+2; 1 -> [2]; 2 -> []; 3 txn x -> [2,1]"),
    ("an unknown update after another", "1 txn x x+1 -> []; 2 txn x x+2 -> info; 3 txn x -> [1,2]"),
    ("an unknown update of the same state did not happen", "1 txn x x+1; 2 txn x x+2 -> info; 1 -> []; 3 txn x -> [1]"),
    ("a read of unknown outcome says nothing", "1 txn x+1 -> ok; 2 txn x -> info; 3 txn x -> [1]"),
    ("a transaction of a dead process is seen whole", "1 txn x+1 y+1 -> info; 2 txn x y -> [] []; 3 txn x y -> [1] [1]"),
    ("the same number in two lists", "1 txn x+1 -> ok; 2 txn y+1 -> ok; 3 txn x y -> [1] [1]"),
];

#[test]
fn planted_anomalies_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}

#[test]
fn a_history_that_says_nothing_is_unknown() {
    let reused = notation::parse("1 txn x+1 -> ok; 2 txn x+1 -> ok; 3 txn x -> [1]");
    assert_eq!(
        check(&reused).verdict(),
        Verdict::Unknown,
        "elements are not unique"
    );
    let apart = notation::parse("1 txn x; 2 txn y; 1 -> []; 2 -> []");
    assert_eq!(
        check(&apart).verdict(),
        Verdict::Unknown,
        "nothing depends on anything"
    );
}

#[test]
fn the_verdict_agrees_with_trying_every_serial_order() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..6000 {
        let mut random = SmallRng::seed_from_u64(seed);
        let history = random_history(&mut random);
        let expected = some_order_explains(&history);
        let report = check(&history);
        let wanted = if expected {
            Verdict::Ok
        } else {
            Verdict::Violated
        };
        let undecided = report.verdict() == Verdict::Unknown && expected;
        assert!(
            report.verdict() == wanted || undecided,
            "seed {seed}: {report:#?} and not {wanted}:\n{}",
            edn(&history)
        );
        *(if expected { &mut good } else { &mut bad }) += 1;
    }
    assert!(
        good > 1000 && bad > 1000,
        "{good} good and {bad} bad histories"
    );
}

fn edn(history: &History) -> String {
    let mut text = Vec::new();
    history.write_edn(&mut text).expect("memory takes it");
    String::from_utf8_lossy(&text).into_owned()
}

/// A serial execution of up to 5 transactions over 2 lists, played at overlapping times, with an
/// answer spoilt now and then; and a read of everything at the end.
fn random_history(random: &mut SmallRng) -> History {
    let count = random.random_range(2..6);
    let mut next = 0;
    let mut acts: Vec<Vec<Step>> = (0..count)
        .map(|_| {
            let steps = random.random_range(1..4);
            (0..steps).map(|_| random_step(random, &mut next)).collect()
        })
        .collect();
    let lists = ["x", "y"].map(|list| Step::Read {
        list: list.to_owned(),
    });
    acts.push(lists.to_vec());
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(random);
    order.push(count);
    let mut state: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
    let mut answers: Vec<Vec<Vec<u64>>> = vec![Vec::new(); acts.len()];
    let mut ends: Vec<Phase> = vec![Phase::Ok; acts.len()];
    for index in order {
        if index < count {
            ends[index] = match random.random_range(0..10) {
                0 => Phase::Fail,
                1 => Phase::Info,
                _ => Phase::Ok,
            };
        }
        let happens = ends[index] == Phase::Ok || (ends[index] == Phase::Info && random.random());
        let before = state.clone();
        for step in &acts[index] {
            match step {
                Step::Append { list, element } => state[usize::from(list == "y")].push(*element),
                Step::Read { list } => answers[index].push(state[usize::from(list == "y")].clone()),
            }
        }
        if !happens {
            state = before;
        }
    }
    spoil(random, &mut answers);
    play(random, &acts, answers, &ends)
}

fn random_step(random: &mut SmallRng, next: &mut u64) -> Step {
    let list = if random.random() { "x" } else { "y" }.to_owned();
    if random.random() {
        *next += 1;
        Step::Append {
            list,
            element: *next,
        }
    } else {
        Step::Read { list }
    }
}

/// Cuts or turns the end of a list.
fn spoil(random: &mut SmallRng, answers: &mut [Vec<Vec<u64>>]) {
    let lists = answers.iter_mut().flatten().filter(|list| !list.is_empty());
    for list in lists {
        match random.random_range(0..12) {
            0 => list.truncate(list.len() - 1),
            1 => list.reverse(),
            _ => {}
        }
    }
}

/// The transactions in the order of their numbers, some of them overlapping, the last one alone.
fn play(
    random: &mut SmallRng,
    acts: &[Vec<Step>],
    answers: Vec<Vec<Vec<u64>>>,
    ends: &[Phase],
) -> History {
    let mut history = History::default();
    let mut open: Vec<Line> = Vec::new();
    for (index, lists) in answers.into_iter().enumerate() {
        let invoke = Line {
            process: index as u64,
            time_us: 0,
            phase: Phase::Invoke,
            act: Act::Txn {
                steps: acts[index].clone(),
            },
            request: None,
            answer: None,
            error: None,
        };
        if index + 1 == acts.len() {
            history.ops.append(&mut open);
        }
        history.ops.push(invoke.clone());
        let phase = ends[index];
        open.push(Line {
            phase,
            answer: (phase == Phase::Ok).then(|| Answer {
                found: Some(Found::Lists(lists)),
                ..Answer::default()
            }),
            ..invoke
        });
        while !open.is_empty() && random.random_bool(0.3) {
            let ended = open.swap_remove(random.random_range(0..open.len()));
            history.ops.push(ended);
        }
    }
    history.ops.append(&mut open);
    history
}

/// The definition itself: a serial order, in real time, of all answered transactions and some of
/// unknown outcome explains all answers.
fn some_order_explains(history: &History) -> bool {
    let calls: Vec<Call> = history
        .calls()
        .into_iter()
        .filter(|call| !call.failed())
        .collect();
    extend(
        &calls,
        &mut vec![false; calls.len()],
        &[Vec::new(), Vec::new()],
    )
}

fn extend(calls: &[Call], done: &mut [bool], state: &[Vec<u64>; 2]) -> bool {
    let left = (0..calls.len()).filter(|index| !done[*index]);
    let first_end = left
        .filter_map(|index| calls[index].acknowledged_at())
        .min();
    let Some(first_end) = first_end else {
        return true;
    };
    for index in 0..calls.len() {
        let Some(transaction) = Transaction::of(&calls[index]) else {
            continue;
        };
        if done[index] || calls[index].invoked_at > first_end {
            continue;
        }
        let mut next = state.clone();
        let mut read = Vec::new();
        for step in transaction.steps {
            match step {
                Step::Append { list, element } => next[usize::from(list == "y")].push(*element),
                Step::Read { list } => read.push(next[usize::from(list == "y")].clone()),
            }
        }
        if transaction.lists().is_some_and(|lists| lists != read) {
            continue;
        }
        done[index] = true;
        if extend(calls, done, &next) {
            return true;
        }
        done[index] = false;
    }
    false
}
