//! Commits as they are checked at the door: limits, missing fields, duplicates.

use bytes::Bytes;
use engine::limits;

use super::*;

#[expect(
    clippy::unnecessary_wraps,
    reason = "a message field is an Option in the generated code"
)]
fn row(key: &[u8]) -> Option<pb::RowRef> {
    Some(pb::RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::copy_from_slice(key),
    })
}

fn put(key: &[u8], value: &[u8]) -> pb::Op {
    pb::Op {
        op: Some(pb::op::Op::Put(pb::PutOp {
            row: row(key),
            value: Bytes::copy_from_slice(value),
            expiry: None,
        })),
    }
}

fn delete(key: &[u8]) -> pb::Op {
    pb::Op {
        op: Some(pb::op::Op::Delete(pb::DeleteOp { row: row(key) })),
    }
}

fn publish(message: pb::NewMessage) -> pb::Op {
    pb::Op {
        op: Some(pb::op::Op::Publish(pb::PublishOp {
            topic: "orders".to_owned(),
            partition: None,
            message: Some(message),
        })),
    }
}

fn offset(consumer_group: &str) -> pb::Op {
    pb::Op {
        op: Some(pb::op::Op::CommitOffset(pb::CommitOffsetOp {
            topic: "orders".to_owned(),
            partition: 0,
            consumer_group: consumer_group.to_owned(),
            next: 1,
        })),
    }
}

fn of(ops: Vec<pb::Op>) -> pb::CommitRequest {
    pb::CommitRequest {
        ops,
        ..pb::CommitRequest::default()
    }
}

fn guarded(guard: pb::Guard) -> pb::CommitRequest {
    pb::CommitRequest {
        guards: vec![guard],
        ..pb::CommitRequest::default()
    }
}

fn headers(count: usize, bytes: usize) -> Vec<pb::Header> {
    let header = pb::Header {
        name: "n".to_owned(),
        value: Bytes::from(vec![b'v'; bytes - 1]),
    };
    vec![header; count]
}

#[test]
fn every_broken_rule_has_its_word() {
    let key_max = limits::KEY_BYTES_MAX;
    let large = vec![b'v'; limits::VALUE_BYTES_MAX];
    let message = |value: usize, headers| pb::NewMessage {
        key: None,
        value: Bytes::from(vec![b'v'; value]),
        headers,
    };
    let identified = |session, number, acked_below| pb::CommitRequest {
        request: Some(pb::RequestId {
            session,
            number,
            acked_below,
        }),
        ..pb::CommitRequest::default()
    };
    let name = "n".repeat(limits::NAME_BYTES_MAX + 1);
    let table: Vec<(&str, pb::CommitRequest)> = vec![
        ("KEY_EMPTY", of(vec![put(b"", b"")])),
        ("KEY_TOO_LONG", of(vec![put(&vec![b'k'; key_max + 1], b"")])),
        (
            "VALUE_TOO_LARGE",
            of(vec![put(b"k", &vec![0; limits::VALUE_BYTES_MAX + 1])]),
        ),
        (
            "VALUE_TOO_LARGE",
            of(vec![publish(message(limits::VALUE_BYTES_MAX + 1, vec![]))]),
        ),
        (
            "HEADERS_TOO_LARGE",
            of(vec![publish(message(0, headers(65, 1)))]),
        ),
        (
            "HEADERS_TOO_LARGE",
            of(vec![publish(message(0, headers(2, 20_000)))]),
        ),
        ("NAME_INVALID", of(vec![offset("")])),
        ("NAME_INVALID", of(vec![offset("white space")])),
        ("NAME_INVALID", of(vec![offset(&name)])),
        ("NAME_INVALID", of(vec![offset("Grüße")])),
        (
            "COMMIT_TOO_LARGE",
            of((0..4_u8).map(|at| put(&[at], &large)).collect()),
        ),
        (
            "TOO_MANY_OPS",
            of(vec![pb::Op::default(); limits::COMMIT_OPS_MAX + 1]),
        ),
        ("DUPLICATE_KEY", of(vec![put(b"k", b"1"), delete(b"k")])),
        ("DUPLICATE_KEY", of(vec![offset("g"), offset("g")])),
        ("MISSING_FIELD", of(vec![pb::Op::default()])),
        (
            "MISSING_FIELD",
            guarded(pb::Guard {
                row: None,
                condition: Some(pb::guard::Condition::Exists(true)),
            }),
        ),
        (
            "MISSING_FIELD",
            guarded(pb::Guard {
                row: row(b"k"),
                condition: None,
            }),
        ),
        ("MISSING_FIELD", identified(0, 1, 0)),
        ("FIELD_OUT_OF_RANGE", identified(7, 0, 0)),
        ("FIELD_OUT_OF_RANGE", identified(7, 3, 4)),
    ];
    for (place, (reason, request)) in table.into_iter().enumerate() {
        let refused = commit(&request).expect_err(reason);
        assert_eq!(refused.reason(), reason, "line {place}: {refused}");
        assert!(
            refused.to_string().len() < 200,
            "line {place} is a sentence"
        );
    }
}

#[test]
fn the_largest_commit_passes() {
    let large = vec![b'v'; limits::VALUE_BYTES_MAX];
    let mut ops: Vec<_> = (0..3_u8).map(|at| put(&[at], &large)).collect();
    ops.push(put(&[3], &large[..limits::VALUE_BYTES_MAX - 4]));
    let (group, command) = commit(&of(ops)).expect("exactly at the limit");
    assert_eq!(group, GroupId(0));
    assert!(matches!(command, Command::Commit(commit) if commit.ops.len() == 4));

    let key = vec![b'k'; limits::KEY_BYTES_MAX];
    commit(&of(vec![put(&key, b"")])).expect("the longest key");
    commit(&of(vec![
        publish(pb::NewMessage::default());
        limits::COMMIT_OPS_MAX
    ]))
    .expect("the most ops, and publishing twice is no duplicate");
}

#[test]
fn guards_say_what_they_mean() {
    use pb::guard::Condition;

    let row_ref = engine::command::RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from_static(b"k"),
    };
    let table = [
        (Condition::Exists(true), Guard::Exists(row_ref.clone())),
        (Condition::Exists(false), Guard::Absent(row_ref.clone())),
        (
            Condition::RevisionIs(5),
            Guard::RevisionIs(row_ref.clone(), Revision(5)),
        ),
        (
            Condition::ValueIs(Bytes::from_static(b"v")),
            Guard::ValueIs(row_ref, Bytes::from_static(b"v")),
        ),
    ];
    for (condition, expected) in table {
        let request = guarded(pb::Guard {
            row: row(b"k"),
            condition: Some(condition),
        });
        let (_, command) = commit(&request).expect("a well-formed guard");
        let Command::Commit(commit) = command else {
            panic!("a commit becomes a commit");
        };
        assert_eq!(commit.guards, [expected]);
    }
}
