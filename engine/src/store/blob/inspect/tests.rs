//! What a look at a blob file says of files that are whole, cut, flipped or not wanted.

use super::*;
use crate::env::vfs::mem::MemVfs;
use crate::store::blob::{BlobWriter, decode_header};

const DIR: &str = "/store";
const ID: u64 = 3;

/// A file of three values, and where their records begin.
fn file() -> (Vec<u8>, Vec<u64>) {
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    vfs.create_dir_all(Path::new(DIR)).expect("a folder");
    let folder = Folder::new(&vfs, Path::new(DIR));
    let mut writer = BlobWriter::create(&folder, ID, 5).expect("a new file");
    let values = [&[0; 40][..], b"short", &[0x61; 100]];
    let places = values.map(|value| writer.add(value).expect("there is room").offset);
    let (len, mut written) = writer.finish().expect("there is room");
    written.publish();
    let path = Path::new(DIR).join(blob_file_name(ID));
    let file = vfs.open(&path, OpenMode::Read).expect("it was written");
    let mut bytes = vec![0; usize::try_from(len).expect("it is small")];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    (bytes, places.to_vec())
}

/// Where values and problems are seen in a file of these bytes.
fn seen(bytes: &[u8]) -> (Vec<u64>, Vec<(Severity, u64)>) {
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let path = Path::new(DIR).join(blob_file_name(ID));
    vfs.create_dir_all(Path::new(DIR)).expect("a folder");
    let file = vfs.open(&path, OpenMode::CreateNew).expect("a new file");
    file.write_at(bytes, 0).expect("there is room");
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    blob(&vfs, &path, &mut |seen| match seen {
        Seen::Item(BlobItem::File(file)) => assert_eq!((file.id, file.salt), (ID, 5)),
        Seen::Item(BlobItem::Value(value)) => values.push(value.offset),
        Seen::Problem(problem) => {
            assert_eq!(problem.path, path);
            problems.push((problem.severity, problem.offset));
        }
    })
    .expect("damage is no error");
    (values, problems)
}

#[test]
fn every_flipped_byte_is_told_at_its_record_and_the_others_are_read() {
    let (bytes, places) = file();
    assert_eq!(seen(&bytes), (places.clone(), Vec::new()));
    for position in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut flipped = bytes.clone();
            flipped[position] ^= mask;
            if decode_header(Bytes::copy_from_slice(&flipped[..HEADER_BYTES]), ID).is_err() {
                assert!(position < HEADER_BYTES, "{position}");
                assert_eq!(seen(&flipped), (vec![], vec![(Severity::Damage, 0)]));
                continue;
            }
            let hit = places.iter().rfind(|place| **place <= position as u64);
            let hit = *hit.expect("the byte is of some record");
            let others = places.iter().copied().filter(|place| *place != hit);
            let expected = (others.collect(), vec![(Severity::Damage, hit)]);
            assert_eq!(seen(&flipped), expected, "byte {position}");
        }
    }
}

#[test]
fn a_cut_record_is_damage() {
    let (bytes, places) = file();
    for len in HEADER_BYTES + 1..bytes.len() {
        let (values, problems) = seen(&bytes[..len]);
        let at_an_end = len as u64 == places[1] || len as u64 == places[2];
        let whole = places.iter().filter(|place| **place < len as u64).count();
        let whole = whole - usize::from(!at_an_end);
        assert_eq!(values, places[..whole], "cut at {len}");
        let cut = (!at_an_end).then(|| (Severity::Damage, places[whole]));
        assert_eq!(problems, cut.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_is_not_named_like_one_is_refused() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    vfs.create_dir_all(Path::new(DIR)).expect("a folder");
    for name in ["3.blob", "0000000000000003.table", "blob"] {
        let path = Path::new(DIR).join(name);
        vfs.open(&path, OpenMode::CreateNew).expect("a new file");
        let error = blob(&vfs, &path, &mut |_| {}).expect_err("another name");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
    }
}
