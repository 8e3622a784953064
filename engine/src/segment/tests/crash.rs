//! The power is cut at every call to the disk of short stories.
//!
//! What is found afterwards must be what some beginning of the list of all writes means, and
//! that beginning must hold every append that was answered with success.

use super::model::Model;
use super::*;
use crate::env::Rng;
use crate::env::vfs::sim::SimVfs;

const GROUPS: u32 = 3;
const APPENDS: usize = 60;

/// A story, as far as it came.
struct Told {
    appends: Vec<(GroupId, Vec<Write>)>,
    /// How many appends were answered with success; they are the first ones.
    durable: usize,
    recycled: u64,
}

/// Plays the story of a seed until so many appends, or until the power goes. The process ends
/// without notice, now and then after closing its log.
fn tell(vfs: &SimVfs, seed: u64, appends: usize) -> Told {
    let process = Process::start(Arc::new(vfs.clone()), seed);
    let rng = SeededRng::new(seed);
    let answers = Answers::default();
    let mut model = Model::default();
    let mut told = Told {
        appends: Vec::new(),
        durable: 0,
        recycled: 0,
    };
    let Ok(log) = process.open() else {
        assert!(!vfs.is_powered(), "only a power cut keeps it from opening");
        return told;
    };
    while told.appends.len() < appends && vfs.is_powered() {
        let (group, writes) = model.next_writes(&rng, u64::from(GROUPS));
        model.apply_all(group, &writes);
        let number = told.appends.len();
        log.append(group, writes.clone(), answers.done(number));
        told.appends.push((group, writes));
        for _ in 0..rng.next_u64() % 3 {
            process.workers.help();
        }
    }
    if rng.next_u64().is_multiple_of(2) {
        let closed = log.close();
        assert_eq!(closed.is_ok(), vfs.is_powered());
    }
    told.recycled = log.stats().recycled;
    let good = answers.good();
    assert_eq!(good, (0..good.len()).collect::<Vec<_>>(), "in order");
    told.durable = good.len();
    process.workers.abandon();
    told
}

/// Checks what a power cut left, and answers what the log means now.
fn check(log: &Log, told: &Told, context: &str) -> Model {
    let mut model = Model::default();
    let mut differences = Vec::new();
    for (number, (group, writes)) in told.appends.iter().enumerate() {
        for write in writes {
            if number >= told.durable {
                match model.difference(log, GROUPS) {
                    None => return model,
                    Some(difference) => differences.push(difference),
                }
            }
            model.apply(*group, write);
        }
    }
    match model.difference(log, GROUPS) {
        None => model,
        Some(difference) => {
            differences.push(difference);
            panic!(
                "{context}: {} appends were durable, but the log is no such beginning; \
                 the longest differs in {:.300}",
                told.durable,
                differences.last().map_or("nothing", String::as_str),
            )
        }
    }
}

/// Opens after a power cut, possibly cut again while it opens, and goes on.
fn recover(vfs: &SimVfs, told: &Told, seed: u64, point: u64) {
    let context = format!("seed {seed}, power cut at call {point}");
    vfs.power_on();
    let again = point % 4;
    for cut in 0..again {
        let process = Process::start(Arc::new(vfs.clone()), seed + 100 + cut);
        vfs.crash_at(vfs.io_count() + 1 + (point * 7 + cut * 5) % 40);
        match process.open() {
            Ok(log) => {
                // It came through; the check must not be cut.
                vfs.crash_at(u64::MAX);
                check(&log, told, &context);
            }
            Err(error) => assert!(!vfs.is_powered(), "{context}, open {cut}: {error}"),
        }
        process.workers.abandon();
        vfs.power_on();
    }
    let process = Process::start(Arc::new(vfs.clone()), seed + 200);
    let log = process
        .open()
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let mut model = check(&log, told, &context);

    // What was found is durable, and the log goes on.
    let rng = SeededRng::new(point);
    let (group, writes) = model.next_writes(&rng, u64::from(GROUPS));
    model.apply_all(group, &writes);
    log.append_wait(group, writes)
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    process.workers.abandon();
    drop(log);
    vfs.power_on();
    let process = Process::start(Arc::new(vfs.clone()), seed + 300);
    let log = process
        .open()
        .unwrap_or_else(|error| panic!("{context}, second time: {error}"));
    assert_eq!(model.difference(&log, GROUPS), None, "{context}");
}

fn sweep(seed: u64) {
    let whole = SimVfs::new(seed);
    let told = tell(&whole, seed, APPENDS);
    let points = whole.io_count();
    assert_eq!(told.appends.len(), APPENDS);
    assert!(points > 100, "only {points} calls");
    assert!(told.recycled > 0 || seed > 2, "nothing was recycled");
    for point in 1..=points {
        let vfs = SimVfs::new(seed);
        vfs.crash_at(point);
        let told = tell(&vfs, seed, APPENDS);
        recover(&vfs, &told, seed, point);
    }
}

#[test]
fn no_power_cut_loses_what_was_acknowledged_seed_1() {
    sweep(1);
}

#[test]
fn no_power_cut_loses_what_was_acknowledged_seed_2() {
    sweep(2);
}

#[test]
fn no_power_cut_loses_what_was_acknowledged_other_seeds() {
    for seed in 3..=12 {
        sweep(seed);
    }
}

#[test]
fn what_is_found_after_a_killed_process_survives_a_power_cut() {
    for seed in 1..=12 {
        for appends in 1..=APPENDS {
            let context = format!("seed {seed}, {appends} appends");
            let vfs = SimVfs::new(seed);
            let told = tell(&vfs, seed, appends);
            let process = Process::start(Arc::new(vfs.clone()), seed + 100);
            let log = process.open().expect("nothing was lost with the process");
            let found = check(&log, &told, &context);
            process.workers.abandon();
            vfs.power_on();
            let process = Process::start(Arc::new(vfs), seed + 200);
            let log = process.open().expect("a power cut damages nothing");
            assert_eq!(found.difference(&log, GROUPS), None, "{context}");
        }
    }
}
