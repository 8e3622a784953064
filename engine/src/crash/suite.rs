//! How many workloads are explored: a slice in every test run, and as many as somebody asks for.
//!
//! `ENGINE_CRASH_WORKLOADS` says how many of each kind, `ENGINE_CRASH_SEED` where to begin.

use std::str::FromStr;

use super::explorer::{Tally, explore};
use super::workload::Workload;
use crate::env::clock::OsClock;
use crate::env::rng::OsRng;
use crate::env::{Clock, Rng};

/// How often a long run tells how far it is.
const REPORT_EVERY: u64 = 100;

/// Explores workloads of one kind: so many fixed seeds, and one that nobody has seen before; or
/// what the environment asks for.
///
/// # Panics
/// At the first power cut that breaks a promise.
pub(crate) fn survives_power_cuts<W: Workload>(workloads: u64) {
    let (asked, begin) = (
        number("ENGINE_CRASH_WORKLOADS"),
        number("ENGINE_CRASH_SEED"),
    );
    let chosen = asked.is_some() || begin.is_some();
    let count = asked.unwrap_or(if chosen { 1 } else { workloads });
    let first = begin.unwrap_or(1);
    let clock = OsClock::new();
    let began = clock.monotonic();
    let seconds = || clock.monotonic().saturating_sub(began).as_secs_f64();
    let mut tally = Tally::default();
    for seed in first..first + count {
        explore::<W>(seed, &mut tally);
        if chosen && tally.workloads.is_multiple_of(REPORT_EVERY) {
            report::<W>(&tally, seconds());
        }
    }
    if !chosen {
        // Small enough to be typed again.
        explore::<W>(OsRng.next_u64() >> 32, &mut tally);
    }
    report::<W>(&tally, seconds());
}

#[expect(clippy::print_stderr, reason = "the figures of a run are its result")]
fn report<W: Workload>(tally: &Tally, seconds: f64) {
    eprintln!(
        "{}: {} workloads, {} calls, {} crash states and {} in recoveries, {seconds:.1} s, {:.0}/s",
        W::NAME,
        tally.workloads,
        tally.calls,
        tally.states,
        tally.nested,
        (tally.states + tally.nested) as f64 / seconds,
    );
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = u64::from_str(&text);
    Some(parsed.unwrap_or_else(|error| panic!("{name} is {text:?}: {error}")))
}
