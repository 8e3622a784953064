//! A byte of the Raft log changes on one node's disk: that node says which file and where, and
//! serves nothing; the others go on.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use engine_client::{Client, ClientOptions};
use engine_jepsen::cluster::Cluster;

use super::{KEYSPACE, PATIENCE, small_cluster};

const MARK: &[u8] = b"a value that is easily found on disk";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_in_the_log_stops_the_node() {
    let mut cluster = small_cluster().await;
    let client = Client::connect(ClientOptions::new(cluster.client_addresses()))
        .await
        .expect("the seeds are addresses");
    client
        .keyspaces()
        .create(KEYSPACE)
        .await
        .expect("a healthy cluster");
    client
        .kv()
        .put(KEYSPACE, "row", Bytes::from_static(MARK))
        .await
        .expect("a healthy cluster");
    cluster
        .wait_for_agreement(PATIENCE)
        .await
        .expect("equal states");

    let victim = cluster.nodes().last().expect("three nodes").id;
    let node = cluster.node_mut(victim).expect("it is there");
    node.stop(PATIENCE)
        .await
        .expect("it ends when it is asked to");
    let segment = flip(&cluster, victim);

    let node = cluster.node_mut(victim).expect("it is there");
    node.start().expect("the program starts");
    let status = loop {
        if let Some(status) = node.ended().expect("the process can be looked after") {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert!(
        !status.success(),
        "a node with a damaged log ends with a failure"
    );
    let trace = node.trace_tail(20);
    assert!(
        trace.contains(&segment) && trace.contains("damaged at byte"),
        "it says: {trace}"
    );

    let answer = client
        .kv()
        .get(KEYSPACE, "row")
        .await
        .expect("two of three serve");
    assert_eq!(answer.expect("the row is there").value, MARK);
    client
        .kv()
        .put(KEYSPACE, "row", "again")
        .await
        .expect("two of three take writes");
}

/// Changes one bit of the value in the node's log; answers the segment's name.
fn flip(cluster: &Cluster, id: u64) -> String {
    let folder = cluster.folder().join(format!("node-{id}")).join("log");
    let segments = fs::read_dir(&folder).expect("the log's folder is there");
    for segment in segments {
        let path: PathBuf = segment.expect("a readable name").path();
        let mut bytes = fs::read(&path).expect("a readable segment");
        let found = bytes.windows(MARK.len()).position(|window| window == MARK);
        if let Some(at) = found {
            bytes[at] ^= 1;
            fs::write(&path, bytes).expect("a writable segment");
            return path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
        }
    }
    panic!("the value is in no segment of {}", folder.display());
}
