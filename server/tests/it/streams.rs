//! Many requests on one stream, and fetches that wait.

use std::collections::BTreeMap;
use std::time::Duration;

use engine_proto::v1 as pb;
use futures::StreamExt;
use tokio::time::Instant;

use crate::site::{Site, get, put, put_op};

/// Commits on one stream: more than may be in flight.
const COUNT: u64 = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn commits_on_a_stream_are_begun_in_order_and_each_is_answered() {
    let site = Site::one().await;
    let requests = (0..COUNT).map(|tag| {
        let ops = match tag % 100 {
            99 => vec![put_op("", "an empty key fails alone")],
            _ => vec![put_op("row", &tag.to_string())],
        };
        pb::PipelineRequest {
            tag,
            commit: Some(pb::CommitRequest {
                ops,
                ..pb::CommitRequest::default()
            }),
        }
    });
    let answers = site
        .commit()
        .pipeline(futures::stream::iter(requests))
        .await;
    let mut answers = answers.expect("a stream").into_inner();
    let mut revisions = BTreeMap::new();
    let mut failures = 0;
    while let Some(answer) = answers.next().await {
        let answer = answer.expect("the stream stays open");
        match answer.outcome.expect("an outcome") {
            pb::pipeline_response::Outcome::Response(response) => {
                let revision = response.header.expect("a header").revision;
                assert_eq!(revisions.insert(answer.tag, revision), None);
            }
            pb::pipeline_response::Outcome::Failure(failure) => {
                assert_eq!(
                    (answer.tag % 100, failure.reason.as_str()),
                    (99, "KEY_EMPTY")
                );
                failures += 1;
            }
        }
    }
    assert_eq!((revisions.len(), failures), (2970, 30));
    assert!(
        revisions.values().is_sorted(),
        "proposed in the stream's order"
    );
    let last = site.kv().get(get("row")).await.expect("get").into_inner();
    assert_eq!(last.row.expect("there").value, (COUNT - 2).to_string());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gets_on_a_stream_are_each_answered() {
    let site = Site::one().await;
    site.kv().put(put("a", "1")).await.expect("put");
    let requests = (0..1500).map(|tag| pb::GetPipelineRequest {
        tag,
        get: (tag != 7).then(|| get(if tag % 2 == 0 { "a" } else { "b" })),
    });
    let answers = site
        .kv()
        .get_pipeline(futures::stream::iter(requests))
        .await;
    let answers: Vec<_> = answers.expect("a stream").into_inner().collect().await;
    let mut tags = Vec::new();
    for answer in answers {
        let answer = answer.expect("the stream stays open");
        match answer.outcome.expect("an outcome") {
            pb::get_pipeline_response::Outcome::Response(response) => {
                assert_eq!(response.row.is_some(), answer.tag % 2 == 0);
            }
            pb::get_pipeline_response::Outcome::Failure(failure) => {
                assert_eq!((answer.tag, failure.reason.as_str()), (7, "MISSING_FIELD"));
            }
        }
        tags.push(answer.tag);
    }
    tags.sort_unstable();
    assert_eq!(tags, (0..1500).collect::<Vec<_>>());
    site.stop().await;
}

async fn with_topic() -> Site {
    let site = Site::one().await;
    let create = pb::CreateTopicRequest {
        name: "orders".to_owned(),
        partitions: 1,
        group: 0,
    };
    site.topics().create(create).await.expect("create");
    site
}

fn fetch(wait_ms: u32) -> pb::FetchRequest {
    pb::FetchRequest {
        topic: "orders".to_owned(),
        wait_ms,
        ..pb::FetchRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_fetch_is_woken_by_the_first_message() {
    let site = with_topic().await;
    let mut log = site.log();
    let waiting = tokio::spawn(async move { log.fetch(fetch(30_000)).await });
    // Other news does not end the wait.
    site.kv().put(put("a", "1")).await.expect("put");
    assert!(!waiting.is_finished());
    let produce = pb::ProduceRequest {
        topic: "orders".to_owned(),
        messages: vec![pb::NewMessage::default()],
        ..pb::ProduceRequest::default()
    };
    let begun = Instant::now();
    site.log().produce(produce).await.expect("produce");
    let woken = waiting
        .await
        .expect("no panic")
        .expect("fetched")
        .into_inner();
    assert_eq!((woken.messages.len(), woken.end), (1, 1));
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "woken, not timed out"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_empty_after_its_time() {
    let site = with_topic().await;
    let begun = Instant::now();
    let empty = site
        .log()
        .fetch(fetch(200))
        .await
        .expect("an answer")
        .into_inner();
    assert!(empty.messages.is_empty() && empty.end == 0);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_ends_waits_and_streams() {
    let site = with_topic().await;
    let mut log = site.log();
    let waiting = tokio::spawn(async move { log.fetch(fetch(30_000)).await });
    let open = futures::stream::pending::<pb::PipelineRequest>();
    let answers = site.commit().pipeline(open).await.expect("a stream");
    let mut answers = answers.into_inner();
    // The fetch has arrived before the stop: requests of one connection are served in order.
    site.kv().get(get("a")).await.expect("get");
    let begun = Instant::now();
    site.stop().await;
    assert!(answers.next().await.is_none(), "the stream ends well");
    if let Ok(empty) = waiting.await.expect("no panic") {
        assert!(empty.into_inner().messages.is_empty());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "nobody is waited for"
    );
}
