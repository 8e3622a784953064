//! Planted violations and odd histories.

use super::*;
use crate::checker::planted::{Planted, Valid, all_are_found, all_pass};

#[rustfmt::skip]
const PLANTED: &[Planted] = &[
    ("a resend has another revision", "contradictory", "1 put x 1 #r -> ok @1; 2 put x 1 #r -> ok @2"),
    ("a resend has another version", "contradictory", "1 put x 1 #r -> ok @1 v1; 2 put x 1 #r -> ok @1 v2"),
    ("a resend has another place", "contradictory", "1 send a 1 #r -> p0:0; 2 send a 1 #r -> p0:1"),
    ("a resend has another partition", "contradictory", "1 send a 1 #r -> p0:0; 2 send a 1 #r -> p1:0"),
    ("a resend gets another token", "contradictory", "1 lock l #r -> 1; 2 lock l #r -> 2"),
    ("a resend is refused after it happened", "contradictory", "1 put x 1 #r -> ok @1; 1 put x 1 #r -> fail"),
    ("a third attempt is answered otherwise", "contradictory",
     "1 put x 1 #r -> info; 2 put x 1 #r -> ok @1; 3 put x 1 #r -> ok @3"),
    ("overlapping attempts are answered otherwise", "contradictory",
     "1 put x 1 #r; 2 put x 1 #r; 1 -> ok @1; 2 -> ok @2"),
    ("one name for two values", "reused", "1 put x 1 #r -> ok @1; 1 put x 2 #r -> fail"),
    ("one name for two rows", "reused", "1 put x 1 #r -> info; 2 put y 1 #r -> ok @1"),
    ("one name for two kinds of request", "reused", "1 put x 1 #r -> fail; 1 inc x 1 #r -> ok"),
    ("two requests have one revision", "conflicting", "1 put x 1 #r -> ok @4; 1 put y 1 #s -> ok @4"),
    ("two writes without a name have one revision", "conflicting", "1 put x 1 -> ok @4; 2 inc c 1 -> ok @4"),
    ("a message and a row have one revision", "conflicting", "1 put x 1 -> ok @4; 2 send a 1 -> p0:0 @4"),
    ("two writes made one version", "conflicting", "1 put x 1; 2 put x 2; 1 -> ok @1 v1; 2 -> ok @2 v1"),
    ("a resent message stands twice", "twice",
     "1 send a 1 #r -> info; 2 send a 1 #r -> p0:0; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("an unknown request's message stands twice", "twice", "1 send a 1 #r -> info; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("a resent message stands in two partitions", "twice",
     "1 send a 1 #r -> info; 2 send a 1 #r -> info; 9 poll 0 0 -> 0:a.1 end 1; 9 poll 1 0 -> 0:a.1 end 1"),
    ("two requests and three copies", "twice",
     "1 send a 1 #r -> info; 2 send a 1 #s -> info; 9 poll 0 0 -> 0:a.1 1:a.1 2:a.1 end 3"),
    ("a row was written twice", "twice", "1 put x 1 -> ok @1 v1; 9 scan -> x=1*2"),
    ("a resent write was done twice", "twice", "1 put x 1 #r -> info; 2 put x 1 #r -> ok @2 v2; 9 scan -> x=1*2"),
    ("an unknown write was done twice", "twice", "1 put x 1 -> info; 9 scan -> x=1*2"),
    ("a write's own answer counts too many", "twice", "1 put x 1 -> ok @1 v1; 1 put x 2 -> ok @3 v3"),
    ("a refused write was done", "twice", "1 put x 1 -> ok @1 v1; 1 put x 2 -> fail; 9 scan -> x=1*2"),
    ("a compare-and-set was done twice", "twice", "1 cas x nil 1 -> ok @1 v1; 9 scan -> x=1*2"),
    ("a commit's row was written twice", "twice", "1 commit r a 1 -> ok @1; 9 scan -> r=1*2"),
    ("a write does not count", "lost", "1 put x 1 -> ok @1; 1 put x 2 -> ok @2; 9 scan -> x=2*1"),
    ("a write counts as if it were the first", "lost", "1 put x 1 -> ok @1; 1 put x 2 -> ok @2 v1"),
];

#[rustfmt::skip]
const VALID: &[Valid] = &[
    ("a request sent once", "1 put x 1 #r -> ok @1 v1"),
    ("a resend answers the same", "1 put x 1 #r -> ok @1 v1; 2 put x 1 #r -> ok @1 v1; 9 scan -> x=1*1"),
    ("a resend after no answer", "1 put x 1 #r -> info; 2 put x 1 #r -> ok @1 v1; 9 scan -> x=1*1"),
    ("three attempts without an answer, not done", "1 put x 1 #r -> info; 2 put x 1 #r -> info; 3 put x 1 #r -> info; 9 scan ->"),
    ("three attempts without an answer, done", "1 put x 1 #r -> info; 2 put x 1 #r -> info; 3 put x 1 #r -> info; 9 scan -> x=1*1"),
    ("refused first and done then", "1 put x 1 #r -> fail; 1 put x 1 #r -> ok @1 v1; 9 scan -> x=1*1"),
    ("refused while another attempt is open", "1 put x 1 #r; 2 put x 1 #r -> fail; 1 -> ok @1 v1"),
    ("unknown and then refused", "1 put x 1 #r -> info; 2 put x 1 #r -> fail; 9 scan -> x=1*1"),
    ("overlapping attempts answer the same", "1 put x 1 #r; 2 put x 1 #r; 1 -> ok @1 v1; 2 -> ok @1 v1"),
    ("a late resend answers an old version",
     "1 put x 1 #r -> ok @1 v1; 2 put x 2 #s -> ok @2 v2; 1 put x 1 #r -> ok @1 v1; 9 scan -> x=2*2"),
    ("a message stands once", "1 send a 1 #r -> info; 2 send a 1 #r -> p0:0; 9 poll 0 0 -> 0:a.1 end 1"),
    ("a message without a name may stand twice",
     "1 send a 1 -> info; 2 send a 1 -> p0:1 @1; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("two requests with the same message", "1 send a 1 #r -> p0:0; 2 send a 1 #s -> p0:1; 9 poll 0 0 -> 0:a.1 1:a.1 end 2"),
    ("an unknown write happened", "1 put x 1 -> ok @1 v1; 1 put x 2 -> info; 9 scan -> x=2*2"),
    ("an unknown write did not happen", "1 put x 1 -> ok @1 v1; 1 put x 2 -> info; 9 scan -> x=1*1"),
    ("an unknown write counts for a later one", "1 put x 1 -> info; 2 put x 2 -> ok @2 v2; 9 scan -> x=2*2"),
    ("an unknown write comes after a later one", "1 put x 1 -> info; 2 put x 2 -> ok @1 v1; 9 scan -> x=1*2"),
    ("overlapping writes count in either order", "1 put x 1; 2 put x 2; 1 -> ok @2 v2; 2 -> ok @1 v1"),
    ("a deleted row counts anew", "1 put x 1 -> ok @1 v1; 1 del x -> ok @2; 1 put x 2 -> ok @3 v1; 9 scan -> x=2*1"),
    ("a row deleted perhaps", "1 put x 1 -> ok @1 v1; 1 del x -> info; 2 put x 2 -> ok @3 v1"),
    ("a delete that found nothing has an old revision", "1 put x 1 -> ok @4 v1; 2 del y -> ok @4"),
    ("clients that do not know the revision", "1 put x 1 #r -> ok; 1 put y 1 #s -> ok"),
    ("a name may be used by another row's reader", "1 put x 1 #r -> ok @1; 2 read x #r -> 1"),
    ("a chain of rows", "1 cas x nil 1 -> ok @1 v1; 2 cas x 1 2 -> ok @2 v2; 3 cas x 1 9 -> fail; 9 scan -> x=2*2"),
    ("a lock's token is given again to the same request", "1 lock l #r -> 1; 2 lock l #r -> 1"),
];

#[test]
fn planted_violations_are_found() {
    all_are_found(check, PLANTED);
}

#[test]
fn odd_histories_pass() {
    all_pass(check, VALID);
}
