//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("money is made", "unbalanced", "1 open a=5 b=5 -> ok; 2 total -> a=6 b=5"),
    ("money is lost", "unbalanced", "1 open a=5 b=5 -> ok; 2 total -> a=5 b=4"),
    ("half a transfer is seen", "unbalanced",
     "1 open a=5 b=5 -> ok; 1 move a b 2; 2 total -> a=3 b=5; 1 -> ok"),
    ("the other half of a transfer is seen", "unbalanced",
     "1 open a=5 b=5 -> ok; 1 move a b 2; 2 total -> a=5 b=7; 1 -> ok"),
    ("a snapshot is torn between two transfers", "unbalanced",
     "1 open a=5 b=5 c=5 -> ok; 1 move a b 2 -> ok; 2 move b c 1 -> ok; 3 total -> a=3 b=7 c=6"),
    ("a half of an unknown transfer", "unbalanced",
     "1 open a=5 b=5 -> ok; 1 move a b 2 -> info; 2 total -> a=5 b=7"),
    ("only the second look is wrong", "unbalanced",
     "1 open a=5 b=5 -> ok; 2 total -> a=5 b=5; 2 total -> a=5 b=6"),
    ("an account goes below nothing", "overdrawn",
     "1 open a=1 b=5 -> ok; 1 move a b 2 -> ok; 2 total -> a=-1 b=7"),
    ("two transfers overdraw together", "overdrawn",
     "1 open a=3 b=0 -> ok; 1 move a b 2; 2 move a b 2; 1 -> ok; 2 -> ok; 3 total -> a=-1 b=4"),
    ("an account is missing", "misshapen", "1 open a=5 b=5 -> ok; 2 total -> a=10"),
    ("an account nobody opened", "misshapen", "1 open a=5 b=5 -> ok; 2 total -> a=5 b=5 c=0"),
    ("an account has another name", "misshapen", "1 open a=5 b=5 -> ok; 2 total -> a=5 c=5"),
    ("all accounts are gone", "lost", "1 open a=5 b=5 -> ok; 2 total ->"),
    ("accounts before they were opened", "future", "2 total -> a=5 b=5; 1 open a=5 b=5 -> ok"),
    ("an acknowledged transfer is not seen", "out-of-bounds",
     "1 open a=5 b=5 -> ok; 1 move a b 2 -> ok; 2 total -> a=5 b=5"),
    ("a refused transfer is seen", "out-of-bounds",
     "1 open a=5 b=5 -> ok; 1 move a b 2 -> fail; 2 total -> a=3 b=7"),
    ("a transfer is done twice", "out-of-bounds",
     "1 open a=9 b=5 -> ok; 1 move a b 2 -> ok; 2 total -> a=5 b=9"),
    ("an unknown transfer is done twice", "out-of-bounds",
     "1 open a=9 b=5 -> ok; 1 move a b 2 -> info; 2 total -> a=5 b=9"),
    ("a transfer is seen before it began", "out-of-bounds",
     "1 open a=5 b=5 -> ok; 2 total -> a=3 b=7; 1 move a b 2 -> ok"),
    ("a transfer goes the wrong way", "out-of-bounds",
     "1 open a=5 b=5 -> ok; 1 move a b 2 -> ok; 2 total -> a=7 b=3"),
    ("a transfer goes to another account", "out-of-bounds",
     "1 open a=5 b=5 c=5 -> ok; 1 move a b 2 -> ok; 2 total -> a=3 b=5 c=7"),
    ("an old snapshot after a newer one", "out-of-bounds",
     "1 open a=5 b=5 -> ok; 1 move a b 1 -> ok; 1 move a b 1 -> ok; 2 total -> a=4 b=6"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("nothing moves", "1 open a=5 b=5 -> ok; 2 total -> a=5 b=5"),
    ("a transfer is done", "1 open a=5 b=5 -> ok; 1 move a b 2 -> ok; 2 total -> a=3 b=7"),
    ("an open transfer is seen", "1 open a=5 b=5 -> ok; 1 move a b 2; 2 total -> a=3 b=7; 1 -> ok"),
    ("an open transfer is not seen", "1 open a=5 b=5 -> ok; 1 move a b 2; 2 total -> a=5 b=5; 1 -> ok"),
    ("an unknown transfer happened", "1 open a=5 b=5 -> ok; 1 move a b 2 -> info; 2 total -> a=3 b=7"),
    ("an unknown transfer did not happen", "1 open a=5 b=5 -> ok; 1 move a b 2 -> info; 2 total -> a=5 b=5"),
    ("an unknown transfer happens late",
     "1 open a=5 b=5 -> ok; 1 move a b 2 -> info; 2 total -> a=5 b=5; 2 total -> a=3 b=7"),
    ("a refused transfer did not happen", "1 open a=5 b=5 -> ok; 1 move a b 9 -> fail; 2 total -> a=5 b=5"),
    ("an account is emptied", "1 open a=5 b=5 -> ok; 1 move a b 5 -> ok; 2 total -> a=0 b=10"),
    ("accounts that may be below nothing",
     "1 open a=5 b=-5 -> ok; 1 move a b 7 -> ok; 2 total -> a=-2 b=2"),
    ("the bank holds nothing", "1 open a=0 b=0 -> ok; 2 total -> a=0 b=0"),
    ("a look before the bank opens", "2 total ->; 1 open a=5 -> ok; 2 total -> a=5"),
    ("a look while the bank opens, before", "1 open a=5; 2 total ->; 1 -> ok"),
    ("a look while the bank opens, after", "1 open a=5; 2 total -> a=5; 1 -> ok"),
    ("a bank that opened perhaps, and did not", "1 open a=5 -> info; 2 total ->"),
    ("a bank that opened perhaps, and did", "1 open a=5 -> info; 2 total -> a=5"),
    ("a bank whose first opening was refused", "1 open a=1 -> fail; 1 open a=5 -> ok; 2 total -> a=5"),
    ("a slow look sees a middle state",
     "1 open a=5 b=5 -> ok; 2 total; 1 move a b 1 -> ok; 1 move a b 1 -> ok; 1 move a b 1 -> ok; 2 -> a=3 b=7"),
    ("money goes round",
     "1 open a=5 b=5 c=5 -> ok; 1 move a b 2 -> ok; 1 move b c 2 -> ok; 1 move c a 2 -> ok; 2 total -> a=5 b=5 c=5"),
    ("money goes to oneself", "1 open a=5 b=5 -> ok; 1 move a a 2 -> ok; 2 total -> a=5 b=5"),
    ("a look that failed says nothing", "1 open a=5 -> ok; 2 total -> fail; 3 total -> info; 4 total -> a=5"),
    ("one account alone", "1 open a=5 -> ok; 2 total -> a=5"),
    ("a look during two open transfers sees one of them",
     "1 open a=5 b=5 -> ok; 1 move a b 1; 2 move b a 3; 3 total -> a=8 b=2; 1 -> ok; 2 -> ok; 3 total -> a=7 b=3"),
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
fn what_cannot_be_judged_is_unknown() {
    use crate::checker::Verdict;
    use crate::history::notation::parse;
    let unopened = parse("2 total -> a=5");
    assert_eq!(check(&unopened).verdict(), Verdict::Unknown);
    let twice = parse("1 open a=5 -> ok; 1 open a=6 -> info; 2 total -> a=5");
    assert_eq!(check(&twice).verdict(), Verdict::Unknown);
}
