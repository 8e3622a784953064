//! A node that joins after the log was purged is sent a checkpoint many times larger than the
//! send buffer; the leader's memory hardly grows.

use bytes::Bytes;
use engine_client::{Client, ClientOptions, Commit, PipelineOptions};
use engine_jepsen::cluster::process::main_group;
use engine_jepsen::cluster::{Cluster, Plan, binary};
use serde_json::json;

use super::{KEYSPACE, PATIENCE, tell};

const MIB: u64 = 1024 * 1024;
const LARGE_ROWS: u64 = 768;
const LARGE_BYTES: usize = 64 * 1024;
/// More than the entries that stay behind a checkpoint, so that the large rows are purged.
const SMALL_ROWS: u64 = 2_500;
const GROWTH_MAX: u64 = 32 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_is_sent_a_large_state_in_bounded_memory() {
    let program = binary::built().expect("engine-cli can be built");
    let options = json!({
        "memtable_bytes": MIB,
        "checkpoint_bytes": MIB,
        "log_tail_bytes": MIB,
        "row_cache_bytes": MIB,
        "block_cache_bytes": MIB,
    });
    let plan = Plan {
        options,
        ..Plan::new(program)
    };
    let mut cluster = Cluster::start(plan).await.expect("three nodes start");
    let client = Client::connect(ClientOptions::new(cluster.client_addresses()))
        .await
        .expect("the seeds are addresses");
    client
        .keyspaces()
        .create(KEYSPACE)
        .await
        .expect("a healthy cluster");
    fill(&client).await;
    let agreed = cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("equal states");

    let leader = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
    let before = cluster.status(leader).await.expect("the leader answers");
    let checkpoint = main_group(&before)
        .expect("group 0 is there")
        .checkpoint_index;
    assert!(
        checkpoint > LARGE_ROWS / 16 + 1_000,
        "the large rows' entries are purged"
    );
    let resident = before.metrics.expect("a node counts").rss_bytes;
    let learner = cluster.start_empty().await.expect("an empty node starts");
    let addresses = cluster
        .node(learner)
        .expect("just started")
        .addresses
        .clone();
    client
        .cluster()
        .add_learner(learner, addresses.peer, addresses.client)
        .await
        .expect("a running empty node can be added");
    let mut highest = resident;
    loop {
        let status = cluster.status(leader).await.expect("the leader answers");
        highest = highest.max(status.metrics.expect("a node counts").rss_bytes);
        let joined = cluster.status(learner).await.ok();
        let applied = joined
            .as_ref()
            .and_then(main_group)
            .map_or(0, |group| group.applied_index);
        if applied >= agreed {
            break;
        }
    }
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("the learner makes the same state");
    let grown = highest - resident;
    tell(&format!(
        "leader at {} MiB grew by {} MiB while it sent a state of {} MiB",
        resident / MIB,
        grown / MIB,
        LARGE_ROWS * LARGE_BYTES as u64 / MIB
    ));
    assert!(grown < GROWTH_MAX, "the leader grew by {} MiB", grown / MIB);
    cluster
        .stop_all(PATIENCE)
        .await
        .expect("every node ends when it is asked to");
}

async fn fill(client: &Client) {
    let pipeline = client.pipeline(PipelineOptions { in_flight: 16 });
    let mut answers = Vec::new();
    for row in 0..LARGE_ROWS {
        let value = Bytes::from(vec![
            u8::try_from(row % 251).expect("below 251");
            LARGE_BYTES
        ]);
        let commit = Commit::new().put(KEYSPACE, format!("large-{row:06}"), value);
        answers.push(pipeline.send(commit).await.expect("a healthy cluster"));
    }
    for answer in answers {
        answer.await.expect("a healthy cluster");
    }
    let value = Bytes::from(vec![7; 1024]);
    for row in 0..SMALL_ROWS {
        let key = format!("small-{:04}", row % 100);
        client
            .kv()
            .put(KEYSPACE, key, value.clone())
            .await
            .expect("a healthy cluster");
    }
}
