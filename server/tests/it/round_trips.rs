//! Every method answers what was asked.

use engine_proto::v1 as pb;
use engine_proto::v1::op_result::Result as Done;
use engine_proto::v1::row_guard::Condition;

use crate::site::{Site, get, put, put_op, row};

#[tokio::test(flavor = "multi_thread")]
async fn rows() {
    let site = Site::one().await;
    let mut kv = site.kv();

    let first = kv.put(put("a", "1")).await.expect("put").into_inner();
    assert_eq!(first.version, 1);
    let header = first.header.expect("a header");
    assert_eq!(
        (header.cluster_id, header.node_id, header.group),
        (77, 1, 0)
    );
    assert!(header.term > 0 && header.revision > 0);
    let second = kv.put(put("a", "2")).await.expect("put").into_inner();
    assert_eq!(second.version, 2);

    let read = kv.get(get("a")).await.expect("get").into_inner();
    let found = read.row.expect("the row is there");
    assert_eq!(found.value, "2");
    assert_eq!(found.create_revision, header.revision);
    assert!(found.mod_revision > found.create_revision);
    let old = pb::GetRequest {
        revision: Some(header.revision),
        consistency: pb::Consistency::Local.into(),
        ..get("a")
    };
    let old = kv.get(old).await.expect("get the past").into_inner();
    assert_eq!(old.row.expect("it was there").value, "1");
    assert_eq!(old.header.expect("a header").revision, header.revision);
    let absent = kv.get(get("b")).await.expect("get").into_inner();
    assert_eq!(absent.row, None);

    let delete = pb::DeleteRequest {
        row: row("a"),
        ..pb::DeleteRequest::default()
    };
    assert!(
        kv.delete(delete.clone())
            .await
            .expect("delete")
            .into_inner()
            .existed
    );
    assert!(
        !kv.delete(delete)
            .await
            .expect("delete again")
            .into_inner()
            .existed
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guards_are_answers() {
    let site = Site::one().await;
    let mut kv = site.kv();
    let guarded = |condition| pb::PutRequest {
        guard: Some(pb::RowGuard {
            condition: Some(condition),
        }),
        ..put("a", "new")
    };
    let revision = kv.put(put("a", "1")).await.expect("put").into_inner();
    let revision = revision.header.expect("a header").revision;
    let failing = [
        Condition::Exists(false),
        Condition::RevisionIs(revision + 1),
        Condition::ValueIs("2".into()),
    ];
    for condition in failing {
        let answer = kv.put(guarded(condition.clone())).await.expect("an answer");
        let answer = answer.into_inner();
        let failed = answer.guard_failed.expect("the guard does not hold");
        assert_eq!((failed.guard, failed.actual_revision), (0, Some(revision)));
        assert_eq!(answer.header.expect("a header").revision, revision);
        let read = kv.get(get("a")).await.expect("get").into_inner();
        assert_eq!(
            read.row.expect("there").value,
            "1",
            "{condition:?} changed it"
        );
    }
    let holding = [Condition::Exists(true), Condition::ValueIs("new".into())];
    for condition in holding {
        let answer = kv.put(guarded(condition)).await.expect("an answer");
        assert_eq!(answer.into_inner().guard_failed, None);
    }
    let delete = pb::DeleteRequest {
        row: row("a"),
        guard: Some(pb::RowGuard {
            condition: Some(Condition::ValueIs("old".into())),
        }),
        ..pb::DeleteRequest::default()
    };
    let answer = kv.delete(delete).await.expect("an answer").into_inner();
    assert!(answer.guard_failed.is_some() && !answer.existed);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_walk_in_pages_over_one_moment() {
    let site = Site::one().await;
    let mut kv = site.kv();
    let keys: Vec<_> = (0..25).map(|at| format!("k/{at:02}")).collect();
    for key in &keys {
        kv.put(put(key, "v")).await.expect("put");
    }
    kv.put(put("l", "beside")).await.expect("put");

    for reverse in [false, true] {
        let mut request = pb::ScanRequest {
            keyspace: "default".to_owned(),
            prefix: "k/".into(),
            limit: 10,
            reverse,
            keys_only: true,
            ..pb::ScanRequest::default()
        };
        let mut seen = Vec::new();
        let mut revisions = Vec::new();
        loop {
            let page = kv.scan(request.clone()).await.expect("scan").into_inner();
            revisions.push(page.header.expect("a header").revision);
            assert!(page.rows.iter().all(|row| row.value.is_empty()));
            seen.extend(page.rows.into_iter().map(|row| row.key));
            if page.next_cursor.is_empty() {
                break;
            }
            request.cursor = page.next_cursor;
            kv.put(put(&format!("k/late-{reverse}-{}", seen.len()), "v"))
                .await
                .expect("a put between pages");
        }
        revisions.dedup();
        assert_eq!(revisions.len(), 1, "one moment");
        if reverse {
            assert!(seen.is_sorted_by(|a, b| a > b));
        } else {
            assert_eq!(seen, keys);
        }
    }
    let count = pb::CountRequest {
        keyspace: "default".to_owned(),
        prefix: "k/0".into(),
        ..pb::CountRequest::default()
    };
    assert_eq!(kv.count(count).await.expect("count").into_inner().count, 10);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_messages() {
    let site = Site::one().await;
    let (mut topics, mut log) = (site.topics(), site.log());
    let create = pb::CreateTopicRequest {
        name: "orders".to_owned(),
        partitions: 2,
        group: 0,
    };
    topics.create(create).await.expect("create");
    let list = topics.list(pb::ListTopicsRequest { group: 0 }).await;
    assert_eq!(list.expect("list").into_inner().names, ["orders"]);

    let message = |value: &str| pb::NewMessage {
        key: Some("customer".into()),
        value: value.to_owned().into(),
        headers: vec![pb::Header {
            name: "trace".to_owned(),
            value: "7".into(),
        }],
    };
    let produce = pb::ProduceRequest {
        topic: "orders".to_owned(),
        partition: Some(1),
        messages: vec![message("a"), message("b")],
        ..pb::ProduceRequest::default()
    };
    let produced = log.produce(produce).await.expect("produce").into_inner();
    let places: Vec<_> = produced
        .published
        .iter()
        .map(|at| (at.partition, at.offset))
        .collect();
    assert_eq!(places, [(1, 0), (1, 1)]);

    let fetch = pb::FetchRequest {
        topic: "orders".to_owned(),
        partition: 1,
        from: 1,
        ..pb::FetchRequest::default()
    };
    let fetched = log.fetch(fetch).await.expect("fetch").into_inner();
    assert_eq!(fetched.end, 2);
    let [found] = fetched.messages.as_slice() else {
        panic!("one message: {fetched:?}");
    };
    assert_eq!((found.offset, found.value.as_ref()), (1, b"b".as_slice()));
    assert_eq!(found.key.as_deref(), Some(b"customer".as_slice()));
    assert_eq!(found.headers, message("b").headers);
    assert_eq!(found.revision, produced.header.expect("a header").revision);
    assert!(found.timestamp_ms > 0);

    let progress = pb::CommitOffsetRequest {
        topic: "orders".to_owned(),
        partition: 1,
        consumer_group: "billing".to_owned(),
        next: 1,
        ..pb::CommitOffsetRequest::default()
    };
    log.commit_offset(progress).await.expect("commit an offset");
    let describe = pb::DescribeTopicRequest {
        name: "orders".to_owned(),
        group: 0,
    };
    let topic = topics
        .describe(describe)
        .await
        .expect("describe")
        .into_inner();
    let ends: Vec<_> = topic.partitions.iter().map(|p| (p.start, p.end)).collect();
    assert_eq!(ends, [(0, 0), (0, 2)]);
    let [group] = topic.consumer_groups.as_slice() else {
        panic!("one consumer group: {topic:?}");
    };
    let progress: Vec<_> = group.progress.iter().map(|p| (p.next, p.lag)).collect();
    assert_eq!(
        (group.name.as_str(), progress),
        ("billing", vec![(None, 0), (Some(1), 1)])
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_holds_everything() {
    let site = Site::one().await;
    let create = pb::CreateTopicRequest {
        name: "orders".to_owned(),
        partitions: 1,
        group: 0,
    };
    site.topics().create(create).await.expect("create");
    let publish = pb::Op {
        op: Some(pb::op::Op::Publish(pb::PublishOp {
            topic: "orders".to_owned(),
            partition: None,
            message: Some(pb::NewMessage {
                value: "paid".into(),
                ..pb::NewMessage::default()
            }),
        })),
    };
    let offset = pb::Op {
        op: Some(pb::op::Op::CommitOffset(pb::CommitOffsetOp {
            topic: "orders".to_owned(),
            partition: 0,
            consumer_group: "billing".to_owned(),
            next: 0,
        })),
    };
    let delete = pb::Op {
        op: Some(pb::op::Op::Delete(pb::DeleteOp { row: row("gone") })),
    };
    let absent = pb::Guard {
        row: row("order/7"),
        condition: Some(pb::guard::Condition::Exists(false)),
    };
    let request = pb::CommitRequest {
        guards: vec![absent],
        ops: vec![put_op("order/7", "paid"), delete, publish, offset],
        ..pb::CommitRequest::default()
    };
    let mut commit = site.commit();
    let done = commit
        .commit(request.clone())
        .await
        .expect("commit")
        .into_inner();
    let results: Vec<_> = done.results.into_iter().filter_map(|r| r.result).collect();
    assert_eq!(
        results,
        [
            Done::PutVersion(1),
            Done::Deleted(false),
            Done::Published(pb::Published {
                partition: 0,
                offset: 0
            }),
            Done::OffsetCommitted(true),
        ]
    );
    let again = commit
        .commit(request)
        .await
        .expect("an answer")
        .into_inner();
    assert!(again.guard_failed.is_some() && again.results.is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_everything() {
    let site = Site::one().await;
    site.kv().put(put("a", "1")).await.expect("put");
    let status = site.cluster().status(pb::StatusRequest {}).await;
    let status = status.expect("status").into_inner();
    assert_eq!((status.cluster_id, status.node_id), (77, 1));
    assert_eq!(status.pid, std::process::id());
    assert!(status.boot >= 1 && !status.version.is_empty());
    let [group] = status.groups.as_slice() else {
        panic!("one group: {status:?}");
    };
    assert_eq!((group.group, group.leader), (0, Some(1)));
    assert_eq!(group.role, "leader");
    assert!(group.recovered && group.revision > 0 && group.applied_index > 0);
    assert!(group.last_index >= group.committed_index);
    assert!(group.committed_index >= group.applied_index);
    let [member] = group.members.as_slice() else {
        panic!("one member: {group:?}");
    };
    let place = site.places.first().expect("one node");
    assert!(member.voter && member.node_id == 1);
    assert_eq!(
        member.client_address,
        place.server.client_address().to_string()
    );
    assert_eq!(member.peer_address, place.server.peer_address().to_string());
    let metrics = status.metrics.expect("metrics");
    assert!(metrics.rss_bytes > 0 && metrics.commands > 0 && metrics.log_syncs > 0);
    site.stop().await;
}
