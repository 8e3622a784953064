//! Simulated worlds come by nearly every failpoint of the product, and end nodes there.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::failpoint::Point;
use engine_jepsen::sim::driver::Driver;
use engine_jepsen::sim::report::Summary;

/// Worlds that hold much.
const SEEDS: std::ops::Range<u64> = 1..9;

/// Points that these few worlds need not come by: a replica must be far behind, or a rare file big.
const MISSED_MAX: usize = 5;

#[test]
fn a_handful_of_worlds_comes_by_nearly_every_failpoint() {
    let driver = Driver {
        program: env!("CARGO_BIN_EXE_sim").into(),
        faults: Duration::from_secs(20),
        jobs: 2,
        plant: None,
    };
    let reports = driver
        .play_all(SEEDS, |_| {})
        .expect("the binary can be started");
    let all = Summary::of(&reports);
    let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    let told: BTreeSet<&str> = all.points.keys().map(String::as_str).collect();
    assert_eq!(told, names, "every point is in the report");
    assert!(
        all.points_never_hit.len() <= MISSED_MAX,
        "never visited: {:?}",
        all.points_never_hit
    );
    let ends: u64 = all.points.values().map(|visits| visits.ends).sum();
    assert!(ends >= 3, "nodes ended at points: {all:?}");
    assert_eq!(all.bad, Vec::<u64>::new(), "{reports:#?}");
}
