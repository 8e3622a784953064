//! Partition files made of any bytes: see [`fuzzing`](crate::fuzzing).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::file::{HEADER_BYTES, Header, file_path};
use super::lengths::{PartitionLengths, PartitionRef};
use super::record::{StoredMessage, decode_body, encode_body, put_frame, take_frame};
use crate::command::NewMessage;
use crate::env::Vfs;
use crate::env::vfs::OpenMode;
use crate::env::vfs::mem::MemVfs;
use crate::ids::{GroupId, Offset, PartitionId, Revision, TopicId};
use crate::inspect;

const SALT: u64 = 5;

/// A frame of any bytes, and the body of one behind its checksum.
pub(crate) fn frame(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let _ = take_frame(&bytes, SALT, HEADER_BYTES, Offset(0));
    if let Ok(message) = decode_body(bytes) {
        let stored = StoredMessage {
            revision: message.revision,
            timestamp_ms: message.timestamp_ms,
            body: message.body,
        };
        let again = encode_body(message.offset, &stored).expect("it came from a short body");
        assert_eq!(again, data);
    }
}

/// A whole file: a header with its checksum put right, frames, and bytes between them.
pub(crate) fn file(data: &[u8]) {
    let at = PartitionRef {
        topic: TopicId(1),
        partition: PartitionId(0),
    };
    let header = Header {
        group: GroupId(0),
        at,
        base: Offset(0),
        salt: SALT,
    };
    let mut out = header.encode();
    let mut rest = data.iter().copied();
    while let Some(kind) = rest.next() {
        let mut field = || rest.next().unwrap_or_default();
        let message = StoredMessage {
            revision: Revision(u64::from(field())),
            timestamp_ms: 0,
            body: NewMessage {
                key: None,
                value: vec![7; usize::from(field() % 16)].into(),
                headers: Vec::new(),
            },
        };
        let body = encode_body(Offset(u64::from(field() % 8)), &message).expect("it is small");
        let position = out.len() as u64;
        match kind % 4 {
            0 => out.extend_from_slice(&body),
            1 => out.push(kind),
            _ => put_frame(&mut out, SALT, position, &body),
        }
    }
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let path = file_path(Path::new("/partitions"), at, Offset(0));
    let folder = path.parent().expect("a partition has a folder");
    vfs.create_dir_all(folder).expect("a folder in memory");
    let file = vfs.open(&path, OpenMode::CreateNew).expect("a new file");
    file.write_at(&out, 0).expect("a file in memory");
    inspect::partition(&vfs, &path, &mut |_| {}).expect("damage is no error of a look");
    if let Some(covered) = data.get(..38) {
        let crc = crc32fast::hash(covered).to_le_bytes();
        let _ = Header::decode([covered, &crc].concat().into());
    }
}

/// The lengths that a checkpoint records.
pub(crate) fn lengths(data: &[u8]) {
    if let Ok(lengths) = PartitionLengths::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(lengths.encode(), data);
    }
}
