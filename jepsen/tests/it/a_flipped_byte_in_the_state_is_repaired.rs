//! Bytes of a node's state change on its disk: it says so, fetches a whole state from a peer, and
//! takes part again under its id; the damaged one is kept aside.

use std::fs;
use std::path::PathBuf;

use engine_client::{Client, ClientOptions};

use super::{PATIENCE, finish_and_check, small_cluster, start_workload};

/// Not a keyspace of the workload: its history does not know what is written here.
const BALLAST: &str = "ballast";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_in_the_state_is_repaired() {
    let mut cluster = small_cluster().await;
    let workload = start_workload(&cluster, 4).await;
    let client = Client::connect(ClientOptions::new(cluster.client_addresses()))
        .await
        .expect("the seeds are addresses");
    let victim = cluster.nodes().last().expect("three nodes").id;
    let state = cluster.folder().join(format!("node-{victim}/group-0"));
    let made = client.keyspaces().create(BALLAST).await;
    made.expect("a healthy cluster");
    // Enough that there is a checkpoint, and that the log has forgotten its beginning.
    loop {
        let status = cluster.status(victim).await.expect("a healthy node");
        let checkpoint = status
            .groups
            .first()
            .map_or(0, |group| group.checkpoint_index);
        if checkpoint > 0 {
            break;
        }
        let large = "x".repeat(10_000);
        let put = client.kv().put(BALLAST, "large", large).await;
        put.expect("a healthy cluster");
    }
    let node = cluster.node_mut(victim).expect("it is there");
    node.stop(PATIENCE)
        .await
        .expect("it ends when it is asked to");
    let damaged = flip(&state);
    let node = cluster.node_mut(victim).expect("it is there");
    node.start().expect("the program starts");
    let repair = loop {
        let node = cluster.node_mut(victim).expect("it is there");
        let ended = node.ended().expect("the process can be looked after");
        assert!(
            ended.is_none(),
            "it ends with {ended:?}: {}",
            node.trace_tail(20)
        );
        if let Ok(status) = cluster.status(victim).await
            && let Some(repair) = status.repairs.into_iter().next()
            && repair.state == "repaired"
        {
            break repair;
        }
        tokio::task::yield_now().await;
    };
    assert!(repair.damage.contains(&damaged), "it says: {repair:?}");
    let kept = PathBuf::from(&repair.quarantine);
    assert!(kept.join("store").join(&damaged).is_file(), "{repair:?}");
    finish_and_check(&cluster, workload).await;
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("equal states");
}

/// Changes the name of the manifest in the newest state; answers the file's name.
fn flip(group: &std::path::Path) -> String {
    let mut states: Vec<PathBuf> = fs::read_dir(group)
        .expect("the group's folder is there")
        .map(|entry| entry.expect("a readable name").path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("state-"))
        })
        .collect();
    states.sort();
    let path = states.last().expect("a state").join("store/CURRENT");
    let mut bytes = fs::read(&path).expect("a readable file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("a writable file");
    "CURRENT".to_owned()
}
