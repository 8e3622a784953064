//! Any story, with restarts, means what the model means.

use proptest::prelude::*;

use super::model::Model;
use super::*;
use crate::ErrorKind;
use crate::env::vfs::mem::MemVfs;
use crate::segment::file::{FRAMES_AT, SegmentFile};
use crate::segment::frame::{FrameHead, Kind, Position};

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
    let mut total = 0;
    let mut expected = Vec::new();
    for (_, entry) in state.entries.range(LogIndex(from)..LogIndex(until)) {
        // The first may be too long; then nothing follows it, not even an empty entry.
        total += entry.body.len();
        if total > usize::from(bytes) && !expected.is_empty() {
            break;
        }
        expected.push(entry.clone());
    }
    assert_eq!(found, expected);
    for index in from..until {
        let entry = state.entries.get(&LogIndex(index)).map(|e| e.log_id);
        let expected = entry.or(state.purged.filter(|purged| purged.index.0 == index));
        assert_eq!(log.log_id_at(group, LogIndex(index)), expected);
    }
}

const KINDS: [Kind; 7] = [
    Kind::Entry,
    Kind::Vote,
    Kind::TruncateAfter,
    Kind::Purge,
    Kind::Reset,
    Kind::Mark,
    Kind::Head,
];

/// Numbers that are likely to be wrong in an interesting way.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0..8u64,
        1 => 8190..8400u64,
        1 => (u64::MAX - 2)..=u64::MAX,
        1 => any::<u64>(),
    ]
}

/// Frames whose checksums are right and whose contents are anything.
fn frame() -> impl Strategy<Value = (FrameHead, Vec<u8>)> {
    let mark = (0..3u64, number()).prop_map(|(segment, offset)| Position {
        segment,
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
    });
    let kind = prop::sample::select(KINDS.as_slice());
    let body = prop::collection::vec(any::<u8>(), 0..40);
    (kind, 0..3u32, number(), number(), mark, body).prop_map(
        |(kind, group, term, index, mark, body)| {
            let head = FrameHead {
                kind,
                group: GroupId(group),
                log_id: LogId::new(term, index),
                mark,
            };
            (head, body)
        },
    )
}

/// Puts frames into segment 1 from `start` on, with good checksums.
fn forge(vfs: &MemVfs, start: u32, frames: &[(FrameHead, Vec<u8>)]) {
    let path = segment_path(1);
    let file =
        SegmentFile::open(vfs, &path, 1, CLUSTER, OpenMode::ReadWrite).expect("the header is good");
    let mut bytes = Vec::new();
    for (head, body) in frames {
        let at = start + u32::try_from(bytes.len()).expect("small");
        file.codec().put(&mut bytes, at, head, body);
    }
    file.write_at(&bytes, start).expect("it can be written");
}

fn new_log(vfs: &MemVfs) {
    let process = Process::start(Arc::new(vfs.clone()), 1);
    process.open().expect("a new log opens");
    process.workers.abandon();
}

/// Opens what was forged: any answer will do, but it must be an answer.
fn open_forged(vfs: &MemVfs) -> std::result::Result<(), TestCaseError> {
    let process = Process::start(Arc::new(vfs.clone()), 2);
    match process.open() {
        Ok(log) => {
            for group in 0..GROUPS {
                let (state, entries) = (log.group(GroupId(group)), read_all(&log, GroupId(group)));
                if let Some(last) = entries.last() {
                    prop_assert_eq!(Some(last.log_id), state.last);
                }
            }
        }
        Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error),
    }
    Ok(())
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
                    let (group, writes) = model.next_writes(&SeededRng::new(seed), u64::from(GROUPS), 900);
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
    #[test]
    fn forged_frames_are_answered_and_never_panic(frames in prop::collection::vec(frame(), 1..12)) {
        let vfs = MemVfs::new();
        new_log(&vfs);
        let head_bytes = 41 + 16;
        forge(&vfs, FRAMES_AT + head_bytes, &frames);
        open_forged(&vfs)?;
    }

    #[test]
    fn a_forged_head_is_answered_and_never_panics(
        previous in (0..3u64, 0..10_000u32),
        groups in prop::collection::vec(
            (0..3u32, any::<bool>(), prop::option::of((number(), number())), number()),
            0..3,
        ),
        cut in 0..20usize,
        frames in prop::collection::vec(frame(), 0..6),
    ) {
        let mut body = crate::codec::Encoder::new();
        body.u64(previous.0).u32(previous.1).count(groups.len());
        for (group, vote, purged, last) in groups {
            body.u32(group).option(vote.then_some(b"v"), |out, vote| {
                out.bytes(vote);
            });
            body.option(purged, |out, (term, index)| {
                out.u64(term).u64(index);
            });
            body.u64(last);
        }
        let mut body = body.into_vec();
        // Now and then a few bytes are missing.
        body.truncate(body.len() - cut.saturating_sub(14));
        let head = FrameHead {
            kind: Kind::Head,
            group: GroupId(0),
            log_id: LogId::default(),
            mark: Position::default(),
        };
        let vfs = MemVfs::new();
        new_log(&vfs);
        let frames: Vec<_> = std::iter::once((head, body)).chain(frames).collect();
        forge(&vfs, FRAMES_AT, &frames);
        open_forged(&vfs)?;
    }

    #[test]
    fn scattered_damage_is_answered_and_never_panics(
        writes in prop::collection::vec((0..16_384u64, any::<u8>()), 1..6),
        len in prop::option::of(0..16_384u64),
    ) {
        let vfs = MemVfs::new();
        let process = Process::start(Arc::new(vfs.clone()), 1);
        let log = process.open().expect("a new log opens");
        log.append_wait(GROUP, entries(1, 8, 500)).expect("durable");
        log.close().expect("the log closes");
        let file = vfs.open(&segment_path(1), OpenMode::ReadWrite).expect("it is there");
        for (at, byte) in writes {
            file.write_at(&[byte], at).expect("it can be written");
        }
        if let Some(len) = len {
            file.set_len(len).expect("it can be cut");
        }
        open_forged(&vfs)?;
    }
}
