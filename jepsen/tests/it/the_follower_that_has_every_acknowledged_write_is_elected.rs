//! One follower is down while the others acknowledge writes; then the leader dies in the moment in
//! which that follower comes back. Of the two that are left, the one that missed writes never leads.

use engine_jepsen::cluster::Node;
use engine_jepsen::cluster::process::main_group;

use super::{PATIENCE, finish_and_check, small_cluster, start_workload, tell};

const ROUNDS: usize = 20;
/// So many writes the follower misses.
const MISSED: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_follower_that_has_every_acknowledged_write_is_elected() {
    let mut cluster = small_cluster().await;
    let workload = start_workload(&cluster, 8).await;
    let recorder = workload.recorder();
    for round in 1..=ROUNDS {
        let leader = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
        let ids: Vec<u64> = cluster.nodes().iter().map(|node| node.id).collect();
        let mut followers: Vec<u64> = ids.into_iter().filter(|id| *id != leader).collect();
        // Each of the two in its turn.
        followers.rotate_left(round % 2);
        let [behind, complete] = followers[..] else {
            panic!("two followers of three nodes: {followers:?}");
        };
        cluster
            .node_mut(behind)
            .and_then(Node::kill)
            .expect("the follower runs");
        let heard = recorder
            .wait_for_writes(recorder.now_us(), MISSED, PATIENCE)
            .await;
        assert!(heard, "round {round}: no writes while one follower is down");
        let last = last_index(&cluster, leader).await;
        cluster
            .node_mut(leader)
            .and_then(Node::kill)
            .expect("the leader runs");
        cluster
            .node_mut(behind)
            .and_then(Node::start)
            .expect("the follower starts again");
        let elected = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
        assert_eq!(
            elected, complete,
            "round {round}: node {behind} missed writes, node {complete} has them"
        );
        let heard = recorder
            .wait_for_writes(recorder.now_us(), MISSED, PATIENCE)
            .await;
        assert!(heard, "round {round}: no writes under the new leader");
        cluster.start_all().expect("the old leader starts again");
        for id in [leader, behind] {
            cluster
                .wait_for_applied(id, last, PATIENCE)
                .await
                .expect("a node that was down catches up");
        }
    }
    let history = finish_and_check(&cluster, workload).await;
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("all nodes make the same of the same entries");
    tell(&format!(
        "{ROUNDS} leaders killed; the follower that had missed {MISSED} writes never led; {} lines \
         of history",
        history.ops.len()
    ));
}

/// What the leader had applied when it was asked.
async fn last_index(cluster: &engine_jepsen::cluster::Cluster, leader: u64) -> u64 {
    let status = cluster.status(leader).await.expect("the leader answers");
    main_group(&status).map_or(0, |group| group.applied_index)
}
