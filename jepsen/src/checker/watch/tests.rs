//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("a change is left out", "lost", "1 change k=1 -> ok @5; 2 watch * -> 1..9"),
    ("the last change is left out", "lost", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch * -> 1..6 5:k=1"),
    ("a change between others is left out", "lost",
     "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 1 change k=3 -> ok @7; 2 watch * from=1 -> 1..9 5:k=1 7:k=3"),
    ("a change of the watched row is left out", "lost", "1 change k=1 l=1 -> ok @5; 2 watch k from=1 -> 1..9"),
    ("a change that another watcher saw is left out", "lost", "1 change k=1 -> info; 2 watch * from=1 -> 1..9 5:k=1; 3 watch * from=1 -> 1..9"),
    ("progress ahead of a change", "lost", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..5; 2 watch * from=6 -> 6..6"),
    ("a deletion is left out", "lost", "1 change k=1 -> ok @5; 1 change k=nil l=1 -> ok @6; 2 watch k from=6 -> 6..9"),
    ("half of a commit", "torn", "1 change k=1 l=1 -> ok @5; 2 watch * from=1 -> 1..9 5:k=1"),
    ("a commit without its deletion", "torn", "1 change k=1 -> ok @4; 1 change k=nil l=1 -> ok @5; 2 watch * from=5 -> 5..9 5:l=1"),
    ("half of a commit of unknown outcome", "torn", "1 change k=1 l=1 -> info; 2 watch * from=1 -> 1..9 5:k=1"),
    ("a change twice in a page", "twice", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..9 5:k=1 5:k=1"),
    ("a row twice in a commit", "twice", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..9 5:k=1,k=1"),
    ("a change told in the page before", "twice", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..5 5:k=1; 2 watch * from=6 -> 6..9 5:k=1"),
    ("two changes out of order", "reordered", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch * from=1 -> 1..9 6:k=2 5:k=1"),
    ("a change behind the end of the page", "future", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..4 5:k=1"),
    ("a change out of nothing", "phantom", "2 watch * from=1 -> 1..9 5:k=1"),
    ("another row in a commit", "phantom", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..9 5:k=1,l=7"),
    ("a deletion out of nothing", "phantom", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..9 5:k=1 6:k=nil"),
    ("a refused change", "aborted", "1 change k=1 -> fail; 2 watch * from=1 -> 1..9 5:k=1"),
    ("another value", "conflicting", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch * from=1 -> 1..9 5:k=2 6:k=2"),
    ("a deletion instead of a value", "conflicting", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..9 5:k=nil"),
    ("a change at another revision", "contradictory", "1 change k=1 -> ok @5; 2 watch * from=6 -> 6..9 7:k=1"),
    ("an unknown change at two revisions", "contradictory", "1 change k=1 -> info; 2 watch * from=1 -> 1..9 5:k=1; 3 watch * from=6 -> 6..9 7:k=1"),
    ("the value before is older", "stale",
     "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 1 change k=3 -> ok @7; 2 watch k from=7 previous -> 7..9 7:k=3<1"),
    ("the value before is the new one", "stale", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch k from=6 previous -> 6..9 6:k=2<2"),
    ("no value before, and there was one", "stale", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch k from=6 previous -> 6..9 6:k=2<nil"),
    ("a value before, and there was none", "stale", "1 change k=1 -> ok @5; 2 watch k from=1 previous -> 1..9 5:k=1<0"),
    ("from now on, and before what was acknowledged", "stale", "1 change k=1 -> ok @5; 2 watch k -> 5..9 5:k=1"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("nothing", "2 watch * -> 1..9"),
    ("nothing yet", "2 watch * -> 6..5"),
    ("one change", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..9 5:k=1"),
    ("two changes", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch * from=1 -> 1..9 5:k=1 6:k=2"),
    ("two rows of one commit", "1 change k=1 l=1 -> ok @5; 2 watch * from=1 -> 1..9 5:l=1,k=1"),
    ("one row of two", "1 change k=1 l=1 -> ok @5; 2 watch k from=1 -> 1..9 5:k=1"),
    ("another row", "1 change k=1 -> ok @5; 2 watch l from=1 -> 1..9"),
    ("a change before the page", "1 change k=1 -> ok @5; 2 watch * from=6 -> 6..9"),
    ("a change behind the page", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..4"),
    ("from now on", "1 change k=1 -> ok @5; 2 watch * -> 6..6"),
    ("from now on, beside a change", "1 change k=1; 2 watch * -> 5..5 5:k=1; 1 -> ok @5"),
    ("two pages", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch * from=1 -> 1..5 5:k=1; 2 watch * from=6 -> 6..6 6:k=2"),
    ("the same page again", "1 change k=1 -> ok @5; 2 watch * from=1 -> 1..5 5:k=1; 3 watch * from=1 -> 1..7 5:k=1"),
    ("a deletion", "1 change k=1 -> ok @5; 1 change k=nil l=1 -> ok @6; 2 watch k from=1 -> 1..9 5:k=1 6:k=nil"),
    ("a deletion of nothing", "1 change k=nil l=1 -> ok @6; 2 watch * from=1 -> 1..9 6:l=1"),
    ("a deletion of what is deleted", "1 change k=1 -> ok @4; 1 change k=nil l=1 -> ok @5; 1 change k=nil l=2 -> ok @6; 2 watch k from=5 -> 5..9 5:k=nil"),
    ("an unknown change is told", "1 change k=1 -> info; 2 watch * from=1 -> 1..9 5:k=1"),
    ("an unknown change is not told", "1 change k=1 -> info; 2 watch * from=1 -> 1..9"),
    ("an unknown change comes late", "1 change k=1 -> info; 2 watch * from=1 -> 1..9; 2 watch * from=10 -> 10..12 11:k=1"),
    ("an unknown deletion", "1 change k=1 -> ok @4; 1 change k=nil l=1 -> info; 2 watch k from=4 -> 4..9 4:k=1 6:k=nil"),
    ("an unknown deletion may have come first", "1 change k=1 -> ok @4; 1 change k=nil l=1 -> info; 3 change k=nil l=2 -> ok @8; 2 watch k from=8 -> 8..9"),
    ("a refused change is not told", "1 change k=1 -> fail; 2 watch * from=1 -> 1..9"),
    ("the value before", "1 change k=1 -> ok @5; 1 change k=2 -> ok @6; 2 watch k from=5 previous -> 5..9 5:k=1<nil 6:k=2<1"),
    ("the value before a deletion", "1 change k=1 -> ok @5; 1 change k=nil l=1 -> ok @6; 2 watch k from=6 previous -> 6..9 6:k=nil<1"),
    ("the value before came from nobody knows where", "1 change k=1 -> info; 1 change k=2 -> ok @6; 2 watch k from=6 previous -> 6..9 6:k=2<1"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
