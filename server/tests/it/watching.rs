//! Watches through gRPC: live and from the past, on any node, cut off when slow, refused when bad.

use std::time::Duration;

use bytes::Bytes;
use engine_proto::v1 as pb;
use engine_proto::v1::commit_client::CommitClient;
use engine_proto::v1::kv_client::KvClient;
use engine_proto::v1::op::Op as Wire;
use engine_proto::v1::watch_client::WatchClient;
use engine_proto::v1::watch_event::Change;
use engine_proto::v1::watch_request::Keys;
use engine_server::AdmissionLimits;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::site::{Site, put, reason, row};

const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

fn client(channel: Channel) -> WatchClient<Channel> {
    WatchClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

fn watch(keys: Option<Keys>, from_revision: Option<u64>) -> pb::WatchRequest {
    pb::WatchRequest {
        keyspace: "default".to_owned(),
        keys,
        from_revision,
        progress_ms: 100,
        ..pb::WatchRequest::default()
    }
}

async fn begin(channel: Channel, request: pb::WatchRequest) -> Streaming<pb::WatchResponse> {
    let begun = client(channel).watch(request).await.expect("a watch");
    let mut stream = begun.into_inner();
    let first = stream
        .message()
        .await
        .expect("no failure")
        .expect("a first message");
    assert!(
        first.commits.is_empty(),
        "the first message says where it begins"
    );
    stream
}

/// Begins once nobody else watches a node that takes one watcher.
async fn begin_once_there_is_room(
    site: &Site,
    request: pb::WatchRequest,
) -> Streaming<pb::WatchResponse> {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1_000 {
        beat.tick().await;
        match client(site.channel()).watch(request.clone()).await {
            Ok(begun) => return begun.into_inner(),
            Err(status) => assert_eq!(reason(&status), "OVERLOADED"),
        }
    }
    panic!("nobody was cut off within 20 seconds");
}

/// Reads until so many commits were told, or the stream fails; parts are put together.
async fn read(
    stream: &mut Streaming<pb::WatchResponse>,
    count: usize,
) -> Result<Vec<pb::WatchedCommit>, (Vec<pb::WatchedCommit>, Status)> {
    let mut commits: Vec<pb::WatchedCommit> = Vec::new();
    while commits.len() < count || commits.last().is_some_and(|last| last.more) {
        let message = tokio::time::timeout(Duration::from_secs(20), stream.message());
        let message = match message.await.expect("news within 20 seconds") {
            Ok(message) => message.expect("the stream goes on"),
            Err(status) => return Err((commits, status)),
        };
        for commit in message.commits {
            match commits.last_mut().filter(|last| last.more) {
                Some(last) => {
                    last.events.extend(commit.events);
                    last.more = commit.more;
                }
                None => commits.push(commit),
            }
        }
    }
    Ok(commits)
}

fn told(commits: &[pb::WatchedCommit]) -> Vec<(u64, String)> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let events = commits.iter().flat_map(|commit| {
        let told = commit.events.iter().map(|event| match &event.change {
            Some(Change::Put(row)) => format!("{}={}", text(&row.key), text(&row.value)),
            Some(Change::Deleted(key)) => format!("-{}", text(key)),
            Some(Change::RangeDeleted(range)) => format!("-{}..", text(&range.start)),
            other => format!("{other:?}"),
        });
        told.map(|told| (commit.revision, told)).collect::<Vec<_>>()
    });
    events.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_as_they_happen_and_from_the_past_on_any_node() {
    let site = Site::of(3, |_| ()).await;
    let (leader, follower) = site.leader_and_follower().await;
    let (leader, follower) = (leader.channel.clone(), follower.channel.clone());
    let mut kv = KvClient::new(leader.clone());
    let mut live = begin(follower.clone(), watch(None, None)).await;
    let mut only_b = begin(follower.clone(), watch(Some(Keys::Key("b".into())), None)).await;
    let first = kv.put(put("a", "1")).await.expect("a put").into_inner();
    let from = first.header.expect("a header").revision;
    kv.put(put("b", "2")).await.expect("a put");
    let ops = [
        Wire::Put(pb::PutOp {
            row: row("a"),
            value: "3".into(),
            expiry: None,
        }),
        Wire::Delete(pb::DeleteOp { row: row("b") }),
    ];
    let commit = pb::CommitRequest {
        ops: ops.map(|op| pb::Op { op: Some(op) }).to_vec(),
        ..pb::CommitRequest::default()
    };
    let mut commits = CommitClient::new(leader.clone());
    commits.commit(commit).await.expect("a commit");

    let expected = [
        (from, "a=1"),
        (from + 1, "b=2"),
        (from + 2, "a=3"),
        (from + 2, "-b"),
    ]
    .map(|(revision, told)| (revision, told.to_owned()));
    let seen = read(&mut live, 3).await.expect("no failure");
    assert_eq!(told(&seen), expected);
    assert_eq!(seen[2].events.len(), 2, "one commit is one");
    let seen = read(&mut only_b, 2).await.expect("no failure");
    assert_eq!(told(&seen), [expected[1].clone(), expected[3].clone()]);

    // From the past, on either node; with what stood there before.
    for node in [leader, follower] {
        let mut request = watch(Some(Keys::Prefix("a".into())), Some(from + 1));
        request.previous = true;
        let mut past = begin(node, request).await;
        let seen = read(&mut past, 1).await.expect("no failure");
        assert_eq!(told(&seen), [expected[2].clone()]);
        let previous = seen[0].events[0].previous.as_ref().expect("it was there");
        assert_eq!(
            (previous.mod_revision, &previous.value[..]),
            (from, &b"1"[..])
        );
    }
    drop((live, only_b));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_watch_says_how_far_it_is() {
    let site = Site::one().await;
    let mut quiet = begin(site.channel(), watch(Some(Keys::Key("quiet".into())), None)).await;
    let put = site.kv().put(put("loud", "1")).await.expect("a put");
    let revision = put.into_inner().header.expect("a header").revision;
    loop {
        let message = quiet
            .message()
            .await
            .expect("no failure")
            .expect("it goes on");
        assert!(message.commits.is_empty());
        if message.upto_revision >= revision {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_keyspace_is_the_last_that_is_told() {
    let site = Site::one().await;
    let create = pb::CreateKeyspaceRequest {
        name: "gone".to_owned(),
        ..pb::CreateKeyspaceRequest::default()
    };
    site.keyspaces().create(create).await.expect("it is made");
    let mut request = watch(Some(Keys::Key("k".into())), None);
    request.keyspace = "gone".to_owned();
    let mut stream = begin(site.channel(), request.clone()).await;
    let drop = pb::DropKeyspaceRequest {
        name: "gone".to_owned(),
        ..pb::DropKeyspaceRequest::default()
    };
    site.keyspaces().drop(drop).await.expect("it is dropped");
    let seen = read(&mut stream, 1).await.expect("no failure");
    assert_eq!(
        seen[0].events[0].change,
        Some(Change::KeyspaceDropped(true))
    );
    assert!(
        stream.message().await.expect("no failure").is_none(),
        "it ends"
    );
    let status = client(site.channel())
        .watch(request)
        .await
        .expect_err("it is gone");
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::NotFound, "UNKNOWN_KEYSPACE".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_cut_off_and_misses_nothing() {
    let limits = AdmissionLimits {
        stalled_max: Duration::from_millis(100),
        waits_max: 1,
        ..AdmissionLimits::default()
    };
    let site = Site::of(1, |config| config.admission = limits).await;
    let mut slow = begin(site.channel(), watch(None, None)).await;
    let value = "v".repeat(700_000);
    let mut revisions = Vec::new();
    for number in 0..40 {
        let put = site.kv().put(put(&format!("k{number}"), &value)).await;
        let header = put.expect("a put").into_inner().header;
        revisions.push(header.expect("a header").revision);
    }
    drop(begin_once_there_is_room(&site, watch(None, None)).await);
    let (mut seen, status) = read(&mut slow, revisions.len())
        .await
        .expect_err("it was cut off");
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::ResourceExhausted, "WATCHER_TOO_SLOW".to_owned())
    );
    let info = status.get_details_error_info().expect("details");
    let resume: u64 = info.metadata["resume_revision"].parse().expect("a number");
    let missing = revisions
        .iter()
        .filter(|revision| **revision >= resume)
        .count();
    assert_eq!(
        seen.len() + missing,
        revisions.len(),
        "resumed where it ended"
    );
    let mut again = begin_once_there_is_room(&site, watch(None, Some(resume))).await;
    seen.extend(read(&mut again, missing).await.expect("who reads is told"));
    let seen: Vec<_> = seen.iter().map(|commit| commit.revision).collect();
    assert_eq!(seen, revisions);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_watches_are_refused() {
    let site = Site::one().await;
    let range = |start: &str, end: &str| {
        Some(Keys::Range(pb::WatchRange {
            start: start.to_owned().into(),
            end: Some(end.to_owned().into()),
        }))
    };
    let with = |touch: fn(&mut pb::WatchRequest)| {
        let mut request = watch(None, None);
        touch(&mut request);
        request
    };
    let table = [
        (watch(range("b", "b"), None), "RANGE_EMPTY"),
        (watch(range("b", "a"), None), "RANGE_EMPTY"),
        (watch(Some(Keys::Key(Bytes::new())), None), "KEY_EMPTY"),
        (
            watch(Some(Keys::Key(vec![0; 40_000].into())), None),
            "KEY_TOO_LONG",
        ),
        (watch(None, Some(0)), "REVISION_COMPACTED"),
        (watch(None, Some(u64::MAX)), "REVISION_IN_FUTURE"),
        (
            with(|request| request.progress_ms = 99),
            "FIELD_OUT_OF_RANGE",
        ),
        (
            with(|request| request.progress_ms = u32::MAX),
            "FIELD_OUT_OF_RANGE",
        ),
        (
            with(|request| request.keyspace = "nowhere".to_owned()),
            "UNKNOWN_KEYSPACE",
        ),
        (
            with(|request| request.keyspace = String::new()),
            "NAME_INVALID",
        ),
        (with(|request| request.group = 9), "UNKNOWN_GROUP"),
        (
            with(|request| request.consistency = 9),
            "FIELD_OUT_OF_RANGE",
        ),
    ];
    for (request, expected) in table {
        let status = client(site.channel()).watch(request.clone()).await;
        let status = status.expect_err("it is bad");
        assert_eq!(reason(&status), expected, "{request:?}");
    }
    for (from_revision, expected) in [(0, "REVISION_COMPACTED"), (999, "REVISION_IN_FUTURE")] {
        let request = pb::ChangesRequest {
            from_revision,
            ..pb::ChangesRequest::default()
        };
        let status = client(site.channel())
            .changes(request)
            .await
            .expect_err("it is bad");
        assert_eq!(reason(&status), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_commit_can_be_told_again() {
    let site = Site::one().await;
    let old = site.kv().put(put("k", "old")).await.expect("a put");
    let old = old.into_inner().header.expect("a header").revision;
    site.kv().put(put("k", "new")).await.expect("a put");
    let request = pb::ChangesRequest {
        from_revision: old + 1,
        limit: 1,
        ..pb::ChangesRequest::default()
    };
    let page = client(site.channel())
        .changes(request)
        .await
        .expect("a page")
        .into_inner();
    assert_eq!((page.commits.len(), page.next_revision), (1, old + 2));
    let event = page.commits[0].rows[0].event.as_ref().expect("an event");
    let previous = event.previous.as_ref().expect("it was there");
    assert_eq!(&previous.value[..], b"old");
    assert_eq!(page.commits[0].rows[0].keyspace, "default");
}
