//! Torn tails are cut; damage is told with file and place, and nothing is deleted.

use super::*;
use crate::ErrorKind;
use crate::env::vfs::mem::MemVfs;
use crate::segment::file::FRAMES_AT;

/// All files of a log, to be put on fresh disks.
struct Image(Vec<(PathBuf, Vec<u8>)>);

impl Image {
    fn take(vfs: &MemVfs) -> Self {
        let paths = names(vfs).into_iter().map(|name| dir().join(name));
        Self(
            paths
                .map(|path| (path.clone(), read_file(vfs, &path)))
                .collect(),
        )
    }

    fn restore(&self) -> MemVfs {
        let vfs = MemVfs::new();
        vfs.create_dir_all(dir()).expect("a folder");
        for (path, bytes) in &self.0 {
            let file = vfs.open(path, OpenMode::CreateNew).expect("a new file");
            file.write_at(bytes, 0).expect("it can be written");
        }
        vfs
    }
}

fn overwrite(vfs: &MemVfs, path: &Path, at: usize, bytes: &[u8]) {
    let file = vfs
        .open(path, OpenMode::ReadWrite)
        .expect("the file is there");
    file.write_at(bytes, at as u64).expect("it can be written");
}

fn open(vfs: &MemVfs) -> (Process, Result<Log>) {
    let process = Process::start(Arc::new(vfs.clone()), 5);
    let log = process.open();
    (process, log)
}

fn story(vfs: &MemVfs) -> (Process, Log) {
    let process = Process::start(Arc::new(vfs.clone()), 4);
    let log = process.open().expect("a new log opens");
    for index in 1..=12 {
        let vote = Bytes::copy_from_slice(&[u8::try_from(index).expect("small")]);
        let mut writes = entries(index, index, 700);
        writes.push(Write::Vote(vote));
        log.append_wait(GROUP, writes).expect("durable");
        log.append_wait(GroupId(1), entries(index, index, 3))
            .expect("durable");
    }
    let purge = vec![
        Write::Purge(LogId::new(1, 2)),
        Write::TruncateAfter(LogIndex(11)),
    ];
    log.append_wait(GROUP, purge).expect("durable");
    (process, log)
}

type Contents = Vec<(crate::segment::GroupLog, Vec<LogEntry>)>;

fn contents(log: &Log) -> Contents {
    [GROUP, GroupId(1)]
        .map(|group| (log.group(group), read_all(log, group)))
        .into()
}

/// Where the last frame of a segment ends.
fn end_of_frames(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).expect("frames") + 1
}

#[test]
fn a_flipped_byte_anywhere_in_marked_frames_is_told() {
    let disk = MemVfs::new();
    let (_process, log) = story(&disk);
    let expected = contents(&log);
    log.close().expect("the log closes, and writes its mark");
    let image = Image::take(&disk);
    let used = |bytes: &[u8]| bytes.iter().skip(FRAMES_AT as usize).any(|byte| *byte != 0);
    let last_used = image.0.iter().rposition(|(_, bytes)| used(bytes));
    let last_used = last_used.expect("some segment is used");
    assert!(last_used >= 1, "the story rotates");
    let (mut told, mut harmless) = (0, 0);
    for (number, (path, bytes)) in image.0.iter().enumerate().take(last_used + 1) {
        let frames = FRAMES_AT as usize..end_of_frames(bytes);
        let mut marked = frames.clone();
        if number == last_used {
            marked.end -= crate::segment::frame::FRAME_OVERHEAD_BYTES;
        }
        for at in (0..50)
            .chain(4090..4150)
            .chain(frames.start - 3..bytes.len().min(frames.end + 50))
        {
            let vfs = image.restore();
            overwrite(&vfs, path, at, &[bytes[at] ^ (1 << (at % 8))]);
            let before = names(&vfs);
            match open(&vfs).1 {
                Ok(log) => {
                    assert!(!marked.contains(&at), "unseen at byte {at} of {path:?}");
                    assert_eq!(contents(&log), expected, "byte {at} of {path:?}");
                    harmless += 1;
                }
                Err(error) => {
                    let text = error.to_string();
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
                    assert!(marked.contains(&at), "{text}: byte {at} of {path:?}");
                    let name = path.file_name().expect("a name").to_string_lossy();
                    assert!(text.contains(&*name), "{text}: byte {at} of {path:?}");
                    assert!(text.contains("at byte "), "{text}");
                    assert_eq!(names(&vfs), before, "nothing is deleted");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 9_000 && harmless > 100, "{told} {harmless}");
}

/// Two short segments: the first one sealed and cut, the second one marked to its end.
fn short_story() -> (Image, Contents) {
    let disk = MemVfs::new();
    for boot in 1..=2 {
        let process = Process::start(Arc::new(disk.clone()), boot);
        let log = process.open().expect("the log opens");
        let first = boot * 3;
        log.append_wait(GROUP, entries(first - 2, first, 20))
            .expect("durable");
        let vote = Write::Vote(Bytes::from_static(b"vote"));
        log.append_wait(
            GroupId(1),
            [entries(first - 2, first, 0), vec![vote]].concat(),
        )
        .expect("durable");
        log.append_wait(GROUP, vec![Write::Purge(LogId::new(1, first - 2))])
            .expect("durable");
        log.close().expect("the log closes, and writes its mark");
    }
    let mut image = Image::take(&disk);
    for (_, bytes) in &mut image.0 {
        let used = bytes.iter().rposition(|byte| *byte != 0);
        bytes.truncate(used.map_or(0, |last| last + 60));
    }
    let expected = contents(&open(&image.restore()).1.expect("nothing is damaged"));
    (image, expected)
}

/// The damage that a look at the folder sees.
fn looked(vfs: &MemVfs) -> Vec<crate::inspect::Problem> {
    use crate::inspect::{Seen, Severity};
    let disk: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let mut damage = Vec::new();
    crate::inspect::log(&disk, dir(), &mut |seen| match seen {
        Seen::Problem(problem) if problem.severity == Severity::Damage => damage.push(problem),
        Seen::Problem(_) | Seen::Item(_) => {}
    })
    .expect("damage is no error of a look");
    damage
}

#[test]
fn every_byte_of_every_segment_is_told_or_harmless_and_a_look_agrees() {
    let (image, expected) = short_story();
    let mut told = 0;
    for (path, bytes) in &image.0 {
        for (at, byte) in bytes.iter().enumerate() {
            for mask in [0x01, 0x80, 0xff] {
                let vfs = image.restore();
                overwrite(&vfs, path, at, &[byte ^ mask]);
                let damage = looked(&vfs);
                let what = format!("byte {at} ^ {mask:#x} of {}", path.display());
                match open(&vfs).1 {
                    Ok(log) => {
                        assert_eq!(contents(&log), expected, "{what}");
                        assert_eq!(damage, [], "{what}");
                    }
                    Err(error) => {
                        let place = error.damage().expect("the place is known");
                        assert_eq!(&place.path, path, "{what}");
                        assert!(at as u64 >= place.offset, "{error}: {what}");
                        let same = |problem: &crate::inspect::Problem| {
                            (&problem.path, problem.offset) == (&place.path, place.offset)
                        };
                        assert!(damage.iter().any(same), "{error}, {damage:?}: {what}");
                        told += 1;
                    }
                }
            }
        }
    }
    assert!(told > 1_500, "{told}");
}

#[test]
fn a_segment_cut_anywhere_is_told_or_the_log_ends_earlier() {
    let (image, expected) = short_story();
    for (number, (path, bytes)) in image.0.iter().enumerate() {
        for len in 0..bytes.len() {
            let vfs = image.restore();
            vfs.open(path, OpenMode::ReadWrite)
                .and_then(|file| file.set_len(len as u64))
                .expect("it can be cut");
            let damage = looked(&vfs);
            let what = format!("{} cut to {len}", path.display());
            match open(&vfs).1 {
                Ok(log) => {
                    assert_eq!(damage, [], "{what}");
                    let found = contents(&log);
                    // The first segment's end stands in the second one.
                    assert!(number > 0 || found == expected, "{what}");
                    for (group, bytes) in [(0, 20), (1, 0)] {
                        for entry in &found[group].1 {
                            let index = entry.log_id.index.0;
                            assert_eq!(entry.body, body(index, bytes), "{what}");
                        }
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}: {what}");
                    assert!(error.to_string().contains(".seg"), "{error}: {what}");
                    assert!(!damage.is_empty(), "{error}: {what}");
                }
            }
        }
    }
}

#[test]
fn a_torn_tail_is_cut_wherever_it_tore() {
    let disk = MemVfs::new();
    let (_process, log) = story(&disk);
    // Not closed: the last group commit carries no mark of its own.
    let expected = contents(&log);
    let image = Image::take(&disk);
    let path = segment_path(log.stats().segments);
    let bytes = read_file(&disk, &path);
    let end = end_of_frames(&bytes);
    let last_commit = end - 2 * crate::segment::frame::FRAME_OVERHEAD_BYTES;
    for cut in last_commit..=end {
        let vfs = image.restore();
        overwrite(&vfs, &path, cut, &vec![0xEE; bytes.len() - cut]);
        let (process, log) = open(&vfs);
        let log = log.expect("a torn tail is no damage");
        let found = contents(&log);
        assert_eq!(found[1], expected[1]);
        let purged = if cut < end - 41 {
            None
        } else {
            Some(LogId::new(1, 2))
        };
        assert_eq!(found[0].0.purged, purged, "cut at {cut}");
        let last = if cut < end { 12 } else { 11 };
        assert_eq!(found[0].0.last, Some(LogId::new(1, last)), "cut at {cut}");
        log.append_wait(GROUP, entries(last + 1, last + 1, 10))
            .expect("the log goes on");
        let expected = contents(&log);
        log.close().expect("the log closes");
        drop(process);
        let log = open(&vfs).1.expect("it opens again");
        assert_eq!(contents(&log), expected, "cut at {cut}");
    }
}

#[test]
fn a_hole_in_front_of_unmarked_frames_is_a_torn_tail() {
    // One group commit of three frames, of which the middle one did not reach the disk.
    let disk = MemVfs::new();
    let process = Process::start(Arc::new(disk.clone()), 4);
    let log = process.open().expect("a new log opens");
    process.settle();
    let start = end_of_frames(&read_file(&disk, &segment_path(1)));
    log.append_wait(GROUP, entries(1, 3, 600)).expect("durable");
    let hole = start + 641 + 100;
    overwrite(&disk, &segment_path(1), hole, &[0; 200]);
    process.workers.abandon();
    let log = open(&disk).1.expect("a torn tail is no damage");
    assert_eq!(indexes(&log, GROUP), [1]);
}

#[test]
fn damage_met_by_a_read_names_file_and_place() {
    let disk = MemVfs::new();
    let (_process, log) = story(&disk);
    let bytes = read_file(&disk, &segment_path(1));
    let at = FRAMES_AT as usize + 100;
    overwrite(&disk, &segment_path(1), at, &vec![0; bytes.len() - at]);
    let error = log
        .read(GROUP, LogIndex(3), LogIndex(4), 100)
        .expect_err("the entry is gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("0000000000000001.seg"));
    let place = read_place(&error.to_string());
    assert!(
        (FRAMES_AT as usize..bytes.len()).contains(&place),
        "{error}"
    );
}

fn read_place(text: &str) -> usize {
    let (_, rest) = text.split_once("at byte ").expect("a place");
    let (digits, _) = rest.split_once(':').expect("an end of the place");
    digits.parse().expect("a number")
}

#[test]
fn a_missing_segment_is_told() {
    let disk = MemVfs::new();
    let process = Process::start(Arc::new(disk.clone()), 4);
    let log = process.open().expect("a new log opens");
    for index in 1..=60 {
        log.append_wait(GROUP, entries(index, index, 700))
            .expect("durable");
    }
    let segments = log.stats().segments;
    log.close().expect("the log closes");
    let image = Image::take(&disk);
    for seq in 1..=segments {
        let vfs = image.restore();
        vfs.remove(&segment_path(seq)).expect("it is removed");
        // Without the last one a spare remains, and its number shows the gap.
        let error = open(&vfs).1.expect_err("a segment is missing");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[test]
fn a_segment_without_a_good_header_is_told_and_a_half_prepared_one_removed() {
    let disk = MemVfs::new();
    let (_process, log) = story(&disk);
    let expected = contents(&log);
    log.close().expect("the log closes");
    let temporary = dir().join("0000000000000077.tmp");
    disk.open(&temporary, OpenMode::CreateNew)
        .and_then(|file| file.write_at(b"half", 0))
        .expect("a leftover");
    let image = Image::take(&disk);

    let vfs = image.restore();
    assert_eq!(contents(&open(&vfs).1.expect("it opens")), expected);
    assert!(!vfs.exists(&temporary).expect("it can be asked"));

    let vfs = image.restore();
    overwrite(&vfs, &segment_path(1), 3, b"?");
    overwrite(&vfs, &segment_path(1), 4099, b"?");
    let error = open(&vfs).1.expect_err("both headers are damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().contains("0000000000000001.seg"),
        "{error}"
    );
    assert!(vfs.exists(&segment_path(1)).expect("it can be asked"));
}

#[test]
fn segments_that_changed_places_are_told() {
    let disk = MemVfs::new();
    let (_process, log) = story(&disk);
    log.close().expect("the log closes");
    let swap = dir().join("swap");
    disk.rename(&segment_path(1), &swap).expect("renamed");
    disk.rename(&segment_path(2), &segment_path(1))
        .expect("renamed");
    disk.rename(&swap, &segment_path(2)).expect("renamed");
    let error = open(&disk).1.expect_err("the numbers disagree");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn a_newer_format_is_refused_and_not_taken_for_damage() {
    let disk = MemVfs::new();
    let (_process, log) = story(&disk);
    log.close().expect("the log closes");
    let image = Image::take(&disk);
    // The version, and the key that frames would be encrypted with.
    for field in [8, 34] {
        let vfs = image.restore();
        let mut header = read_file(&vfs, &segment_path(1))[..42].to_vec();
        header[field] = 2;
        let crc = crc32fast::hash(&header[..38]);
        header[38..].copy_from_slice(&crc.to_le_bytes());
        overwrite(&vfs, &segment_path(1), 0, &header);
        overwrite(&vfs, &segment_path(1), 4096, &header);
        let error = open(&vfs).1.expect_err("it is not understood");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}
