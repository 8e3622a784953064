//! Versioned keyspaces through gRPC: what is kept, how it is read, how it comes back.

use engine_proto::v1 as pb;
use engine_proto::v1::op::Op as Wire;
use engine_proto::v1::op_result::Result as Done;
use tonic::Code::{FailedPrecondition, InvalidArgument, NotFound};
use tonic::Status;

use crate::site::{Site, put, reason, row};

#[expect(
    clippy::unnecessary_wraps,
    reason = "a message field is an Option in the generated code"
)]
fn doc(key: &str) -> Option<pb::RowRef> {
    Some(pb::RowRef {
        keyspace: "docs".to_owned(),
        key: key.to_owned().into(),
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a message field is an Option in the generated code"
)]
fn options(versioned: bool) -> Option<pb::KeyspaceOptions> {
    Some(pb::KeyspaceOptions {
        versioned,
        ..pb::KeyspaceOptions::default()
    })
}

/// A node with a versioned keyspace.
async fn with_docs() -> Site {
    let site = Site::one().await;
    let create = pb::CreateKeyspaceRequest {
        name: "docs".to_owned(),
        group: 0,
        options: options(true),
    };
    site.keyspaces().create(create).await.expect("create");
    site
}

/// Writes a row; the revision of it.
async fn write(site: &Site, row: Option<pb::RowRef>, value: &str) -> u64 {
    let request = pb::PutRequest {
        row,
        ..put("", value)
    };
    let answer = site.kv().put(request).await.expect("put").into_inner();
    answer.header.expect("a header").revision
}

async fn delete(site: &Site, row: Option<pb::RowRef>) -> u64 {
    let request = pb::DeleteRequest {
        row,
        ..pb::DeleteRequest::default()
    };
    let answer = site.kv().delete(request).await.expect("delete");
    answer.into_inner().header.expect("a header").revision
}

async fn value(site: &Site, row: Option<pb::RowRef>) -> Option<String> {
    let request = pb::GetRequest {
        row,
        ..pb::GetRequest::default()
    };
    let found = site.kv().get(request).await.expect("get").into_inner().row;
    found.map(|row| String::from_utf8(row.value.to_vec()).expect("text"))
}

async fn one(site: &Site, op: Wire) -> Result<Done, Status> {
    let request = pb::CommitRequest {
        ops: vec![pb::Op { op: Some(op) }],
        ..pb::CommitRequest::default()
    };
    let answer = site.commit().commit(request).await?.into_inner();
    let result = answer.results.into_iter().next().expect("one op");
    Ok(result.result.expect("a result"))
}

fn undelete(row: Option<pb::RowRef>) -> Wire {
    Wire::Undelete(pb::UndeleteOp { row })
}

fn revert(row: Option<pb::RowRef>, to_revision: u64) -> Wire {
    Wire::Revert(pb::RevertOp { row, to_revision })
}

fn restored(from_revision: u64, version: u64) -> Done {
    Done::Restored(pb::Restored {
        from_revision,
        version,
    })
}

async fn versions(site: &Site, row: Option<pb::RowRef>) -> pb::VersionsResponse {
    let request = pb::VersionsRequest {
        row,
        ..pb::VersionsRequest::default()
    };
    let answer = site.kv().versions(request).await;
    answer.expect("versions").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_and_deleted_can_be_read_and_comes_back() {
    let site = with_docs().await;
    let first = write(&site, doc("a"), "v1").await;
    let second = write(&site, doc("a"), "v2").await;
    let gone = delete(&site, doc("a")).await;
    assert_eq!(value(&site, doc("a")).await, None);

    let page = versions(&site, doc("a")).await;
    let listed: Vec<_> = page
        .versions
        .iter()
        .map(|one| {
            (
                one.revision,
                one.is_delete_marker,
                one.version,
                &one.value[..],
            )
        })
        .collect();
    let expected = [
        (gone, true, 0, &b""[..]),
        (second, false, 2, b"v2"),
        (first, false, 1, b"v1"),
    ];
    assert_eq!(listed, expected);
    assert!(page.kept && !page.more);
    let mut at = pb::VersionRequest {
        row: doc("a"),
        revision: first,
        ..pb::VersionRequest::default()
    };
    let read = site.kv().version(at.clone()).await.expect("version");
    let read = read.into_inner().version.expect("it is kept");
    assert_eq!((read.version, &read.value[..]), (1, &b"v1"[..]));
    at.revision = gone + 1;
    let none = site.kv().version(at).await.expect("version").into_inner();
    assert_eq!(none.version, None);

    let done = one(&site, undelete(doc("a"))).await.expect("undelete");
    assert_eq!(done, restored(second, 1));
    assert_eq!(value(&site, doc("a")).await.as_deref(), Some("v2"));
    let done = one(&site, revert(doc("a"), first)).await.expect("revert");
    assert_eq!(done, restored(first, 2));
    assert_eq!(value(&site, doc("a")).await.as_deref(), Some("v1"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_come_in_pages() {
    let site = with_docs().await;
    let mut written = Vec::new();
    for number in 0..5 {
        written.push(write(&site, doc("a"), &number.to_string()).await);
    }
    let mut request = pb::VersionsRequest {
        row: doc("a"),
        limit: 2,
        ..pb::VersionsRequest::default()
    };
    let mut walked = Vec::new();
    loop {
        let page = site.kv().versions(request.clone()).await;
        let page = page.expect("versions").into_inner();
        walked.extend(page.versions.iter().map(|one| one.revision));
        request.before = walked.last().copied();
        if !page.more {
            break;
        }
        assert_eq!(page.versions.len(), 2);
    }
    written.reverse();
    assert_eq!(walked, written);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_come_back_is_refused_in_words() {
    let site = with_docs().await;
    let written = write(&site, doc("a"), "v1").await;
    write(&site, row("plain"), "p1").await;
    let add = |row| {
        Wire::SetAdd(pb::SetAddOp {
            row,
            members: vec!["m".into()],
            expiry: None,
        })
    };
    one(&site, add(row("set"))).await.expect("a set elsewhere");
    let cases = [
        (undelete(doc("a")), FailedPrecondition, "ROW_EXISTS"),
        (undelete(doc("b")), NotFound, "NOTHING_TO_RESTORE"),
        (undelete(row("plain")), FailedPrecondition, "NOT_VERSIONED"),
        (revert(doc("a"), written + 7), NotFound, "UNKNOWN_VERSION"),
        (revert(doc("b"), written), NotFound, "UNKNOWN_VERSION"),
        (revert(row("plain"), 1), NotFound, "UNKNOWN_VERSION"),
        (add(doc("set")), FailedPrecondition, "PLAIN_VALUES_ONLY"),
        (undelete(None), InvalidArgument, "MISSING_FIELD"),
    ];
    for (op, code, word) in cases {
        let refused = one(&site, op.clone()).await.expect_err(word);
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (code, word),
            "{op:?}"
        );
    }
    let of_set = pb::VersionsRequest {
        row: row("set"),
        ..pb::VersionsRequest::default()
    };
    let refused = site.kv().versions(of_set).await.expect_err("a set");
    assert_eq!(reason(&refused), "WRONG_KIND");
    let nowhere = pb::VersionsRequest {
        row: Some(pb::RowRef {
            keyspace: "nowhere".to_owned(),
            key: "k".into(),
        }),
        ..pb::VersionsRequest::default()
    };
    let refused = site.kv().versions(nowhere).await.expect_err("no keyspace");
    assert_eq!(reason(&refused), "UNKNOWN_KEYSPACE");
    let alter = pb::AlterKeyspaceRequest {
        name: "default".to_owned(),
        options: options(true),
        group: 0,
    };
    let refused = site
        .keyspaces()
        .alter(alter)
        .await
        .expect_err("it has a set");
    assert_eq!(reason(&refused), "COMMAND_INVALID");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_that_keeps_nothing_shows_its_recent_history() {
    let site = Site::one().await;
    let first = write(&site, row("a"), "v1").await;
    write(&site, row("a"), "v2").await;
    let page = versions(&site, row("a")).await;
    assert!(!page.kept);
    assert_eq!(page.versions.len(), 2);
    let done = one(&site, revert(row("a"), first)).await.expect("revert");
    assert_eq!(done, restored(first, 3));
    assert_eq!(value(&site, row("a")).await.as_deref(), Some("v1"));
    site.stop().await;
}
