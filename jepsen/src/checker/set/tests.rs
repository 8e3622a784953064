//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("an acknowledged element is gone", "lost", "1 add s 1 -> ok; 2 elements s -> []"),
    ("the first of three is gone", "lost",
     "1 add s 1 -> ok; 1 add s 2 -> ok; 1 add s 3 -> ok; 2 elements s -> [2,3]"),
    ("the last of three is gone", "lost",
     "1 add s 1 -> ok; 1 add s 2 -> ok; 1 add s 3 -> ok; 2 elements s -> [1,2]"),
    ("the middle of three is gone", "lost",
     "1 add s 1 -> ok; 1 add s 2 -> ok; 1 add s 3 -> ok; 2 elements s -> [1,3]"),
    ("all elements are gone", "lost", "1 add s 1 -> ok; 1 add s 2 -> ok; 2 elements s -> []"),
    ("an element was there and is gone", "lost",
     "1 add s 1 -> ok; 2 elements s -> [1]; 2 elements s -> []"),
    ("an unknown element was there and is gone", "lost",
     "1 add s 1 -> info; 2 elements s -> [1]; 3 elements s -> []"),
    ("an element that was never answered was there and is gone", "lost",
     "1 add s 1; 2 elements s -> [1]; 3 elements s -> []"),
    ("the old elements are gone and a new one is there", "lost",
     "1 add s 1 -> ok; 1 add s 2 -> ok; 2 elements s -> [1,2]; 1 add s 3 -> ok; 2 elements s -> [3]"),
    ("one set of two has lost an element", "lost",
     "1 add s 1 -> ok; 1 add t 1 -> ok; 2 elements s -> [1]; 2 elements t -> []"),
    ("an element is missing for a while", "stale",
     "1 add s 1 -> ok; 2 elements s -> []; 2 elements s -> [1]"),
    ("an element flickers", "stale",
     "1 add s 1 -> ok; 2 elements s -> [1]; 2 elements s -> []; 2 elements s -> [1]"),
    ("an unknown element flickers", "stale",
     "1 add s 1 -> info; 2 elements s -> [1]; 3 elements s -> []; 2 elements s -> [1]"),
    ("two readers disagree after the acknowledgement", "stale",
     "1 add s 1 -> ok; 2 elements s -> []; 3 elements s -> [1]"),
    ("an element that nobody added", "phantom", "1 add s 1 -> ok; 2 elements s -> [1,7]"),
    ("an element of another set", "phantom", "1 add s 1 -> ok; 1 add t 2 -> ok; 2 elements s -> [1,2]"),
    ("a set that nobody added to has an element", "phantom", "2 elements s -> [1]"),
    ("a refused element is there", "aborted", "1 add s 1 -> fail; 2 elements s -> [1]"),
    ("an element refused twice is there", "aborted",
     "1 add s 1 -> fail; 1 add s 1 -> fail; 2 elements s -> [1]"),
    ("an element is there twice", "twice", "1 add s 1 -> ok; 2 elements s -> [1,1]"),
    ("an unknown element is there twice", "twice", "1 add s 1 -> info; 2 elements s -> [1,1]"),
    ("an element is there before it is added", "future", "2 elements s -> [1]; 1 add s 1 -> ok"),
    ("an unknown element is there before it is added", "future", "2 elements s -> [1]; 1 add s 1 -> info"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("an empty set", "2 elements s -> []"),
    ("one element", "1 add s 1 -> ok; 2 elements s -> [1]"),
    ("elements in another order", "1 add s 1 -> ok; 1 add s 2 -> ok; 1 add s 3 -> ok; 2 elements s -> [3,1,2]"),
    ("an open element is seen", "1 add s 1; 2 elements s -> [1]; 1 -> ok"),
    ("an open element is not seen", "1 add s 1; 2 elements s -> []; 1 -> ok"),
    ("an open element is seen by one of two overlapping reads",
     "1 add s 1; 2 elements s; 3 elements s; 2 -> [1]; 3 -> []; 1 -> ok"),
    ("a read that began before the acknowledgement", "1 add s 1; 2 elements s; 1 -> ok; 2 -> []"),
    ("a slow read overlaps one that saw more",
     "1 add s 1; 2 elements s; 3 elements s -> [1]; 2 -> []; 1 -> ok"),
    ("an unknown element is there", "1 add s 1 -> info; 2 elements s -> [1]"),
    ("an unknown element is not there", "1 add s 1 -> info; 2 elements s -> []"),
    ("an unknown element comes late",
     "1 add s 1 -> info; 2 elements s -> []; 2 elements s -> []; 2 elements s -> [1]; 2 elements s -> [1]"),
    ("an element that was never answered comes late", "1 add s 1; 2 elements s -> []; 2 elements s -> [1]"),
    ("a refused element is not there", "1 add s 1 -> fail; 2 elements s -> []"),
    ("a refused element is added again", "1 add s 1 -> fail; 1 add s 1 -> ok; 2 elements s -> [1]"),
    ("an unknown element is added again", "1 add s 1 -> info; 3 add s 1 -> ok; 2 elements s -> [1]"),
    ("an element is refused after it was unknown", "1 add s 1 -> info; 3 add s 1 -> fail; 2 elements s -> [1]"),
    ("two sets with the same element", "1 add s 1 -> ok; 1 add t 1 -> info; 2 elements s -> [1]; 2 elements t -> []"),
    ("reads that failed say nothing",
     "1 add s 1 -> ok; 2 elements s -> fail; 3 elements s -> info; 4 elements s -> [1]"),
    ("nobody reads again after the acknowledgement", "2 elements s -> []; 1 add s 1 -> ok"),
    ("many readers see it come in at their own time",
     "1 add s 1; 2 elements s -> []; 3 elements s; 4 elements s -> [1]; 3 -> [1]; 1 -> ok; 2 elements s -> [1]"),
    ("an element is added after another was seen",
     "1 add s 1 -> ok; 2 elements s -> [1]; 1 add s 2 -> ok; 2 elements s -> [1,2]"),
    ("a read during the add of a later element", "1 add s 1 -> ok; 1 add s 2; 2 elements s -> [1]; 1 -> ok"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
