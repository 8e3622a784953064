//! Keyspaces with options, ends of rows, numbers, sets and hashes.

use serde_json::{Value, json};

use crate::cluster::{Cluster, number, run, stderr};

#[test]
fn typed_values_and_ends_from_the_command_line() {
    let cluster = Cluster::start();
    cluster.ok(&["keyspace", "create", "sessions", "--default-ttl", "24h"]);
    let listed = cluster.ok(&["keyspace", "ls"]);
    assert!(
        listed.contains("after 1day") && listed.contains("never"),
        "{listed}"
    );
    quotas(&cluster);
    numbers(&cluster);
    sets_and_hashes(&cluster);
    ends(&cluster);

    let refused = run(cluster.home(), &["keyspace", "drop", "sessions"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--yes"));
    cluster.ok(&["keyspace", "alter", "sessions"]);
    let described = cluster.json(&["keyspace", "describe", "sessions"]);
    assert_eq!(described.get("default_ttl_ms"), Some(&Value::Null));
    assert_eq!(number(&described, "rows"), 1);
    cluster.ok(&["keyspace", "drop", "sessions", "--yes"]);
    let gone = run(cluster.home(), &["keyspace", "describe", "sessions"]);
    assert_eq!(gone.status.code(), Some(3));
}

fn quotas(cluster: &Cluster) {
    let quota = ["--rows-max", "1", "--bytes-max", "1KiB", "--uncached"];
    cluster.ok(&[&["keyspace", "create", "small"][..], &quota].concat());
    cluster.ok(&["kv", "put", "a", "v", "-k", "small"]);
    let refused = run(cluster.home(), &["kv", "put", "b", "v", "-k", "small"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = stderr(&refused);
    assert!(told.contains("QUOTA_REACHED"), "{told}");
    assert!(told.contains("keyspace alter"), "what to do: {told}");
    let shown = cluster.ok(&["keyspace", "ls"]);
    assert!(shown.contains("1 of 1 rows, 2 of 1,024 bytes"), "{shown}");
    let described = cluster.json(&["keyspace", "describe", "small"]);
    let usage = json!({"rows": 1, "bytes": 2, "complete": true});
    assert_eq!(described.get("usage"), Some(&usage));
    cluster.fails(2, &["keyspace", "create", "x", "--bytes-max", "1GB"]);
}

fn numbers(cluster: &Cluster) {
    let number = |change: &str, by: &str| {
        let text = cluster.ok(&["kv", "number", "n", "-k", "default", change, by]);
        text.trim().to_owned()
    };
    assert_eq!(number("--add", "5"), "5");
    assert_eq!(number("--add", "-7"), "-2");
    assert_eq!(number("--max", "9"), "9");
    assert_eq!(cluster.ok(&["kv", "get", "n", "-k", "default"]).trim(), "9");
    cluster.ok(&["kv", "put", "word", "hello", "-k", "default"]);
    let refused = run(
        cluster.home(),
        &["kv", "number", "word", "-k", "default", "--add", "1"],
    );
    assert!(!refused.status.success() && stderr(&refused).contains("NOT_A_NUMBER"));
    let appended = cluster.json(&["kv", "append", "word", "!", "-k", "default"]);
    assert_eq!(appended.get("len"), Some(&json!(6)));
}

fn sets_and_hashes(cluster: &Cluster) {
    let set = |rest: &[&str]| {
        run(
            cluster.home(),
            &[&["kv", "set"], rest, &["-k", "default"]].concat(),
        )
    };
    let added = set(&["add", "tags", "b", "a", "b"]);
    assert!(added.status.success(), "{}", stderr(&added));
    assert_eq!(set(&["has", "tags", "a"]).status.code(), Some(0));
    assert_eq!(set(&["has", "tags", "c"]).status.code(), Some(3));
    let listed = cluster.json(&["kv", "set", "ls", "tags", "-k", "default"]);
    assert_eq!(
        listed.get("members"),
        Some(&json!([{"name": "a"}, {"name": "b"}]))
    );
    let plain = set(&["ls", "nothing"]);
    assert_eq!(plain.status.code(), Some(3));
    let read = run(cluster.home(), &["kv", "get", "tags", "-k", "default"]);
    assert!(
        stderr(&read).contains("kv set ls tags"),
        "{}",
        stderr(&read)
    );
    assert!(set(&["rm", "tags", "a", "b"]).status.success());
    assert_eq!(set(&["ls", "tags"]).status.code(), Some(3));

    cluster.ok(&[
        "kv",
        "hash",
        "set",
        "user",
        "name=Alice",
        "mail=a=b",
        "-k",
        "default",
    ]);
    let mail = cluster.ok(&["kv", "hash", "get", "user", "mail", "-k", "default"]);
    assert_eq!(mail.trim(), "a=b");
    cluster.ok(&["kv", "hash", "rm", "user", "mail", "-k", "default"]);
    let fields = cluster.json(&["kv", "hash", "ls", "user", "-k", "default"]);
    assert_eq!(
        fields.get("members"),
        Some(&json!([{"name": "name", "value": "Alice"}]))
    );
}

fn ends(cluster: &Cluster) {
    let ends = |key: &str| {
        let found = cluster.json(&["kv", "get", key, "-k", "sessions"]);
        found
            .get("row")
            .and_then(|row| row.get("expires_at_ms"))
            .cloned()
    };
    cluster.ok(&["kv", "put", "s1", "alice", "-k", "sessions"]);
    assert!(ends("s1").is_some(), "the keyspace says so");
    cluster.ok(&["kv", "expire", "s1", "-k", "sessions", "--no-ttl"]);
    let left = cluster.json(&["kv", "ttl", "s1", "-k", "sessions"]);
    assert_eq!(left.get("ttl_ms"), Some(&Value::Null));
    cluster.ok(&["kv", "put", "s3", "x", "-k", "sessions", "--ttl", "1h"]);
    let left = cluster.json(&["kv", "ttl", "s3", "-k", "sessions"]);
    let left = number(&left, "ttl_ms");
    assert!((3_000_000..=3_600_000).contains(&left), "{left}");
    cluster.ok(&["kv", "del", "s3", "-k", "sessions"]);
    assert_eq!(ends("s1"), None);
    let absent = run(
        cluster.home(),
        &["kv", "expire", "s2", "-k", "sessions", "--ttl", "1s"],
    );
    assert_eq!(absent.status.code(), Some(3));
    let wrong = run(
        cluster.home(),
        &["kv", "put", "s2", "x", "-k", "sessions", "--ttl", "soon"],
    );
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("1h 30m"), "{}", stderr(&wrong));
    let past = ["--expires-at", "2001-01-01T00:00:00Z"];
    let past = run(
        cluster.home(),
        &[&["kv", "put", "s2", "x", "-k", "sessions"], &past[..]].concat(),
    );
    assert!(
        stderr(&past).contains("EXPIRY_IN_THE_PAST"),
        "{}",
        stderr(&past)
    );
}
