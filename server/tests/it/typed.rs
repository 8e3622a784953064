//! Keyspaces with options, ends of rows, numbers, sets, hashes and batches, through gRPC.

use bytes::Bytes;
use engine::limits;
use engine_proto::v1 as pb;
use engine_proto::v1::number_op::Change;
use engine_proto::v1::op::Op as Wire;
use engine_proto::v1::op_result::Result as Done;
use tonic::Code::{
    self, FailedPrecondition, InvalidArgument, NotFound, OutOfRange, ResourceExhausted,
};

use crate::site::{Site, get, put, reason, row};

#[expect(
    clippy::unnecessary_wraps,
    reason = "a message field is an Option in the generated code"
)]
fn expiry(end: pb::expiry::End) -> Option<pb::Expiry> {
    Some(pb::Expiry { end: Some(end) })
}

fn after(ms: u64) -> Option<pb::Expiry> {
    expiry(pb::expiry::End::AfterMs(ms))
}

fn number(key: &str, change: Change) -> Wire {
    Wire::Number(pb::NumberOp {
        row: row(key),
        change: Some(change),
        expiry: None,
    })
}

fn set_add(key: &str, members: &[&str]) -> Wire {
    Wire::SetAdd(pb::SetAddOp {
        row: row(key),
        members: members
            .iter()
            .map(|m| Bytes::from((*m).to_owned()))
            .collect(),
        expiry: None,
    })
}

fn hash_set(key: &str, fields: &[(&str, &str)]) -> Wire {
    let fields = fields.iter().map(|(name, value)| pb::Field {
        name: Bytes::from((*name).to_owned()),
        value: Bytes::from((*value).to_owned()),
    });
    Wire::HashSet(pb::HashSetOp {
        row: row(key),
        fields: fields.collect(),
        expiry: None,
    })
}

fn commit(ops: Vec<Wire>) -> pb::CommitRequest {
    pb::CommitRequest {
        ops: ops.into_iter().map(|op| pb::Op { op: Some(op) }).collect(),
        ..pb::CommitRequest::default()
    }
}

async fn done(site: &Site, ops: Vec<Wire>) -> Vec<Done> {
    let answer = site.commit().commit(commit(ops)).await.expect("a commit");
    let results = answer.into_inner().results.into_iter();
    results.map(|one| one.result.expect("a result")).collect()
}

fn changed(changed: u64, count: u64) -> Done {
    Done::Members(pb::MembersChanged { changed, count })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_reads_rows_back_within_its_limit() {
    let site = Site::one().await;
    let big = "x".repeat(limits::COMMIT_READ_BYTES_MAX / 2);
    site.kv().put(put("a", &big)).await.expect("put");
    let read = || Wire::Read(pb::ReadOp { row: row("a") });
    let remove = Wire::Delete(pb::DeleteOp { row: row("a") });
    let results = done(&site, vec![read(), remove, read()]).await;
    let found = |result: &Done| match result {
        Done::Read(read) => read
            .row
            .as_ref()
            .map(|row| (row.value.len(), row.mod_revision)),
        other => panic!("{other:?}"),
    };
    assert_eq!(found(&results[0]), Some((big.len(), 1)));
    assert_eq!(results[1], Done::Deleted(true));
    assert_eq!(found(&results[2]), None);

    site.kv().put(put("a", &big)).await.expect("put");
    let twice = commit(vec![read(), read()]);
    let refused = site.commit().commit(twice).await.expect_err("too much");
    assert_eq!(reason(&refused), "COMMAND_INVALID");
    assert!(refused.message().contains("256 KiB"), "{refused:?}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_ops_answer_what_they_did() {
    let site = Site::one().await;
    let ops = vec![
        number("n", Change::Add(-3)),
        Wire::Append(pb::AppendOp {
            row: row("text"),
            suffix: "tail".into(),
            expiry: None,
        }),
        set_add("set", &["b", "a", "b"]),
        hash_set("hash", &[("f", "1"), ("g", "2")]),
        Wire::Expire(pb::ExpireOp {
            row: row("nothing"),
            expiry: after(1),
        }),
    ];
    let answers = done(&site, ops).await;
    let expected = [
        Done::Number(-3),
        Done::AppendedLen(4),
        changed(2, 2),
        changed(2, 2),
        Done::Expires(false),
    ];
    assert_eq!(answers, expected);
    let remove = Wire::HashRemove(pb::HashRemoveOp {
        row: row("hash"),
        fields: vec!["f".into(), "x".into()],
    });
    let again = vec![
        number("n", Change::Max(7)),
        set_add("set", &["a", "c"]),
        remove,
    ];
    let answers = done(&site, again).await;
    assert_eq!(answers, [Done::Number(7), changed(1, 3), changed(1, 1)]);

    let mut kv = site.kv();
    let set = kv
        .get(get("set"))
        .await
        .expect("get")
        .into_inner()
        .row
        .expect("a row");
    assert_eq!(
        (set.kind(), set.members, set.value.len()),
        (pb::RowKind::Set, 3, 0)
    );
    let mut page = pb::MembersRequest {
        row: row("set"),
        limit: 2,
        ..pb::MembersRequest::default()
    };
    let first = kv
        .members(page.clone())
        .await
        .expect("members")
        .into_inner();
    assert!(first.exists && first.more);
    page.after = first.members.last().map(|member| member.name.clone());
    let second = kv.members(page).await.expect("members").into_inner();
    let members = first.members.iter().chain(&second.members);
    let members: Vec<_> = members.map(|member| member.name.clone()).collect();
    assert_eq!(
        (members, second.more),
        (vec!["a".into(), "b".into(), "c".into()], false)
    );
    let field = |member: &str| pb::MemberRequest {
        row: row("hash"),
        member: member.to_owned().into(),
        ..pb::MemberRequest::default()
    };
    let found = kv.member(field("g")).await.expect("member").into_inner();
    assert_eq!(found.value, Some("2".into()));
    let gone = kv.member(field("f")).await.expect("member").into_inner();
    assert_eq!(gone.value, None);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_ends_is_gone_by_itself() {
    let site = Site::one().await;
    let mut kv = site.kv();
    let short = pb::PutRequest {
        expiry: after(150),
        ..put("short", "v")
    };
    kv.put(short).await.expect("put");
    let row = kv.get(get("short")).await.expect("get").into_inner().row;
    assert!(
        row.is_some_and(|row| row.expires_at_ms.is_some()),
        "it is there until then"
    );
    let written = kv.put(put("long", "v")).await.expect("put").into_inner();
    let mut last = written.header.expect("a header").revision;
    // The sweep makes a revision of its own: nobody else writes here.
    while last == written.header.expect("a header").revision {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let read = kv.get(get("short")).await.expect("get").into_inner();
        last = read.header.expect("a header").revision;
    }
    let read = kv.get(get("short")).await.expect("get").into_inner();
    assert_eq!(read.row, None);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keyspaces_are_made_altered_listed_and_dropped() {
    let site = Site::one().await;
    let (mut keyspaces, mut kv) = (site.keyspaces(), site.kv());
    let options = |default_ttl_ms| {
        Some(pb::KeyspaceOptions {
            default_ttl_ms,
            ..pb::KeyspaceOptions::default()
        })
    };
    let create = pb::CreateKeyspaceRequest {
        name: "users".to_owned(),
        group: 0,
        options: options(Some(60_000)),
    };
    keyspaces.create(create.clone()).await.expect("create");
    let user = Some(pb::RowRef {
        keyspace: "users".to_owned(),
        key: "alice".into(),
    });
    let put = pb::PutRequest {
        row: user.clone(),
        ..put("", "v")
    };
    kv.put(put.clone()).await.expect("put");
    let alter = pb::AlterKeyspaceRequest {
        name: "users".to_owned(),
        options: options(None),
        group: 0,
    };
    keyspaces.alter(alter).await.expect("alter");
    let list = keyspaces.list(pb::ListKeyspacesRequest { group: 0 }).await;
    let list = list.expect("list").into_inner().keyspaces;
    let names: Vec<_> = list
        .iter()
        .map(|one| (one.name.as_str(), one.options))
        .collect();
    assert_eq!(
        names,
        [("default", options(None)), ("users", options(None))]
    );
    let read = pb::GetRequest {
        row: user,
        ..pb::GetRequest::default()
    };
    let row = kv.get(read.clone()).await.expect("get").into_inner().row;
    assert!(
        row.expect("a row").expires_at_ms.is_some(),
        "it keeps its end"
    );

    let drop = |name: &str| pb::DropKeyspaceRequest {
        name: name.to_owned(),
        group: 0,
    };
    keyspaces.drop(drop("users")).await.expect("drop");
    let gone = kv.get(read.clone()).await.expect_err("no keyspace");
    assert_eq!(
        (gone.code(), reason(&gone).as_str()),
        (NotFound, "UNKNOWN_KEYSPACE")
    );
    keyspaces.create(create).await.expect("create again");
    let row = kv.get(read).await.expect("get").into_inner().row;
    assert_eq!(row, None, "a new keyspace of an old name is empty");
    let refused = keyspaces
        .drop(drop("default"))
        .await
        .expect_err("always there");
    assert_eq!(reason(&refused), "COMMAND_INVALID");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_holds_no_more_than_its_quota() {
    let site = Site::one().await;
    let (mut keyspaces, mut kv) = (site.keyspaces(), site.kv());
    let create = pb::CreateKeyspaceRequest {
        name: "users".to_owned(),
        group: 0,
        options: Some(pb::KeyspaceOptions {
            rows_max: Some(2),
            bytes_max: Some(100),
            uncached: true,
            ..pb::KeyspaceOptions::default()
        }),
    };
    keyspaces.create(create.clone()).await.expect("create");
    let put = |key: &str, value: &str| pb::PutRequest {
        row: Some(pb::RowRef {
            keyspace: "users".to_owned(),
            key: key.to_owned().into(),
        }),
        ..put("", value)
    };
    kv.put(put("a", "1")).await.expect("there is room");
    kv.put(put("b", "22")).await.expect("there is room");
    for (key, value) in [("c", "3".to_owned()), ("a", "x".repeat(100))] {
        let refused = kv.put(put(key, &value)).await.expect_err("there is none");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (ResourceExhausted, "QUOTA_REACHED")
        );
    }
    let list = keyspaces.list(pb::ListKeyspacesRequest { group: 0 }).await;
    let list = list.expect("list").into_inner().keyspaces;
    assert_eq!(list[1].options, create.options);
    let usage = pb::KeyspaceUsage {
        rows: 2,
        bytes: 5,
        complete: true,
    };
    assert_eq!((list[0].usage, list[1].usage), (None, Some(usage)));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_of_one_moment() {
    let site = Site::one().await;
    let mut kv = site.kv();
    kv.put(put("a", "1")).await.expect("put");
    kv.put(put("b", "2")).await.expect("put");
    let batch = pb::BatchGetRequest {
        rows: ["b", "x", "a"].into_iter().filter_map(row).collect(),
        ..pb::BatchGetRequest::default()
    };
    let answer = kv
        .batch_get(batch.clone())
        .await
        .expect("batch")
        .into_inner();
    let values = answer
        .items
        .into_iter()
        .map(|item| item.row.map(|row| row.value));
    assert_eq!(
        values.collect::<Vec<_>>(),
        [Some("2".into()), None, Some("1".into())]
    );
    let past = pb::BatchGetRequest {
        revision: Some(1),
        ..batch.clone()
    };
    let answer = kv.batch_get(past).await.expect("batch").into_inner();
    assert_eq!(
        answer
            .items
            .iter()
            .filter(|item| item.row.is_some())
            .count(),
        1
    );
    let many = pb::BatchGetRequest {
        rows: batch
            .rows
            .into_iter()
            .cycle()
            .take(limits::BATCH_ROWS_MAX + 1)
            .collect(),
        ..pb::BatchGetRequest::default()
    };
    let refused = kv.batch_get(many).await.expect_err("too many");
    assert_eq!(reason(&refused), "TOO_MANY_ROWS");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_name() {
    let site = Site::one().await;
    let mut kv = site.kv();
    kv.put(put("text", "no number")).await.expect("put");
    kv.put(put("most", &i64::MAX.to_string()))
        .await
        .expect("put");
    done(&site, vec![set_add("set", &["a"])]).await;
    let before = kv.get(get("set")).await.expect("get").into_inner().header;
    let long = "m".repeat(limits::MEMBER_BYTES_MAX + 1);
    let many: Vec<String> = (0..=limits::COMMIT_OPS_MAX)
        .map(|n| n.to_string())
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let large = "v".repeat(limits::VALUE_BYTES_MAX);
    let append = |suffix: &str| {
        Wire::Append(pb::AppendOp {
            row: row("text"),
            suffix: Bytes::from(suffix.to_owned()),
            expiry: None,
        })
    };
    let ending = |expiry| {
        Wire::Put(pb::PutOp {
            row: row("x"),
            value: "v".into(),
            expiry,
        })
    };
    let no_change = Wire::Number(pb::NumberOp {
        row: row("n"),
        ..pb::NumberOp::default()
    });
    let cases: Vec<(&str, Wire, Code, &str)> = vec![
        (
            "a text plus one",
            number("text", Change::Add(1)),
            FailedPrecondition,
            "NOT_A_NUMBER",
        ),
        (
            "the most plus one",
            number("most", Change::Add(1)),
            OutOfRange,
            "NUMBER_OVERFLOW",
        ),
        (
            "a set plus one",
            number("set", Change::Add(1)),
            FailedPrecondition,
            "WRONG_KIND",
        ),
        (
            "a field of a set",
            hash_set("set", &[("f", "")]),
            FailedPrecondition,
            "WRONG_KIND",
        ),
        (
            "a member of a text",
            set_add("text", &["a"]),
            FailedPrecondition,
            "WRONG_KIND",
        ),
        (
            "no member",
            set_add("set", &[]),
            InvalidArgument,
            "MISSING_FIELD",
        ),
        (
            "a long member",
            set_add("set", &[&long]),
            InvalidArgument,
            "MEMBER_TOO_LONG",
        ),
        (
            "many members",
            set_add("set", &many),
            InvalidArgument,
            "TOO_MANY_OPS",
        ),
        (
            "no field",
            hash_set("hash", &[]),
            InvalidArgument,
            "MISSING_FIELD",
        ),
        (
            "a long value",
            append(&large),
            ResourceExhausted,
            "LIMIT_REACHED",
        ),
        (
            "a number and no change",
            no_change,
            InvalidArgument,
            "MISSING_FIELD",
        ),
        (
            "no time",
            ending(after(0)),
            InvalidArgument,
            "FIELD_OUT_OF_RANGE",
        ),
        (
            "a century",
            ending(after(u64::MAX)),
            InvalidArgument,
            "FIELD_OUT_OF_RANGE",
        ),
        (
            "the past",
            ending(expiry(pb::expiry::End::AtMs(5))),
            InvalidArgument,
            "EXPIRY_IN_THE_PAST",
        ),
        (
            "an empty end",
            ending(Some(pb::Expiry::default())),
            InvalidArgument,
            "MISSING_FIELD",
        ),
        (
            "not never",
            ending(expiry(pb::expiry::End::Never(false))),
            InvalidArgument,
            "MISSING_FIELD",
        ),
    ];
    for (what, op, code, word) in cases {
        // Beside a good op, which must not be done either.
        let ops = vec![number("beside", Change::Add(1)), op];
        let refused = site.commit().commit(commit(ops)).await.expect_err(what);
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (code, word),
            "{what}"
        );
    }
    let beside = kv.get(get("beside")).await.expect("get").into_inner();
    assert_eq!(beside.row, None, "a refused commit has done nothing");
    let revision = |header: Option<pb::ResponseHeader>| header.map(|header| header.revision);
    assert_eq!(revision(beside.header), revision(before));
    let members = pb::MembersRequest {
        row: row("text"),
        ..pb::MembersRequest::default()
    };
    let refused = kv.members(members).await.expect_err("a text has none");
    assert_eq!(reason(&refused), "WRONG_KIND");
    site.stop().await;
}
