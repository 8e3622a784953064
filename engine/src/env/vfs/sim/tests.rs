//! What outlives a power cut, over many seeds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::env::rng::SeededRng;

const SEEDS: std::ops::Range<u64> = 0..300;

#[test]
fn keeps_the_promises_of_a_disk() {
    let vfs = SimVfs::new(1);
    super::super::conformance::check(&vfs, Path::new("/data"));
    vfs.set_capacity(1 << 20);
    super::super::conformance::check(&vfs, Path::new("/limited"));
}

#[test]
fn what_was_synced_survives() {
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        let file = create(&vfs, "/db/file", &[1; 5000]);
        file.sync_data().expect("synced");
        vfs.sync_dir(Path::new("/db")).expect("synced");
        vfs.power_on();
        assert_eq!(read(&vfs, "/db/file"), [1; 5000]);
        vfs.power_on();
        assert_eq!(
            read(&vfs, "/db/file"),
            [1; 5000],
            "and does not change any more"
        );
    }
}

#[test]
fn unsynced_sectors_survive_in_any_subset() {
    let (mut all, mut none, mut torn, mut gaps) = (0, 0, 0, 0);
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        let file = create(&vfs, "/db/file", &[1; 5000]);
        sync_all(&vfs, file.as_ref());
        file.write_at(&[2; 3000], 700).expect("written");
        vfs.power_on();
        let bytes = read(&vfs, "/db/file");
        assert_eq!(bytes.len(), 5000);
        assert!(
            bytes[..700]
                .iter()
                .chain(&bytes[3700..])
                .all(|byte| *byte == 1)
        );
        // A sector is written whole or not at all.
        let cuts = [700, 1024, 1536, 2048, 2560, 3072, 3584, 3700];
        let new: Vec<bool> = cuts
            .windows(2)
            .map(|cut| {
                let sector = &bytes[cut[0]..cut[1]];
                assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed}");
                sector[0] == 2
            })
            .collect();
        match new.iter().filter(|new| **new).count() {
            0 => none += 1,
            count if count == new.len() => all += 1,
            _ => torn += 1,
        }
        if new.windows(2).any(|pair| !pair[0] && pair[1]) {
            gaps += 1;
        }
    }
    assert!(
        all > 20 && none > 20 && torn > 20 && gaps > 20,
        "{all} {none} {torn} {gaps}"
    );
}

#[test]
fn unsynced_growth_may_leave_zeroes_or_a_short_file() {
    let (mut short, mut zeroes, mut whole) = (0, 0, 0);
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        let file = create(&vfs, "/db/file", &[]);
        sync_all(&vfs, file.as_ref());
        file.preallocate(4096).expect("reserved");
        file.write_at(&[2; 1024], 0).expect("written");
        vfs.power_on();
        let bytes = read(&vfs, "/db/file");
        assert!(bytes.iter().all(|byte| [0, 2].contains(byte)));
        match count_of(2, &bytes) {
            1024 if bytes.len() == 4096 => whole += 1,
            _ if bytes.len() < 1024 => short += 1,
            _ => zeroes += 1,
        }
    }
    assert!(
        short > 10 && zeroes > 10 && whole > 10,
        "{short} {zeroes} {whole}"
    );
}

#[test]
fn bytes_without_a_synced_name_may_be_lost() {
    let mut survived = 0;
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        create(&vfs, "/db/file", b"bytes")
            .sync_data()
            .expect("synced");
        vfs.power_on();
        if vfs.exists(Path::new("/db/file")).expect("powered") {
            assert_eq!(read(&vfs, "/db/file"), b"bytes");
            survived += 1;
        }
    }
    assert!((20..280).contains(&survived), "{survived}");
}

#[test]
fn an_unsynced_rename_happened_whole_or_not_at_all() {
    let mut renamed = 0;
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        sync_all(&vfs, create(&vfs, "/db/current", b"old").as_ref());
        sync_all(&vfs, create(&vfs, "/db/next", b"new").as_ref());
        vfs.rename(Path::new("/db/next"), Path::new("/db/current"))
            .expect("renamed");
        vfs.power_on();
        let next = vfs.exists(Path::new("/db/next")).expect("powered");
        if next {
            assert_eq!(read(&vfs, "/db/current"), b"old");
            assert_eq!(read(&vfs, "/db/next"), b"new");
        } else {
            assert_eq!(read(&vfs, "/db/current"), b"new");
            renamed += 1;
        }
    }
    assert!((20..280).contains(&renamed), "{renamed}");
}

#[test]
fn unsynced_removals_may_be_undone() {
    let mut back = 0;
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        sync_all(&vfs, create(&vfs, "/db/file", b"bytes").as_ref());
        vfs.remove(Path::new("/db/file")).expect("removed");
        vfs.power_on();
        if vfs.exists(Path::new("/db/file")).expect("powered") {
            assert_eq!(read(&vfs, "/db/file"), b"bytes");
            back += 1;
        }
    }
    assert!((20..280).contains(&back), "{back}");
}

#[test]
fn a_rename_between_folders_needs_the_new_folder_synced_first() {
    let mut lost = 0;
    for seed in SEEDS {
        let story = |synced: &str| {
            let vfs = disk_with_folder(seed);
            vfs.create_dir_all(Path::new("/db/new")).expect("made");
            sync_all(&vfs, create(&vfs, "/db/file", b"bytes").as_ref());
            vfs.rename(Path::new("/db/file"), Path::new("/db/new/file"))
                .expect("renamed");
            vfs.sync_dir(Path::new(synced)).expect("synced");
            vfs.power_on();
            vfs
        };
        assert_eq!(read(&story("/db/new"), "/db/new/file"), b"bytes");
        if !story("/db")
            .exists(Path::new("/db/new/file"))
            .expect("powered")
        {
            lost += 1;
        }
    }
    assert!((20..280).contains(&lost), "{lost}");
}

#[test]
fn every_call_can_be_the_last() {
    let calls = {
        let vfs = SimVfs::new(0);
        story(&vfs).expect("nothing fails");
        vfs.io_count()
    };
    assert_eq!(calls, 24);
    for (seed, last) in (0..20).flat_map(|seed| (1..=calls).map(move |last| (seed, last))) {
        let vfs = SimVfs::new(seed);
        vfs.crash_at(last);
        let error = story(&vfs).expect_err("the power goes");
        assert!(PowerIsOff::is_cause_of(&error), "call {last}: {error}");
        assert_eq!(vfs.io_count(), last);
        assert!(!vfs.is_powered());
        let error = vfs.exists(Path::new("/")).expect_err("still off");
        assert!(PowerIsOff::is_cause_of(&error));
        assert_eq!(vfs.io_count(), last, "calls without power do not count");
        vfs.power_on();
        check_story(&vfs, last);
    }
}

#[test]
fn the_call_that_is_cut_happens_not_in_part_or_whole() {
    let (mut none, mut part, mut whole) = (0, 0, 0);
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        let file = create(&vfs, "/db/file", &[1; 2048]);
        sync_all(&vfs, file.as_ref());
        file.write_at(&[2; 2048], 0).expect("written");
        vfs.crash_at(0);
        file.sync_data().expect_err("the power goes");
        vfs.power_on();
        match count_of(2, &read(&vfs, "/db/file")) {
            0 => none += 1,
            2048 => whole += 1,
            _ => part += 1,
        }
    }
    assert!(
        none > 20 && part > 20 && whole > 20,
        "{none} {part} {whole}"
    );
}

#[test]
fn old_handles_and_locks_end_with_the_power() {
    let vfs = disk_with_folder(1);
    let file = create(&vfs, "/db/file", b"bytes");
    sync_all(&vfs, file.as_ref());
    let guard = vfs.lock(Path::new("/db/LOCK")).expect("free");
    vfs.power_off();
    let error = file.len().expect_err("off");
    assert!(PowerIsOff::is_cause_of(&error));
    vfs.power_on();
    for error in [
        file.len().expect_err("old"),
        file.read_at(&mut [0], 0).expect_err("old"),
        file.write_at(b"x", 0).expect_err("old"),
        file.sync_data().expect_err("old"),
    ] {
        assert!(PowerIsOff::is_cause_of(&error));
    }
    let new_guard = vfs.lock(Path::new("/db/LOCK")).expect("free again");
    drop((guard, file));
    let taken = vfs
        .lock(Path::new("/db/LOCK"))
        .expect_err("the old guard frees nothing");
    assert_eq!(taken.kind(), ErrorKind::WouldBlock);
    drop(new_guard);
    assert_eq!(read(&vfs, "/db/file"), b"bytes");
}

#[test]
fn a_power_cut_is_recognised_below_other_errors() {
    let wrapped = crate::Error::io("sync segment 7", power_is_off());
    assert!(PowerIsOff::is_cause_of(&wrapped));
    let other = crate::Error::io("sync segment 7", ErrorKind::StorageFull.into());
    assert!(!PowerIsOff::is_cause_of(&other));
}

#[test]
fn bytes_of_a_failed_sync_are_read_until_the_power_goes() {
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        let file = create(&vfs, "/db/file", b"old");
        sync_all(&vfs, file.as_ref());
        file.write_at(b"new", 0).expect("written");
        vfs.fail_sync_once();
        let error = file.sync_data().expect_err("injected");
        assert!(!PowerIsOff::is_cause_of(&error));
        assert_eq!(read(&vfs, "/db/file"), b"new");
        file.write_at(b"!", 3).expect("written");
        file.sync_data().expect("the second sync works");
        vfs.power_on();
        assert_eq!(
            read(&vfs, "/db/file"),
            b"old!",
            "but it did not write what the first lost"
        );
    }
}

#[test]
fn writes_fail_until_they_are_allowed() {
    let vfs = disk_with_folder(1);
    let file = create(&vfs, "/db/file", b"");
    vfs.fail_writes(ErrorKind::TimedOut);
    assert_eq!(
        file.write_at(b"x", 0).expect_err("injected").kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(
        file.set_len(9).expect_err("injected").kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(
        file.preallocate(9).expect_err("injected").kind(),
        ErrorKind::TimedOut
    );
    vfs.allow_writes();
    file.write_at(b"x", 0).expect("allowed");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let vfs = disk_with_folder(1);
    vfs.set_capacity(1000);
    let first = create(&vfs, "/db/first", &[1; 300]);
    first.preallocate(600).expect("fits");
    let second = create(&vfs, "/db/second", &[]);
    let error = second.write_at(&[2; 500], 0).expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(read(&vfs, "/db/second"), [2; 400], "the part that fits");
    let space = vfs.space(Path::new("/db")).expect("powered");
    assert_eq!(
        space,
        Space {
            total_bytes: 1000,
            free_bytes: 0
        }
    );
    first
        .write_at(&[1; 300], 300)
        .expect("reserved room is there");
    assert_eq!(
        first.preallocate(601).expect_err("full").kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(
        first.set_len(601).expect_err("full").kind(),
        ErrorKind::StorageFull
    );
    vfs.remove(Path::new("/db/first")).expect("removed");
    second
        .write_at(&[2; 100], 400)
        .expect_err("an open file keeps its room");
    drop(first);
    second
        .write_at(&[2; 100], 400)
        .expect("there is room again");
}

#[test]
fn flipped_bits_stay_flipped() {
    let vfs = disk_with_folder(1);
    let path = Path::new("/db/file");
    sync_all(&vfs, create(&vfs, "/db/file", &[0; 100]).as_ref());
    vfs.flip_bit(path, 42).expect("inside");
    assert_eq!(
        vfs.flip_bit(path, 100).expect_err("outside").kind(),
        ErrorKind::UnexpectedEof
    );
    let missing = vfs.flip_bit(Path::new("/none"), 0).expect_err("no file");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    for _ in 0..2 {
        let bytes = read(&vfs, "/db/file");
        assert_eq!(bytes[42].count_ones(), 1);
        assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        vfs.power_on();
    }
}

#[test]
fn removed_files_are_forgotten() {
    let vfs = disk_with_folder(1);
    for _ in 0..10 {
        let file = create(&vfs, "/db/file", &[1; 100]);
        sync_all(&vfs, file.as_ref());
        vfs.remove(Path::new("/db/file")).expect("removed");
        assert_eq!(file.len().expect("open"), 100);
        drop(file);
        vfs.sync_dir(Path::new("/db")).expect("synced");
    }
    let free = vfs.space(Path::new("/")).expect("powered").free_bytes;
    assert_eq!(free, CAPACITY_BYTES_DEFAULT);
    assert_eq!(
        vfs.disk.lock().tree.inode_count(),
        2,
        "the root and its folder"
    );
}

#[test]
fn a_removed_folder_may_be_left_in_part() {
    let mut partial = 0;
    for seed in SEEDS {
        let vfs = disk_with_folder(seed);
        vfs.create_dir_all(Path::new("/db/old")).expect("made");
        for name in ["a", "b", "c"] {
            create(&vfs, &format!("/db/old/{name}"), b"");
        }
        vfs.sync_dir(Path::new("/db/old")).expect("synced");
        vfs.sync_dir(Path::new("/db")).expect("synced");
        vfs.remove_dir_all(Path::new("/db/old")).expect("removed");
        vfs.power_on();
        if let Ok(left) = vfs.list(Path::new("/db/old"))
            && (1..3).contains(&left.len())
        {
            partial += 1;
        }
    }
    assert!(partial > 10, "{partial}");
}

#[test]
fn the_seed_decides_everything() {
    let mut pictures = Vec::new();
    for seed in 0..50 {
        let run = || {
            let (vfs, mut ends) = (SimVfs::new(seed), Vec::new());
            // Thrice over the same disk, each time until the power goes.
            for round in 1..=3_u64 {
                vfs.crash_at(vfs.io_count() + 1 + (seed + 7 * round) % 20);
                story(&vfs).expect_err("the power goes");
                vfs.power_on();
                ends.push(picture(&vfs, Path::new("/")));
                vfs.remove_dir_all(Path::new("/db/tables"))
                    .expect("removed");
            }
            ends
        };
        let picture = run();
        assert_eq!(picture, run(), "seed {seed}");
        pictures.push(picture);
    }
    pictures.sort();
    pictures.dedup();
    assert!(pictures.len() > 10, "{} different ends", pictures.len());
}

#[test]
fn a_recording_has_the_disk_before_every_call() {
    let vfs = SimVfs::new(1);
    vfs.record();
    story(&vfs).expect("the power is on");
    let moments = vfs.recorded();
    let calls: Vec<u64> = moments.iter().map(Moment::io_count).collect();
    assert_eq!(calls, (0..=vfs.io_count()).collect::<Vec<_>>());
    let end = picture(&vfs, Path::new("/"));
    let mut ends = BTreeMap::new();
    for moment in &moments {
        let mut losses = BTreeMap::new();
        for seed in 0..20 {
            let crashed = moment.crashed(seed);
            check_story(&crashed.disk, moment.io_count() + 1);
            let left = picture(&crashed.disk, Path::new("/"));
            // The copy is the test's own: whatever happens to it stays there.
            crashed
                .disk
                .remove_dir_all(Path::new("/db"))
                .expect("the power is on");
            let same = losses.entry(crashed.losses).or_insert(left.clone());
            assert_eq!(*same, left, "the same losses leave the same");
        }
        let killed = picture(&moment.killed(0), Path::new("/"));
        let same = ends.entry(moment.version()).or_insert(killed.clone());
        assert_eq!(*same, killed, "one version is one disk");
    }
    assert_eq!(ends.into_values().next_back(), Some(end.clone()));
    assert_eq!(picture(&vfs, Path::new("/")), end);
}

#[test]
fn random_stories_end_in_a_state_that_was_promised() {
    for seed in 0..1000 {
        let vfs = disk_with_folder(seed);
        let rng = SeededRng::new(!seed);
        let file = create(&vfs, "/db/file", &[0; SECTOR_COUNT * 512]);
        sync_all(&vfs, file.as_ref());
        // For each sector: the last synced value, then those written since.
        let mut possible = vec![vec![0_u8]; SECTOR_COUNT];
        for value in 1..=50 {
            if rng.chance(20) {
                file.sync_data().expect("synced");
                for values in &mut possible {
                    values.drain(..values.len() - 1);
                }
            } else {
                let first = rng.index(SECTOR_COUNT);
                let count = 1 + rng.index(SECTOR_COUNT - first);
                file.write_at(&vec![value; count * 512], first as u64 * 512)
                    .expect("written");
                for values in &mut possible[first..first + count] {
                    values.push(value);
                }
            }
        }
        vfs.power_on();
        for (bytes, values) in read(&vfs, "/db/file").chunks(512).zip(possible) {
            assert!(
                bytes.iter().all(|byte| *byte == bytes[0]),
                "a sector is whole"
            );
            assert!(
                values.contains(&bytes[0]),
                "seed {seed}: {} of {values:?}",
                bytes[0]
            );
        }
    }
}

const SECTOR_COUNT: usize = 8;

/// A database in small: tables and the file that names the current one, replaced by rename.
fn story(vfs: &SimVfs) -> io::Result<()> {
    vfs.create_dir_all(Path::new("/db/tables"))?;
    vfs.sync_dir(Path::new("/"))?;
    vfs.sync_dir(Path::new("/db"))?;
    for number in 1..=3_u8 {
        let path = PathBuf::from(format!("/db/tables/{number}"));
        let table = vfs.open(&path, OpenMode::CreateNew)?;
        table.write_at(&[number; 2000], 0)?;
        table.sync_data()?;
        vfs.sync_dir(Path::new("/db/tables"))?;
        vfs.rename(&path, Path::new("/db/tables/current"))?;
        vfs.sync_dir(Path::new("/db/tables"))?;
        vfs.exists(Path::new("/db/tables/current"))?;
    }
    Ok(())
}

/// What the story was promised when the power went in call number `last`.
fn check_story(vfs: &SimVfs, last: u64) {
    // Three calls come first, then seven for each table. The sixth makes it current, and the
    // call in which the power went promised nothing.
    let promised = u8::try_from(last.saturating_sub(3) / 7).expect("small");
    let mut found = 0;
    if vfs
        .exists(Path::new("/db/tables/current"))
        .expect("powered")
    {
        let bytes = read(vfs, "/db/tables/current");
        assert_eq!(bytes, [bytes[0]; 2000], "renamed only after it was synced");
        found = bytes[0];
    }
    assert!(
        found == promised || found == promised + 1,
        "call {last}: {found} of {promised}"
    );
}

fn disk_with_folder(seed: u64) -> SimVfs {
    let vfs = SimVfs::new(seed);
    vfs.create_dir_all(Path::new("/db")).expect("made");
    vfs.sync_dir(Path::new("/")).expect("synced");
    vfs
}

fn create(vfs: &SimVfs, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = vfs
        .open(Path::new(path), OpenMode::CreateNew)
        .expect("a new file");
    file.write_at(bytes, 0).expect("written");
    file
}

fn sync_all(vfs: &SimVfs, file: &dyn File) {
    file.sync_data().expect("synced");
    vfs.sync_dir(Path::new("/db")).expect("synced");
}

fn read(vfs: &SimVfs, path: &str) -> Vec<u8> {
    let file = vfs
        .open(Path::new(path), OpenMode::Read)
        .expect("it is there");
    let len = usize::try_from(file.len().expect("length")).expect("small");
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).expect("all of it");
    bytes
}

fn count_of(wanted: u8, bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| usize::from(*byte == wanted)).sum()
}

/// Everything on the disk, in order.
fn picture(vfs: &SimVfs, dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in vfs.list(dir).expect("a folder") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            all.push((path.clone(), Vec::new()));
            all.extend(picture(vfs, &path));
        } else {
            let bytes = read(vfs, path.to_str().expect("a text"));
            all.push((path, bytes));
        }
    }
    all
}
