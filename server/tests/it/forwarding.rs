//! Three nodes: any of them takes any request.

use engine_proto::v1 as pb;
use engine_proto::v1::cluster_client::ClusterClient;
use engine_proto::v1::commit_client::CommitClient;
use engine_proto::v1::keyspaces_client::KeyspacesClient;
use engine_proto::v1::kv_client::KvClient;
use engine_server::FORWARDED;
use futures::StreamExt;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use crate::site::{Site, detail, get, put, put_op, ready, reason};

fn forwarded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert(FORWARDED, MetadataValue::from_static("1"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sends_writes_on_and_reads_here() {
    let site = Site::of(3, |_| ()).await;
    let (leader, follower) = site.leader_and_follower().await;
    let mut kv = KvClient::new(follower.channel.clone());

    let done = kv.put(put("a", "1")).await.expect("one hop").into_inner();
    assert_eq!(done.header.expect("a header").node_id, leader.id);
    let read = kv.get(get("a")).await.expect("a barrier").into_inner();
    assert_eq!(read.header.expect("a header").node_id, follower.id);
    assert_eq!(read.row.expect("its own write").value, "1");

    let refused = kv.put(put("", "1")).await.expect_err("an empty key");
    assert_eq!(reason(&refused), "KEY_EMPTY");
    let create = pb::CreateKeyspaceRequest {
        name: "default".to_owned(),
        group: 0,
        options: None,
    };
    let mut keyspaces = KeyspacesClient::new(follower.channel.clone());
    let refused = keyspaces.create(create).await.expect_err("it exists");
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(reason(&refused), "KEYSPACE_EXISTS", "as the leader said it");

    let again = kv.put(forwarded(put("a", "2"))).await;
    let again = again.expect_err("a second hop");
    assert_eq!(again.code(), Code::Unavailable);
    assert_eq!(reason(&again), "NOT_LEADER");
    assert_eq!(
        detail(&again, "leader"),
        Some(leader.server.client_address().to_string())
    );
    assert_eq!(detail(&again, "certainty").as_deref(), Some("certain"));
    let read = kv.get(get("a")).await.expect("get").into_inner();
    assert_eq!(read.row.expect("there").value, "1", "nothing happened");

    KvClient::new(leader.channel.clone())
        .put(forwarded(put("a", "2")))
        .await
        .expect("the leader takes what was sent on");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followers_stream_reaches_the_leader() {
    let site = Site::of(3, |_| ()).await;
    let (_, follower) = site.leader_and_follower().await;
    let requests = (0..100).map(|tag| pb::PipelineRequest {
        tag,
        commit: Some(pb::CommitRequest {
            ops: vec![put_op(&tag.to_string(), "v")],
            ..pb::CommitRequest::default()
        }),
    });
    let answers: Vec<_> = CommitClient::new(follower.channel.clone())
        .pipeline(futures::stream::iter(requests))
        .await
        .expect("a stream")
        .into_inner()
        .collect()
        .await;
    assert_eq!(answers.len(), 100);
    for answer in answers {
        let outcome = answer.expect("open").outcome.expect("an outcome");
        assert!(
            matches!(outcome, pb::pipeline_response::Outcome::Response(_)),
            "{outcome:?}"
        );
    }
    let count = pb::CountRequest {
        keyspace: "default".to_owned(),
        ..pb::CountRequest::default()
    };
    let mut kv = KvClient::new(follower.channel.clone());
    assert_eq!(
        kv.count(count).await.expect("count").into_inner().count,
        100
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_through_any_node() {
    let site = Site::of(3, |_| ()).await;
    let (_, follower) = site.leader_and_follower().await;
    let mut cluster = ClusterClient::new(follower.channel.clone());
    let request = pb::TransferLeaderRequest {
        node_id: follower.id,
    };
    cluster.transfer_leader(request).await.expect("handed over");
    // The old leader knows of the new one a moment before that one does.
    ready(&follower.channel).await;
    let done = KvClient::new(follower.channel.clone())
        .put(put("a", "1"))
        .await
        .expect("put")
        .into_inner();
    assert_eq!(done.header.expect("a header").node_id, follower.id);
    site.stop().await;
}
