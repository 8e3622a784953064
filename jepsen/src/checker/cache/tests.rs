//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

const MR: &str = "monotonic-reads";

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("an overwritten value", "stale", "1 put x 1 -> ok; 1 put x 2 -> ok; 2 cached x -> 1"),
    ("an overwritten value, much later", "stale",
     "1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 3 -> ok; 2 cached x -> 3; 3 cached x -> 1"),
    ("absence after a write", "stale", "1 put x 1 -> ok; 2 cached x -> nil"),
    ("a deleted value", "stale", "1 put x 1 -> ok; 1 del x -> ok; 2 cached x -> 1"),
    ("a value after a read of a newer one", "stale",
     "1 put x 1 -> ok; 2 put x 2 -> info; 3 read x -> 2; 4 cached x -> 1"),
    ("absence after a read of an unknown write", "stale", "1 put x 1 -> info; 2 read x -> 1; 3 cached x -> nil"),
    ("a value after a read of absence", "stale", "1 put x 1 -> ok; 2 del x -> info; 3 read x -> nil; 4 cached x -> 1"),
    ("a value after a newer one was cached", "stale",
     "1 put x 1 -> ok; 2 put x 2; 3 cached x -> 2; 4 cached x -> 1; 2 -> ok"),
    ("own overwritten value", "stale", "1 put x 1 -> ok; 1 put x 2 -> ok; 1 cached x -> 1"),
    ("a value overwritten by compare-and-set", "stale", "1 put x 1 -> ok; 2 cas x 1 2 -> ok; 3 cached x -> 1"),
    ("a value comes back after a restart", "stale",
     "1 put x 1 -> ok; 2 cached x -> 1; 1 put x 2 -> ok; 2 cached x -> 2; 9 fault kill -> ok; 9 heal -> ok; 3 cached x -> 1"),
    ("one row of two is stale", "stale",
     "1 put x 1 -> ok; 1 put y 1 -> ok; 1 put y 2 -> ok; 2 cached x -> 1; 2 cached y -> 1"),
    ("an unknown write is overwritten and cached", "stale",
     "1 put x 1 -> info; 2 read x -> 1; 2 put x 2 -> ok; 3 cached x -> 1"),
    ("a value that nobody wrote", "phantom", "1 put x 1 -> ok; 2 cached x -> 7"),
    ("a value of another row", "phantom", "1 put x 1 -> ok; 1 put y 2 -> ok; 2 cached x -> 2"),
    ("a value in a row that nobody wrote", "phantom", "2 cached x -> 1"),
    ("a refused value", "aborted", "1 put x 1 -> fail; 2 cached x -> 1"),
    ("a refused compare-and-set's value", "aborted", "1 put x 1 -> ok; 2 cas x 9 2 -> fail; 3 cached x -> 2"),
    ("a value before it is written", "future", "2 cached x -> 1; 1 put x 1 -> ok"),
    ("an unknown value before it is written", "future", "2 cached x -> 1; 1 put x 1 -> info"),
    ("a reader goes back and forth between open writes", MR,
     "1 put x 1; 2 put x 2; 3 cached x -> 1; 3 cached x -> 2; 3 cached x -> 1; 1 -> ok; 2 -> ok"),
    ("a reader goes back between unknown writes", MR,
     "1 put x 1 -> info; 2 put x 2 -> info; 3 cached x -> 1; 3 cached x -> 2; 3 cached x -> 1"),
    ("a reader goes back to absence", MR, "1 put x 1; 3 cached x -> nil; 3 cached x -> 1; 3 cached x -> nil; 1 -> ok"),
    ("a reader goes back by revision", MR,
     "1 put x 1; 2 put x 2; 3 cached x -> 2 @5; 3 cached x -> 1 @4; 1 -> ok; 2 -> ok"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("the value is cached", "1 put x 1 -> ok; 2 cached x -> 1; 2 cached x -> 1"),
    ("absence of what was never written", "2 cached x -> nil"),
    ("the newest of three", "1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 3 -> ok; 2 cached x -> 3"),
    ("the old value during a write", "1 put x 1 -> ok; 1 put x 2; 2 cached x -> 1; 1 -> ok"),
    ("the new value during a write", "1 put x 1 -> ok; 1 put x 2; 2 cached x -> 2; 1 -> ok"),
    ("a read that began before the newer write was answered",
     "1 put x 1 -> ok; 1 put x 2; 2 cached x; 1 -> ok; 2 -> 1"),
    ("a slow read finds a value of its time",
     "2 cached x; 1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 3 -> ok; 2 -> 2"),
    ("two overlapping writes, the first remains", "1 put x 1; 2 put x 2; 1 -> ok; 2 -> ok; 3 cached x -> 1"),
    ("two overlapping writes, the second remains", "1 put x 1; 2 put x 2; 1 -> ok; 2 -> ok; 3 cached x -> 2"),
    ("an unknown write happened", "1 put x 1 -> ok; 2 put x 2 -> info; 3 cached x -> 2"),
    ("an unknown write did not happen", "1 put x 1 -> ok; 2 put x 2 -> info; 3 cached x -> 1"),
    ("an unknown write happens after a later one",
     "1 put x 1 -> info; 2 put x 2 -> ok; 3 cached x -> 2; 3 cached x -> 1"),
    ("readers see an open write at their own time",
     "1 put x 1 -> ok; 2 put x 2; 3 cached x; 4 cached x -> 2; 3 -> 1; 2 -> ok"),
    ("a deleted row is absent", "1 put x 1 -> ok; 1 del x -> ok; 2 cached x -> nil"),
    ("a row deleted perhaps is there", "1 put x 1 -> ok; 2 del x -> info; 3 cached x -> 1"),
    ("a row deleted perhaps comes and goes", "1 put x 1 -> ok; 2 del x -> info; 3 cached x -> 1; 3 cached x -> nil"),
    ("a row is deleted and made again", "1 put x 1 -> ok; 1 del x -> ok; 1 put x 2 -> ok; 2 cached x -> 2"),
    ("absent, there, absent", "3 cached x -> nil; 1 put x 1 -> ok; 3 cached x -> 1; 1 del x -> ok; 3 cached x -> nil"),
    ("a value that was written again", "1 put x 1 -> ok; 1 put x 2 -> ok; 1 put x 1 -> ok; 2 cached x -> 1"),
    ("a value that was written again perhaps",
     "1 put x 1 -> ok; 1 put x 2 -> ok; 3 put x 1 -> info; 2 cached x -> 2; 2 cached x -> 1"),
    ("two readers of overlapping writes in different orders at different times",
     "1 put x 1; 2 put x 2; 3 cached x -> 1; 4 cached x -> 2; 1 -> ok; 2 -> ok"),
    ("a refused write leaves the value", "1 put x 1 -> ok; 1 put x 2 -> fail; 2 cached x -> 1"),
    ("reads that failed say nothing", "1 put x 1 -> ok; 2 cached x -> fail; 3 cached x -> info; 4 cached x -> 1"),
    ("revisions go on", "1 put x 1 -> ok @4; 1 put x 2; 2 cached x -> 1 @4; 2 cached x -> 2 @5; 1 -> ok @5"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
