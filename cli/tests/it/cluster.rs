//! A cluster of `dev up` in a folder of its own, and commands against it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/packages-sample.jsonl.gz"
);
pub(crate) const SAMPLE_RECORDS: u64 = 1_000;

/// The program, unaware of anything outside `home`.
pub(crate) fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engine-cli"));
    command
        .current_dir(home)
        .env_remove("ENGINE_ENDPOINTS")
        .env_remove("ENGINE_KEYSPACE")
        .env("XDG_STATE_HOME", home.join("state"))
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(home: &Path, arguments: &[&str]) -> Output {
    program(home)
        .args(arguments)
        .output()
        .expect("the program runs")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    kill_process(pid, signal).expect("the process is there");
}

/// Whether a process is there. One that is dead and not yet collected counts as gone.
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        !state.starts_with('Z') && !state.starts_with('X')
    })
}

/// Three nodes under `dev up`.
pub(crate) struct Cluster {
    home: TempDir,
    up: Option<Up>,
}

/// A `dev up` that serves.
pub(crate) struct Up {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    /// What it told once all nodes served.
    pub(crate) told: Value,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let mut cluster = Self {
            home: tempfile::tempdir().expect("a folder"),
            up: None,
        };
        cluster.start_again();
        cluster
    }

    pub(crate) fn start_again(&mut self) {
        self.up = Some(Up::start(self.home(), &["dev", "up", "--nodes", "3"]));
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn up(&mut self) -> &mut Up {
        self.up.as_mut().expect("the cluster was started")
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&mut self) -> (ExitStatus, String) {
        let up = self.up.take().expect("the cluster was started");
        signal(up.child.id(), Signal::INT);
        up.end()
    }

    /// A command that must succeed: its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = run(self.home(), arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output)
    }

    /// A command that must succeed, its answer as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&text).expect("the answer is one JSON document")
    }

    /// A command that must end with this code.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> Output {
        let output = run(self.home(), arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        output
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.home().join(name);
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    }
}

impl Up {
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut child = program(home)
            .args(arguments)
            .args(["--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it tells");
        let Ok(told) = serde_json::from_str(&line) else {
            let mut why = String::new();
            stderr.read_to_string(&mut why).expect("it is text");
            panic!("dev up did not start: {why}");
        };
        Self {
            child,
            stdout,
            stderr,
            told,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn node_pids(&self) -> Vec<u32> {
        let nodes = self.told.get("nodes").and_then(Value::as_array);
        nodes
            .expect("nodes are told")
            .iter()
            .filter_map(|node| node.get("pid").and_then(Value::as_u64))
            .map(|pid| u32::try_from(pid).expect("a process id"))
            .collect()
    }

    /// Where clients reach the first node.
    pub(crate) fn endpoint(&self) -> String {
        let endpoints = self.told.get("endpoints").and_then(|all| all.get(0));
        endpoints
            .and_then(Value::as_str)
            .expect("endpoints are told")
            .to_owned()
    }

    /// The next line that it says on standard error.
    pub(crate) fn warning(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("it is text");
        line
    }

    /// Waits for the end: how, and what was said meanwhile.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).expect("it is text");
        self.stderr.read_to_string(&mut said).expect("it is text");
        (self.child.wait().expect("it ends"), said)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // A failed test leaves nothing behind: the nodes stop with their parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn number(value: &Value, field: &str) -> u64 {
    value
        .get(field)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{field} is a number in {value}"))
}
