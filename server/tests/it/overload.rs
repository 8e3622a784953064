//! What a node does not take on.

use std::time::Duration;

use engine_proto::v1 as pb;
use engine_server::AdmissionLimits;
use tonic::{Code, Request};

use crate::site::{Site, detail, get, put, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_says_so_and_nothing_happens() {
    let site = Site::of(1, |config| {
        config.admission = AdmissionLimits {
            requests_max: 16,
            bytes_max: 1000,
            waits_max: 0,
            scans_max: 0,
            ..AdmissionLimits::default()
        };
    })
    .await;
    let refused = site.kv().put(put("a", &"v".repeat(1001))).await;
    let refused = refused.expect_err("more bytes than may be at work");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused), "OVERLOADED");
    assert_eq!(detail(&refused, "certainty").as_deref(), Some("certain"));
    let read = site
        .kv()
        .get(get("a"))
        .await
        .expect("smaller ones are served");
    assert_eq!(read.into_inner().row, None);

    let create = pb::CreateTopicRequest {
        name: "orders".to_owned(),
        partitions: 1,
        group: 0,
    };
    site.topics().create(create).await.expect("create");
    let fetch = pb::FetchRequest {
        topic: "orders".to_owned(),
        wait_ms: 1000,
        ..pb::FetchRequest::default()
    };
    let refused = site.log().fetch(fetch).await.expect_err("nobody may wait");
    assert_eq!(reason(&refused), "OVERLOADED");

    let scan = pb::ScanRequest {
        keyspace: "default".to_owned(),
        ..pb::ScanRequest::default()
    };
    let refused = site.kv().scan_stream(scan).await;
    let refused = refused.expect_err("no stream of pages may begin");
    assert_eq!(reason(&refused), "OVERLOADED");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_answered_before_the_callers_deadline() {
    let site = Site::one().await;
    let create = pb::CreateTopicRequest {
        name: "orders".to_owned(),
        partitions: 1,
        group: 0,
    };
    site.topics().create(create).await.expect("create");
    let mut fetch = Request::new(pb::FetchRequest {
        topic: "orders".to_owned(),
        wait_ms: 30_000,
        ..pb::FetchRequest::default()
    });
    fetch.set_timeout(Duration::from_secs(2));
    let empty = site
        .log()
        .fetch(fetch)
        .await
        .expect("an empty answer in time");
    assert!(empty.into_inner().messages.is_empty());
    site.stop().await;
}
