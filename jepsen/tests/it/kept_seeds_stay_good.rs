//! Every seed that once showed a bug is played again, and stays good.

use std::collections::BTreeSet;
use std::time::Duration;

use super::a_seed_tells_one_story::driver;

const SEEDS: &str = include_str!("../../regressions/seeds.txt");

#[test]
fn kept_seeds_stay_good() {
    let lines = SEEDS.lines().filter(|line| !line.starts_with('#'));
    let mut played = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let mut number = || words.next()?.parse::<u64>().ok();
        let (Some(seed), Some(seconds)) = (number(), number()) else {
            panic!("write a seed, seconds and a reason instead of {line:?}");
        };
        let report = driver(Duration::from_secs(seconds)).play(seed, &BTreeSet::new());
        let report = report.expect("the binary starts");
        assert_eq!(report.violations, Vec::<String>::new(), "{line}");
        played += 1;
    }
    assert!(played > 0, "some seeds are kept");
}
