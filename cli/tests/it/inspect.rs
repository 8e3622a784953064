//! `inspect` against the files of a real engine, and against kept files with a byte flipped.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p engine-cli --test it inspect` writes the answers anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use engine::command::{Command, Commit, Expiry, NewMessage, Op, RowRef};
use engine::{Engine, Options};
use serde_json::Value;

use crate::cluster::{run, stderr, stdout};

const STATE: &str = "group-0/state-000001";

/// The files of a stopped engine in a folder of its own.
struct Node {
    home: tempfile::TempDir,
}

impl Node {
    /// A checkpoint with tables and messages, and commits behind it that only the log holds.
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let options = Options {
            memtable_bytes: 4096,
            table_bytes: 4096,
            level_base_bytes: 65_536,
            log_segment_bytes: 17 << 20,
            blob_threshold_bytes: 1024,
            ..Options::default()
        };
        let engine = Engine::open(home.path().join("node"), options).expect("the engine opens");
        let execute = |command| engine.execute(command).expect("the disk works");
        execute(Command::CreateTopic {
            name: "events".to_owned(),
            partitions: 1,
        });
        for number in 0..60 {
            if number == 50 {
                let replica = engine.replica();
                replica.begin_checkpoint().expect("the disk works");
                replica.wait_for_checkpoint().expect("the disk works");
            }
            execute(Command::Commit(commit(number)));
        }
        engine.close().expect("the engine closes");
        Self { home }
    }

    /// Files kept of an earlier format version, so that what is said of them stays the same.
    fn kept() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/fixtures/v1");
        copy(&fixtures.join("engine/node"), &home.path().join("node"));
        copy(&fixtures.join("log-torn/log"), &home.path().join("torn"));
        let newer = fixtures.with_file_name("v2");
        copy(&newer.join("store/store"), &home.path().join("store"));
        Self { home }
    }

    fn inspect(&self, arguments: &[&str]) -> Output {
        run(self.home.path(), &[&["inspect"], arguments].concat())
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.inspect(&[arguments, &["--output", "json"]].concat());
        let told = serde_json::from_str(&stdout(&output));
        let told = told.unwrap_or_else(|_| panic!("{}", stderr(&output)));
        (output.status.code().expect("it ends by itself"), told)
    }

    /// Flips all bits of a byte, or back.
    fn flip(&self, file: &str, at: u64) {
        let path = self.home.path().join(file);
        let mut bytes = fs::read(&path).expect("the file is there");
        let at = usize::try_from(at).expect("a small file");
        bytes[at] ^= 0xff;
        fs::write(&path, bytes).expect("the file can be written");
    }

    /// The path of the first file that ends so, from the home folder.
    fn find(&self, end: &str) -> String {
        let files = files(self.home.path());
        let mut paths = files.keys().map(|path| {
            let path = path.strip_prefix(self.home.path()).expect("below home");
            path.display().to_string()
        });
        paths.find(|path| path.ends_with(end)).expect("such a file")
    }
}

fn commit(number: u32) -> Commit {
    let row = RowRef {
        keyspace: "default".to_owned(),
        key: format!("row {:02}", number % 20).into(),
    };
    let message = NewMessage {
        key: None,
        value: format!("message {number}").into(),
        headers: Vec::new(),
    };
    let ops = vec![
        Op::Put {
            expiry: Expiry::Default,
            row,
            // Some of them go into blob files.
            value: format!("value {number}")
                .repeat(if number % 20 == 9 { 200 } else { 20 })
                .into(),
        },
        Op::Publish {
            topic: "events".to_owned(),
            partition: None,
            message,
        },
    ];
    Commit {
        ops,
        ..Commit::default()
    }
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let path = to.join(path.strip_prefix(from).expect("below it"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(path, bytes).expect("it can be written");
    }
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("a name").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
    found
}

fn at(value: &Value, pointer: &str) -> u64 {
    let number = value.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("{pointer} in {value}"))
}

#[test]
fn what_an_engine_wrote_is_sound_and_shown() {
    let node = Node::new();
    let before = files(node.home.path());

    let (code, log) = node.json(&["log", "node/log"]);
    assert_eq!((code, &log["verdict"]), (0, &Value::from("sound")), "{log}");
    assert!(at(&log, "/log/entries") >= 61, "{log}");

    let store = format!("node/{STATE}/store");
    let (code, manifest) = node.json(&["manifest", &store]);
    assert_eq!((code, &manifest["verdict"]), (0, &Value::from("sound")));
    assert!(at(&manifest, "/manifest/checkpoint/revision") >= 50);
    let tables = manifest["manifest"]["tables"].as_array().expect("a list");
    assert!(!tables.is_empty());

    let table = node.find(".table");
    let (code, rows) = node.json(&["table", &table, "--rows"]);
    assert_eq!((code, &rows["verdict"]), (0, &Value::from("sound")));
    assert_eq!(at(&rows, "/entries_found"), at(&rows, "/table/entries"));
    // The engine's own rows, of keyspace 0, come first.
    let mut written = rows["rows"].as_array().expect("a list").iter();
    let first = written.find(|row| row["keyspace"] != 0).expect("a row");
    assert_eq!(first["key"], "row 00");

    let (code, values) = node.json(&["blob", &node.find(".blob")]);
    assert_eq!((code, &values["verdict"]), (0, &Value::from("sound")));
    assert_eq!(values["file"]["bytes"], values["file"]["recorded_bytes"]);
    let beginning = values["values"][0]["beginning"].as_str().expect("a text");
    assert!(beginning.starts_with("value "), "{values}");

    let partitions = format!("node/{STATE}/partitions");
    let (code, messages) = node.json(&["partition", &partitions]);
    assert_eq!((code, &messages["verdict"]), (0, &Value::from("sound")));
    assert_eq!(messages["messages"][7]["value"], "message 7");
    assert_eq!(messages["partitions"]["recorded"], true);

    assert_eq!(files(node.home.path()), before, "nothing was changed");
}

#[test]
fn a_flipped_byte_is_named_by_file_and_offset() {
    let node = Node::new();
    let segment = "node/log/0000000000000001.seg";
    let (_, log) = node.json(&["log", "node/log"]);
    let table = node.find(".table");
    let (_, blocks) = node.json(&["table", &table]);
    let blob = node.find(".blob");
    let (_, values) = node.json(&["blob", &blob]);
    let store = format!("node/{STATE}/store");
    let manifest = node.find("MANIFEST-0000000000000001");
    let (_, edits) = node.json(&["manifest", &store]);
    let partitions = format!("node/{STATE}/partitions");
    let part = node.find(".part");
    let (_, messages) = node.json(&["partition", &partitions]);
    let cases = [
        (
            "log",
            "node/log",
            segment,
            at(&log, "/frames/5/at/offset"),
            20,
        ),
        ("log", segment, segment, at(&log, "/frames/9/at/offset"), 50),
        ("table", &table, &table, at(&blocks, "/blocks/0/offset"), 9),
        (
            "table",
            &table,
            &table,
            at(&blocks, "/table/sections/1/offset"),
            3,
        ),
        ("blob", &blob, &blob, at(&values, "/values/0/offset"), 99),
        ("blob", &blob, &blob, at(&values, "/values/0/offset"), 1),
        ("blob", &blob, &blob, 0, 17),
        (
            "manifest",
            &store,
            &manifest,
            at(&edits, "/edits/0/offset"),
            15,
        ),
        (
            "manifest",
            &manifest,
            &manifest,
            at(&edits, "/edits/1/offset"),
            2,
        ),
        (
            "partition",
            &partitions,
            &part,
            at(&messages, "/messages/3/position"),
            12,
        ),
        (
            "partition",
            &part,
            &part,
            at(&messages, "/messages/8/position"),
            0,
        ),
        ("partition", &part, &part, 0, 9),
    ];
    for (kind, path, file, offset, inside) in cases {
        node.flip(file, offset + inside);
        let (code, told) = node.json(&[kind, path]);
        assert_eq!(
            (code, &told["verdict"]),
            (6, &Value::from("damaged")),
            "{told}"
        );
        let problems = told["problems"].as_array().expect("a list");
        let damage: Vec<&Value> = problems
            .iter()
            .filter(|problem| problem["severity"] == "damage")
            .collect();
        assert_eq!(damage.len(), 1, "{kind} {path}: {problems:?}");
        assert_eq!(damage[0]["path"], file, "{kind} {path}");
        assert_eq!(at(damage[0], "/offset"), offset, "{kind} {path}");
        node.flip(file, offset + inside);
    }
}

#[test]
fn what_cannot_be_looked_at_is_no_damage() {
    let node = Node::kept();
    for (arguments, code) in [
        (["log", "nowhere"], 1),
        (["table", "nowhere.table"], 1),
        (["blob", "nowhere.blob"], 1),
        (["blob", "node/embedded.id"], 2),
        (["manifest", "node/embedded.id"], 2),
        (["partition", "nowhere"], 1),
    ] {
        let output = node.inspect(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains("error: "), "{arguments:?}");
    }
}

#[test]
fn kept_files_are_shown_as_they_always_were() {
    let node = Node::kept();
    let table = "node/group-0/state-000001/store/0000000000000005.table";
    let manifest = "node/group-0/state-000001/store/MANIFEST-0000000000000001";
    let part = "node/group-0/state-000001/partitions/1-2/00000000000000000000.part";
    let segment = "node/log/0000000000000001.seg";
    let blob = "store/0000000000000009.blob";
    for (name, arguments, flips) in [
        ("log", &["log", "node/log", "--limit", "12"][..], &[][..]),
        ("log_torn", &["log", "torn", "--limit", "5"], &[]),
        (
            "log_damaged",
            &["log", segment, "--limit", "8"],
            &[(segment, 4), (segment, 9_000), (segment, 12_345)],
        ),
        ("table", &["table", table, "--rows", "--limit", "6"], &[]),
        ("table_damaged", &["table", table], &[(table, 40)]),
        ("blob", &["blob", blob], &[]),
        ("blob_damaged", &["blob", blob], &[(blob, 32)]),
        (
            "manifest",
            &["manifest", "node/group-0/state-000001/store"],
            &[],
        ),
        (
            "manifest_damaged",
            &["manifest", "node/group-0/state-000001/store"],
            &[(manifest, 100)],
        ),
        ("partition", &["partition", part, "--limit", "4"], &[]),
        (
            "partition_damaged",
            &["partition", part, "--limit", "4"],
            &[(part, 60), (part, 636)],
        ),
    ] {
        for (file, at) in flips {
            node.flip(file, *at);
        }
        let output = node.inspect(arguments);
        let code = output.status.code().expect("it ends by itself");
        let shown = format!(
            "$ engine-cli inspect {}\n{}exit code {code}\n",
            arguments.join(" "),
            stdout(&output)
        );
        golden(name, &shown);
        for (file, at) in flips {
            node.flip(file, *at);
        }
    }
}

fn golden(name: &str, shown: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/inspect");
    let path = folder.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::write(&path, shown).expect("it can be written");
    }
    let expected = fs::read_to_string(&path).expect("the answer was recorded");
    assert_eq!(shown, expected, "{name}");
}
