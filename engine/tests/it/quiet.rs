//! What an engine does while nobody writes.

use std::sync::Arc;

use engine::StoreKind;
use engine::command::Command;
use engine::env::vfs::sim::SimVfs;
use engine::env::workers::Workers;
use engine::store::StoreOptions;

use crate::life::{Life, commit, l0_tables, verify};

#[test]
fn tables_are_merged_for_reads_once_nothing_is_written() {
    let vfs = Arc::new(SimVfs::new(5));
    let life = Life::new(Arc::clone(&vfs), 5, StoreKind::Lsm);
    let engine = life.open().expect("a new folder opens");
    let topic = Command::CreateTopic {
        name: "t".to_owned(),
        partitions: 1,
    };
    engine.execute(topic).expect("the engine runs");
    let due = StoreOptions::default().l0_tables;
    let mut number = 0;
    // No job has a turn beyond what a commit waits for.
    while l0_tables(&vfs) < 2 {
        engine.execute(commit(number)).expect("the engine runs");
        number += 1;
    }
    assert!(l0_tables(&vfs) < due, "no merge is due");

    while life.workers.help() {
        assert!(l0_tables(&vfs) < due);
    }
    assert_eq!(l0_tables(&vfs), 0);
    engine.close().expect("the disk works");
    drop(engine);
    assert_eq!(verify(&life, number, "after the merge"), number);
}
