//! `cluster add-learner|promote|transfer-leader|remove`: a new node takes the place of another.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Cluster, number, program, run, stderr};

/// A node beside those of `dev up`; it stops with the test.
struct Node {
    child: Child,
    client: String,
    peer: String,
}

impl Node {
    fn start(cluster: &Cluster, cluster_id: u64) -> Self {
        // Both are held until both are known, so that they differ.
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let held = [free(), free()];
        let [client, peer] = held
            .each_ref()
            .map(|port| port.local_addr().expect("a bound port").to_string());
        drop(held);
        let child = program(cluster.home())
            .args(["node", "run", "--node", "4", "--data", "fourth"])
            .args(["--cluster", &cluster_id.to_string()])
            .args(["--listen", &client, "--peer-listen", &peer])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        Self {
            child,
            client,
            peer,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the status says of a node, if it is a member.
fn member(status: &Value, id: u64) -> Option<&Value> {
    let nodes = status.get("nodes").and_then(Value::as_array);
    let mut nodes = nodes.expect("nodes are told").iter();
    nodes.find(|node| number(node, "node") == id)
}

/// Repeats a command that is refused until the cluster has come so far.
fn until_done(cluster: &Cluster, arguments: &[&str]) {
    let begun = Instant::now();
    loop {
        let output = run(cluster.home(), arguments);
        if output.status.success() {
            return;
        }
        let why = stderr(&output);
        let patience = Duration::from_mins(1);
        assert!(begun.elapsed() < patience, "{arguments:?}: {why}");
    }
}

/// A command that the rules of membership refuse: what it says.
fn refused(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = run(cluster.home(), arguments);
    assert!(!output.status.success(), "{arguments:?}");
    stderr(&output)
}

#[test]
fn a_new_node_learns_votes_leads_and_takes_the_place_of_another() {
    let cluster = Cluster::start();
    cluster.ok(&["keyspace", "create", "orders"]);
    cluster.ok(&["kv", "put", "17", "new", "-k", "orders"]);
    let status = cluster.json(&["cluster", "status"]);
    let fourth = Node::start(&cluster, number(&status, "cluster"));
    let (peer, client) = (fourth.peer.as_str(), fourth.client.as_str());

    let told = refused(&cluster, &["cluster", "promote", "4"]);
    assert!(told.contains("add it as a learner first"), "{told}");
    let add = ["cluster", "add-learner", "4", "--peer", peer, "--client"];
    cluster.ok(&[&add[..], &[client]].concat());
    let status = cluster.json(&["cluster", "status"]);
    let learner = member(&status, 4).expect("it is a member");
    assert_eq!(learner.get("voter"), Some(&Value::Bool(false)), "{status}");
    let told = refused(&cluster, &[&add[..], &["127.0.0.1:1"]].concat());
    assert!(told.contains("a member at other addresses"), "{told}");
    let told = refused(&cluster, &["cluster", "transfer-leader", "4"]);
    assert!(told.contains("has no vote"), "{told}");

    until_done(&cluster, &["cluster", "promote", "4"]);
    until_done(&cluster, &["cluster", "transfer-leader", "4"]);
    let status = cluster.json(&["cluster", "status"]);
    let voter = member(&status, 4).expect("it is a member");
    assert_eq!(voter.get("voter"), Some(&Value::Bool(true)), "{status}");
    assert_eq!(number(&status, "leader"), 4);

    cluster.ok(&["cluster", "remove", "1"]);
    // What is already so is no error.
    cluster.ok(&["cluster", "remove", "1"]);
    let status = cluster.json(&["cluster", "status", "--endpoints", client]);
    assert_eq!(member(&status, 1), None, "{status}");
    for id in 2..=4 {
        let left = member(&status, id).expect("it is a member");
        assert_eq!(left.get("voter"), Some(&Value::Bool(true)), "{status}");
    }
    let again = ["add-learner", "1", "--peer", "127.0.0.1:2", "--client"];
    let again = [&["cluster"], &again[..], &["127.0.0.1:3"]].concat();
    let told = refused(&cluster, &again);
    assert!(told.contains("ids are never used again"), "{told}");
    let get = ["kv", "get", "17", "-k", "orders", "--endpoints", client];
    assert_eq!(cluster.ok(&get), "new\n");
}
