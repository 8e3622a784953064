//! The binary `jepsen` makes a whole run: what is allowed here is broken, nothing is lost, and
//! everything is written down.

use std::fs;
use std::path::Path;
use std::process::Command;

use engine_jepsen::cluster::binary;
use serde_json::Value;

/// Answers the report of a good run.
fn run(out: &Path, words: &[&str]) -> Value {
    let program = binary::built().expect("engine-cli can be built");
    let output = Command::new(env!("CARGO_BIN_EXE_jepsen"))
        .env(binary::OVERRIDE, program)
        // A machine that is busy with other tests is slow, and no reason to fail.
        .args(["--output", "json", "--rate-min", "0.5", "--out"])
        .arg(out)
        .args(words)
        .output()
        .expect("jepsen starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{told}");
    serde_json::from_str(&told).expect("a report")
}

#[expect(
    clippy::print_stdout,
    reason = "figures for people, shown by the test runner"
)]
fn tell(report: &Value) {
    println!(
        "{} s, {} done, {}, limits {}",
        report["seconds"], report["ok"], report["figures"], report["limits"]
    );
}

#[test]
fn a_run_of_all_that_is_allowed_loses_nothing() {
    let out = tempfile::tempdir().expect("a scratch folder");
    let report = run(out.path(), &["--seconds", "20"]);
    tell(&report);
    let outages = report["outages"].as_array().expect("a list").len();
    assert!(outages > 0, "{report}");
    for file in [
        "history.jsonl",
        "history.edn",
        "timeline.svg",
        "latency.svg",
        "story.log",
        "report.json",
        "node-1.log",
    ] {
        let kept = fs::metadata(out.path().join(file)).expect(file);
        assert!(kept.len() > 0, "{file} is empty");
    }
}

#[test]
fn a_plain_run_needs_no_privileges() {
    let out = tempfile::tempdir().expect("a scratch folder");
    let words = ["--plain", "--seconds", "5", "--nodes", "3", "--rush"];
    let report = run(out.path(), &words);
    tell(&report);
    let limits = report["limits"].as_array().expect("a list");
    for nemesis in [
        "partition",
        "wire",
        "power",
        "full",
        "stall",
        "rot",
        "clock",
    ] {
        let is_told = |limit: &Value| limit.as_str().is_some_and(|told| told.starts_with(nemesis));
        assert!(limits.iter().any(is_told), "{nemesis}: {report}");
    }
    assert!(report["figures"]["kills"].as_u64() > Some(0) || report["outages"][0].is_object());
}

#[test]
fn what_is_no_run_has_its_own_exit_code() {
    let mut jepsen = Command::new(env!("CARGO_BIN_EXE_jepsen"));
    let refused = jepsen.args(["--nodes", "4"]).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("3 or 5"), "{said}");
}
