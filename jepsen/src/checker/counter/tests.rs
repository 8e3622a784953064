//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

const BOUNDS: &str = "out-of-bounds";

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("an acknowledged addition is lost", BOUNDS, "1 inc c 1 -> ok; 2 count c -> 0"),
    ("one addition of three is lost", BOUNDS,
     "1 inc c 1 -> ok; 1 inc c 1 -> ok; 1 inc c 1 -> ok; 2 count c -> 2"),
    ("an addition counts twice", BOUNDS, "1 inc c 1 -> ok; 2 count c -> 2"),
    ("an unknown addition counts twice", BOUNDS, "1 inc c 3 -> info; 2 count c -> 6"),
    ("a refused addition counts", BOUNDS, "1 inc c 1 -> fail; 2 count c -> 1"),
    ("a count out of nothing", BOUNDS, "2 count c -> 1"),
    ("a count below nothing", BOUNDS, "1 inc c 1 -> ok; 2 count c -> -1"),
    ("an addition counts before it began", BOUNDS, "2 count c -> 1; 1 inc c 1 -> ok"),
    ("an unknown addition counts before it began", BOUNDS, "2 count c -> 1; 1 inc c 1 -> info"),
    ("an acknowledged subtraction is lost", BOUNDS, "1 inc c 5 -> ok; 1 inc c -2 -> ok; 2 count c -> 5"),
    ("a subtraction counts twice", BOUNDS, "1 inc c 5 -> ok; 1 inc c -2 -> ok; 2 count c -> 1"),
    ("a refused subtraction counts", BOUNDS, "1 inc c 5 -> ok; 1 inc c -2 -> fail; 2 count c -> 3"),
    ("an unknown subtraction counts twice", BOUNDS, "1 inc c 5 -> ok; 1 inc c -2 -> info; 2 count c -> 1"),
    ("a resent request counts twice", BOUNDS, "1 inc c 1 #r -> info; 2 inc c 1 #r -> ok; 3 count c -> 2"),
    ("a request acknowledged twice counts twice", BOUNDS,
     "1 inc c 1 #r -> ok; 2 inc c 1 #r -> ok; 3 count c -> 2"),
    ("a resent request that was acknowledged is lost", BOUNDS,
     "1 inc c 1 #r -> info; 2 inc c 1 #r -> ok; 3 count c -> 0"),
    ("one counter of two has lost an addition", BOUNDS,
     "1 inc c 1 -> ok; 1 inc d 1 -> ok; 2 count c -> 1; 2 count d -> 0"),
    ("an addition went to the other counter", BOUNDS, "1 inc c 1 -> ok; 2 count c -> 1; 2 count d -> 1"),
    ("a counter starts anew", BOUNDS, "1 inc c 4 -> ok; 2 count c -> 4; 1 inc c 1 -> ok; 2 count c -> 1"),
    ("a count in the middle of an addition", BOUNDS, "1 inc c 1 -> ok; 1 inc c 4; 2 count c -> 6; 1 -> ok"),
    ("a growing counter goes back during an addition", "stale",
     "1 inc c 1; 2 count c -> 1; 3 count c -> 0; 1 -> ok"),
    ("a growing counter goes back after an unknown addition", "stale",
     "1 inc c 1 -> info; 2 count c -> 1; 2 count c -> 0"),
    ("a growing counter goes back and on again", "stale",
     "1 inc c 1 -> info; 2 inc c 2 -> info; 3 count c -> 1; 3 count c -> 3; 3 count c -> 2"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("nothing was added", "2 count c -> 0"),
    ("one addition", "1 inc c 1 -> ok; 2 count c -> 1"),
    ("additions of different size", "1 inc c 1 -> ok; 1 inc c 10 -> ok; 2 count c -> 11"),
    ("an open addition is seen", "1 inc c 1; 2 count c -> 1; 1 -> ok"),
    ("an open addition is not seen", "1 inc c 1; 2 count c -> 0; 1 -> ok"),
    ("one of two open additions is seen", "1 inc c 1; 2 inc c 2; 3 count c -> 2; 1 -> ok; 2 -> ok"),
    ("a read that began before the acknowledgement", "1 inc c 1; 2 count c; 1 -> ok; 2 -> 0"),
    ("overlapping reads see different counts", "1 inc c 1; 2 count c; 3 count c; 2 -> 1; 3 -> 0; 1 -> ok"),
    ("an unknown addition happened", "1 inc c 1 -> info; 2 count c -> 1"),
    ("an unknown addition did not happen", "1 inc c 1 -> info; 2 count c -> 0"),
    ("an unknown addition happens late", "1 inc c 1 -> info; 2 count c -> 0; 2 count c -> 0; 2 count c -> 1"),
    ("an addition that was never answered happens late", "1 inc c 1; 2 count c -> 0; 2 count c -> 1"),
    ("a refused addition did not happen", "1 inc c 1 -> fail; 2 count c -> 0"),
    ("a counter below nothing", "1 inc c -3 -> ok; 2 count c -> -3"),
    ("a counter goes up and down", "1 inc c 3 -> ok; 2 count c -> 3; 1 inc c -2 -> ok; 2 count c -> 1"),
    ("an unknown subtraction happens late", "1 inc c 3 -> ok; 1 inc c -2 -> info; 2 count c -> 3; 2 count c -> 1"),
    ("a slow read sees a middle count", "2 count c; 1 inc c 1 -> ok; 1 inc c 1 -> ok; 1 inc c 1 -> ok; 2 -> 2"),
    ("an addition of nothing", "1 inc c 0 -> ok; 2 count c -> 0"),
    ("a resent request counts once", "1 inc c 1 #r -> info; 2 inc c 1 #r -> ok; 3 count c -> 1"),
    ("a request acknowledged twice counts once", "1 inc c 1 #r -> ok; 2 inc c 1 #r -> ok; 3 count c -> 1"),
    ("a request refused once and then done", "1 inc c 1 #r -> fail; 1 inc c 1 #r -> ok; 3 count c -> 1"),
    ("an unknown request seen before its resend", "1 inc c 1 #r -> info; 3 count c -> 1; 2 inc c 1 #r -> ok; 3 count c -> 1"),
    ("two requests count twice", "1 inc c 1 #r -> ok; 2 inc c 1 #s -> ok; 3 count c -> 2"),
    ("reads that failed say nothing", "1 inc c 1 -> ok; 2 count c -> fail; 3 count c -> info; 4 count c -> 1"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
