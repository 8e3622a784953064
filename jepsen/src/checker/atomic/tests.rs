//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

const T: &str = "torn";

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("an acknowledged row without its message", T, "1 commit r a 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> end 0"),
    ("an acknowledged message without its row", T, "1 commit r a 1 -> ok; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1"),
    ("an unknown row without its message", T, "1 commit r a 1 -> info; 9 scan -> r=1*1; 9 poll 0 0 -> end 0"),
    ("an unknown message without its row", T, "1 commit r a 1 -> info; 8 poll 0 0 -> 0:a.1 end 1; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a refused row without its message", T, "1 commit r a 1 -> fail; 9 scan -> r=1*1; 9 poll 0 0 -> end 0"),
    ("a refused message without its row", T, "1 commit r a 1 -> fail; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1"),
    ("an open row without its message", T, "1 commit r a 1; 9 scan -> r=1*1; 9 poll 0 0 -> end 0"),
    ("an open message without its row", T, "1 commit r a 1; 8 poll 0 0 -> 0:a.1 end 1; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1"),
    ("the second of two is torn", T,
     "1 commit r a 1 -> ok; 1 commit s a 2 -> info; 9 scan -> r=1*1 s=2*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("the first of two is torn", T,
     "1 commit r a 1 -> ok; 1 commit s a 2 -> ok; 9 scan -> s=2*1; 9 poll 0 0 -> 0:a.1 1:a.2 end 2"),
    ("two are torn in two ways", T,
     "1 commit r a 1 -> ok; 2 commit s b 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:b.1 end 1"),
    ("the message of another sequence", T, "1 commit r a 1 -> ok; 1 send a 2 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.2 end 1"),
    ("the message of another key", T, "1 commit r a 1 -> ok; 2 send b 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:b.1 end 1"),
    ("the row of another commit", T, "1 commit r a 1 -> ok; 1 put s 1 -> ok; 9 scan -> s=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("the message was there before the scan only", T,
     "1 commit r a 1 -> ok; 8 poll 0 0 -> 0:a.1 end 1; 9 scan -> r=1*1; 9 poll 0 0 -> end 0"),
    ("the row was there in an earlier scan only", T,
     "1 commit r a 1 -> ok; 8 scan -> r=1*1; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1"),
    ("no partition has the message", T, "1 commit r a 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> end 0; 9 poll 1 0 -> end 0"),
    ("half a commit after a fault", T,
     "1 commit r a 1 -> ok; 9 fault kill -> ok; 2 commit s b 1 -> info; 9 heal -> ok; 9 scan -> r=1*1 s=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("half of a resent commit", T, "1 commit r a 1 #q -> info; 2 commit r a 1 #q -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> end 0"),
    ("one torn among many", T,
     "1 commit r a 1 -> ok; 1 commit s a 2 -> ok; 1 commit t a 3 -> ok; 9 scan -> r=1*1 s=2*1 t=3*1; 9 poll 0 0 -> 0:a.1 1:a.3 end 2"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("both are there", "1 commit r a 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("unknown, and both are there", "1 commit r a 1 -> info; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("unknown, and neither is there", "1 commit r a 1 -> info; 9 scan ->; 9 poll 0 0 -> end 0"),
    ("refused, and neither is there", "1 commit r a 1 -> fail; 9 scan ->; 9 poll 0 0 -> end 0"),
    ("never answered, and both are there", "1 commit r a 1; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("never answered, and neither is there", "1 commit r a 1; 9 scan ->; 9 poll 0 0 -> end 0"),
    ("one happened and one did not", "1 commit r a 1 -> ok; 1 commit s a 2 -> info; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("messages in another partition", "1 commit r a 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> end 0; 9 poll 1 0 -> 0:a.1 end 1"),
    ("messages in two answers", "1 commit r a 1 -> ok; 1 commit s a 2 -> ok; 9 scan -> r=1*1 s=2*1; 9 poll 0 0 -> 0:a.1 end 2; 9 poll 0 1 -> 1:a.2 end 2"),
    ("other messages and rows besides", "1 commit r a 1 -> ok; 2 put x 1 -> ok; 2 send b 1 -> ok; 9 scan -> r=1*1 x=1*1; 9 poll 0 0 -> 0:a.1 1:b.1 end 2"),
    ("another message without a row", "1 commit r a 1 -> ok; 1 send a 2 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 1:a.2 end 2"),
    ("another row without a message", "1 commit r a 1 -> ok; 1 put x 1 -> ok; 9 scan -> r=1*1 x=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("an earlier scan saw neither", "8 scan ->; 1 commit r a 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("an earlier scan saw the row before the fetch the message",
     "1 commit r a 1; 8 poll 0 0 -> end 0; 8 scan -> r=1*1; 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a commit after the scan", "1 commit r a 1 -> ok; 9 scan -> r=1*1; 1 commit s a 2 -> ok; 9 poll 0 0 -> 0:a.1 1:a.2 end 2"),
    ("an unknown commit happens between the scan and the fetch", "1 commit r a 1 -> info; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1"),
    ("an open commit happens between the scan and the fetch", "1 commit r a 1; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1"),
    ("an unknown attempt and a refused one", "1 commit r a 1 -> info; 2 commit r a 1 -> fail; 9 scan ->; 9 poll 0 0 -> 0:a.1 end 1; 9 commit s b 1 -> ok; 9 scan -> s=1*1 r=1*1; 9 poll 0 0 -> 0:a.1 1:b.1 end 2"),
    ("an unknown attempt, refused when it was sent again, comes between", "1 commit s b 1 -> ok; 1 commit r a 1 -> info; 2 commit r a 1 -> fail; 9 scan -> s=1*1; 9 poll 0 0 -> 0:b.1 1:a.1 end 2"),
    ("the row was written again", "1 commit r a 1 -> ok; 1 put r 5 -> ok; 9 scan -> r=5*2; 9 poll 0 0 -> 0:a.1 end 1"),
    ("the message stands twice", "1 commit r a 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("a resent commit", "1 commit r a 1 #q -> info; 2 commit r a 1 #q -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a resent commit that never happened", "1 commit r a 1 #q -> info; 2 commit r a 1 #q -> info; 9 scan ->; 9 poll 0 0 -> end 0"),
    ("two keys", "1 commit r a 1 -> ok; 2 commit s b 1 -> ok; 9 scan -> r=1*1 s=1*1; 9 poll 0 0 -> 0:b.1 1:a.1 end 2"),
    ("a scan that failed", "1 commit r a 1 -> ok; 9 scan -> r=1*1; 9 poll 0 0 -> 0:a.1 end 1; 8 scan -> info"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
