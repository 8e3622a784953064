//! Three voters survive the loss of one, five of two. With the majority lost, those that are left
//! refuse writes and fresh reads with a clear error in time, and answer who explicitly asks for
//! what they have.

use std::time::Duration;

use engine_client::{Client, ClientOptions, Code, Error, ReadOptions, reason};
use engine_jepsen::cluster::{Cluster, Node};
use tokio::time::Instant;

use super::{KEYSPACE, PATIENCE, small_cluster_of};

/// How long a client tries.
const DEADLINE: Duration = Duration::from_secs(4);
/// Its answer comes within the deadline and a little.
const ANSWER_MAX: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_survive_the_loss_of_one_and_no_more() {
    lose_voters(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_voters_survive_the_loss_of_two_and_no_more() {
    lose_voters(5).await;
}

async fn lose_voters(voters: u64) {
    let mut cluster = small_cluster_of(voters).await;
    let client = client(cluster.client_addresses(), true).await;
    let kv = client.kv();
    let made = client.keyspaces().create(KEYSPACE).await;
    made.expect("all nodes run");
    put(&client, "all").await.expect("all nodes run");

    // The leader first: the others must elect one.
    let leader = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
    let mut left: Vec<u64> = cluster.nodes().iter().map(|node| node.id).collect();
    left.retain(|id| *id != leader);
    kill(&mut cluster, leader);
    for _ in 1..voters / 2 {
        kill(&mut cluster, left.remove(0));
    }
    assert_eq!(left.len() as u64, voters / 2 + 1, "just a majority is left");
    cluster.wait_for_leader(PATIENCE).await.expect("a leader");
    put(&client, "majority")
        .await
        .expect("a majority writes on");
    let read = kv.get(KEYSPACE, "row").await.expect("a majority reads on");
    assert_eq!(read.expect("it was written").value, "majority".as_bytes());
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("all that are left have the last write");

    kill(&mut cluster, left.remove(0));
    let mut asked = Instant::now();
    let mut refused = put(&client, "minority").await;
    // The connection to the killed node may break under the call: then nobody knows.
    if matches!(&refused, Err(error) if error.is(reason::CONNECTION_LOST)) {
        asked = Instant::now();
        refused = put(&client, "minority").await;
    }
    is_refused(&refused.expect_err("a minority accepts no write"), asked);
    for id in left {
        let address = cluster
            .node(id)
            .expect("it is left")
            .addresses
            .client
            .clone();
        let one = self::client(vec![address], false).await;
        let asked = Instant::now();
        let fresh = one.kv().get(KEYSPACE, "row").await;
        is_refused(&fresh.expect_err("a minority knows of no fresh row"), asked);
        let asked = Instant::now();
        let refused = put(&one, "minority").await;
        is_refused(&refused.expect_err("a minority accepts no write"), asked);
        let options = ReadOptions {
            local: true,
            ..ReadOptions::default()
        };
        let old = one.kv().get_with(KEYSPACE, "row", options).await;
        let old = old.expect("a row that may be old is served").row;
        assert_eq!(old.expect("it was written").value, "majority".as_bytes());
    }

    cluster.start_all().expect("all nodes start again");
    cluster.wait_for_leader(PATIENCE).await.expect("a leader");
    put(&client, "again").await.expect("all nodes run");
    let read = kv.get(KEYSPACE, "row").await.expect("all nodes run");
    assert_eq!(read.expect("it was written").value, "again".as_bytes());
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("all nodes make the same of the same entries");
}

async fn client(seeds: Vec<String>, follow_leader: bool) -> Client {
    let options = ClientOptions {
        deadline: DEADLINE,
        try_timeout: DEADLINE / 2,
        follow_leader,
        // A refused write is refused for good: nobody sends it again later.
        sessions: false,
        ..ClientOptions::new(seeds)
    };
    Client::connect(options)
        .await
        .expect("the seeds are addresses")
}

async fn put(client: &Client, value: &'static str) -> Result<(), Error> {
    client.kv().put(KEYSPACE, "row", value).await.map(drop)
}

fn kill(cluster: &mut Cluster, id: u64) {
    cluster
        .node_mut(id)
        .and_then(Node::kill)
        .expect("the node runs");
}

/// In time, and in words that tell what is missing.
fn is_refused(error: &Error, asked: Instant) {
    let took = asked.elapsed();
    assert!(took < ANSWER_MAX, "refused after {took:?}: {error:?}");
    // The last node that was asked speaks: it knows no majority, or no leader, or is gone itself. A
    // leader that waits for its majority lets the time run out.
    let codes = [Code::Unavailable, Code::DeadlineExceeded];
    assert!(codes.contains(&error.code), "{error:?}");
    let clear = [reason::NO_QUORUM, reason::NOT_LEADER]
        .into_iter()
        .chain([reason::LEADER_UNREACHABLE, reason::UNREACHABLE])
        .chain([reason::TIMEOUT])
        .any(|reason| error.is(reason));
    assert!(clear && !error.message.is_empty(), "{error:?}");
}
