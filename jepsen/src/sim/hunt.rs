//! How soon worlds find the bugs that were planted: seed after seed, until one is bad.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use parking_lot::Mutex;

use super::driver::Driver;
use super::plant::Plant;

/// The first seed of every search.
const FIRST: u64 = 1;

/// The search for one planted bug.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// What was looked for.
    pub plant: Plant,
    /// The bad world, if there was one.
    pub found: Option<Found>,
    /// How many worlds were played.
    pub worlds: u64,
    /// Their time.
    pub simulated: Duration,
    /// Ours.
    pub wall: Duration,
}

/// A world that a planted bug made bad.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its seed.
    pub seed: u64,
    /// The checker or invariant that noticed it first.
    pub by: String,
}

/// Looks for each of `plants` in at most `worlds` worlds; `told` hears of each.
///
/// # Errors
/// If a process cannot be started.
pub fn all(
    driver: &Driver,
    plants: &[Plant],
    worlds: u64,
    told: impl Fn(&Hunt) + Sync,
) -> Result<Vec<Hunt>> {
    let hunts = Mutex::new(BTreeMap::new());
    driver.share(0..plants.len() as u64, |place| {
        let plant = usize::try_from(place).ok().and_then(|at| plants.get(at));
        let plant = *plant.context("a plant at each place")?;
        let hunt = one(driver, plant, worlds)?;
        told(&hunt);
        hunts.lock().insert(place, hunt);
        Ok(())
    })?;
    Ok(hunts.into_inner().into_values().collect())
}

fn one(driver: &Driver, plant: Plant, worlds: u64) -> Result<Hunt> {
    let driver = Driver {
        plant: Some(plant.name().to_owned()),
        ..driver.clone()
    };
    let began = Instant::now();
    let mut hunt = Hunt {
        plant,
        found: None,
        worlds: 0,
        simulated: Duration::ZERO,
        wall: Duration::ZERO,
    };
    for seed in FIRST..=worlds {
        let report = driver.play(seed, &BTreeSet::new())?;
        hunt.worlds += 1;
        hunt.simulated += Duration::from_millis(report.figures.simulated_ms);
        if let Some(violation) = report.violations.first() {
            let by = noticed_by(violation);
            hunt.found = Some(Found { seed, by });
            break;
        }
    }
    hunt.wall = began.elapsed();
    Ok(hunt)
}

/// Who tells of a violation: its first words, without time and numbers.
fn noticed_by(violation: &str) -> String {
    let told = violation.split(" (at ").next().unwrap_or_default();
    let told = told.split(": ").next().unwrap_or_default();
    let words = told.split(' ').filter(|word| word.parse::<u64>().is_err());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_of_a_violation_tell_who_noticed() {
        let by = |violation| noticed_by(violation);
        assert_eq!(
            by("digests agree (at 812 ms): nodes 1 and 2"),
            "digests agree"
        );
        assert_eq!(by("queue: 2 messages lost"), "queue");
        assert_eq!(by("node 3 ended itself: damaged"), "node ended itself");
    }
}
