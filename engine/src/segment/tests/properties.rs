//! Any story, with restarts, means what the model means.

use proptest::prelude::*;

use super::model::Model;
use super::*;
use crate::env::vfs::mem::MemVfs;

const GROUPS: u32 = 3;

#[derive(Clone, Debug)]
enum Op {
    /// Writes drawn from this seed.
    Append(u64),
    /// Lets the writer do some steps.
    Help(u8),
    Read(u32, u8, u8, u16),
    Reopen,
    /// Like a crash of the process after everything was written.
    Drop,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => any::<u64>().prop_map(Op::Append),
        6 => (0..4u8).prop_map(Op::Help),
        6 => (0..GROUPS, any::<u8>(), 0..20u8, 0..4000u16)
            .prop_map(|(group, skip, len, bytes)| Op::Read(group, skip, len, bytes)),
        1 => Just(Op::Reopen),
        1 => Just(Op::Drop),
    ]
}

fn check_read(log: &Log, model: &Model, group: GroupId, skip: u8, len: u8, bytes: u16) {
    let state = model.groups.get(&group).cloned().unwrap_or_default();
    let purged = state.purged.map_or(0, |purged| purged.index.0);
    let from = purged + u64::from(skip) % (state.last_index() - purged + 2);
    let until = from + u64::from(len);
    let found = log
        .read(group, LogIndex(from), LogIndex(until), usize::from(bytes))
        .expect("it can be read");
    let mut left = usize::from(bytes);
    let mut expected = Vec::new();
    for (_, entry) in state.entries.range(LogIndex(from)..LogIndex(until)) {
        if entry.body.len() > left && !expected.is_empty() {
            break;
        }
        left = left.saturating_sub(entry.body.len());
        expected.push(entry.clone());
    }
    assert_eq!(found, expected);
    for index in from..until {
        let entry = state.entries.get(&LogIndex(index)).map(|e| e.log_id);
        let expected = entry.or(state.purged.filter(|purged| purged.index.0 == index));
        assert_eq!(log.log_id_at(group, LogIndex(index)), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_log_means_what_the_model_means(ops in prop::collection::vec(op(), 1..120), seed: u64) {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let mut process = Process::start(Arc::clone(&vfs), seed);
        let mut log = process.open().expect("a new log opens");
        let mut model = Model::default();
        let answers = Answers::default();
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Append(seed) => {
                    let (group, writes) = model.next_writes(&SeededRng::new(seed), u64::from(GROUPS));
                    model.apply_all(group, &writes);
                    log.append(group, writes, answers.done(number));
                }
                Op::Help(steps) => {
                    for _ in 0..steps {
                        process.workers.help();
                    }
                }
                Op::Read(group, skip, len, bytes) => {
                    check_read(&log, &model, GroupId(group), skip, len, bytes);
                }
                Op::Reopen => {
                    log.close().expect("the log closes");
                    process = Process::start(Arc::clone(&vfs), seed);
                    log = process.open().expect("the log opens again");
                }
                Op::Drop => {
                    process.settle();
                    process.workers.abandon();
                    process = Process::start(Arc::clone(&vfs), seed);
                    log = process.open().expect("the log opens again");
                }
            }
            prop_assert_eq!(model.difference(&log, GROUPS), None);
        }
        process.settle();
        for (group, state) in &model.groups {
            prop_assert_eq!(log.synced(*group).0, state.last_index());
        }
        prop_assert_eq!(answers.bad(), vec![]);
    }
}
