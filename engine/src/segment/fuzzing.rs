//! Segments made of any bytes: see [`fuzzing`](crate::fuzzing).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::file::{FRAMES_AT, SegmentFile, SegmentHeader};
use super::frame::{FrameCodec, FrameHead, Kind, Position, frame_bytes};
use super::written::{Head, Written};
use super::{Log, LogOptions};
use crate::ErrorKind;
use crate::env::vfs::OpenMode;
use crate::env::vfs::mem::MemVfs;
use crate::env::workers::SteppedWorkers;
use crate::env::{Env, Vfs};
use crate::ids::{ClusterId, GroupId, LogId};
use crate::inspect::{Seen, Severity};

const CLUSTER: ClusterId = ClusterId(1);
const SALT: u64 = 5;

/// A frame anywhere, and the same with its checksum put right.
pub(crate) fn frame(data: &[u8]) {
    let Some((offset, bytes)) = data.split_first_chunk::<4>() else {
        return;
    };
    let offset = u32::from_le_bytes(*offset);
    let codec = FrameCodec::new(3, SALT);
    let _ = codec.parse(bytes, offset);
    let _ = codec.find_mark_beyond(Position::default(), bytes, offset);
    let Some(mut frame) = frame_bytes(bytes)
        .and_then(|len| bytes.get(..len))
        .map(<[u8]>::to_vec)
    else {
        return;
    };
    let covered = frame.len() - 4;
    let crc = codec.checksum(offset, &frame[..covered]);
    frame[covered..].copy_from_slice(&crc.to_le_bytes());
    let parsed = codec.parse(&frame, offset).expect("its checksum is right");
    let mut again = Vec::new();
    codec.put(&mut again, offset, &parsed.head, parsed.body);
    assert_eq!(again, frame);
}

/// The body of a Head.
pub(crate) fn head(data: &[u8]) {
    if let Ok(head) = Head::decode(Bytes::copy_from_slice(data)) {
        let again = Written::from_head(&head).encode_head(head.previous);
        assert_eq!(Head::decode(again), Ok(head));
    }
}

/// A whole segment of frames and of bytes between them: opening the log and looking at it must
/// agree on whether it is damaged.
pub(crate) fn segment(data: &[u8]) {
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let dir = Path::new("/log");
    let header = SegmentHeader {
        cluster: CLUSTER,
        seq: 1,
        salt: SALT,
        key: 0,
    };
    vfs.create_dir_all(dir).expect("a folder in memory");
    let file = vfs
        .open(&dir.join("0000000000000001.seg"), OpenMode::CreateNew)
        .expect("a new file");
    SegmentFile::format(file.as_ref(), &header).expect("a file in memory");
    file.write_at(&frames(data), u64::from(FRAMES_AT))
        .expect("a file in memory");
    let mut damaged = false;
    crate::inspect::log(&vfs, dir, &mut |seen| {
        damaged |= matches!(&seen, Seen::Problem(found) if found.severity == Severity::Damage);
    })
    .expect("damage is no error of a look");
    let options = LogOptions {
        segment_bytes: 16 * 1024,
        ..LogOptions::default()
    };
    let workers = SteppedWorkers::new(1);
    let env = Env {
        workers: Arc::new(workers.clone()),
        ..Env::simulated(vfs, 1)
    };
    match Log::open(&env, dir, CLUSTER, options) {
        Ok(_) => assert!(!damaged, "a look sees damage that opening does not"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(damaged, "a look does not see: {error}");
        }
    }
    // The log's job holds the workers that hold the job: nobody else would free the two.
    workers.abandon();
}

/// Frames whose fields, and bytes between them, are those of the input.
fn frames(data: &[u8]) -> Vec<u8> {
    let codec = FrameCodec::new(1, SALT);
    let mut out = Vec::new();
    let mut rest = data.iter().copied();
    let mut next = || rest.next();
    if next().is_some_and(|byte| byte != 0) {
        let body = Written::default().encode_head(Position::default());
        codec.put(&mut out, FRAMES_AT, &head_of(Kind::Head, 0, 0, 0, 0), &body);
    }
    while let Some(code) = next() {
        let mut field = || next().unwrap_or_default();
        let Some(kind) = Kind::from_code(code % 8) else {
            let count = usize::from(field() % 64);
            out.extend(vec![field(); count]);
            continue;
        };
        let (group, term, index) = (field() % 3, field() % 4, field() % 16);
        // A place before the frame, or a little behind it.
        let offset = FRAMES_AT + u32::try_from(out.len()).expect("a small file");
        let mark = offset + 64 - u32::from(field()).min(offset);
        let body = vec![field(); usize::from(field() % 8)];
        codec.put(
            &mut out,
            offset,
            &head_of(kind, group, term, index, mark),
            &body,
        );
    }
    out
}

fn head_of(kind: Kind, group: u8, term: u8, index: u8, mark: u32) -> FrameHead {
    FrameHead {
        kind,
        group: GroupId(u32::from(group)),
        log_id: LogId::new(u64::from(term), u64::from(index)),
        mark: Position {
            segment: u64::from(mark > 0),
            offset: mark,
        },
    }
}
