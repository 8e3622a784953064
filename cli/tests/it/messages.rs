//! Messages: produced in order, consumed by a group, resumed after a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::cluster::{Cluster, SAMPLE, SAMPLE_RECORDS, number, program, signal};

/// (partition, offset) of a printed record.
fn place(line: &str) -> (u64, u64) {
    let record: Value = serde_json::from_str(line).expect("one JSON document for each record");
    (number(&record, "partition"), number(&record, "offset"))
}

#[test]
fn a_killed_consumer_resumes_and_nothing_is_skipped() {
    let cluster = Cluster::start();
    cluster.ok(&["topic", "create", "packages", "--partitions", "3"]);
    let produced = cluster.json(&["topic", "produce", "packages", "--key", "name", SAMPLE]);
    assert_eq!(number(&produced, "messages"), SAMPLE_RECORDS);
    let topic = cluster.json(&["topic", "describe", "packages"]);
    assert_eq!(number(&topic, "messages"), SAMPLE_RECORDS);
    let partitions = topic.get("partitions").and_then(Value::as_array);
    let ends: Vec<u64> = partitions
        .expect("partitions")
        .iter()
        .map(|partition| number(partition, "end"))
        .collect();
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|end| *end > 0), "keys are spread: {ends:?}");

    let consume = [
        "topic", "consume", "packages", "--group", "g", "--output", "json",
    ];
    // The pipe is full long before 1000 records, so the kill meets it in the middle.
    let mut child = program(cluster.home())
        .args(consume)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut seen = BTreeSet::new();
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    for line in lines.by_ref().take(150) {
        seen.insert(place(&line.expect("it is text")));
    }
    signal(child.id(), Signal::KILL);
    child.wait().expect("it ends");
    // What was printed counts, up to the record that the kill cut in two.
    for line in lines.map_while(Result::ok) {
        if serde_json::from_str::<Value>(&line).is_ok() {
            seen.insert(place(&line));
        }
    }
    assert!(seen.len() < 1_000, "it was killed in the middle");

    let committed = progress(&cluster, "g");
    assert!(
        committed.values().sum::<u64>() > 0,
        "it had acknowledged something"
    );
    let resumed: Vec<(u64, u64)> = cluster.ok(&consume).lines().map(place).collect();
    let mut first: BTreeMap<u64, u64> = BTreeMap::new();
    for (partition, offset) in &resumed {
        first.entry(*partition).or_insert(*offset);
    }
    for (partition, offset) in first {
        let next = committed.get(&partition).copied().unwrap_or(0);
        assert_eq!(
            offset, next,
            "partition {partition} resumes where it stopped"
        );
    }
    seen.extend(resumed);
    assert_eq!(seen.len(), 1_000, "nothing is skipped");
    assert_eq!(cluster.ok(&consume), "", "all is acknowledged");
}

/// The next offset of each partition, as the group recorded it.
fn progress(cluster: &Cluster, group: &str) -> BTreeMap<u64, u64> {
    let topic = cluster.json(&["topic", "describe", "packages"]);
    let groups = topic.get("consumer_groups").and_then(Value::as_array);
    groups
        .expect("groups")
        .iter()
        .filter(|shown| shown.get("group") == Some(&Value::from(group)))
        .filter_map(|shown| shown.get("partitions").and_then(Value::as_array))
        .flatten()
        .filter_map(|progress| {
            let next = progress.get("next").and_then(Value::as_u64)?;
            Some((number(progress, "partition"), next))
        })
        .collect()
}

#[test]
fn limits_groups_and_beginnings() {
    let cluster = Cluster::start();
    cluster.ok(&["topic", "create", "events", "--partitions", "3"]);
    for value in ["one", "two", "three"] {
        cluster.ok(&["topic", "produce", "events", "--key", "k", "--value", value]);
    }
    let values = |arguments: &[&str]| -> Vec<String> {
        let printed = cluster.ok(&[&["topic", "consume", "events"], arguments].concat());
        printed
            .lines()
            .filter_map(|line| line.rsplit('\t').next().map(str::to_owned))
            .collect()
    };
    assert_eq!(values(&[]), ["one", "two", "three"], "in the key's order");
    assert_eq!(values(&["--group", "g", "--limit", "2"]), ["one", "two"]);
    assert_eq!(values(&["--group", "g"]), ["three"]);
    assert_eq!(values(&["--group", "g"]), [""; 0]);
    assert_eq!(
        values(&["--group", "g", "--from-beginning"]),
        ["one", "two", "three"]
    );

    // A follower gets what is produced while it waits.
    let mut follower = program(cluster.home())
        .args([
            "topic", "consume", "events", "--group", "g", "--follow", "--limit", "1",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    cluster.ok(&["topic", "produce", "events", "--value", "four"]);
    let stdout = follower.stdout.take().expect("it is piped");
    let line = BufReader::new(stdout).lines().next();
    let line = line.expect("a line").expect("it is text");
    assert!(line.ends_with("four"), "{line}");
    assert!(follower.wait().expect("it ends").success());
}
