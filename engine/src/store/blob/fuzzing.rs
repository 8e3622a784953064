//! Blob files made of any bytes: see [`fuzzing`](crate::fuzzing).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::inspect::{BlobItem, blob as look};
use super::{
    BlobFile, BlobRef, FRAMING_BYTES, HEADER_BYTES, blob_file_name, decode_header, encode_header,
};
use crate::ErrorKind;
use crate::env::Vfs;
use crate::env::vfs::OpenMode;
use crate::env::vfs::mem::MemVfs;
use crate::inspect::Seen;
use crate::store::folder::Folder;

const ID: u64 = 3;
const SALT: u64 = 5;

/// A whole file of records and of bytes between them: what a look sees is what can be read.
pub(crate) fn blob(data: &[u8]) {
    if let Some(covered) = data.get(..HEADER_BYTES - 4) {
        let crc = crc32fast::hash(covered).to_le_bytes();
        let _ = decode_header([covered, &crc].concat().into(), ID);
    }
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let dir = Path::new("/store");
    let path = dir.join(blob_file_name(ID));
    let bytes = file(data);
    vfs.create_dir_all(dir).expect("a folder in memory");
    let made = vfs.open(&path, OpenMode::CreateNew).expect("a new file");
    made.write_at(&bytes, 0).expect("a file in memory");

    let mut values = BTreeMap::new();
    look(&vfs, &path, &mut |seen| {
        if let Seen::Item(BlobItem::Value(value)) = seen {
            values.insert(value.offset, value);
        }
    })
    .expect("damage is no error of a look");
    let folder = Folder::new(&vfs, dir);
    let opened = BlobFile::open(&folder, ID, bytes.len() as u64).expect("its header is right");
    let read = |offset, len| {
        opened.value(BlobRef {
            file: ID,
            offset,
            len,
        })
    };
    for (offset, value) in &values {
        let found = read(*offset, value.bytes).expect("it was seen");
        assert!(found.starts_with(&value.beginning));
    }
    for place in data.chunks_exact(4) {
        let [low, high, len_low, len_high] = *place else {
            continue;
        };
        let offset = u64::from(u16::from_le_bytes([low, high]));
        // Mostly short ones, and some beyond all bounds.
        let len = match len_high {
            0xff => u32::MAX - u32::from(len_low),
            _ => u32::from(len_low),
        };
        match read(offset, len) {
            Ok(found) => {
                let (at, seen) = values
                    .range(..=offset)
                    .next_back()
                    .expect("a look sees what can be read");
                // A value may hold what would be a record at its place: a look steps over it.
                if *at == offset {
                    assert_eq!(found.len(), seen.bytes as usize);
                } else {
                    assert!(offset < at + u64::from(seen.bytes) + FRAMING_BYTES as u64);
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
        }
    }
}

/// A header, then records whose lengths and values are those of the input, and other bytes.
fn file(data: &[u8]) -> Bytes {
    let mut out = encode_header(ID, SALT);
    let mut rest = data;
    while let [kind, len, tail @ ..] = rest {
        let (value, tail) = tail.split_at(usize::from(*len % 32).min(tail.len()));
        rest = tail;
        let offset = out.len() as u64;
        let len = u32::try_from(value.len()).expect("it is short");
        match kind % 8 {
            0 => out.extend_from_slice(value),
            // Another length than it has, under a checksum that is right.
            1 => super::put_record(&mut out, SALT, offset, len + u32::from(*kind), value),
            2 => super::put_record(&mut out, SALT, offset + 1, len, value),
            _ => super::put_record(&mut out, SALT, offset, len, value),
        }
    }
    out.into()
}
