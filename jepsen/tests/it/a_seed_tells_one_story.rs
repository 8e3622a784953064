//! Two processes that play the same seed do the same, to the last byte; another seed does not.

use std::collections::BTreeSet;
use std::time::Duration;

use engine_jepsen::sim::driver::Driver;

/// Each is played twice.
const SEEDS: [u64; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12];

/// A driver of the binary under test.
pub(crate) fn driver(faults: Duration) -> Driver {
    Driver {
        program: env!("CARGO_BIN_EXE_sim").into(),
        faults,
        jobs: 2,
        plant: None,
    }
}

#[test]
fn a_seed_tells_one_story_in_two_processes() {
    let driver = driver(Duration::from_secs(5));
    let mut stories = BTreeSet::new();
    for seed in SEEDS {
        let play = || {
            let report = driver.play(seed, &BTreeSet::new());
            report.expect("the binary starts")
        };
        let first = play();
        assert!(first.figures.ok > 0, "clients did something: {first:?}");
        assert_eq!(first, play());
        stories.insert(first.trace_hash);
    }
    assert_eq!(stories.len(), SEEDS.len(), "every seed has its own story");
}
