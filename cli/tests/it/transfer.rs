//! Rows go out in files and come in again.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::cluster::{Cluster, number, program, run, stderr, stdout};

/// A keyspace with rows of every kind, some of which are no text.
fn fill(cluster: &Cluster) {
    cluster.ok(&["keyspace", "create", "from"]);
    let put = |key: &str, value: &str, more: &[&str]| {
        let words = ["kv", "put", key, value, "-k", "from"];
        cluster.ok(&[&words, more].concat());
    };
    put("a", "plain", &[]);
    put("b,\"c\"", "line\nbreak, and \"quotes\"", &[]);
    put("empty", "", &[]);
    put("ends", "later", &["--expires-at", "2096-01-31T08:00:00Z"]);
    let raw = [0xff_u8, 0, 0x80, b'\n'];
    let mut child = program(cluster.home())
        .args(["kv", "put", "raw", "-", "-k", "from"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(&raw).expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    // More members than one line or page of an export has.
    let members: Vec<String> = (0..1_200).map(|at| format!("member-{at}")).collect();
    let mut words = vec!["kv", "set", "add", "set"];
    words.extend(members.iter().map(String::as_str));
    words.extend(["-k", "from"]);
    cluster.ok(&words);
    cluster.ok(&["kv", "hash", "set", "hash", "name=Ada", "x=", "-k", "from"]);
    cluster.ok(&[
        "kv",
        "expire",
        "hash",
        "-k",
        "from",
        "--expires-at",
        "2096-01-31T08:00:00Z",
    ]);
}

fn export(cluster: &Cluster, keyspace: &str, more: &[&str]) -> String {
    let words = ["kv", "export", "-k", keyspace];
    cluster.ok(&[&words, more].concat())
}

#[test]
fn what_was_exported_is_imported_as_it_was() {
    let cluster = Cluster::start();
    fill(&cluster);
    let rows = export(&cluster, "from", &[]);
    assert_eq!(rows.lines().count(), 5 + 3 + 1, "{rows}");
    assert!(rows.contains("\"base64\":[\"value\"]"), "{rows}");

    for name in ["a.jsonl", "a.jsonl.gz", "a.csv", "a.csv.zst"] {
        let file = cluster.home().join(name).display().to_string();
        let told = cluster.json(&["kv", "export", "-k", "from", "--file", &file]);
        assert_eq!(number(&told, "rows"), 7, "{told}");
        let to = name.replace('.', "-");
        cluster.ok(&["keyspace", "create", &to, "--default-ttl", "1h"]);
        cluster.ok(&["kv", "import", "-k", &to, &file]);
        assert_eq!(export(&cluster, &to, &[]), rows, "{name}");
        // Once more changes nothing.
        cluster.ok(&["kv", "import", "-k", &to, &file]);
        assert_eq!(export(&cluster, &to, &[]), rows, "{name}");
    }
    let left: Vec<_> = std::fs::read_dir(cluster.home())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let some = export(&cluster, "from", &["--prefix", "e", "--format", "csv"]);
    let header = "key,kind,member,value,expires_at_ms,base64";
    let lines = [
        header,
        "empty,value,,,,",
        "ends,value,,later,3978835200000,",
    ];
    assert_eq!(some, format!("{}\n", lines.join("\n")));

    // A pipe, packed by whoever stands in between.
    let packed = run(
        cluster.home(),
        &["kv", "export", "-k", "from", "--compress", "gzip"],
    );
    piped(&cluster, &["-k", "piped", "-"], &packed.stdout, 0);
    assert_eq!(export(&cluster, "piped", &[]), rows);

    what_is_wrong_is_told(&cluster, &packed.stdout);
    all_rows_are_printed_as_they_come(&cluster);
}

/// Imports what it is given on standard input; its standard error.
fn piped(cluster: &Cluster, words: &[&str], input: &[u8], code: i32) -> String {
    let mut child = program(cluster.home())
        .args(["kv", "import"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    format!("{told}{}", stdout(&output))
}

fn what_is_wrong_is_told(cluster: &Cluster, packed: &[u8]) {
    let cut = packed.get(..packed.len() / 2).expect("half of it");
    let told = piped(cluster, &["-k", "cut", "-"], cut, 2);
    assert!(told.contains("gzip data ends here"), "{told}");
    assert!(told.contains("records were stored before that"), "{told}");

    let named = cluster.write("no.jsonl.gz", "{\"key\":\"a\",\"value\":\"b\"}\n");
    let refused = cluster.fails(2, &["kv", "import", "-k", "cut", &named]);
    assert!(
        stderr(&refused).contains("is no gzip data"),
        "{}",
        stderr(&refused)
    );

    let deep = format!("{{\"k\":1,\"x\":{}{}}}\n", "[".repeat(100), "]".repeat(100));
    let lines = format!("{{\"k\":\"good\"}}\n{deep}{{\"x\":1}}\n\u{7f}\n{{\"k\":2}}\n");
    let told = piped(
        cluster,
        &["-k", "deep", "--key", "k", "-"],
        lines.as_bytes(),
        2,
    );
    assert!(
        told.contains("stdin:2: the line is nested deeper than 64"),
        "{told}"
    );
    assert!(told.contains("1 records were stored before that"), "{told}");
    let words = ["-k", "deep", "--key", "k", "--skip-bad", "-"];
    let told = piped(cluster, &words, lines.as_bytes(), 0);
    assert!(
        told.contains("stdin:3: the line has no field 'k'"),
        "{told}"
    );
    assert!(
        told.contains("2 records stored") && told.contains("3 passed over bad"),
        "{told}"
    );

    let csv = cluster.write("p.csv", "sku,price,sku\n1,2,3\n");
    let refused = cluster.fails(2, &["kv", "import", "-k", "csv", "--key", "sku", &csv]);
    assert!(
        stderr(&refused).contains("names 'sku' twice"),
        "{}",
        stderr(&refused)
    );
    let csv = cluster.write("p.csv", "sku,price\n17,4.50\n18\n");
    let refused = cluster.fails(2, &["kv", "import", "-k", "csv", "--key", "sku", &csv]);
    assert!(
        stderr(&refused).contains("p.csv:3: the line has 1 columns"),
        "{}",
        stderr(&refused)
    );
    let row = cluster.ok(&["kv", "get", "17", "-k", "csv"]);
    assert_eq!(row, "{\"sku\":\"17\",\"price\":\"4.50\"}\n");

    // A row that has ended is left out, wherever it stands in a batch.
    let ended = "{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"old\",\"value\":\"2\",\"expires_at_ms\":1000}\n";
    let told = piped(cluster, &["-k", "old", "-"], ended.as_bytes(), 0);
    assert!(
        told.contains("1 records stored") && told.contains("1 passed over that have ended"),
        "{told}"
    );
    cluster.fails(
        3,
        &["kv", "export", "-k", "nowhere", "--file", "nowhere.jsonl"],
    );
    assert!(!cluster.home().join("nowhere.jsonl").exists());
}

fn all_rows_are_printed_as_they_come(cluster: &Cluster) {
    let lines: Vec<_> = (0..12_345)
        .map(|at| format!("{{\"id\":\"{at:05}\"}}"))
        .collect();
    let file = cluster.write("many.jsonl", &lines.join("\n"));
    cluster.ok(&["kv", "import", "-k", "many", "--key", "id", &file]);
    let words = [
        "kv",
        "scan",
        "-k",
        "many",
        "--all",
        "--keys-only",
        "--output",
        "json",
    ];
    let all = cluster.ok(&words);
    let keys: Vec<String> = all
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("a row is one document");
            row.get("key")
                .and_then(Value::as_str)
                .expect("a key")
                .to_owned()
        })
        .collect();
    assert_eq!(keys.len(), 12_345, "more than a page holds");
    assert!(keys.is_sorted_by(|a, b| a < b));
}
