//! `cluster verify`, `node scrub` and `kv checksum` against a healthy cluster.

use serde_json::Value;

use crate::cluster::{Cluster, number, stderr};

#[test]
fn a_healthy_cluster_is_verified_scrubbed_and_hashed() {
    let cluster = Cluster::start();
    cluster.ok(&["keyspace", "create", "orders"]);
    cluster.ok(&["kv", "put", "17", "new", "-k", "orders"]);
    let first = cluster.json(&["kv", "checksum", "-k", "orders"]);
    assert_eq!(number(&first, "rows"), 1);
    let revision = number(&first, "revision").to_string();
    cluster.ok(&["kv", "put", "17", "paid", "-k", "orders"]);
    let second = cluster.json(&["kv", "checksum", "-k", "orders"]);
    assert_ne!(first.get("hash"), second.get("hash"));
    let at = ["kv", "checksum", "-k", "orders", "--revision", &revision];
    assert_eq!(cluster.json(&at).get("hash"), first.get("hash"));
    cluster.fails(3, &["kv", "checksum", "-k", "none"]);

    let verified = cluster.json(&["cluster", "verify"]);
    assert_eq!(
        verified.get("equal"),
        Some(&Value::Bool(true)),
        "{verified}"
    );
    let nodes = verified.get("nodes").and_then(Value::as_array);
    assert_eq!(nodes.map(Vec::len), Some(3), "{verified}");
    let text = cluster.ok(&["cluster", "verify"]);
    assert!(
        text.contains("nodes 1, 2, 3 hold the same at revision"),
        "{text}"
    );

    let fast = ["--bytes-per-second", "10000000000"];
    let scrubbed = cluster.json(&[&["node", "scrub", "2"], &fast[..]].concat());
    let state = scrubbed.get("state").and_then(Value::as_str);
    assert_eq!(state, Some("finished"), "{scrubbed}");
    assert!(number(&scrubbed, "read_bytes") > 0);
    let text = cluster.ok(&[&["node", "scrub", "2"], &fast[..]].concat());
    assert!(text.contains("nothing is damaged"), "{text}");
    let unknown = cluster.fails(3, &["node", "scrub", "9"]);
    assert!(stderr(&unknown).contains("those that do are 1, 2, 3"));
    let status = cluster.json(&["cluster", "status"]);
    let nodes = status.get("nodes").and_then(Value::as_array);
    let scrubbed = nodes.and_then(|nodes| nodes.iter().find(|node| number(node, "node") == 2));
    let scrubbed = scrubbed.expect("node 2 is told");
    assert_eq!(number(scrubbed, "scrub_errors_total"), 0);
    assert!(number(scrubbed, "scrub_finished_ms") > 0);
}
