//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

const RYW: &str = "read-your-writes";
const MR: &str = "monotonic-reads";
const MW: &str = "monotonic-writes";
const WFR: &str = "writes-follow-reads";

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("own write is not there", RYW, "1 put x 1 -> ok @1; 1 local x -> nil"),
    ("own write is not there, linearizable read", RYW, "1 put x 1 -> ok @1; 1 read x -> nil"),
    ("own write is not there, cached read", RYW, "1 put x 1 -> ok @1; 1 cached x -> nil"),
    ("an older value than the own", RYW, "2 put x 1 -> ok @1; 1 put x 2 -> ok @2; 1 local x -> 1"),
    ("the first of two own writes", RYW, "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 1 local x -> 1"),
    ("own compare-and-set is not there", RYW, "1 put x 1 -> ok @1; 1 cas x 1 2 -> ok @2; 1 local x -> 1"),
    ("own write is not there after others were read", RYW,
     "1 put x 1 -> ok @1; 2 put y 1 -> ok @2; 1 local y -> 1; 1 local x -> nil"),
    ("a read goes back", MR, "2 put x 1 -> ok @1; 2 put x 2 -> ok @2; 1 local x -> 2; 1 local x -> 1"),
    ("a read goes back to absence", MR, "2 put x 1 -> ok @1; 1 local x -> 1; 1 local x -> nil"),
    ("a cached read goes back", MR, "2 put x 1 -> ok @1; 2 put x 2 -> ok @2; 1 cached x -> 2; 1 cached x -> 1"),
    ("a read goes back on another node's answer", MR,
     "2 put x 1 -> ok @1; 2 put x 2 -> ok @2; 1 read x -> 2; 1 local x -> 1"),
    ("a read goes back by revisions of reads alone", MR, "1 local x -> b @9; 1 local x -> a @4"),
    ("a read of an unknown write goes back", MR,
     "2 put x 1 -> ok @1; 3 put x 2 -> info; 1 local x -> 2 @5; 1 local x -> 1"),
    ("a read goes back over another row", MR,
     "2 put x 1 -> ok @1; 2 put x 2 -> ok @2; 2 put y 1 -> ok @3; 1 local x -> 2; 1 local y -> nil; 1 local x -> 1"),
    ("two own writes with revisions in the wrong order", MW, "1 put x 1 -> ok @5; 1 put x 2 -> ok @4; 2 local x -> 1"),
    ("two own writes to two rows in the wrong order", MW,
     "1 put x 1 -> ok @5; 1 put y 2 -> ok @4; 2 local x -> 1; 2 local y -> 2"),
    ("the second write is seen and the first is not", MW,
     "1 put x 1 -> ok @1; 1 put y 1 -> ok @2; 2 local y -> 1; 2 local x -> nil"),
    ("the second write is seen, and an older first", MW,
     "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 1 put y 1 -> ok @3; 2 local y -> 1; 2 local x -> 1"),
    ("the third write is seen and the first is not", MW,
     "1 put x 1 -> ok @1; 1 put z 1 -> ok @2; 1 put y 1 -> ok @3; 2 local y -> 1; 2 local x -> nil"),
    ("an unknown second write is seen and the first is not", MW,
     "1 put x 1 -> ok @1; 1 put y 1 -> info; 2 local y -> 1 @2; 2 local x -> nil"),
    ("seen through another process, the first is not there", MW,
     "1 put x 1 -> ok @1; 1 put y 1 -> ok @2; 2 local y -> 1; 2 put z 1 -> ok @3; 3 local z -> 1; 3 local x -> nil"),
    ("a write gets a lower revision than what was read", WFR, "2 put x 1 -> ok @5; 1 local x -> 1; 1 put y 1 -> ok @4"),
    ("a write over what was read gets a lower revision", WFR, "2 put x 1 -> ok @5; 1 local x -> 1; 1 put x 2 -> ok @4"),
    ("the answer is seen and the question is not", WFR,
     "1 put x 1 -> ok @1; 2 local x -> 1; 2 put y 1 -> ok @2; 3 local y -> 1; 3 local x -> nil"),
    ("an unknown answer is seen and the question is not", WFR,
     "1 put x 1 -> ok @1; 2 local x -> 1; 2 put y 1 -> info; 3 local y -> 1 @2; 3 local x -> nil"),
    ("the answer is seen and an older question", WFR,
     "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 2 local x -> 2; 2 put y 1 -> ok @3; 3 local y -> 1; 3 local x -> 1"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("own write is there", "1 put x 1 -> ok @1; 1 local x -> 1"),
    ("own write was overwritten", "1 put x 1 -> ok @1; 2 put x 2 -> ok @2; 1 local x -> 2"),
    ("own write is still unknown", "1 put x 1 -> info; 1 local x -> nil"),
    ("another's write is not there yet", "1 put x 1 -> ok @1; 2 local x -> nil"),
    ("another's write is not there for long", "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 2 local x -> nil; 2 local x -> nil"),
    ("two readers see different ages", "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 2 local x -> 2; 3 local x -> 1"),
    ("a new process after one died sees less", "1 put x 1 -> ok @1; 1 local x -> 1; 33 local x -> nil"),
    ("reads go on", "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 2 local x -> nil; 2 local x -> 1; 2 local x -> 2"),
    ("reads skip a value", "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 1 put x 3 -> ok @3; 2 local x -> 1; 2 local x -> 3"),
    ("two rows are of different age for one reader",
     "1 put x 1 -> ok @1; 2 put y 1 -> ok @2; 3 local y -> 1; 3 local x -> nil"),
    ("the first write is seen and the second is not", "1 put x 1 -> ok @1; 1 put y 1 -> ok @2; 2 local x -> 1; 2 local y -> nil"),
    ("both writes are seen", "1 put x 1 -> ok @1; 1 put y 1 -> ok @2; 2 local y -> 1; 2 local x -> 1"),
    ("the second is seen and a newer first",
     "1 put x 1 -> ok @1; 1 put y 1 -> ok @2; 3 put x 3 -> ok @3; 2 local y -> 1; 2 local x -> 3"),
    ("the first is read before the second is seen",
     "1 put x 1 -> ok @1; 1 put y 1 -> ok @2; 2 local x -> nil; 2 local y -> 1; 2 local x -> 1"),
    ("the answer is not seen and the question neither",
     "1 put x 1 -> ok @1; 2 local x -> 1; 2 put y 1 -> ok @2; 3 local y -> nil; 3 local x -> nil"),
    ("a writer that had not read what was there",
     "1 put x 1 -> ok @1; 2 local x -> nil; 2 put y 1 -> ok @2; 3 local y -> 1; 3 local x -> nil"),
    ("what was read while the write was open does not precede it",
     "1 put x 1 -> ok @1; 2 put y 1; 3 local y -> 1; 3 local x -> nil; 2 -> ok @2"),
    ("values without revisions are passed over", "1 put x 1 -> ok; 1 local x -> nil; 1 put x 2 -> ok; 1 local x -> 1"),
    ("a value written twice has no age of its own",
     "1 put x 1 -> ok @1; 2 put x 2 -> ok @2; 1 put x 1 -> ok @3; 1 local x -> 1; 3 local x -> 2; 3 local x -> 1"),
    ("a value written twice, once perhaps",
     "1 put x 1 -> ok @1; 2 put x 2 -> ok @2; 3 put x 1 -> info; 4 local x -> 2; 4 local x -> 1"),
    ("a value written again by one who knew more",
     "1 put x 1 -> ok @1; 2 put y 5 -> ok @2; 3 read y -> 5; 3 put x 1 -> info; 4 local x -> 1; 4 local y -> nil"),
    ("a deleted row is absent again", "1 put x 1 -> ok @1; 1 local x -> 1; 2 del x -> ok @2; 1 local x -> nil; 3 local x -> 1 @1"),
    ("a row deleted perhaps", "1 put x 1 -> ok @1; 2 del x -> info; 1 local x -> nil; 1 local x -> 1"),
    ("overlapping writes of two processes", "1 put x 1; 2 put x 2; 1 -> ok @2; 2 -> ok @1; 1 local x -> 1; 2 local x -> 1"),
    ("a delete that found nothing has an old revision", "1 put x 1 -> ok @4; 1 local x -> 1; 1 del y -> ok @4"),
    ("reads that failed say nothing", "1 put x 1 -> ok @1; 1 local x -> fail; 1 local x -> info"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
