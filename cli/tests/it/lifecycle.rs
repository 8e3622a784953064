//! `dev up`: one at a time on a folder, stops as a whole, finds its data again.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::cluster::{Cluster, Up, number, run, runs, signal, stderr};

#[test]
fn a_cluster_stops_at_ctrl_c_and_the_next_start_finds_its_data() {
    let mut cluster = Cluster::start();
    cluster.ok(&["keyspace", "create", "orders"]);
    cluster.ok(&["kv", "put", "17", "new", "-k", "orders"]);
    let status = cluster.json(&["cluster", "status"]);
    let id = number(&status, "cluster");
    let nodes = status
        .get("nodes")
        .and_then(Value::as_array)
        .expect("nodes");
    assert_eq!(nodes.len(), 3);
    assert!(
        nodes
            .iter()
            .all(|node| node.get("up") == Some(&Value::Bool(true)))
    );
    assert!(status.get("leader").is_some_and(Value::is_u64));
    cluster.ok(&["dev", "status"]);

    let second = cluster.fails(1, &["dev", "up"]);
    let told = stderr(&second);
    assert!(told.contains("another 'dev up' runs on ./data"), "{told}");

    let pids = cluster.up().node_pids();
    let addresses = cluster.up().told.get("endpoints").cloned();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|pid| runs(*pid)));
    let (ended, _) = cluster.interrupt();
    assert!(ended.success(), "{ended}");
    assert!(pids.iter().all(|pid| !runs(*pid)), "all nodes are gone");

    let down = cluster.fails(4, &["kv", "get", "17", "-k", "orders"]);
    assert!(stderr(&down).contains("dev up"), "{}", stderr(&down));
    cluster.fails(4, &["dev", "status"]);
    let other = cluster.fails(2, &["dev", "up", "--nodes", "5"]);
    assert!(stderr(&other).contains("holds a cluster of 3 nodes"));

    cluster.start_again();
    assert_eq!(cluster.up().told.get("endpoints").cloned(), addresses);
    assert_eq!(cluster.ok(&["kv", "get", "17", "-k", "orders"]), "new\n");
    assert_eq!(number(&cluster.json(&["cluster", "status"]), "cluster"), id);

    // From anywhere else the user's pointer leads to it.
    let elsewhere = cluster.home().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    let found = crate::cluster::program(cluster.home())
        .current_dir(&elsewhere)
        .args(["kv", "get", "17", "-k", "orders"])
        .output()
        .expect("the program runs");
    assert_eq!(crate::cluster::stdout(&found), "new\n");
}

#[test]
fn a_node_that_dies_is_reported_and_the_others_go_on() {
    let mut cluster = Cluster::start();
    cluster.ok(&["keyspace", "create", "orders"]);
    let first = *cluster.up().node_pids().first().expect("three nodes");
    signal(first, Signal::KILL);
    let warning = cluster.up().warning();
    assert!(warning.contains("node 1"), "{warning}");
    assert!(warning.contains("has ended by itself"), "{warning}");
    assert!(warning.contains("2 nodes go on"), "{warning}");
    cluster.ok(&["kv", "put", "17", "new", "-k", "orders"]);
    let status = cluster.json(&["cluster", "status"]);
    let nodes = status
        .get("nodes")
        .and_then(Value::as_array)
        .expect("nodes");
    let down: Vec<u64> = nodes
        .iter()
        .filter(|node| node.get("up") == Some(&Value::Bool(false)))
        .map(|node| number(node, "node"))
        .collect();
    assert_eq!(down, [1]);
}

#[test]
fn nodes_end_with_a_parent_that_was_killed() {
    let home = tempfile::tempdir().expect("a folder");
    let up = Up::start(home.path(), &["dev", "up", "--nodes", "1"]);
    let address = up.endpoint();
    // Open for as long as the node's process lives.
    let mut connection = TcpStream::connect(address).expect("the node listens");
    connection
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    signal(up.pid(), Signal::KILL);
    let mut rest = Vec::new();
    let closed = connection.read_to_end(&mut rest);
    assert!(
        !closed.is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
        "a node outlived its parent"
    );
    drop(up);
}

#[test]
fn a_folder_with_other_things_is_refused() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join("data")).expect("a folder");
    std::fs::write(home.path().join("data/thesis.txt"), "years").expect("written");
    let output = run(home.path(), &["dev", "up"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("is not empty"),
        "{}",
        stderr(&output)
    );
}
