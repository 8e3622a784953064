//! Rows: a real file is imported, read, changed; conditions hold or do not.

use serde_json::Value;

use crate::cluster::{Cluster, SAMPLE, SAMPLE_RECORDS, number, stderr, stdout};

const PACKAGES: [&str; 2] = ["--keyspace", "packages"];

#[test]
fn a_file_of_records_is_imported_and_read_again() {
    let cluster = Cluster::start();
    let imported = cluster.json(&["kv", "import", "-k", "packages", "--key", "name", SAMPLE]);
    assert_eq!(number(&imported, "records"), SAMPLE_RECORDS);
    assert_eq!(imported.get("keyspace_created"), Some(&Value::Bool(true)));
    let keyspaces = cluster.ok(&["keyspace", "ls"]);
    assert!(keyspaces.contains("packages"), "{keyspaces}");
    assert_eq!(
        cluster.ok(&["kv", "count", "-k", "packages"]).trim(),
        "1000"
    );

    let row: Value = serde_json::from_str(&cluster.ok(&["kv", "get", "0ad", "-k", "packages"]))
        .expect("the value is the record");
    assert_eq!(row.get("name"), Some(&Value::from("0ad")));

    let keys = scan_all(&cluster, &["--limit", "64"]);
    assert_eq!(keys.len(), 1_000);
    assert!(keys.is_sorted());
    let mut backwards = scan_all(&cluster, &["--limit", "300", "--reverse", "--keys-only"]);
    backwards.reverse();
    assert_eq!(backwards, keys);
    let prefix = cluster.json(&["kv", "count", "-k", "packages", "--prefix", "a"]);
    let expected = keys.iter().filter(|key| key.starts_with('a')).count();
    assert_eq!(
        number(&prefix, "count"),
        u64::try_from(expected).expect("few")
    );

    // A second import of the same file changes no count.
    let again = cluster.json(&["kv", "import", "-k", "packages", "--key", "name", SAMPLE]);
    assert_eq!(again.get("keyspace_created"), Some(&Value::Bool(false)));
    assert_eq!(
        cluster.ok(&["kv", "count", "-k", "packages"]).trim(),
        "1000"
    );

    a_bad_line_stops_an_import(&cluster);
    the_last_of_equal_keys_wins(&cluster);
}

/// Walks all pages by their cursors.
fn scan_all(cluster: &Cluster, options: &[&str]) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut arguments = vec!["kv", "scan"];
        arguments.extend(PACKAGES);
        arguments.extend(options);
        if !cursor.is_empty() {
            arguments.extend(["--cursor", &cursor]);
        }
        let page = cluster.json(&arguments);
        let rows = page.get("rows").and_then(Value::as_array).expect("rows");
        keys.extend(rows.iter().map(|row| {
            let key = row.get("key").and_then(Value::as_str);
            key.expect("a key").to_owned()
        }));
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => return keys,
        }
    }
}

fn a_bad_line_stops_an_import(cluster: &Cluster) {
    let file = cluster.write("bad.jsonl", "{\"name\":\"a\"}\n{\"name\":\"b\"}\n{\"nam\n");
    let output = cluster.fails(2, &["kv", "import", "-k", "bad", "--key", "name", &file]);
    let told = stderr(&output);
    assert!(told.contains("bad.jsonl:3: the line is no JSON"), "{told}");
    assert!(told.contains("2 records were stored"), "{told}");
    assert_eq!(cluster.ok(&["kv", "count", "-k", "bad"]).trim(), "2");
}

fn the_last_of_equal_keys_wins(cluster: &Cluster) {
    let lines: Vec<String> = (0..50)
        .map(|n| format!("{{\"name\":\"key-{}\",\"n\":{n}}}", n % 5))
        .collect();
    let file = cluster.write("twice.jsonl", &lines.join("\n"));
    cluster.ok(&["kv", "import", "-k", "twice", "--key", "name", &file]);
    let last = cluster.ok(&["kv", "get", "key-4", "-k", "twice"]);
    assert!(last.contains("\"n\":49"), "{last}");
}

#[test]
fn single_rows_are_written_compared_and_removed() {
    let cluster = Cluster::start();
    let unknown = cluster.fails(3, &["kv", "put", "a", "1", "-k", "orders"]);
    assert!(
        stderr(&unknown).contains("keyspace create"),
        "{}",
        stderr(&unknown)
    );
    cluster.ok(&["keyspace", "create", "orders"]);
    cluster.fails(1, &["keyspace", "create", "orders"]);

    let put = cluster.json(&["kv", "put", "a", "1", "-k", "orders"]);
    assert_eq!(number(&put, "version"), 1);
    let first = number(&put, "revision");
    assert_eq!(cluster.ok(&["kv", "get", "a", "-k", "orders"]), "1\n");

    let cas = ["kv", "cas", "a", "2", "-k", "orders", "--if-value"];
    cluster.ok(&[&cas[..], &["1"]].concat());
    let refused = cluster.fails(3, &[&cas[..], &["1"]].concat());
    assert!(stdout(&refused).contains("nothing was changed"));
    cluster.fails(3, &["kv", "cas", "a", "3", "-k", "orders", "--if-absent"]);
    cluster.ok(&["kv", "cas", "b", "x", "-k", "orders", "--if-absent"]);
    let stale = first.to_string();
    cluster.fails(
        3,
        &[
            "kv",
            "cas",
            "a",
            "3",
            "-k",
            "orders",
            "--if-revision",
            &stale,
        ],
    );
    assert_eq!(cluster.ok(&["kv", "get", "a", "-k", "orders"]), "2\n");
    let then = ["kv", "get", "a", "-k", "orders", "--revision", &stale];
    assert_eq!(cluster.ok(&then), "1\n", "as it was");

    assert!(
        cluster
            .ok(&["kv", "del", "a", "-k", "orders"])
            .contains("removed")
    );
    assert!(
        cluster
            .ok(&["kv", "del", "a", "-k", "orders"])
            .contains("not there")
    );
    cluster.fails(3, &["kv", "get", "a", "-k", "orders"]);
    let gone = cluster.fails(3, &["kv", "get", "a", "-k", "orders", "--output", "json"]);
    let gone: Value = serde_json::from_str(&stdout(&gone)).expect("JSON also when absent");
    assert_eq!(gone.get("row"), Some(&Value::Null));

    for key in ["c/1", "c/2", "d"] {
        cluster.ok(&["kv", "put", key, "x", "-k", "orders"]);
    }
    cluster.fails(2, &["kv", "del", "-k", "orders"]);
    cluster.ok(&["kv", "del", "--prefix", "c/", "-k", "orders"]);
    cluster.fails(3, &["kv", "get", "c/2", "-k", "orders"]);
    assert_eq!(cluster.ok(&["kv", "get", "d", "-k", "orders"]), "x\n");
}

#[test]
fn a_commit_is_done_as_a_whole_or_not_at_all() {
    let cluster = Cluster::start();
    cluster.ok(&["keyspace", "create", "orders"]);
    cluster.ok(&["topic", "create", "events", "--partitions", "3"]);
    let file = cluster.write(
        "order.json",
        r#"{"guards": [{"absent": {"keyspace": "orders", "key": "17"}}],
            "ops": [{"put": {"keyspace": "orders", "key": "17", "value": {"state": "new"}}},
                    {"publish": {"topic": "events", "key": "17", "value": "created"}},
                    {"read": {"keyspace": "orders", "key": "17"}}]}"#,
    );
    let done = cluster.json(&["commit", "-f", &file]);
    assert_eq!(done.get("done"), Some(&Value::Bool(true)));
    let results = done.get("results").and_then(Value::as_array);
    let read = results.and_then(|results| results[2].pointer("/read/row/value"));
    assert_eq!(read, Some(&Value::from(r#"{"state":"new"}"#)));

    // The guard holds no longer: neither the row nor the message appears a second time.
    let refused = cluster.fails(3, &["commit", "-f", &file, "--output", "json"]);
    let refused: Value = serde_json::from_str(&stdout(&refused)).expect("JSON");
    assert_eq!(refused.get("done"), Some(&Value::Bool(false)));
    let row = cluster.json(&["kv", "get", "17", "-k", "orders"]);
    assert_eq!(number(row.get("row").expect("it is there"), "version"), 1);
    let topic = cluster.json(&["topic", "describe", "events"]);
    assert_eq!(number(&topic, "messages"), 1);

    let unknown = cluster.write("unknown.json", r#"{"ops": [], "guard": []}"#);
    let refused = cluster.fails(2, &["commit", "-f", &unknown]);
    assert!(stderr(&refused).contains("unknown field `guard`"));
}
