//! Versions of rows: kept, listed, reverted to and undeleted.

use serde_json::{Value, json};

use crate::cluster::{Cluster, number, run, stderr};

#[test]
fn versions_are_kept_listed_and_restored_from_the_command_line() {
    let cluster = Cluster::start();
    cluster.ok(&["keyspace", "create", "docs", "--versioned"]);
    let described = cluster.json(&["keyspace", "describe", "docs"]);
    assert_eq!(described.get("versioned"), Some(&json!(true)));
    let put = |value: &str| {
        let written = cluster.json(&["kv", "put", "a", value, "-k", "docs"]);
        number(&written, "revision").to_string()
    };
    let (first, second) = (put("one"), put("two"));
    cluster.ok(&["kv", "del", "a", "-k", "docs"]);
    cluster.fails(3, &["kv", "get", "a", "-k", "docs"]);

    let shown = cluster.ok(&["kv", "history", "a", "-k", "docs"]);
    for word in ["(deleted)", "two", "one", "all that were kept"] {
        assert!(shown.contains(word), "{shown}");
    }
    let page = cluster.json(&["kv", "history", "a", "-k", "docs", "--limit", "2"]);
    assert_eq!(page.get("more"), Some(&json!(true)));
    let rest = ["kv", "history", "a", "-k", "docs", "--before", &second];
    let rest = cluster.json(&rest);
    let values = rest.get("versions").and_then(Value::as_array);
    let values = values.expect("a list").iter().map(|one| one.get("value"));
    assert_eq!(values.collect::<Vec<_>>(), [Some(&json!("one"))]);

    let old = cluster.ok(&["kv", "get", "a", "-k", "docs", "--version-at", &first]);
    assert_eq!(old.trim(), "one");
    let none = ["kv", "get", "a", "-k", "docs", "--version-at", "9999"];
    let none = cluster.fails(3, &none);
    assert!(stderr(&none).contains("kv history"), "{}", stderr(&none));

    let restored = cluster.json(&["kv", "undelete", "a", "-k", "docs"]);
    assert_eq!(number(&restored, "from_revision").to_string(), second);
    assert_eq!(cluster.ok(&["kv", "get", "a", "-k", "docs"]).trim(), "two");
    let there = run(cluster.home(), &["kv", "undelete", "a", "-k", "docs"]);
    assert_eq!(there.status.code(), Some(1));
    assert!(stderr(&there).contains("ROW_EXISTS"), "{}", stderr(&there));
    cluster.ok(&["kv", "revert", "a", "-k", "docs", "--to", &first]);
    assert_eq!(cluster.ok(&["kv", "get", "a", "-k", "docs"]).trim(), "one");
    cluster.fails(3, &["kv", "revert", "a", "-k", "docs", "--to", "9999"]);
    cluster.fails(3, &["kv", "history", "nothing", "-k", "docs"]);

    let set = run(
        cluster.home(),
        &["kv", "set", "add", "s", "m", "-k", "docs"],
    );
    assert!(
        stderr(&set).contains("PLAIN_VALUES_ONLY"),
        "{}",
        stderr(&set)
    );
    cluster.ok(&["keyspace", "alter", "docs"]);
    let described = cluster.json(&["keyspace", "describe", "docs"]);
    assert_eq!(described.get("versioned"), Some(&json!(false)));
    let kept = cluster.json(&["kv", "history", "a", "-k", "docs"]);
    assert_eq!(kept.get("kept"), Some(&json!(true)), "what was kept stays");
}
