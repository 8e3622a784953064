//! Power cuts under the second store, whose own files are not on the simulated disk: after each
//! cut they are gone altogether. Cuts under the first store are the crash suite's.

use std::sync::Arc;

use engine::StoreKind;
use engine::command::{Command, Outcome};
use engine::env::rng::SeededRng;
use engine::env::vfs::sim::SimVfs;
use engine::env::workers::Workers;

use crate::life::{Life, commit, verify};

const COMMITS: u64 = 60;

fn begin(vfs: Arc<SimVfs>, seed: u64) -> Life {
    Life::new(vfs, seed, StoreKind::Sled)
}

/// Runs commits from `from` on; answers how many of all were acknowledged before the power went.
fn run(life: &Life, from: u64) -> u64 {
    let mut acknowledged = from;
    let Ok(engine) = life.open() else {
        return acknowledged;
    };
    if from == 0 {
        let name = "t".to_owned();
        if engine
            .execute(Command::CreateTopic {
                name,
                partitions: 1,
            })
            .is_err()
        {
            return acknowledged;
        }
    }
    for number in from..COMMITS {
        match engine.execute(commit(number)) {
            Ok(Outcome::Committed { .. }) => acknowledged = number + 1,
            // The topic's creation was cut off in the life before.
            Ok(Outcome::Refused(_)) => {
                let name = "t".to_owned();
                let made = engine.execute(Command::CreateTopic {
                    name,
                    partitions: 1,
                });
                let again = made.and_then(|_| engine.execute(commit(number)));
                if !matches!(again, Ok(Outcome::Committed { .. })) {
                    return acknowledged;
                }
                acknowledged = number + 1;
            }
            Ok(other) => panic!("a commit answered {other:?}"),
            Err(_) => return acknowledged,
        }
        life.workers.help();
    }
    acknowledged
}

fn survive(seed: u64, crash_at: u64) {
    let context = format!("seed {seed}, power off at I/O {crash_at}");
    // Another disk for each cut, so that each loses something else.
    let vfs = Arc::new(SimVfs::new(1_000_000 * seed + crash_at));
    vfs.crash_at(crash_at);
    let life = begin(vfs.clone(), seed);
    let acknowledged = run(&life, 0);
    life.workers.abandon();
    if life.vfs.is_powered() {
        life.vfs.power_off();
    }
    vfs.power_on();
    let life = begin(vfs.clone(), seed + 1);
    let there = verify(&life, acknowledged, &context);
    life.workers.abandon();
    let life = begin(vfs, seed + 2);
    let all = run(&life, there);
    assert_eq!(all, COMMITS, "{context}: the engine works on");
    verify(&life, all, &context);
    life.workers.abandon();
}

#[test]
fn every_acknowledged_commit_survives_a_power_cut_at_any_io_with_sled() {
    let rng = SeededRng::new(20_261_121);
    for seed in 0..3 {
        let vfs = Arc::new(SimVfs::new(seed));
        let life = begin(vfs.clone(), seed);
        assert_eq!(
            run(&life, 0),
            COMMITS,
            "without a power cut everything is acknowledged"
        );
        life.workers.abandon();
        let calls = vfs.io_count();
        for _ in 0..20 {
            survive(seed, 1 + rng.below(calls));
        }
    }
}
