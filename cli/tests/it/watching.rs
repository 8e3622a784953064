//! Changes: watched over the loss of the leader, and told again.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{Cluster, number, program, run, signal, stderr};

#[test]
fn a_watch_goes_on_when_the_leader_is_killed() {
    let cluster = Cluster::start();
    let mut watching = program(cluster.home())
        .args([
            "kv",
            "watch",
            "--prefix",
            "r",
            "-k",
            "default",
            "--previous",
        ])
        .args(["--output", "json", "--limit", "41", "--timeout", "60"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program is there");
    let lines = BufReader::new(watching.stdout.take().expect("it is piped"));
    let mut lines = lines.lines().map(|line| {
        let line = line.expect("a line");
        serde_json::from_str::<Value>(&line).expect("JSON")
    });
    // Rows are written until the watch has begun and tells of one.
    let mut first = 0;
    let (told, hear) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for line in lines.by_ref() {
            told.send(()).ok();
            seen.push(line);
        }
        seen
    });
    while hear.try_recv().is_err() {
        first += 1;
        cluster.ok(&["kv", "put", "r", &first.to_string(), "-k", "default"]);
    }
    let status = cluster.json(&["cluster", "status"]);
    signal(leader(&status), Signal::KILL);
    let mut last = first;
    // Until the limit is reached, however many came before the kill.
    while !reader.is_finished() {
        last += 1;
        cluster.ok(&[
            "kv",
            "put",
            "r",
            &last.to_string(),
            "-k",
            "default",
            "--timeout",
            "60",
        ]);
    }
    let seen = reader.join().expect("lines are read");
    assert!(watching.wait().expect("it ends").success());
    let value = |event: &Value| {
        let value = event.pointer("/row/value").and_then(Value::as_str);
        value
            .and_then(|value| value.parse::<u64>().ok())
            .expect("a number")
    };
    let values: Vec<_> = seen.iter().map(value).collect();
    assert_eq!(values.len(), 41);
    let from = values[0];
    assert!(
        values.iter().copied().eq(from..from + 41),
        "each once, in order: {values:?}"
    );
    let before = seen[1].pointer("/previous/value");
    assert_eq!(before, Some(&json!(from.to_string())));
}

/// The process that leads.
fn leader(status: &Value) -> u32 {
    let leader = number(status, "leader");
    let nodes = status
        .get("nodes")
        .and_then(Value::as_array)
        .expect("nodes");
    let node = nodes.iter().find(|node| number(node, "node") == leader);
    let pid = number(node.expect("the leader is a node"), "pid");
    u32::try_from(pid).expect("a process id")
}

#[test]
fn what_happened_is_told_again() {
    let cluster = Cluster::start();
    let put = cluster.json(&["kv", "put", "a", "1", "-k", "default"]);
    let from = number(&put, "revision").to_string();
    cluster.ok(&["kv", "put", "a", "2", "-k", "default"]);
    cluster.ok(&["kv", "set", "add", "tags", "x", "y", "-k", "default"]);
    cluster.ok(&["kv", "del", "a", "-k", "default"]);
    cluster.ok(&["kv", "del", "--prefix", "t", "-k", "default"]);

    let past = [
        "kv",
        "watch",
        "-k",
        "default",
        "--from",
        &from,
        "--no-follow",
    ];
    let lines = cluster.ok(&past);
    let lines: Vec<_> = lines.lines().map(|line| line.split_once('\t')).collect();
    let told: Vec<_> = lines.iter().flatten().map(|(_, told)| *told).collect();
    assert_eq!(
        told,
        [
            "put\ta\t1",
            "put\ta\t2",
            "put\ttags\tset of 2",
            "deleted\ta",
            "range deleted\tfrom 't' to 'u'"
        ]
    );
    let explained = cluster.ok(&[
        "explain",
        "--revision",
        &(number(&put, "revision") + 1).to_string(),
    ]);
    assert!(
        explained.contains("default\tput\ta\t2\twas 1"),
        "{explained}"
    );
    let changes = cluster.ok(&[
        "changes", "--from", &from, "--limit", "2", "--output", "json",
    ]);
    assert_eq!(changes.lines().count(), 2);

    for (bad, code, word) in [
        (vec!["changes", "--from", "999999"], 1, "REVISION_IN_FUTURE"),
        (vec!["kv", "watch", "-k", "nowhere"], 3, "UNKNOWN_KEYSPACE"),
        (
            vec!["kv", "watch", "-k", "default", "--start", "b", "--end", "a"],
            2,
            "RANGE_EMPTY",
        ),
        (
            vec!["kv", "watch", "-k", "default", "--from", "999999"],
            1,
            "REVISION_IN_FUTURE",
        ),
        (
            vec!["kv", "watch", "x", "--prefix", "x", "-k", "default"],
            2,
            "cannot be used with",
        ),
    ] {
        let refused = run(cluster.home(), &bad);
        let said = stderr(&refused);
        assert!(said.contains(word), "{bad:?}: {said}");
        assert_eq!(refused.status.code(), Some(code), "{bad:?}: {said}");
    }
}
