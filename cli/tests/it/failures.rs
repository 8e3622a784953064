//! What a person sees when there is no cluster.

use serde_json::Value;

use crate::cluster::{run, stderr};

#[test]
fn without_a_cluster_the_error_says_how_to_get_one() {
    let home = tempfile::tempdir().expect("a folder");
    let output = run(home.path(), &["kv", "get", "a", "-k", "orders"]);
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(
        told.contains("dev up") && told.contains("--endpoints"),
        "{told}"
    );
}

#[test]
fn an_unreachable_cluster_is_told_at_once() {
    let home = tempfile::tempdir().expect("a folder");
    let begun = std::time::Instant::now();
    let arguments = ["keyspace", "ls", "--endpoints", "127.0.0.1:1"];
    let output = run(home.path(), &arguments);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    let json = run(
        home.path(),
        &[&arguments[..], &["--output", "json"]].concat(),
    );
    let told: Value = serde_json::from_str(&stderr(&json)).expect("errors are JSON too");
    let reason = told.get("error").and_then(|error| error.get("reason"));
    assert_eq!(reason, Some(&Value::from("UNREACHABLE")));
}

#[test]
fn usage_errors_have_their_code() {
    let home = tempfile::tempdir().expect("a folder");
    for arguments in [
        &["kv", "get"][..],
        &["dev", "up", "--nodes", "2"],
        &["kv", "cas", "a", "1", "-k", "o"],
        &["kv", "get", "a", "-k", "o", "--endpoints", "nonsense"],
        &["topic", "create", "t", "--partitions", "0"],
    ] {
        let output = run(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[cfg(not(feature = "sled"))]
#[test]
fn a_store_that_is_not_in_this_build_is_refused_with_the_way_to_get_it() {
    let home = tempfile::tempdir().expect("a folder");
    let output = run(home.path(), &["dev", "up", "--store", "sled"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("--features sled"),
        "{}",
        stderr(&output)
    );
    let begun = home.path().join("data").exists();
    assert!(!begun, "nothing was made");
}
