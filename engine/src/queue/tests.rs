//! The partitions against the obvious model: a list of messages for each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use proptest::prelude::*;

use super::file::HEADER_BYTES;
use super::{
    FileLength, PartitionLengths, PartitionRef, Partitions, QueueOptions, StoredMessage, file_path,
};
use crate::ErrorKind;
use crate::command::NewMessage;
use crate::env::Env;
use crate::env::vfs::OpenMode;
use crate::ids::{GroupId, Offset, PartitionId, Revision, TopicId};
use crate::query::Message;

pub(super) const DIR: &str = "/node/group-3/queue";
pub(super) const GROUP: GroupId = GroupId(3);
pub(super) const NEWEST: Revision = Revision(u64::MAX);
pub(super) const ALL: usize = usize::MAX;

pub(super) fn at(topic: u32, partition: u32) -> PartitionRef {
    PartitionRef {
        topic: TopicId(topic),
        partition: PartitionId(partition),
    }
}

/// So small that every few messages meet every boundary.
fn tiny() -> QueueOptions {
    QueueOptions {
        file_bytes: 400,
        buffer_bytes: 150,
        open_files_max: 2,
        ..QueueOptions::default()
    }
}

pub(super) fn message(revision: u64, value_bytes: usize) -> StoredMessage {
    let byte = u8::try_from(revision % 251).expect("less than 251");
    StoredMessage {
        revision: Revision(revision),
        timestamp_ms: 1_000 + revision,
        body: NewMessage {
            key: revision
                .is_multiple_of(2)
                .then(|| Bytes::from(revision.to_string())),
            value: Bytes::from(vec![byte; value_bytes]),
            headers: vec![("trace".to_owned(), Bytes::from_static(b"t")); value_bytes % 3],
        },
    }
}

pub(super) fn open(env: &Env, options: QueueOptions, lengths: &PartitionLengths) -> Partitions {
    Partitions::open(env, Path::new(DIR), GROUP, options, lengths).expect("the folder is sound")
}

pub(super) fn fill(queue: &Partitions, at: PartitionRef, revisions: std::ops::Range<u64>) {
    for revision in revisions {
        let message = message(revision, 20);
        queue.append(at, &message).expect("the disk has room");
    }
}

pub(super) fn revisions(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.revision.0).collect()
}

#[test]
fn offsets_are_dense_and_files_roll_over() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    for revision in 0..50 {
        let offset = queue.append(at(1, 0), &message(revision, 20));
        assert_eq!(offset.expect("the disk has room"), Offset(revision));
    }
    let lengths = queue.flush().expect("the disk has room");
    let length = &lengths.partitions[&at(1, 0)];
    assert_eq!((length.start, length.end), (Offset(0), Offset(50)));
    assert!(length.files.len() > 5);
    assert!(length.files.iter().all(|file| file.bytes <= 400));
    for file in queue.pin(&lengths) {
        let opened = env.vfs.open(&file.path, OpenMode::Read);
        let len = opened.and_then(|file| file.len()).expect("it is there");
        assert_eq!(len, file.bytes);
        assert_eq!(file.path, file_path(Path::new(DIR), at(1, 0), file.base));
    }
    let all = queue.fetch(at(1, 0), Offset(0), NEWEST, ALL, ALL);
    assert_eq!(
        revisions(&all.expect("the files are sound")),
        (0..50).collect::<Vec<_>>()
    );
}

#[test]
fn a_message_larger_than_a_file_or_a_page_has_one_to_itself() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    for (revision, bytes) in [(1, 10), (2, 200_000), (3, 10), (4, 5_000), (5, 10)] {
        let message = message(revision, bytes);
        queue.append(at(1, 0), &message).expect("the disk has room");
    }
    let fetch = |from, bytes_max| {
        let page = queue.fetch(at(1, 0), Offset(from), NEWEST, ALL, bytes_max);
        revisions(&page.expect("the files are sound"))
    };
    assert_eq!(fetch(0, ALL), [1, 2, 3, 4, 5]);
    assert_eq!(fetch(1, 100), [2]);
    assert_eq!(fetch(0, 0), [1]);
    assert_eq!(fetch(2, 1_000), [3]);
    let lengths = queue.flush().expect("the disk has room");
    let bases = lengths.partitions[&at(1, 0)].files.iter();
    assert_eq!(
        bases.map(|file| file.base.0).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
}

#[test]
fn only_offsets_within_the_bounds_can_be_fetched() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    let fetch = |at, from| {
        let page = queue.fetch(at, Offset(from), NEWEST, ALL, ALL);
        page.map(|messages| messages.len())
            .map_err(|error| error.kind())
    };
    assert_eq!(fetch(at(1, 0), 0), Ok(0));
    assert_eq!(fetch(at(1, 0), 1), Err(ErrorKind::OutOfRange));
    fill(&queue, at(1, 0), 0..9);
    assert_eq!(fetch(at(1, 0), 9), Ok(0));
    assert_eq!(fetch(at(1, 0), 8), Ok(1));
    assert_eq!(fetch(at(1, 0), 10), Err(ErrorKind::OutOfRange));
    assert_eq!(queue.bounds(at(1, 0)), (Offset(0), Offset(9)));
    assert_eq!(queue.bounds(at(1, 1)), (Offset(0), Offset(0)));
}

#[test]
fn a_partition_may_begin_above_offset_0_with_or_without_files() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..30);
    fill(&queue, at(2, 0), 0..30);
    let mut lengths = queue.flush().expect("the disk has room");
    let first = lengths.partitions.get_mut(&at(1, 0)).expect("recorded");
    first.files.remove(0);
    first.start = Offset(first.files[0].base.0 + 1);
    let start = first.start;
    let second = lengths.partitions.get_mut(&at(2, 0)).expect("recorded");
    second.files.clear();
    second.start = second.end;

    let queue = open(&env, tiny(), &lengths);
    assert_eq!(queue.bounds(at(1, 0)), (start, Offset(30)));
    let page = queue.fetch(at(1, 0), start, NEWEST, ALL, ALL);
    assert_eq!(
        revisions(&page.expect("the files are sound")),
        (start.0..30).collect::<Vec<_>>()
    );
    let below = queue.fetch(at(1, 0), Offset(start.0 - 1), NEWEST, ALL, ALL);
    assert_eq!(below.expect_err("it is gone").kind(), ErrorKind::OutOfRange);
    fill(&queue, at(2, 0), 30..32);
    let page = queue.fetch(at(2, 0), Offset(30), NEWEST, ALL, ALL);
    assert_eq!(revisions(&page.expect("the files are sound")), [30, 31]);
    let again = queue.flush().expect("the disk has room");
    assert_eq!(again.partitions[&at(2, 0)].start, Offset(30));
}

#[test]
fn unrecorded_files_and_folders_are_removed_and_recorded_ones_cut() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..4);
    let recorded = queue.flush().expect("the disk has room");
    fill(&queue, at(1, 0), 4..40);
    fill(&queue, at(7, 7), 40..50);
    queue.flush().expect("the disk has room");
    let dir = Path::new(DIR);
    let stray = env.vfs.open(&dir.join("stray"), OpenMode::CreateNew);
    stray.expect("the name is free");

    let queue = open(&env, tiny(), &recorded);
    assert_eq!(queue.flush().expect("nothing to write"), recorded);
    for file in queue.pin(&recorded) {
        let opened = env.vfs.open(&file.path, OpenMode::Read);
        let len = opened.and_then(|file| file.len()).expect("it is there");
        assert_eq!(len, file.bytes);
    }
    let names = |path: &Path| {
        let entries = env.vfs.list(path).expect("the folder is there");
        entries
            .into_iter()
            .map(|entry| entry.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(dir), ["1-0"]);
    let recorded_files = &recorded.partitions[&at(1, 0)].files;
    assert_eq!(names(&dir.join("1-0")).len(), recorded_files.len());
    fill(&queue, at(1, 0), 4..6);
    let page = queue.fetch(at(1, 0), Offset(0), NEWEST, ALL, ALL);
    assert_eq!(
        revisions(&page.expect("the files are sound")),
        [0, 1, 2, 3, 4, 5]
    );
}

#[test]
fn a_missing_short_or_foreign_file_is_refused_by_name() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..4);
    fill(&queue, at(2, 0), 4..8);
    let lengths = queue.flush().expect("the disk has room");
    let refusal = |group, lengths: &PartitionLengths| {
        let opened = Partitions::open(&env, Path::new(DIR), group, tiny(), lengths);
        let error = opened.expect_err("the folder is not sound");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        error.to_string()
    };

    assert!(refusal(GroupId(4), &lengths).contains("another file"));
    let mut missing = lengths.clone();
    let entry = missing.partitions.get_mut(&at(1, 0)).expect("recorded");
    entry.end = Offset(99);
    entry.files.push(FileLength {
        base: Offset(77),
        bytes: 100,
    });
    assert!(refusal(GROUP, &missing).contains("1-0/00000000000000000077.part"));
    let mut wrong = lengths.clone();
    let entry = wrong.partitions.get_mut(&at(1, 0)).expect("recorded");
    entry.start = Offset(99);
    assert!(refusal(GROUP, &wrong).contains("1-0"));

    let path = file_path(Path::new(DIR), at(2, 0), Offset(0));
    let file = env
        .vfs
        .open(&path, OpenMode::ReadWrite)
        .expect("it is there");
    let len = file.len().expect("it is there");
    file.set_len(len - 1).expect("it can be cut");
    assert!(refusal(GROUP, &lengths).contains("2-0/00000000000000000000.part"));
}

#[test]
fn a_flipped_byte_anywhere_is_corrupt_and_names_the_file() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..12);
    let lengths = queue.flush().expect("the disk has room");
    for file in queue.pin(&lengths) {
        let disk = env.vfs.open(&file.path, OpenMode::ReadWrite);
        let disk = disk.expect("it is there");
        for position in 0..file.bytes {
            let mut byte = [0];
            disk.read_exact_at(&mut byte, position)
                .expect("inside the file");
            for mask in [0x01, 0x80, 0xff] {
                disk.write_at(&[byte[0] ^ mask], position)
                    .expect("the disk has room");
                let opened = Partitions::open(&env, Path::new(DIR), GROUP, tiny(), &lengths);
                let read =
                    opened.and_then(|queue| queue.fetch(at(1, 0), Offset(0), NEWEST, ALL, ALL));
                let error = read.expect_err("a byte is wrong");
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                let name = file.path.display().to_string();
                assert!(error.to_string().contains(&name), "{error}");
            }
            disk.write_at(&byte, position).expect("the disk has room");
        }
    }
    let queue = open(&env, tiny(), &lengths);
    let all = queue.fetch(at(1, 0), Offset(0), NEWEST, ALL, ALL);
    assert_eq!(all.expect("every byte is back").len(), 12);
}

#[test]
fn a_file_cut_anywhere_is_corrupt_and_names_the_file() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..12);
    let lengths = queue.flush().expect("the disk has room");
    for file in queue.pin(&lengths) {
        let disk = env.vfs.open(&file.path, OpenMode::ReadWrite);
        let disk = disk.expect("it is there");
        let mut bytes = vec![0; usize::try_from(file.bytes).expect("a small file")];
        disk.read_exact_at(&mut bytes, 0).expect("its bytes");
        for len in 0..file.bytes {
            disk.set_len(len).expect("it can be cut");
            let opened = Partitions::open(&env, Path::new(DIR), GROUP, tiny(), &lengths);
            let error = opened.expect_err("the file is too short");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let damage = error.damage().expect("the place is known");
            assert_eq!((&damage.path, damage.offset), (&file.path, len));
            disk.write_at(&bytes, 0).expect("the disk has room");
        }
    }
}

#[test]
fn lengths_that_promise_more_than_the_file_holds_are_noticed() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    fill(&queue, at(1, 0), 0..3);
    let mut lengths = queue.flush().expect("the disk has room");
    let entry = lengths.partitions.get_mut(&at(1, 0)).expect("recorded");
    entry.end = Offset(4);
    let queue = open(&env, tiny(), &lengths);
    let read = queue.fetch(at(1, 0), Offset(3), NEWEST, ALL, ALL);
    assert_eq!(
        read.expect_err("no fourth message").kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn the_bytes_of_a_file_are_those_that_the_module_describes() {
    let env = Env::memory();
    let queue = open(&env, tiny(), &PartitionLengths::default());
    let body = NewMessage {
        key: Some(Bytes::from_static(b"k")),
        value: Bytes::from_static(b"value"),
        headers: vec![("h".to_owned(), Bytes::from_static(b"x"))],
    };
    let message = StoredMessage {
        revision: Revision(9),
        timestamp_ms: 1_000,
        body,
    };
    queue.append(at(1, 2), &message).expect("the disk has room");
    let lengths = queue.flush().expect("the disk has room");
    let file = &queue.pin(&lengths)[0];
    let path = "/node/group-3/queue/1-2/00000000000000000000.part";
    assert_eq!(file.path, Path::new(path));
    let mut written = vec![0; usize::try_from(file.bytes).expect("short")];
    let disk = env.vfs.open(&file.path, OpenMode::Read);
    disk.and_then(|disk| disk.read_exact_at(&mut written, 0))
        .expect("it is there");

    let salt = &written[30..38];
    let header = [
        &b"ENGQPART"[..],
        &[1, 0],
        &[3, 0, 0, 0],
        &[1, 0, 0, 0],
        &[2, 0, 0, 0],
        &[0; 8],
        salt,
    ]
    .concat();
    let body = [
        &[0; 8][..],
        &[9, 0, 0, 0, 0, 0, 0, 0],
        &[0xe8, 3, 0, 0, 0, 0, 0, 0],
        b"\x01\x01\0\0\0k",
        b"\x05\0\0\0value",
        b"\x01\0\0\0\x01\0\0\0h\x01\0\0\0x",
    ]
    .concat();
    let covered = [salt, &[42, 0, 0, 0, 0, 0, 0, 0], &body].concat();
    let length = u32::try_from(body.len()).expect("short");
    let expected = [
        &header[..],
        &crc32fast::hash(&header).to_le_bytes(),
        &length.to_le_bytes(),
        &crc32fast::hash(&covered).to_le_bytes(),
        &body,
    ]
    .concat();
    assert_eq!(written, expected);
}

#[test]
fn many_partitions_share_a_bound_on_what_is_not_written() {
    let env = Env::memory();
    let options = QueueOptions {
        buffers_bytes_max: 1_000,
        ..QueueOptions::default()
    };
    let queue = open(&env, options, &PartitionLengths::default());
    let on_disk = || {
        let folders = env.vfs.list(Path::new(DIR)).expect("it is there");
        folders.len()
    };
    for partition in 0..100 {
        fill(&queue, at(1, partition), 0..1);
    }
    assert!(on_disk() >= 85, "{} partitions wrote", on_disk());
    queue.flush().expect("the disk has room");
    assert_eq!(on_disk(), 100);
    // What was written counts no more.
    fill(&queue, at(2, 0), 0..10);
    assert_eq!(on_disk(), 100);
}

#[test]
fn a_large_file_is_read_from_any_offset_before_and_after_a_restart() {
    const MESSAGES: u64 = 3_000;
    let env = Env::memory();
    let options = QueueOptions {
        file_bytes: 200_000,
        buffer_bytes: 4_000,
        open_files_max: 1,
        ..QueueOptions::default()
    };
    let queue = open(&env, options, &PartitionLengths::default());
    let check = |queue: &Partitions, end: u64| {
        // Steps of a prime, around the ring: back and forth through files and notes.
        for step in 0..500 {
            let from = step * 1_009 % end;
            let page = queue.fetch(at(1, 0), Offset(from), NEWEST, 3, ALL);
            let wanted: Vec<u64> = (from..end.min(from + 3)).collect();
            assert_eq!(revisions(&page.expect("the files are sound")), wanted);
        }
    };
    fill(&queue, at(1, 0), 0..MESSAGES);
    check(&queue, MESSAGES);
    let lengths = queue.flush().expect("the disk has room");
    assert!(lengths.partitions[&at(1, 0)].files.len() > 1);

    let queue = open(&env, options, &lengths);
    fill(&queue, at(1, 0), MESSAGES..MESSAGES + 900);
    check(&queue, MESSAGES + 900);
}

#[test]
fn a_reader_follows_the_writer_through_buffers_and_files() {
    const MESSAGES: u64 = 4_000;
    let env = Env::memory();
    let options = QueueOptions {
        file_bytes: 9_000,
        buffer_bytes: 500,
        open_files_max: 3,
        ..QueueOptions::default()
    };
    let queue = open(&env, options, &PartitionLengths::default());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (queue, done) = (&queue, &done);
            scope.spawn(move || {
                let mut next = 0;
                while next < MESSAGES {
                    let (was_done, before) = (done.load(Ordering::Acquire), next);
                    let items_max = if reader == 0 { 7 } else { ALL };
                    let page = queue.fetch(at(1, 0), Offset(next), NEWEST, items_max, 3_000);
                    for message in page.expect("the files are sound") {
                        assert_eq!((message.offset.0, message.revision.0), (next, next));
                        next += 1;
                    }
                    assert!(next > before || !was_done, "nothing follows {next}");
                    std::thread::yield_now();
                }
            });
        }
        let _finish = Finish(&done);
        for revision in 0..MESSAGES {
            let message = message(revision, 30);
            queue.append(at(1, 0), &message).expect("the disk has room");
            if revision % 300 == 0 {
                let lengths = queue.flush().expect("the disk has room");
                queue.sync(&lengths).expect("the disk is sound");
            }
        }
    });
}

/// Tells the readers that no more comes, even if the writer fails.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        at: PartitionRef,
        value_bytes: usize,
        new_revision: bool,
    },
    Fetch {
        at: PartitionRef,
        from: prop::sample::Index,
        visible: prop::sample::Index,
        items_max: usize,
        bytes_max: usize,
    },
    Flush,
    Checkpoint,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || (1..3u32, 0..2u32).prop_map(|(topic, partition)| at(topic, partition));
    let any_index = any::<prop::sample::Index>;
    let step = prop_oneof![
        10 => (place(), 0..120usize, any::<bool>()).prop_map(|(at, value_bytes, new_revision)| {
            Step::Append { at, value_bytes, new_revision }
        }),
        6 => (place(), any_index(), any_index(), 0..9usize, 0..900usize).prop_map(
            |(at, from, visible, items_max, bytes_max)| {
                Step::Fetch { at, from, visible, items_max, bytes_max }
            }
        ),
        1 => Just(Step::Flush),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..120)
}

pub(super) type Model = BTreeMap<PartitionRef, Vec<StoredMessage>>;

pub(super) fn expected(
    model: &Model,
    at: PartitionRef,
    from: usize,
    visible: Revision,
) -> Vec<Message> {
    let stored = model.get(&at).map_or(&[][..], Vec::as_slice);
    stored
        .iter()
        .enumerate()
        .skip(from)
        .take_while(|(_, message)| message.revision <= visible)
        .map(|(offset, message)| Message {
            offset: Offset(offset as u64),
            revision: message.revision,
            timestamp_ms: message.timestamp_ms,
            body: message.body.clone(),
        })
        .collect()
}

proptest! {
    #[test]
    fn partitions_answer_like_lists(steps in steps()) {
        let env = Env::memory();
        let mut queue = open(&env, tiny(), &PartitionLengths::default());
        let mut model = Model::new();
        let mut recorded = (PartitionLengths::default(), Model::new());
        let mut revision = 1;
        for step in steps {
            match step {
                Step::Append { at, value_bytes, new_revision } => {
                    revision += u64::from(new_revision);
                    let message = message(revision, value_bytes);
                    let stored = model.entry(at).or_default();
                    let offset = queue.append(at, &message).expect("the disk has room");
                    prop_assert_eq!(offset, Offset(stored.len() as u64));
                    stored.push(message);
                }
                Step::Fetch { at, from, visible, items_max, bytes_max } => {
                    let len = model.get(&at).map_or(0, Vec::len);
                    let from = from.index(len + 1);
                    let span = usize::try_from(revision).expect("few revisions");
                    let visible = Revision(visible.index(span + 1) as u64);
                    let wanted = expected(&model, at, from, visible);
                    let from = Offset(from as u64);
                    let all = queue.fetch(at, from, visible, ALL, ALL).expect("sound files");
                    prop_assert_eq!(&all, &wanted);
                    let page = queue.fetch(at, from, visible, items_max, bytes_max);
                    let page = page.expect("sound files");
                    prop_assert!(page.len() <= items_max);
                    prop_assert!(wanted.starts_with(&page));
                    prop_assert!(!page.is_empty() || wanted.is_empty() || items_max == 0);
                    prop_assert_eq!(queue.bounds(at), (Offset(0), Offset(len as u64)));
                }
                Step::Flush => {
                    queue.flush().expect("the disk has room");
                }
                Step::Checkpoint => {
                    let lengths = queue.flush().expect("the disk has room");
                    queue.sync(&lengths).expect("the disk is sound");
                    prop_assert_eq!(PartitionLengths::decode(lengths.encode()), Ok(lengths.clone()));
                    prop_assert!(lengths.bytes() >= HEADER_BYTES * lengths.partitions.len() as u64);
                    recorded = (lengths, model.clone());
                }
                Step::Reopen => {
                    queue = open(&env, tiny(), &recorded.0);
                    model = recorded.1.clone();
                }
            }
        }
        for &at in model.keys() {
            let all = queue.fetch(at, Offset(0), NEWEST, ALL, ALL).expect("sound files");
            prop_assert_eq!(all, expected(&model, at, 0, NEWEST));
        }
    }
}
