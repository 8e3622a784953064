//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

const R: &str = "reordered";

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("a later write has a lower revision", R, "1 put x 1 -> ok @2; 2 put y 1 -> ok @1"),
    ("a later write has the same revision", R, "1 put x 1 -> ok @2; 2 put y 1 -> ok @2"),
    ("one process's writes", R, "1 put x 1 -> ok @2; 1 put x 2 -> ok @1"),
    ("a compare-and-set goes back", R, "1 put x 1 -> ok @2; 1 cas x 1 2 -> ok @1"),
    ("a message goes back", R, "1 send a 1 -> p0:0 @9; 1 send a 2 -> p0:1 @3"),
    ("a message after a row", R, "1 put x 1 -> ok @9; 1 send a 2 -> p0:1 @3"),
    ("a commit goes back", R, "1 put x 1 -> ok @9; 1 commit r a 2 -> p0:1 @3"),
    ("a transfer goes back", R, "1 move a b 1 -> ok @9; 1 move b a 1 -> ok @8"),
    ("an addition goes back", R, "1 inc c 1 -> ok @9; 2 inc d 1 -> ok @8"),
    ("a set goes back", R, "1 add s 1 -> ok @9; 2 add t 1 -> ok @8"),
    ("a lock goes back", R, "1 lock l -> 1 @9; 2 unlock l 1 -> ok @8"),
    ("a release goes back", R, "1 unlock l 1 -> ok @9; 2 lock l -> 2 @9"),
    ("a transaction goes back", R, "1 txn x+1 -> ok @9; 2 txn x+2 -> ok @8"),
    ("the third goes back behind the first", R, "1 put x 1 -> ok @5; 2 put y 1 -> ok @9; 3 put z 1 -> ok @4"),
    ("the third goes back behind the second", R, "1 put x 1 -> ok @5; 2 put y 1 -> ok @9; 3 put z 1 -> ok @7"),
    ("one of two overlapping is behind", R, "1 put x 1 -> ok @5; 2 put y 1; 3 put z 1; 2 -> ok @4; 3 -> ok @6"),
    ("behind one that overlapped another", R, "1 put x 1; 2 put y 1 -> ok @9; 3 put z 1 -> ok @8; 1 -> ok @1"),
    ("back after a fault", R, "1 put x 1 -> ok @5; 9 fault kill -> ok; 9 heal -> ok; 2 put y 1 -> ok @3"),
    ("back after an unknown write", R, "1 put x 1 -> ok @5; 2 put y 1 -> info; 3 put z 1 -> ok @5"),
    ("every write has revision 1", R, "1 put x 1 -> ok @1; 1 put x 2 -> ok @1; 1 put x 3 -> ok @1"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("upwards", "1 put x 1 -> ok @1; 1 put x 2 -> ok @2"),
    ("upwards with gaps", "1 put x 1 -> ok @10; 1 put x 2 -> ok @200"),
    ("overlapping, in order", "1 put x 1; 2 put y 1; 1 -> ok @1; 2 -> ok @2"),
    ("overlapping, the other way", "1 put x 1; 2 put y 1; 1 -> ok @2; 2 -> ok @1"),
    ("overlapping, answered the other way", "1 put x 1; 2 put y 1; 2 -> ok @1; 1 -> ok @2"),
    ("one overlaps two", "1 put x 1; 2 put y 1 -> ok @2; 2 put y 2 -> ok @3; 1 -> ok @1"),
    ("one overlaps two and is between them", "1 put x 1; 2 put y 1 -> ok @2; 2 put y 2 -> ok @4; 1 -> ok @3"),
    ("one overlaps two and is after them", "1 put x 1; 2 put y 1 -> ok @2; 2 put y 2 -> ok @3; 1 -> ok @4"),
    ("reads have old revisions", "1 put x 1 -> ok @1; 1 put y 2 -> ok @2; 2 read x -> 1 @1"),
    ("a client that does not know", "1 put x 1 -> ok @4; 1 put x 2 -> ok; 1 put x 3 -> ok @5"),
    ("a resend answers with the first revision", "1 put x 1 #r -> info; 2 put y 1 -> ok @8; 3 put x 1 #r -> ok @4"),
    ("a delete that found nothing", "1 put x 1 -> ok @4; 2 del y -> ok @4"),
    ("refused and unknown writes", "1 put x 1 -> ok @4; 2 put y 1 -> fail; 3 put z 1 -> info; 4 put q 1 -> ok @6"),
    ("a long write", "1 put x 1; 2 put y 1 -> ok @5; 3 put z 1 -> ok @6; 4 put q 1 -> ok @7; 1 -> ok @2"),
    ("rows and messages", "1 put x 1 -> ok @1; 2 send a 1 -> p0:0 @2; 3 commit r b 1 -> p1:0 @3"),
    ("one write", "1 put x 1 -> ok @77"),
    ("over a fault", "1 put x 1 -> ok @5; 9 fault kill -> ok; 9 heal -> ok; 2 put y 1 -> ok @6"),
    ("three overlap", "1 put x 1; 2 put y 1; 3 put z 1; 1 -> ok @3; 2 -> ok @1; 3 -> ok @2"),
    ("a chain of overlaps", "1 put x 1; 2 put y 1; 1 -> ok @2; 3 put z 1; 2 -> ok @1; 3 -> ok @3"),
    ("a process after its unknown write", "1 put x 1 -> info; 33 put x 2 -> ok @1; 33 put x 3 -> ok @3"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
