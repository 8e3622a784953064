//! Planted violations, and odd histories that are valid.

use super::check;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("a group that has done nothing goes on at 1", "skipped",
     "1 resume g 0 -> p0:1"),
    ("a record behind what was dealt with", "skipped",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:2"),
    ("another partition was dealt with", "skipped",
     "1 handle g 1 0 -> ok; 1 resume g 0 -> p0:1"),
    ("another group dealt with it", "skipped",
     "2 handle h 0 0 -> ok; 1 resume g 0 -> p0:1"),
    ("it is dealt with too late", "skipped",
     "1 resume g 0 -> p0:1; 1 handle g 0 0 -> ok"),
    ("the first of three is left out", "skipped",
     "1 handle g 0 1 -> ok; 1 handle g 0 2 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:3"),
    ("the middle of three is left out", "skipped",
     "1 handle g 0 0 -> ok; 1 handle g 0 2 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:3"),
    ("the last of three is left out", "skipped",
     "1 handle g 0 0 -> ok; 1 handle g 0 1 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:3"),
    ("far ahead", "skipped",
     "1 handle g 0 0 -> ok; 1 handle g 0 1 -> ok; 1 handle g 0 2 -> ok; 1 offsets g -> ok
      1 resume g 0 -> p0:50"),
    ("a second member begins too far", "skipped",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 2 resume g 0 -> p0:2"),
    ("the same after a right beginning", "skipped",
     "1 resume g 0 -> p0:0; 1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1
      1 handle g 0 1 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:3"),
    ("a refused record counts, and too far", "skipped",
     "1 handle g 0 0 -> ok; 1 offsets g -> fail; 1 resume g 0 -> p0:2"),
    ("an unknown record counts, and too far", "skipped",
     "1 handle g 0 0 -> ok; 1 offsets g -> info; 2 resume g 0 -> p0:2"),
    ("the only record is gone", "lost",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:0"),
    ("half of a record is gone", "lost",
     "1 handle g 0 0 -> ok; 1 handle g 0 1 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1"),
    ("the second record is gone", "lost",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 handle g 0 1 -> ok; 1 offsets g -> ok
      1 resume g 0 -> p0:1"),
    ("both records are gone", "lost",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 handle g 0 1 -> ok; 1 offsets g -> ok
      1 resume g 0 -> p0:0"),
    ("a record of one partition of two is gone", "lost",
     "1 handle g 0 0 -> ok; 1 handle g 1 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1
      1 resume g 1 -> p1:0"),
    ("a record of a second life is gone", "lost",
     "1 resume g 0 -> p0:0; 1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1
      1 handle g 0 1 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1"),
    ("a refused record hides an earlier one", "lost",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 handle g 0 1 -> ok; 1 offsets g -> fail
      1 resume g 0 -> p0:0"),
    ("it comes back too late", "lost",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:0; 1 resume g 0 -> p0:1"),
    ("another group has a record", "lost",
     "2 handle h 0 0 -> ok; 2 offsets h -> ok; 1 handle g 0 0 -> ok; 1 offsets g -> ok
      1 resume g 0 -> p0:0"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("nothing was done",
     "1 resume g 0 -> p0:0"),
    ("a record and its end",
     "1 resume g 0 -> p0:0; 1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1"),
    ("what came after the record may be seen again",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 handle g 0 1 -> ok; 1 resume g 0 -> p0:1"),
    ("or be known",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 handle g 0 1 -> ok; 1 resume g 0 -> p0:2"),
    ("a refused record left nothing",
     "1 handle g 0 0 -> ok; 1 offsets g -> fail; 1 resume g 0 -> p0:0"),
    ("a refused record after a good one",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 handle g 0 1 -> ok; 1 offsets g -> fail
      1 resume g 0 -> p0:1"),
    ("an unknown record happened",
     "1 handle g 0 0 -> ok; 1 offsets g -> info; 2 resume g 0 -> p0:1"),
    ("an unknown record did not happen",
     "1 handle g 0 0 -> ok; 1 offsets g -> info; 2 resume g 0 -> p0:0"),
    ("an unknown record takes effect late",
     "1 handle g 0 0 -> ok; 1 offsets g -> info; 2 resume g 0 -> p0:0; 2 handle g 0 0 -> ok
      2 handle g 0 1 -> ok; 2 offsets g -> ok; 2 resume g 0 -> p0:1"),
    ("dealt with twice",
     "1 handle g 0 0 -> ok; 1 handle g 0 1 -> ok; 1 resume g 0 -> p0:0; 1 handle g 0 0 -> ok
      1 offsets g -> ok; 1 resume g 0 -> p0:1"),
    ("dealt with twice and known",
     "1 handle g 0 0 -> ok; 1 handle g 0 1 -> ok; 1 resume g 0 -> p0:0; 1 handle g 0 0 -> ok
      1 handle g 0 1 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:2"),
    ("a partition without a record",
     "1 handle g 1 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:0; 1 resume g 1 -> p1:1"),
    ("two partitions",
     "1 handle g 0 0 -> ok; 1 handle g 0 1 -> ok; 1 handle g 1 0 -> ok; 1 offsets g -> ok
      1 resume g 0 -> p0:2; 1 resume g 1 -> p1:1"),
    ("two groups",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 2 handle h 0 0 -> ok; 1 resume g 0 -> p0:1
      2 resume h 0 -> p0:0"),
    ("records again and again",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 handle g 0 1 -> ok; 1 offsets g -> ok
      1 handle g 0 2 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:3"),
    ("a record of nothing new",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1"),
    ("a record with nothing dealt with",
     "1 offsets g -> ok; 1 resume g 0 -> p0:0"),
    ("lives one after another",
     "1 resume g 0 -> p0:0; 1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1
      1 handle g 0 1 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:2; 1 handle g 0 2 -> ok
      1 offsets g -> ok; 1 resume g 0 -> p0:3"),
    ("asked twice",
     "1 handle g 0 0 -> ok; 1 offsets g -> ok; 1 resume g 0 -> p0:1; 1 resume g 0 -> p0:1"),
    ("asked while it is recorded, and not yet there",
     "1 handle g 0 0 -> ok; 1 offsets g; 2 resume g 0 -> p0:0; 1 -> ok"),
    ("asked while it is recorded, and there already",
     "1 handle g 0 0 -> ok; 1 offsets g; 2 resume g 0 -> p0:1; 1 -> ok"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
