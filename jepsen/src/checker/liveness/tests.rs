//! Planted violations and odd histories. Bounds: 100 ms to recover, 5 operations a second, half of
//! the operations answered during a fault.

use super::*;
use crate::checker::Verdict;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};
use crate::history::notation;

const BOUNDS: Bounds = Bounds {
    recover_max: Duration::from_millis(100),
    rate_min: 5.0,
    availability_min: 0.5,
};

fn judge(history: &History) -> Report {
    check(history, &BOUNDS)
}

const GONE: &str = "unavailable";

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("nothing is answered after the heal", GONE, "9 fault kill -> ok; 9 heal -> ok; 1 put x 1; +200; 1 -> info"),
    ("nobody asks after the heal", GONE, "1 put x 1 -> ok; 9 fault kill -> ok; 9 heal -> ok; +200; 9 heal -> ok"),
    ("the first answer comes late", GONE, "9 fault kill -> ok; 9 heal -> ok; 1 put x 1; +150; 1 -> ok; 1 put x 2 -> ok"),
    ("the first operation begins late", GONE, "9 fault kill -> ok; 9 heal -> ok; +150; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("only refusals after the heal", GONE, "9 fault kill -> ok; 9 heal -> ok; 1 put x 1 -> fail; 1 put x 1 -> fail; +120; 1 put x 1 -> fail"),
    ("only unknown outcomes after the heal", GONE, "9 fault kill -> ok; 9 heal -> ok; 1 put x 1 -> info; 2 put x 1 -> info; +120; 3 put x 1 -> info"),
    ("only what began before the heal is answered", GONE,
     "9 fault kill -> ok; 1 put x 1; 9 heal -> ok; 1 -> ok; +200; 2 put x 1 -> info"),
    ("the second heal does not help", GONE,
     "9 fault kill -> ok; 9 heal -> ok; 1 put x 1 -> ok; 9 fault pause -> ok; 9 heal -> ok; +200; 2 put x 1 -> info"),
    ("the first heal does not help and the second does", GONE,
     "9 fault kill -> ok; 9 heal -> ok; +200; 9 fault pause -> ok; 9 heal -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 3 -> ok"),
    ("two faults at once, one heal, nothing goes on", GONE,
     "9 fault kill -> ok; 9 fault pause -> ok; 9 heal -> ok; +200; 1 put x 1 -> info"),
    ("a heal of unknown end is late", GONE, "9 fault kill -> ok; 9 heal; +10; 9 -> ok; +200; 1 put x 1 -> info"),
    ("only the nemesis is answered after the heal", GONE, "9 fault kill -> ok; 9 heal -> ok; 9 heal -> ok; +200; 9 heal -> ok"),
    ("reads are not answered either", GONE, "9 fault kill -> ok; 9 heal -> ok; 1 read x -> info; +200; 2 read x -> fail"),
    ("nothing is answered during a fault", GONE,
     "9 fault pause -> ok; 1 put x 1 -> info; 2 put x 1 -> info; 9 heal -> ok; 3 put x 1 -> ok"),
    ("a third is answered during a fault", GONE,
     "9 fault pause -> ok; 1 put x 1 -> ok; 1 put x 2 -> fail; 1 put x 3 -> fail; 9 heal -> ok; 3 put x 1 -> ok"),
    ("refusals during a fault are no answers", GONE,
     "9 fault pause -> ok; 1 put x 1 -> fail; 1 put x 2 -> fail; 9 heal -> ok; 1 put x 3 -> ok"),
    ("nothing is answered during the second fault", GONE,
     "9 fault a -> ok; 1 put x 1 -> ok; 9 heal -> ok; 1 put x 2 -> ok; 9 fault b -> ok; 1 put x 3 -> fail; 9 heal -> ok; 1 put x 4 -> ok"),
    ("nothing is answered during a fault that is never healed", GONE, "1 put x 1 -> ok; 9 fault kill -> ok; 1 put x 2 -> info; 2 put x 1 -> info"),
    ("two operations in ten seconds", "slow", "1 put x 1 -> ok; +10000; 1 put x 2 -> ok"),
    ("fast at first and then nothing", "slow", "1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 3 -> ok; +5000; 1 read x -> fail"),
    ("many refusals and few answers", "slow",
     "1 put x 1 -> ok; 1 put x 2 -> fail; +300; 1 put x 3 -> fail; 1 put x 4 -> fail; +700; 1 put x 5 -> fail"),
    ("everything is unknown", "slow", "1 put x 1 -> info; 2 put x 1 -> info; 3 put x 1 -> info"),
    ("one answer that takes a second", "slow", "1 put x 1; +1000; 1 -> ok"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("no fault at all", "1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 3 -> ok"),
    ("an answer just after the heal", "9 fault kill -> ok; 9 heal -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("an answer within the bound", "9 fault kill -> ok; 9 heal -> ok; +80; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("refusals first and then an answer", "9 fault kill -> ok; 9 heal -> ok; 1 put x 1 -> fail; +50; 1 put x 2 -> ok; 1 put x 3 -> ok"),
    ("one client hangs and another goes on",
     "9 fault kill -> ok; 9 heal -> ok; 1 put x 1; 2 put x 2 -> ok; 2 put x 3 -> ok; +100; 1 -> info"),
    ("a read is enough", "9 fault kill -> ok; 9 heal -> ok; 1 read x -> nil; 1 read x -> nil"),
    ("half is answered during a fault", "9 fault kill -> ok; 1 put x 1 -> ok; 1 put x 2 -> fail; 9 heal -> ok; 1 put x 3 -> ok"),
    ("everything is answered during a fault", "9 fault kill -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok; 9 heal -> ok; 1 put x 3 -> ok"),
    ("nobody asks during a fault", "1 put x 1 -> ok; 9 fault kill -> ok; 9 heal -> ok; 1 put x 2 -> ok"),
    ("an operation of before the fault is lost in it", "1 put x 1; 9 fault kill -> ok; 2 put x 2 -> ok; 9 heal -> ok; 1 -> info; 2 put x 3 -> ok"),
    ("an operation of the fault is answered after the heal", "9 fault kill -> ok; 1 put x 1; 9 heal -> ok; 1 -> ok; 1 put x 2 -> ok"),
    ("two faults at once and one heal", "9 fault a -> ok; 9 fault b -> ok; 9 heal -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("two heals of one fault", "9 fault a -> ok; 9 heal -> ok; 9 heal -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("a heal without a fault", "9 heal -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("two outages", "9 fault a -> ok; 9 heal -> ok; 1 put x 1 -> ok; 9 fault b -> ok; 9 heal -> ok; 1 put x 2 -> ok"),
    ("a fault that is never healed and does no harm", "9 fault a -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("a heal that takes long", "9 fault a -> ok; 9 heal; +150; 9 -> ok; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("answered while it is being healed", "9 fault a -> ok; 9 heal; 1 put x 1 -> ok; 9 -> ok; 1 put x 2 -> ok"),
    ("quiet before the first operation", "+9000; 1 put x 1 -> ok; 1 put x 2 -> ok"),
    ("just fast enough", "1 put x 1 -> ok; +150; 1 put x 2 -> ok; +150; 1 put x 3 -> ok; +150; 1 put x 4 -> ok"),
    ("unknown outcomes in a fast run", "1 put x 1 -> info; 2 put x 2 -> ok; 2 put x 3 -> ok; 2 put x 4 -> info"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(judge, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(judge, VALID);
}

#[test]
fn a_run_that_ends_too_early_is_unknown() {
    let ended = notation::parse("1 put x 1 -> ok; 9 fault kill -> ok; 9 heal -> ok");
    assert_eq!(judge(&ended).verdict(), Verdict::Unknown);
    let broken_again = notation::parse(
        "9 fault a -> ok; 9 heal -> ok; +50; 9 fault b -> ok; +200; 9 heal -> ok; 1 put x 1 -> ok",
    );
    assert_eq!(judge(&broken_again).verdict(), Verdict::Unknown);
}

#[test]
fn an_outage_is_measured() {
    let history = notation::parse(
        "1 put x 1 -> ok; 9 fault kill -> ok; 1 put x 2 -> ok; 1 put x 3 -> fail; 9 heal -> ok
         +20; 1 put x 4; +10; 1 -> ok",
    );
    let [outage] = &outages(&history)[..] else {
        panic!("one outage");
    };
    assert_eq!((outage.asked, outage.answered), (2, 1));
    assert_eq!(outage.recovered_after, Some(Duration::from_millis(34)));
}
