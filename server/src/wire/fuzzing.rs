//! Requests made of any bytes: see [`fuzzing`](crate::fuzzing).

use engine::command::{Batch, Command, Payload};
use engine::ids::{GroupId, Revision};
use engine::limits::{COMMIT_BYTES_MAX, COMMIT_OPS_MAX, KEY_BYTES_MAX};
use engine_proto::v1 as pb;
use prost::Message;

use super::Invalid;
use super::cursor::Walk;

/// A cursor of any text, and the cursor of any place with some of its digits changed.
pub(crate) fn cursor(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let (changes, key) = rest.split_at(usize::from(count % 8 * 2).min(rest.len()));
    let walk = Walk {
        group: GroupId(0),
        keyspace: "default",
        prefix: key.get(..2).unwrap_or_default(),
        reverse: count % 2 == 0,
    };
    let _ = walk.decode(&String::from_utf8_lossy(rest));
    let genuine = walk.encode(Revision(7), key);
    let (revision, decoded) = walk.decode(&genuine).expect("our own cursor");
    assert_eq!((revision, &decoded[..]), (Revision(7), key));
    let mut digits = genuine.clone().into_bytes();
    for change in changes.chunks_exact(2) {
        if let [at, digit] = *change {
            let at = usize::from(at) % digits.len();
            digits[at] = digit % 128;
        }
    }
    let changed = String::from_utf8(digits).expect("these are ASCII");
    let case = changed.eq_ignore_ascii_case(&genuine);
    if let Ok(place) = walk.decode(&changed) {
        // A checksum of 32 bits can be met by chance, but hardly with so few changes.
        assert!(case && place == (revision, decoded), "{changed}");
    }
}

/// A request of any kind: what passes is within the limits, and comes back from the log's bytes.
pub(crate) fn request(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind {
        0 => write(data, super::commit),
        1 => write(data, super::put),
        2 => write(data, super::delete),
        3 => write(data, super::create_keyspace),
        4 => write(data, super::create_topic),
        5 => write(data, super::produce),
        6 => write(data, super::commit_offset),
        7 => write(data, super::open_session),
        8 => write(data, super::close_session),
        9 => read(data, super::get),
        10 => read(data, super::count),
        11 => read(data, super::fetch),
        12 => read(data, super::describe_topic),
        13 => read(data, super::add_learner),
        14 => read(data, super::promote),
        15 => read(data, super::remove),
        16 => read(data, super::transfer_leader),
        17 => read(data, super::hash),
        18 => read(data, super::versions),
        19 => read(data, super::version),
        20 => write(data, super::alter_keyspace),
        21 => read(data, super::watch),
        22 => read(data, super::changes),
        _ => read(data, |request: &pb::ScanRequest| {
            let scan = super::scan(request)?.scan;
            assert!(scan.prefix.len() <= KEY_BYTES_MAX);
            Ok(())
        }),
    }
}

fn write<T: Message + Default>(
    data: &[u8],
    check: impl Fn(&T) -> Result<(GroupId, Command), Invalid>,
) {
    let Ok(request) = T::decode(data) else { return };
    let Ok((_, command)) = check(&request) else {
        return;
    };
    if let Command::Commit(commit) = &command {
        assert!(commit.ops.len() + commit.guards.len() <= COMMIT_OPS_MAX);
        assert!(command.size_hint() <= COMMIT_BYTES_MAX + 64 * COMMIT_OPS_MAX);
    }
    let batch = Payload::Batch(Batch {
        now_ms: 1,
        commands: vec![command],
    });
    assert_eq!(Payload::decode(batch.encode()), Ok(batch));
}

fn read<T: Message + Default, R>(data: &[u8], check: impl Fn(&T) -> Result<R, Invalid>) {
    if let Ok(request) = T::decode(data) {
        let _ = check(&request);
    }
}
