//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("the first message is gone", "lost-prefix",
     "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 9 poll 0 0 -> 1:a.2 end 2"),
    ("all messages before one are gone", "lost-prefix",
     "1 send a 1 -> p0:0; 2 send b 1 -> p0:1; 1 send a 2 -> p0:2; 9 poll 0 0 -> 2:a.2 end 3"),
    ("a message in the middle is gone", "lost-middle",
     "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 1 send a 3 -> p0:2; 9 poll 0 0 -> 0:a.1 2:a.3 end 3"),
    ("the last message is gone", "lost-suffix",
     "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 9 poll 0 0 -> 0:a.1 end 1"),
    ("the last messages are gone", "lost-suffix",
     "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 1 send a 3 -> p0:2; 9 poll 0 0 -> 0:a.1 end 1"),
    ("the only message is gone", "lost", "1 send a 1 -> p0:0; 9 poll 0 0 -> end 0"),
    ("a message acknowledged without its place is gone", "lost",
     "1 send a 1 -> ok; 1 send a 2 -> ok; 9 poll 0 0 -> 0:a.1 end 1; 9 poll 1 0 -> end 0"),
    ("a delivered message of unknown outcome is gone", "lost",
     "1 send a 1 -> info; 2 poll 0 0 -> 0:a.1 end 1; 9 poll 0 0 -> end 0"),
    ("a message of a commit is gone", "lost", "1 commit r a 1 -> p0:0; 9 poll 0 0 -> end 0"),
    ("a message is missing for a while", "stale",
     "1 send a 1 -> p0:0; 2 poll 0 0 -> end 0; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a message that nobody produced", "phantom", "1 send a 1 -> p0:0; 9 poll 0 0 -> 0:a.1 1:z.9 end 2"),
    ("a sequence that nobody produced", "phantom", "1 send a 1 -> p0:0; 9 poll 0 0 -> 0:a.1 1:a.2 end 2"),
    ("a refused message is delivered", "aborted", "1 send a 1 -> fail; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a refused commit's message is delivered", "aborted",
     "1 commit r a 1 -> fail; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a message is delivered before it is produced", "future",
     "9 poll 0 0 -> 0:a.1 end 1; 1 send a 1 -> info"),
    ("a message stands twice", "twice", "1 send a 1 -> p0:0; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("an unknown message stands twice", "twice", "1 send a 1 -> info; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("a resent request stands twice", "twice",
     "1 send a 1 #r -> info; 2 send a 1 #r -> p0:1; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("a resent request stands in two partitions", "twice",
     "1 send a 1 #r -> info; 2 send a 1 #r -> p0:0; 9 poll 0 0 -> 0:a.1 end 1; 9 poll 1 0 -> 0:a.1 end 1"),
    ("two attempts and three copies", "twice",
     "1 send a 1 -> info; 2 send a 1 -> p0:0; 9 poll 0 0 -> 0:a.1 1:a.1 2:a.1 end 3"),
    ("two messages of a key in the wrong order", "reordered",
     "1 send a 1 -> ok; 1 send a 2 -> ok; 9 poll 0 0 -> 0:a.2 1:a.1 end 2"),
    ("acknowledgements in the wrong order", "reordered", "1 send a 1 -> p0:5; 1 send a 2 -> p0:3"),
    ("a key in two partitions", "reordered",
     "1 send a 1 -> ok; 1 send a 2 -> ok; 9 poll 0 0 -> 0:a.1 end 1; 9 poll 1 0 -> 0:a.2 end 1"),
    ("offsets go back within an answer", "reordered",
     "1 send a 1 -> info; 2 send b 1 -> info; 9 poll 0 0 -> 0:a.1 1:b.1 0:a.1 end 2"),
    ("one offset is acknowledged to two", "conflicting", "1 send a 1 -> p0:0; 2 send b 1 -> p0:0"),
    ("another message stands where one was acknowledged", "conflicting",
     "1 send a 1 -> p0:0; 2 send b 1 -> info; 9 poll 0 0 -> 0:b.1 1:a.1 end 2"),
    ("an offset changes its message", "conflicting",
     "1 send a 1 -> info; 2 send b 1 -> info; 3 poll 0 0 -> 0:a.1 end 1; 3 poll 0 0 -> 0:b.1 end 1"),
    ("an offset is left out", "skipped",
     "1 send a 1 -> info; 2 send b 1 -> info; 9 poll 0 0 -> 0:a.1 2:b.1 end 3"),
    ("the first offset is left out", "skipped", "1 send a 1 -> info; 9 poll 0 0 -> 1:a.1 end 2"),
    ("an offset is left out in the middle of a partition", "skipped",
     "1 send a 1 -> info; 9 poll 0 7 -> 8:a.1 end 9"),
    ("two nodes hold different messages", "diverged",
     "1 send a 1 -> info; 2 send b 1 -> info; 8 poll 0 0 n1 -> 0:a.1 end 1; 9 poll 0 0 n2 -> 0:b.1 end 1"),
    ("a node has lost what another has", "diverged",
     "1 send a 1 -> p0:0; 8 poll 0 0 n1 -> 0:a.1 end 1; 9 poll 0 0 n2 -> end 0"),
    ("a node has lost the middle", "diverged",
     "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 1 send a 3 -> p0:2
      8 poll 0 0 n1 -> 0:a.1 1:a.2 2:a.3 end 3; 9 poll 0 0 n2 -> 0:a.1 2:a.3 end 3"),
    ("a message beyond the end", "misshapen", "1 send a 1 -> p0:0; 9 poll 0 0 -> 0:a.1 end 0"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("all is there", "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 9 poll 0 0 -> 0:a.1 1:a.2 end 2"),
    ("an empty partition", "9 poll 0 0 -> end 0"),
    ("nobody fetches", "1 send a 1 -> p0:0; 1 send a 2 -> p0:1"),
    ("an unknown message is there", "1 send a 1 -> info; 9 poll 0 0 -> 0:a.1 end 1"),
    ("an unknown message is not there", "1 send a 1 -> info; 9 poll 0 0 -> end 0"),
    ("an unknown message comes late",
     "1 send a 1 -> info; 2 poll 0 0 -> end 0; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a refused message is not there", "1 send a 1 -> p0:0; 1 send a 2 -> fail; 1 send a 3 -> p0:1; 9 poll 0 0 -> 0:a.1 1:a.3 end 2"),
    ("a fetch before the acknowledgement misses it", "1 send a 1; 9 poll 0 0 -> end 0; 1 -> p0:0"),
    ("a fetch that began before the acknowledgement", "1 send a 1; 9 poll 0 0; 1 -> p0:0; 9 -> end 0"),
    ("a message is delivered before its acknowledgement", "1 send a 1; 9 poll 0 0 -> 0:a.1 end 1; 1 -> p0:0"),
    ("a fetch from the middle", "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 9 poll 0 1 -> 1:a.2 end 2"),
    ("a fetch that stops early", "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 9 poll 0 0 -> 0:a.1 end 2"),
    ("a fetch at the end", "1 send a 1 -> p0:0; 9 poll 0 1 -> end 1"),
    ("a fetch beyond the end", "1 send a 1 -> p0:0; 9 poll 0 5 -> end 1"),
    ("an empty answer before the end", "1 send a 1 -> p0:0; 9 poll 0 0 -> end 1"),
    ("keys in between each other", "1 send a 1 -> p0:0; 2 send b 1 -> p0:1; 1 send a 2 -> p0:2; 9 poll 0 0 -> 0:a.1 1:b.1 2:a.2 end 3"),
    ("keys in two partitions", "1 send a 1 -> p0:0; 2 send b 1 -> p1:0; 9 poll 0 0 -> 0:a.1 end 1; 9 poll 1 0 -> 0:b.1 end 1"),
    ("overlapping messages of a key in either order",
     "1 send a 1; 2 send a 2; 1 -> p0:1; 2 -> p0:0; 9 poll 0 0 -> 0:a.2 1:a.1 end 2"),
    ("an unknown message comes after a later one of its key",
     "1 send a 1 -> info; 2 send a 2 -> p0:0; 9 poll 0 0 -> 0:a.2 1:a.1 end 2"),
    ("two attempts without a request may both stand",
     "1 send a 1 -> info; 2 send a 1 -> p0:1; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("a resent request stands once", "1 send a 1 #r -> info; 2 send a 1 #r -> p0:0; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a request acknowledged twice at one place",
     "1 send a 1 #r -> p0:0; 2 send a 1 #r -> p0:0; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a refused attempt and a good one", "1 send a 1 -> fail; 1 send a 1 -> p0:0; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a follower lags", "1 send a 1 -> p0:0; 1 send a 2 -> p0:1; 8 poll 0 0 n2 -> 0:a.1 end 1; 8 poll 0 0 n2 -> 0:a.1 1:a.2 end 2"),
    ("a follower lags by all", "1 send a 1 -> p0:0; 8 poll 0 0 n2 -> end 0; 8 poll 0 0 n2 -> 0:a.1 end 1"),
    ("two nodes agree", "1 send a 1 -> p0:0; 8 poll 0 0 n1 -> 0:a.1 end 1; 9 poll 0 0 n2 -> 0:a.1 end 1"),
    ("an unknown message comes between the reads of two nodes",
     "1 send a 1 -> info; 8 poll 0 0 n1 -> end 0; 9 poll 0 0 n2 -> 0:a.1 end 1"),
    ("acknowledged without a place, and there", "1 send a 1 -> ok; 9 poll 0 0 -> end 0; 9 poll 1 0 -> 0:a.1 end 1"),
    ("acknowledged without a place after the last fetch", "9 poll 0 0 -> end 0; 1 send a 1 -> ok"),
    ("a commit's message", "1 commit r a 1 -> p0:0; 9 poll 0 0 -> 0:a.1 end 1"),
    ("fetches that failed say nothing", "1 send a 1 -> p0:0; 8 poll 0 0 -> fail; 9 poll 0 0 -> info"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
