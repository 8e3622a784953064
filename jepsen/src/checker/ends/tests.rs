//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("an acknowledged element is missing", "lost", "1 join s 1 -> ok @5; 1 join s 2 -> ok @6; 2 ending s 100 -> 6/5/200 [1]"),
    ("the first element is missing", "lost", "1 join s 1 -> ok @5; 1 join s 2 -> ok @6; 2 ending s 100 -> 6/5/200 [2]"),
    ("all elements are missing", "lost", "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 []"),
    ("an element is missing much later", "lost", "1 join s 1 -> ok @5; 1 join s 2 -> ok @9; 2 ending s 100 -> 50/5/200 [1]"),
    ("an element of a later life is missing", "lost",
     "1 join s 1 -> ok @5; 2 ending s 100 -> absent@7; 1 join s 2 -> ok @8; 1 join s 3 -> ok @9; 2 ending s 100 -> 9/8/400 [2]"),
    ("an element of the life before", "stale", "1 join s 1 -> ok @5; 1 join s 2 -> ok @9; 2 ending s 100 -> 9/9/400 [1,2]"),
    ("an element of two lives before", "stale",
     "1 join s 1 -> ok @5; 1 join s 2 -> ok @9; 1 join s 3 -> ok @14; 2 ending s 100 -> 14/14/900 [1,3]"),
    ("an element of the life before, seen by its writer", "stale", "1 join s 1 -> ok @5; 1 join s 2 -> ok @9; 1 ending s 100 -> 12/9/400 [2,1]"),
    ("an element of the future", "future", "1 join s 1 -> ok @5; 1 join s 2 -> ok @6; 2 ending s 100 -> 5/5/200 [1,2]"),
    ("an element before its revision", "future", "1 join s 1 -> ok @5; 1 join s 2; 2 ending s 100 -> 8/5/200 [1,2]; 1 -> ok @9"),
    ("an element out of nothing", "phantom", "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 [1,7]"),
    ("a set out of nothing", "phantom", "2 ending s 100 -> 5/5/200 [7]"),
    ("an element of another set", "phantom", "1 join s 1 -> ok @5; 1 join t 2 -> ok @6; 2 ending s 100 -> 6/5/200 [1,2]"),
    ("a refused element", "aborted", "1 join s 1 -> ok @5; 1 join s 2 -> fail; 2 ending s 100 -> 6/5/200 [1,2]"),
    ("another end", "contradictory", "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 [1]; 2 ending s 100 -> 5/5/201 [1]"),
    ("an end that is put off by each element", "contradictory",
     "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 [1]; 1 join s 2 -> ok @6; 2 ending s 100 -> 6/5/230 [1,2]"),
    ("an end that comes nearer", "contradictory", "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 [1]; 3 ending s 100 -> 5/5/190 [1]"),
    ("shown after its end, which another set tells", "stale",
     "1 join s 1 -> ok @5; 1 join t 2 -> ok @6; 2 ending t 100 -> 6/6/300 [2]; 2 ending s 100 -> 6/5/200 [1]"),
    ("shown long after its end", "stale",
     "1 join s 1 -> ok @5; 1 join t 2 -> ok @6; 2 ending t 100 -> 6/6/900 [2]; 3 ending s 100 -> 6/5/200 [1]"),
    ("shown to another process after its end", "stale",
     "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 [1]; 1 join t 2 -> ok @6; 1 ending t 100 -> 6/6/301 [2]; 2 ending s 100 -> 6/5/200 [1]"),
    ("read after its end", "stale", "1 join s 1 -> ok @5; 2 ending s 100 -> 6/5/200/250 [1]"),
    ("read at its end", "stale", "1 join s 1 -> ok @5; 2 ending s 100 -> 6/5/200/200 [1]"),
    ("gone and there again", "stale", "1 join s 1 -> ok @5; 2 ending s 100 -> absent@7; 2 ending s 100 -> 7/5/200 [1]"),
    ("gone for one and there for another", "stale", "1 join s 1 -> ok @5; 2 ending s 100 -> absent@7; 3 ending s 100 -> 9/5/200 [1]"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("nothing", "2 ending s 100 -> absent@1"),
    ("one element", "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 [1]"),
    ("two elements", "1 join s 1 -> ok @5; 1 join s 2 -> ok @6; 2 ending s 100 -> 6/5/200 [1,2]"),
    ("in another order", "1 join s 1 -> ok @5; 1 join s 2 -> ok @6; 2 ending s 100 -> 6/5/200 [2,1]"),
    ("a read of an older revision", "1 join s 1 -> ok @5; 1 join s 2 -> ok @6; 2 ending s 100 -> 5/5/200 [1]"),
    ("an end", "1 join s 1 -> ok @5; 2 ending s 100 -> 5/5/200 [1]; 2 ending s 100 -> absent@6"),
    ("an end that nobody swept", "1 join s 1 -> ok @5; 2 ending s 100 -> absent@5"),
    ("a second life", "1 join s 1 -> ok @5; 2 ending s 100 -> absent@6; 1 join s 2 -> ok @7; 2 ending s 100 -> 7/7/400 [2]"),
    ("a second life that nobody saw begin", "1 join s 1 -> ok @5; 1 join s 2 -> ok @7; 2 ending s 100 -> 7/7/400 [2]"),
    ("a third life", "1 join s 1 -> ok @5; 1 join s 2 -> ok @7; 1 join s 3 -> ok @9; 2 ending s 100 -> 9/9/700 [3]"),
    ("an unknown element is there", "1 join s 1 -> ok @5; 1 join s 2 -> info; 2 ending s 100 -> 8/5/200 [1,2]"),
    ("an unknown element is not there", "1 join s 1 -> ok @5; 1 join s 2 -> info; 2 ending s 100 -> 8/5/200 [1]"),
    ("an unknown element begins the set", "1 join s 2 -> info; 2 ending s 100 -> 8/8/200 [2]"),
    ("an unknown element comes in a later life", "1 join s 2 -> info; 1 join s 1 -> ok @5; 2 ending s 100 -> 9/5/200 [1,2]"),
    ("an open element is there", "1 join s 1; 2 ending s 100 -> 5/5/200 [1]; 1 -> ok @5"),
    ("an open element is not there", "1 join s 1; 2 ending s 100 -> absent@4; 1 -> ok @5"),
    ("a refused element is not there", "1 join s 1 -> ok @5; 1 join s 2 -> fail; 2 ending s 100 -> 6/5/200 [1]"),
    ("two sets with two ends", "1 join s 1 -> ok @5; 1 join t 2 -> ok @6; 2 ending s 100 -> 6/5/200 [1]; 2 ending t 100 -> 6/6/260 [2]"),
    ("a read that began before the time was known",
     "1 join s 1 -> ok @5; 1 join t 2 -> ok @6; 2 ending s 100; 3 ending t 100 -> 6/6/300 [2]; 2 -> 6/5/200 [1]"),
    ("a read that began before it was gone", "1 join s 1 -> ok @5; 2 ending s 100; 3 ending s 100 -> absent@7; 2 -> 5/5/200 [1]"),
    ("on the last millisecond", "1 join s 1 -> ok @5; 1 join t 2 -> ok @6; 2 ending t 100 -> 6/6/299 [2]; 2 ending s 100 -> 6/5/200 [1]"),
    ("read just before its end", "1 join s 1 -> ok @5; 2 ending s 100 -> 6/5/200/199 [1]"),
    ("a resent element", "1 join s 1 #r -> info; 2 join s 1 #r -> ok @5; 2 ending s 100 -> 5/5/200 [1]"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
