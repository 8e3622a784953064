//! Streamed commits: through broken streams, every one is answered and none is done twice.

use std::time::Duration;

use engine_client::{Certainty, Client, ClientOptions, Commit, Pending, PipelineOptions, reason};

use crate::fake::{Fake, Step};

async fn client(node: &Fake, sessions: bool) -> Client {
    Client::connect(ClientOptions {
        deadline: Duration::from_secs(5),
        try_timeout: Duration::from_millis(300),
        sessions,
        ..ClientOptions::new([node.address.clone()])
    })
    .await
    .expect("an address")
}

async fn send(client: &Client, count: usize, in_flight: usize) -> Vec<Pending> {
    let pipeline = client.pipeline(PipelineOptions { in_flight });
    let mut pending = Vec::new();
    for index in 0..count {
        let commit = Commit::new().put("k", format!("key-{index}"), "1");
        pending.push(pipeline.send(commit).await.expect("there is room"));
    }
    pending
}

fn done_once(node: &Fake, count: usize) {
    node.seen(|seen| {
        assert_eq!(seen.done.len(), count);
        assert!(
            seen.done.values().all(|times| *times == 1),
            "{:?}",
            seen.done
        );
    });
}

#[tokio::test]
async fn all_commits_are_answered() {
    let node = Fake::start().await;
    let client = client(&node, true).await;
    for pending in send(&client, 500, 32).await {
        pending.await.expect("done");
    }
    done_once(&node, 500);
}

#[tokio::test]
async fn broken_and_hanging_streams_are_replaced_and_nothing_is_done_twice() {
    for lost in [Step::DoAndBreak, Step::DoAndHang] {
        let node = Fake::start().await;
        node.on_writes([lost.clone(), lost]);
        let client = client(&node, true).await;
        for pending in send(&client, 40, 16).await {
            pending.await.expect("done after a new stream");
        }
        done_once(&node, 40);
        assert!(
            node.seen(|seen| seen.writes.len()) > 40,
            "some were sent again"
        );
    }
}

#[tokio::test]
async fn a_stream_moves_to_the_leader() {
    let (follower, leader) = (Fake::start().await, Fake::start().await);
    follower.on_writes(std::iter::repeat_n(Step::hint(&leader.address), 100));
    let client = client(&follower, true).await;
    for pending in send(&client, 10, 4).await {
        pending.await.expect("the leader did it");
    }
    done_once(&leader, 10);
    done_once(&follower, 0);
}

#[tokio::test]
async fn an_expired_session_is_replaced_on_the_stream() {
    let node = Fake::start().await;
    node.on_writes([Step::certain(reason::SESSION_EXPIRED)]);
    let client = client(&node, true).await;
    for pending in send(&client, 1, 1).await {
        pending.await.expect("done under a new session");
    }
    assert_eq!(node.seen(|seen| seen.sessions), 2);
}

#[tokio::test]
async fn without_a_session_a_broken_stream_is_an_unknown_outcome() {
    let node = Fake::start().await;
    node.on_writes([Step::DoAndBreak]);
    let client = client(&node, false).await;
    let pending = send(&client, 1, 1).await;
    for pending in pending {
        let error = pending.await.expect_err("lost");
        assert_eq!(error.certainty(), Certainty::Unknown);
    }
    assert_eq!(node.seen(|seen| seen.writes.len()), 1, "not sent again");
}

#[tokio::test]
async fn a_final_failure_fails_one_commit_and_not_the_stream() {
    let node = Fake::start().await;
    node.on_writes([Step::certain(reason::UNKNOWN_KEYSPACE)]);
    let client = client(&node, true).await;
    let mut answers = Vec::new();
    for pending in send(&client, 3, 3).await {
        answers.push(pending.await.is_ok());
    }
    assert_eq!(answers, [false, true, true]);
}
