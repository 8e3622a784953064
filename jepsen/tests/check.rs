//! `check` as its user meets it: a sound history, a broken one, and files that are none.

use std::fs;
use std::process::{Command, Output};

const SOUND: &str = r#"{"process":1,"time_us":1,"phase":"invoke","function":"put","key":"a","value":"1"}
{"process":1,"time_us":2,"phase":"ok","function":"put","key":"a","value":"1","revision":3,"version":1}
{"process":2,"time_us":3,"phase":"invoke","function":"read","key":"a"}
{"process":2,"time_us":4,"phase":"ok","function":"read","key":"a","revision":0,"read":"1"}
"#;

/// What `check` says of a history.
fn check(history: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("history.jsonl");
    fs::write(&path, history).expect("the folder takes a file");
    Command::new(env!("CARGO_BIN_EXE_check"))
        .arg(path)
        .args(more)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_sound_history_ends_with_0() {
    let output = check(SOUND, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(
        told.lines()
            .any(|line| line.contains("linearizable") && line.contains("ok"))
    );
}

#[test]
fn a_broken_history_ends_with_1_and_names_the_line() {
    let stale = SOUND.replace(r#","read":"1""#, "");
    let output = check(&stale, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains("not-linearizable: row a"), "{told}");
    assert!(told.contains("line 3"), "{told}");
    let output = check(&stale, &["--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let reports: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the output is JSON");
    assert_eq!(reports[0]["checker"], "linearizable");
    assert_eq!(reports[0]["verdict"], "violated");
    assert_eq!(reports[0]["violations"][0]["kind"], "not-linearizable");
}

#[test]
fn a_file_that_is_no_history_ends_with_2_and_names_the_line() {
    let cut = &SOUND[..SOUND.len() - 20];
    let output = check(cut, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("line 4: the history ends in the middle"));
    let output = check(&SOUND.replace("\"read\",", "read,"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("line 3: not an operation"));
}

#[test]
fn a_history_is_written_as_edn_too() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("history.edn");
    let output = check(SOUND, &["--edn", &path.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(0));
    let edn = fs::read_to_string(path).expect("it was written");
    assert!(edn.starts_with("{:index 0, :time 1000, :process 1, :type :invoke, :f :write"));
}
