//! Unary calls: whom they ask, when they ask again, and what they say when they give up.

use std::time::{Duration, Instant};

use engine_client::{Certainty, Client, ClientOptions, reason};

use crate::fake::{Fake, Step};

fn options(seeds: &[&str]) -> ClientOptions {
    ClientOptions {
        deadline: Duration::from_secs(5),
        try_timeout: Duration::from_millis(200),
        ..ClientOptions::new(seeds.iter().copied())
    }
}

async fn client(seeds: &[&str]) -> Client {
    Client::connect(options(seeds)).await.expect("addresses")
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

#[tokio::test]
async fn a_leader_hint_is_followed_and_remembered() {
    let (follower, leader) = (Fake::start().await, Fake::start().await);
    follower.on_writes([Step::hint(&leader.address)]);
    let client = client(&[&follower.address]).await;
    client
        .kv()
        .put("k", "a", "1")
        .await
        .expect("the leader did it");
    client
        .kv()
        .put("k", "b", "1")
        .await
        .expect("the leader did it");
    assert_eq!(follower.seen(|seen| seen.writes.len()), 1);
    assert_eq!(leader.seen(|seen| seen.writes.len()), 2);
    assert_eq!(client.leader(), Some(leader.address.clone()));
}

#[tokio::test]
async fn status_tells_the_leader_before_the_first_call() {
    let (follower, leader) = (Fake::start().await, Fake::start().await);
    follower.names_leader(&leader.address);
    let client = client(&[&follower.address]).await;
    client.kv().get("k", "a").await.expect("answered");
    assert_eq!(follower.seen(|seen| seen.reads), 0);
    assert_eq!(leader.seen(|seen| seen.reads), 1);
}

#[tokio::test]
async fn a_node_that_is_down_is_passed_over() {
    let (down, up) = (nobody(), Fake::start().await);
    let client = client(&[&down, &up.address]).await;
    for key in ["a", "b", "c"] {
        client
            .kv()
            .put("k", key, "1")
            .await
            .expect("the other is up");
    }
    assert_eq!(up.seen(|seen| seen.done.len()), 3);
}

#[tokio::test]
async fn nobody_there_is_certain() {
    let options = ClientOptions {
        deadline: Duration::from_millis(300),
        ..options(&[&nobody()])
    };
    let client = Client::connect(options).await.expect("an address");
    let error = client.kv().put("k", "a", "1").await.expect_err("nobody");
    assert!(error.is(reason::UNREACHABLE), "{error}");
    assert_eq!(error.certainty(), Certainty::Certain);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_number() {
    for lost in [Step::DoAndHang, Step::DoAndBreak] {
        let node = Fake::start().await;
        node.on_writes([lost]);
        let client = client(&[&node.address]).await;
        let written = client.kv().put("k", "a", "1").await.expect("asked again");
        assert_eq!(written.revision, 1, "the first outcome");
        node.seen(|seen| {
            let ids: Vec<_> = seen.writes.iter().map(|(_, id)| *id).collect();
            assert_eq!(ids.len(), 2);
            assert_eq!(ids.first(), ids.last(), "one number");
            assert_eq!(seen.done.get("a"), Some(&1), "done once");
        });
    }
}

#[tokio::test]
async fn without_a_session_a_lost_answer_is_an_unknown_outcome() {
    let node = Fake::start().await;
    node.on_writes([Step::certain("NO_QUORUM"), Step::DoAndBreak]);
    let options = ClientOptions {
        sessions: false,
        ..options(&[&node.address])
    };
    let client = Client::connect(options).await.expect("an address");
    let error = client.kv().put("k", "a", "1").await.expect_err("lost");
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert!(error.is(reason::CONNECTION_LOST), "{error}");
    let sent = node.seen(|seen| seen.writes.len());
    assert_eq!(sent, 2, "again after the certain failure only");
}

#[tokio::test]
async fn an_expired_session_is_replaced_if_nothing_is_in_doubt() {
    let node = Fake::start().await;
    node.on_writes([Step::certain(reason::SESSION_EXPIRED)]);
    let client = client(&[&node.address]).await;
    client.kv().put("k", "a", "1").await.expect("a new session");
    node.seen(|seen| {
        assert_eq!(seen.sessions, 2);
        assert_eq!(seen.done.get("a"), Some(&1));
    });
}

#[tokio::test]
async fn a_session_that_expired_after_a_doubtful_try_is_an_unknown_outcome() {
    let node = Fake::start().await;
    node.on_writes([Step::DoAndBreak, Step::certain(reason::SESSION_EXPIRED)]);
    let client = client(&[&node.address]).await;
    let error = client.kv().put("k", "a", "1").await.expect_err("in doubt");
    assert!(error.is(reason::SESSION_EXPIRED));
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(node.seen(|seen| seen.done.get("a").copied()), Some(1));
}

#[tokio::test]
async fn the_low_water_mark_follows_the_answers_and_close_gives_the_session_up() {
    let node = Fake::start().await;
    let client = client(&[&node.address]).await;
    for key in ["a", "b", "c"] {
        client.kv().put("k", key, "1").await.expect("done");
    }
    client.close().await.expect("closed");
    client.close().await.expect("closed already");
    node.seen(|seen| {
        let marks: Vec<_> = seen
            .writes
            .iter()
            .filter_map(|(_, id)| id.map(|id| (id.number, id.acked_below)))
            .collect();
        assert_eq!(marks, [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(seen.closed, [1]);
    });
}

#[tokio::test]
async fn a_read_from_a_node_that_hangs_is_asked_elsewhere() {
    let (hanging, other) = (Fake::start().await, Fake::start().await);
    hanging.on_reads([Step::DoAndHang]);
    let client = client(&[&hanging.address, &other.address]).await;
    client.kv().get("k", "a").await.expect("the other answers");
    let asked = hanging.seen(|seen| seen.reads) + other.seen(|seen| seen.reads);
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn the_deadline_holds_and_is_sent_along() {
    let node = Fake::start().await;
    node.on_reads(std::iter::repeat_n(Step::DoAndHang, 100));
    let options = ClientOptions {
        deadline: Duration::from_millis(700),
        ..options(&[&node.address])
    };
    let client = Client::connect(options).await.expect("an address");
    let begun = Instant::now();
    let error = client.kv().get("k", "a").await.expect_err("it hangs");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(error.is(reason::TIMEOUT), "{error}");
    assert_eq!(error.certainty(), Certainty::Certain, "a read does nothing");
    assert!(node.seen(|seen| !seen.grpc_timeouts.is_empty()));
}

#[tokio::test]
async fn a_final_failure_is_told_at_once() {
    let node = Fake::start().await;
    node.on_writes([Step::certain(reason::UNKNOWN_KEYSPACE)]);
    let client = client(&[&node.address]).await;
    let error = client.kv().put("k", "a", "1").await.expect_err("unknown");
    assert!(error.is(reason::UNKNOWN_KEYSPACE));
    assert_eq!(error.certainty(), Certainty::Certain);
    assert_eq!(node.seen(|seen| seen.writes.len()), 1);
}
