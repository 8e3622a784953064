//! Scrubs and hashes through gRPC.

use std::collections::BTreeSet;

use engine_proto::v1 as pb;
use engine_proto::v1::maintenance_client::MaintenanceClient;
use tonic::Code::{NotFound, OutOfRange};
use tonic::transport::Channel;

use crate::site::{Site, put, reason};

async fn hash(
    client: &mut MaintenanceClient<Channel>,
    request: pb::HashRequest,
) -> pb::HashResponse {
    let answer = client.hash(request).await;
    answer.expect("a healthy node").into_inner()
}

#[tokio::test]
async fn all_nodes_answer_one_hash_at_one_revision_and_one_digest_after_one_entry() {
    let site = Site::of(3, |_| ()).await;
    let mut revision = 0;
    for number in 0..20 {
        let request = put(&format!("row-{number}"), "value");
        let answer = site.kv().put(request).await.expect("a healthy cluster");
        let header = answer.into_inner().header;
        revision = header.expect("every answer has a header").revision;
    }
    let status = site.cluster().status(pb::StatusRequest {}).await;
    let status = status.expect("a node tells its status").into_inner();
    let applied = status.groups.first().expect("group 0").applied_index;
    let mut hashes = BTreeSet::new();
    let mut digests = BTreeSet::new();
    for place in &site.places {
        let mut client = MaintenanceClient::new(place.channel.clone());
        // A linearizable one first: then the node has applied what was written.
        let newest = hash(&mut client, pb::HashRequest::default()).await;
        let keyspace = newest.keyspaces.first().expect("the first keyspace");
        assert_eq!((keyspace.name.as_str(), keyspace.rows), ("default", 20));
        let past = pb::HashRequest {
            keyspace: "default".to_owned(),
            revision: Some(revision - 1),
            digest_index: applied,
            ..pb::HashRequest::default()
        };
        let past = hash(&mut client, past).await;
        let header = past.header.expect("every answer has a header");
        assert_eq!((header.node_id, header.revision), (place.id, revision - 1));
        assert_eq!(
            past.keyspaces.first().map(|keyspace| keyspace.rows),
            Some(19)
        );
        hashes.insert((
            newest.keyspaces[0].hash.clone(),
            past.keyspaces[0].hash.clone(),
        ));
        digests.insert(past.digest.expect("a recent entry"));
    }
    assert_eq!((hashes.len(), digests.len()), (1, 1), "{hashes:?}");
    let (newest, past) = hashes.first().expect("one");
    assert_ne!(newest, past);
    site.stop().await;
}

#[tokio::test]
async fn what_cannot_be_hashed_is_refused_with_its_reason() {
    let site = Site::one().await;
    let mut client = MaintenanceClient::new(site.channel());
    let named = |keyspace: &str| pb::HashRequest {
        keyspace: keyspace.to_owned(),
        ..pb::HashRequest::default()
    };
    let refused = client.hash(named("none")).await.expect_err("it is unknown");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (NotFound, "UNKNOWN_KEYSPACE")
    );
    let refused = client.hash(named("a b")).await.expect_err("no name");
    assert_eq!(reason(&refused), "NAME_INVALID");
    let future = pb::HashRequest {
        revision: Some(1_000),
        ..pb::HashRequest::default()
    };
    let refused = client.hash(future).await.expect_err("it is not there yet");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (OutOfRange, "REVISION_IN_FUTURE")
    );
    let unknown = pb::HashRequest {
        digest_index: 1_000_000,
        ..pb::HashRequest::default()
    };
    assert_eq!(hash(&mut client, unknown).await.digest, None);
    site.stop().await;
}

#[tokio::test]
async fn a_scrub_is_told_to_its_end_and_ends_with_the_node() {
    let site = Site::one().await;
    site.kv().put(put("a", "1")).await.expect("a healthy node");
    let mut client = MaintenanceClient::new(site.channel());
    let fast = pb::ScrubRequest {
        bytes_per_second: u64::MAX,
    };
    let mut told = client.scrub(fast).await.expect("it begins").into_inner();
    let mut last = pb::ScrubResponse::default();
    while let Some(progress) = told.message().await.expect("it comes to its end") {
        assert!(last.state.is_empty() || last.state == "running", "{last:?}");
        assert!(progress.read_bytes >= last.read_bytes && progress.finds.is_empty());
        last = progress;
    }
    assert_eq!(
        (last.state.as_str(), last.reason.as_str()),
        ("finished", "")
    );
    let status = site.cluster().status(pb::StatusRequest {}).await;
    let metrics = status.expect("its status").into_inner().metrics;
    let metrics = metrics.expect("a status has metrics");
    assert_eq!(metrics.scrub_errors_total, 0);
    assert!(metrics.scrub_finished_ms.is_some());

    let slow = pb::ScrubRequest {
        bytes_per_second: 1,
    };
    let mut told = client.scrub(slow).await.expect("it begins").into_inner();
    let stopping = tokio::spawn(site.stop());
    let mut last = String::new();
    // The connection may be gone before the last word.
    while let Ok(Some(progress)) = told.message().await {
        last = progress.state;
    }
    assert_ne!(last, "finished");
    drop((told, client));
    stopping.await.expect("the node stops");
}
