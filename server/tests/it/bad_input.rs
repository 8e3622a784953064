//! What a node refuses: the exact code and reason, and nothing changed.

use bytes::{Buf, BufMut, Bytes};
use engine::command::{Command, Outcome};
use engine::ids::{GroupId, Revision};
use engine::limits;
use engine_proto::v1 as pb;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Response, Status};

use crate::site::{Site, detail, get, put, put_op, reason, row};

/// One line of the table: what was asked, what came of it, what should have.
type Line = (&'static str, Status, Code, &'static str);

fn refused<T>(asked: &'static str, answer: Result<Response<T>, Status>) -> Status {
    match answer {
        Ok(_) => panic!("{asked} was accepted"),
        Err(status) => status,
    }
}

macro_rules! line {
    ($asked:literal, $answer:expr, $code:ident, $reason:literal) => {
        ($asked, refused($asked, $answer.await), Code::$code, $reason)
    };
}

fn check(lines: Vec<Line>) {
    for (asked, status, code, expected) in lines {
        assert_eq!(status.code(), code, "{asked}: {status:?}");
        assert_eq!(reason(&status), expected, "{asked}: {status:?}");
        assert_eq!(
            detail(&status, "certainty").as_deref(),
            Some("certain"),
            "{asked}"
        );
    }
}

async fn revision(site: &Site) -> u64 {
    let read = site.kv().get(get("any")).await.expect("get").into_inner();
    read.header.expect("a header").revision
}

async fn with_topic() -> Site {
    let site = Site::one().await;
    let create = pb::CreateTopicRequest {
        name: "orders".to_owned(),
        partitions: 2,
        group: 0,
    };
    site.topics().create(create).await.expect("create");
    site.kv().put(put("a", "1")).await.expect("put");
    site
}

fn commit_of(ops: Vec<pb::Op>) -> pb::CommitRequest {
    pb::CommitRequest {
        ops,
        ..pb::CommitRequest::default()
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a message field is an Option in the generated code"
)]
fn elsewhere(keyspace: &str, key: &str) -> Option<pb::RowRef> {
    Some(pb::RowRef {
        keyspace: keyspace.to_owned(),
        key: key.to_owned().into(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn writes() {
    let site = with_topic().await;
    let before = revision(&site).await;
    let (mut kv, mut commit, mut keyspaces) = (site.kv(), site.commit(), site.keyspaces());
    let (mut topics, mut log, mut cluster) = (site.topics(), site.log(), site.cluster());
    let large = "v".repeat(limits::VALUE_BYTES_MAX);
    let produce = |topic: &str, partition, messages| pb::ProduceRequest {
        topic: topic.to_owned(),
        partition,
        messages,
        ..pb::ProduceRequest::default()
    };
    let progress = |topic: &str, partition, next, consumer_group: &str| pb::CommitOffsetRequest {
        topic: topic.to_owned(),
        partition,
        next,
        consumer_group: consumer_group.to_owned(),
        ..pb::CommitOffsetRequest::default()
    };
    let create_topic = |name: &str, partitions| pb::CreateTopicRequest {
        name: name.to_owned(),
        partitions,
        group: 0,
    };
    let create_keyspace = |name: &str| pb::CreateKeyspaceRequest {
        name: name.to_owned(),
        group: 0,
        options: None,
    };
    let message = || vec![pb::NewMessage::default()];
    let nowhere = pb::PutRequest {
        row: elsewhere("nowhere", "a"),
        ..pb::PutRequest::default()
    };
    let strange = pb::PutRequest {
        row: elsewhere("white space", "a"),
        ..pb::PutRequest::default()
    };
    let other_group = pb::PutRequest {
        group: 9,
        ..put("a", "2")
    };
    let learner = |peer: &str| pb::AddLearnerRequest {
        node_id: 9,
        peer_address: peer.to_owned(),
        client_address: "n9:7101".to_owned(),
    };
    let long_key = "k".repeat(limits::KEY_BYTES_MAX + 1);
    let many = (0..=limits::COMMIT_OPS_MAX).map(|at| put_op(&at.to_string(), ""));
    let heavy = (0..4).map(|at| put_op(&at.to_string(), &large));
    let twice = vec![put_op("a", "2"), put_op("b", "2"), put_op("a", "3")];
    check(vec![
        line!(
            "an empty key",
            kv.put(put("", "1")),
            InvalidArgument,
            "KEY_EMPTY"
        ),
        line!(
            "a long key",
            kv.put(put(&long_key, "1")),
            InvalidArgument,
            "KEY_TOO_LONG"
        ),
        line!(
            "a large value",
            kv.put(put("a", &format!("{large}v"))),
            InvalidArgument,
            "VALUE_TOO_LARGE"
        ),
        line!(
            "no row",
            kv.put(pb::PutRequest::default()),
            InvalidArgument,
            "MISSING_FIELD"
        ),
        line!(
            "a strange keyspace",
            kv.put(strange),
            InvalidArgument,
            "NAME_INVALID"
        ),
        line!(
            "an unknown keyspace",
            kv.put(nowhere),
            NotFound,
            "UNKNOWN_KEYSPACE"
        ),
        line!(
            "an unknown raft group",
            kv.put(other_group),
            NotFound,
            "UNKNOWN_GROUP"
        ),
        line!(
            "too many ops",
            commit.commit(commit_of(many.collect())),
            InvalidArgument,
            "TOO_MANY_OPS"
        ),
        line!(
            "too many bytes",
            commit.commit(commit_of(heavy.collect())),
            InvalidArgument,
            "COMMIT_TOO_LARGE"
        ),
        line!(
            "a row twice",
            commit.commit(commit_of(twice)),
            InvalidArgument,
            "DUPLICATE_KEY"
        ),
        line!(
            "an op of nothing",
            commit.commit(commit_of(vec![pb::Op::default()])),
            InvalidArgument,
            "MISSING_FIELD"
        ),
        line!(
            "a keyspace without name",
            keyspaces.create(create_keyspace("")),
            InvalidArgument,
            "NAME_INVALID"
        ),
        line!(
            "a keyspace with slashes",
            keyspaces.create(create_keyspace("a/b")),
            InvalidArgument,
            "NAME_INVALID"
        ),
        line!(
            "a keyspace again",
            keyspaces.create(create_keyspace("default")),
            AlreadyExists,
            "KEYSPACE_EXISTS"
        ),
        line!(
            "a topic with a long name",
            topics.create(create_topic(&"n".repeat(129), 1)),
            InvalidArgument,
            "NAME_INVALID"
        ),
        line!(
            "a topic without partitions",
            topics.create(create_topic("t", 0)),
            InvalidArgument,
            "FIELD_OUT_OF_RANGE"
        ),
        line!(
            "a topic with too many",
            topics.create(create_topic("t", 1025)),
            InvalidArgument,
            "FIELD_OUT_OF_RANGE"
        ),
        line!(
            "a topic again",
            topics.create(create_topic("orders", 2)),
            AlreadyExists,
            "TOPIC_EXISTS"
        ),
        line!(
            "produce to nowhere",
            log.produce(produce("t", None, message())),
            NotFound,
            "UNKNOWN_TOPIC"
        ),
        line!(
            "produce beyond",
            log.produce(produce("orders", Some(2), message())),
            NotFound,
            "UNKNOWN_PARTITION"
        ),
        line!(
            "produce nothing",
            log.produce(produce("orders", None, vec![])),
            InvalidArgument,
            "MISSING_FIELD"
        ),
        line!(
            "an offset beyond the end",
            log.commit_offset(progress("orders", 0, 1, "g")),
            OutOfRange,
            "OFFSET_OUT_OF_RANGE"
        ),
        line!(
            "an offset of no topic",
            log.commit_offset(progress("t", 0, 0, "g")),
            NotFound,
            "UNKNOWN_TOPIC"
        ),
        line!(
            "an offset of no partition",
            log.commit_offset(progress("orders", 2, 0, "g")),
            NotFound,
            "UNKNOWN_PARTITION"
        ),
        line!(
            "an offset of nobody",
            log.commit_offset(progress("orders", 0, 0, "")),
            InvalidArgument,
            "NAME_INVALID"
        ),
        line!(
            "node 0",
            cluster.promote(pb::PromoteRequest { node_id: 0 }),
            InvalidArgument,
            "FIELD_OUT_OF_RANGE"
        ),
        line!(
            "an address with a path",
            cluster.add_learner(learner("http://n9")),
            InvalidArgument,
            "ADDRESS_INVALID"
        ),
    ]);
    assert_eq!(revision(&site).await, before, "nothing changed");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads() {
    let site = with_topic().await;
    let (mut kv, mut topics, mut log) = (site.kv(), site.topics(), site.log());
    let old = revision(&site).await;
    for value in ["2", "3"] {
        kv.put(put("a", value)).await.expect("put");
    }
    let now = revision(&site).await;
    let raised = site
        .places
        .first()
        .expect("one node")
        .server
        .node()
        .propose(
            GroupId(0),
            Command::RaiseFloor {
                revision: Revision(now),
            },
        )
        .await;
    assert!(
        !matches!(raised, Ok(Outcome::Refused(_)) | Err(_)),
        "{raised:?}"
    );

    let get_at = |revision| pb::GetRequest {
        revision: Some(revision),
        ..get("a")
    };
    let count_at = |revision| pb::CountRequest {
        keyspace: "default".to_owned(),
        revision: Some(revision),
        ..pb::CountRequest::default()
    };
    let scan = |keyspace: &str| pb::ScanRequest {
        keyspace: keyspace.to_owned(),
        ..pb::ScanRequest::default()
    };
    let fetch = |topic: &str, partition, from| pb::FetchRequest {
        topic: topic.to_owned(),
        partition,
        from,
        ..pb::FetchRequest::default()
    };
    let nowhere = pb::GetRequest {
        row: elsewhere("nowhere", "a"),
        ..pb::GetRequest::default()
    };
    let other_group = pb::GetRequest {
        group: 9,
        ..get("a")
    };
    let no_such_word = pb::GetRequest {
        consistency: 7,
        ..get("a")
    };
    let long_prefix = pb::ScanRequest {
        prefix: vec![b'k'; limits::KEY_BYTES_MAX + 1].into(),
        ..scan("default")
    };
    let long_wait = pb::FetchRequest {
        wait_ms: 30_001,
        ..fetch("orders", 0, 0)
    };
    let fetch_group = pb::FetchRequest {
        group: 9,
        ..fetch("orders", 0, 0)
    };
    let describe = |name: &str, group| pb::DescribeTopicRequest {
        name: name.to_owned(),
        group,
    };
    check(vec![
        line!(
            "an empty key",
            kv.get(get("")),
            InvalidArgument,
            "KEY_EMPTY"
        ),
        line!(
            "no row",
            kv.get(pb::GetRequest::default()),
            InvalidArgument,
            "MISSING_FIELD"
        ),
        line!(
            "an unknown keyspace",
            kv.get(nowhere),
            NotFound,
            "UNKNOWN_KEYSPACE"
        ),
        line!(
            "a keyspace without name",
            kv.scan(scan("")),
            InvalidArgument,
            "NAME_INVALID"
        ),
        line!(
            "a scan of nowhere",
            kv.scan(scan("nowhere")),
            NotFound,
            "UNKNOWN_KEYSPACE"
        ),
        line!(
            "an unknown raft group",
            kv.get(other_group),
            NotFound,
            "UNKNOWN_GROUP"
        ),
        line!(
            "an unknown consistency",
            kv.get(no_such_word),
            InvalidArgument,
            "FIELD_OUT_OF_RANGE"
        ),
        line!(
            "below the floor",
            kv.get(get_at(old)),
            OutOfRange,
            "REVISION_COMPACTED"
        ),
        line!(
            "in the future",
            kv.get(get_at(now + 100)),
            OutOfRange,
            "REVISION_IN_FUTURE"
        ),
        line!(
            "a count below the floor",
            kv.count(count_at(old)),
            OutOfRange,
            "REVISION_COMPACTED"
        ),
        line!(
            "a count in the future",
            kv.count(count_at(now + 100)),
            OutOfRange,
            "REVISION_IN_FUTURE"
        ),
        line!(
            "a long prefix",
            kv.scan(long_prefix),
            InvalidArgument,
            "KEY_TOO_LONG"
        ),
        line!(
            "an unknown topic",
            log.fetch(fetch("t", 0, 0)),
            NotFound,
            "UNKNOWN_TOPIC"
        ),
        line!(
            "an unknown partition",
            log.fetch(fetch("orders", 2, 0)),
            NotFound,
            "UNKNOWN_PARTITION"
        ),
        line!(
            "beyond the end",
            log.fetch(fetch("orders", 0, 1)),
            OutOfRange,
            "OFFSET_OUT_OF_RANGE"
        ),
        line!(
            "too long a wait",
            log.fetch(long_wait),
            InvalidArgument,
            "FIELD_OUT_OF_RANGE"
        ),
        line!(
            "a fetch from no group",
            log.fetch(fetch_group),
            NotFound,
            "UNKNOWN_GROUP"
        ),
        line!(
            "describe nothing",
            topics.describe(describe("t", 0)),
            NotFound,
            "UNKNOWN_TOPIC"
        ),
        line!(
            "describe in no group",
            topics.describe(describe("orders", 9)),
            NotFound,
            "UNKNOWN_GROUP"
        ),
    ]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors() {
    let site = with_topic().await;
    let mut kv = site.kv();
    for keyspace in ["one", "two"] {
        let create = pb::CreateKeyspaceRequest {
            name: keyspace.to_owned(),
            group: 0,
            options: None,
        };
        let created = site.keyspaces().create(create).await;
        created.expect("create");
        for key in ["a", "b", "c"] {
            let put = pb::PutRequest {
                row: elsewhere(keyspace, key),
                ..pb::PutRequest::default()
            };
            kv.put(put).await.expect("put");
        }
    }
    let scan = |keyspace: &str, cursor: &str| pb::ScanRequest {
        keyspace: keyspace.to_owned(),
        limit: 1,
        cursor: cursor.to_owned(),
        ..pb::ScanRequest::default()
    };
    let page = kv.scan(scan("one", "")).await.expect("scan").into_inner();
    let cursor = page.next_cursor;
    kv.scan(scan("one", &cursor)).await.expect("its own cursor");

    let tampered = format!("{}f", cursor.strip_suffix(|_| true).expect("not empty"));
    let reversed = pb::ScanRequest {
        reverse: true,
        ..scan("one", &cursor)
    };
    let narrowed = pb::ScanRequest {
        prefix: "b".into(),
        ..scan("one", &cursor)
    };
    let at_revision = pb::ScanRequest {
        revision: Some(1),
        ..scan("one", &cursor)
    };
    check(vec![
        line!(
            "a tampered cursor",
            kv.scan(scan("one", &tampered)),
            InvalidArgument,
            "CURSOR_INVALID"
        ),
        line!(
            "a cut cursor",
            kv.scan(scan("one", "01")),
            InvalidArgument,
            "CURSOR_INVALID"
        ),
        line!(
            "no cursor at all",
            kv.scan(scan("one", "hello")),
            InvalidArgument,
            "CURSOR_INVALID"
        ),
        line!(
            "another keyspace's",
            kv.scan(scan("two", &cursor)),
            InvalidArgument,
            "CURSOR_INVALID"
        ),
        line!(
            "another direction's",
            kv.scan(reversed),
            InvalidArgument,
            "CURSOR_INVALID"
        ),
        line!(
            "another prefix'",
            kv.scan(narrowed),
            InvalidArgument,
            "CURSOR_INVALID"
        ),
        line!(
            "a cursor and a revision",
            kv.scan(at_revision),
            InvalidArgument,
            "FIELDS_CONFLICT"
        ),
    ]);
    site.stop().await;
}

/// Sends bytes as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message() {
    let site = with_topic().await;
    let before = revision(&site).await;
    let mut raw = tonic::client::Grpc::new(site.channel());
    let paths = [
        "/engine.v1.Kv/Put",
        "/engine.v1.Commit/Commit",
        "/engine.v1.Log/Fetch",
        "/engine.v1.Cluster/AddLearner",
    ];
    for path in paths {
        for garbage in [&[0xff; 64][..], b"\x12\xff\xff\xff\xff\x0f", b"\x0a"] {
            raw.ready().await.expect("a connection");
            let answer = raw
                .unary(
                    Request::new(Bytes::copy_from_slice(garbage)),
                    PathAndQuery::from_static(path),
                    Raw,
                )
                .await;
            let status = refused("garbage", answer);
            let known = [Code::Internal, Code::InvalidArgument];
            assert!(known.contains(&status.code()), "{path}: {status:?}");
        }
    }
    raw.ready().await.expect("a connection");
    let unknown = raw
        .unary(
            Request::new(Bytes::new()),
            PathAndQuery::from_static("/engine.v1.Kv/Nothing"),
            Raw,
        )
        .await;
    assert_eq!(refused("no method", unknown).code(), Code::Unimplemented);
    assert_eq!(
        revision(&site).await,
        before,
        "it serves, and nothing changed"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit() {
    let site = with_topic().await;
    let before = revision(&site).await;
    let request = pb::PutRequest {
        row: row("a"),
        value: vec![0; limits::REQUEST_BYTES_MAX].into(),
        ..pb::PutRequest::default()
    };
    let status = refused("9 MiB", site.kv().put(request).await);
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(
        revision(&site).await,
        before,
        "it serves, and nothing changed"
    );
    site.stop().await;
}
