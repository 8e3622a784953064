//! Commands that wait together travel together.

use tokio::task::JoinSet;

use crate::cluster::{Cluster, GROUP, Setup, decide};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_proposers_share_entries_and_syncs() {
    const PROPOSERS: u64 = 64;
    const EACH: u64 = 50;

    let mut cluster = Cluster::found(3, &Setup::default()).await;
    let leader = cluster.leader(GROUP).await.clone();
    let before = leader.metrics();
    let mut proposers = JoinSet::new();
    for proposer in 0..PROPOSERS {
        let leader = leader.clone();
        proposers.spawn(async move {
            for number in 0..EACH {
                let key = format!("{proposer}/{number}");
                decide(&leader, GROUP, &key, "value").await;
            }
        });
    }
    while let Some(done) = proposers.join_next().await {
        done.expect("all proposers succeed");
    }
    let after = leader.metrics();
    let commands = after.commands - before.commands;
    let entries = after.entries - before.entries;
    let syncs = after.log_syncs - before.log_syncs;
    assert!(commands >= PROPOSERS * EACH, "{commands} commands");
    assert!(
        commands > 4 * entries,
        "{commands} commands in {entries} entries"
    );
    assert!(syncs < commands, "{commands} commands in {syncs} syncs");
    cluster.stop_all().await;
}
