//! The leader stops answering without dying, as on a machine that hangs; another takes over, and
//! the old one, once awake, neither serves old rows nor keeps writes of its own.

use engine_jepsen::checker::gap;
use engine_jepsen::cluster::Node;

use super::{PATIENCE, finish_and_check, small_cluster, start_workload, tell};

const WRITES: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_leader_is_replaced() {
    let mut cluster = small_cluster().await;
    let workload = start_workload(&cluster, 16).await;
    let recorder = workload.recorder();
    assert!(
        recorder.wait_for_writes(0, WRITES, PATIENCE).await,
        "nothing can be written to a healthy cluster"
    );
    let leader = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
    let frozen_us = recorder.now_us();
    cluster
        .node(leader)
        .and_then(Node::pause)
        .expect("the leader runs");
    assert!(
        recorder
            .wait_for_writes(recorder.now_us(), WRITES, PATIENCE)
            .await,
        "no writes while the old leader is frozen"
    );
    let written_us = recorder.now_us();
    cluster
        .node(leader)
        .and_then(Node::resume)
        .expect("it is there, frozen");
    assert!(
        recorder
            .wait_for_writes(recorder.now_us(), WRITES, PATIENCE)
            .await,
        "no writes after the old leader woke"
    );
    let history = finish_and_check(&cluster, workload).await;
    let gap = gap::longest(&history.calls(), frozen_us, written_us).expect("writes went on");
    tell(&format!("leader frozen: no write for {:?}", gap.length()));
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("all nodes make the same of the same entries");
}
