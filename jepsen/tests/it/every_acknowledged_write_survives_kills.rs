//! Clients write rows and messages while leaders die by `kill -9`, then all nodes at once; every
//! acknowledged write is there afterwards. A node added later gets the same state, though the
//! entries that made it are long purged.

use std::time::Duration;

use engine_client::{Client, ClientOptions};
use engine_jepsen::checker::gap;
use engine_jepsen::cluster::Cluster;
use engine_jepsen::cluster::process::main_group;
use engine_jepsen::history::End;

use super::{PATIENCE, finish_and_check, small_cluster, start_workload, tell};

const CLIENTS: usize = 32;
const KILLS: usize = 3;
/// So many writes that began after a fault make a cluster well again.
const WRITES: usize = 200;
/// No failover may stop all writers for longer.
const GAP_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_kills() {
    let mut cluster = small_cluster().await;
    let workload = start_workload(&cluster, CLIENTS).await;
    let recorder = workload.recorder();
    assert!(
        recorder.wait_for_writes(0, 5 * WRITES, PATIENCE).await,
        "nothing can be written to a healthy cluster"
    );

    let mut faults = Vec::new();
    for kill in 1..=KILLS {
        let leader = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
        let killed_us = recorder.now_us();
        cluster
            .node_mut(leader)
            .and_then(engine_jepsen::cluster::Node::kill)
            .expect("the leader runs");
        assert!(
            recorder
                .wait_for_writes(recorder.now_us(), WRITES, PATIENCE)
                .await,
            "no writes after kill {kill}"
        );
        faults.push((format!("leader kill {kill}"), killed_us, recorder.now_us()));
        cluster.start_all().expect("the killed node starts again");
        catch_up(&mut cluster, leader).await;
    }

    let killed_us = recorder.now_us();
    cluster.kill_all().expect("all nodes run");
    cluster.start_all().expect("all nodes start again");
    assert!(
        recorder
            .wait_for_writes(recorder.now_us(), WRITES, PATIENCE)
            .await,
        "no writes after all nodes were killed"
    );
    faults.push(("kill of all".to_owned(), killed_us, recorder.now_us()));

    let history = finish_and_check(&cluster, workload).await;
    let calls = history.calls();
    let acknowledged = calls
        .iter()
        .filter(|call| matches!(call.end, End::Ok { .. }));
    let unknown = calls.iter().filter(|call| call.end == End::Unknown);
    tell(&format!(
        "{} calls, {} acknowledged, {} unknown",
        calls.len(),
        acknowledged.count(),
        unknown.count()
    ));
    for (fault, from_us, until_us) in faults {
        let gap = gap::longest(&calls, from_us, until_us).expect("writes went on after each fault");
        tell(&format!("{fault}: no write for {:?}", gap.length()));
        assert!(
            gap.length() < GAP_MAX,
            "{fault}: no write for {:?}",
            gap.length()
        );
    }
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("all nodes make the same of the same entries");
    add_learner(&mut cluster).await;
    for status in cluster.statuses().await {
        let metrics = status.metrics.unwrap_or_default();
        tell(&format!(
            "node {}: boot {}, resident {} MiB",
            status.node_id,
            status.boot,
            metrics.rss_bytes >> 20
        ));
    }
    cluster
        .stop_all(PATIENCE)
        .await
        .expect("every node ends when it is asked to");
}

/// Waits until a node that was down has applied what the others had when it came back.
async fn catch_up(cluster: &mut Cluster, id: u64) {
    let applied = cluster
        .statuses()
        .await
        .iter()
        .filter_map(main_group)
        .map(|group| group.applied_index)
        .max()
        .unwrap_or(0);
    cluster
        .wait_for_applied(id, applied, PATIENCE)
        .await
        .expect("a restarted node catches up");
}

/// Adds an empty node: what it needs lies in a checkpoint, no longer in the Raft log.
async fn add_learner(cluster: &mut Cluster) {
    let leader = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
    let status = cluster.status(leader).await.expect("the leader answers");
    let checkpoint = main_group(&status).map_or(0, |group| group.checkpoint_index);
    assert!(checkpoint > 0, "the leader never made a checkpoint");
    let id = cluster.start_empty().await.expect("an empty node starts");
    let addresses = cluster
        .node(id)
        .expect("it was just started")
        .addresses
        .clone();
    let client = Client::connect(ClientOptions::new(cluster.client_addresses()))
        .await
        .expect("the seeds are addresses");
    client
        .cluster()
        .add_learner(id, addresses.peer, addresses.client)
        .await
        .expect("a running empty node can be added");
    let agreed = cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("the learner makes the same state");
    tell(&format!(
        "learner {id} agrees at entry {agreed}; the leader's checkpoint covered {checkpoint}"
    ));
}
