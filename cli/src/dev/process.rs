//! One node as a process: started from our own program, stopped with patience.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use engine_server::StoreKind;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};

use crate::dev::folder::{DevCluster, DevFolder, DevNode};
use crate::failure::{Failure, Result};

/// How much of a log is shown when a node dies.
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 8 * 1024;

/// A node that was started.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    pub(crate) node: u64,
    pub(crate) pid: u32,
    log: PathBuf,
    child: Child,
    /// The node stops when this closes: also if we are killed.
    _lifeline: Option<ChildStdin>,
}

impl NodeProcess {
    /// Starts a node; what it says goes to its log.
    pub(crate) fn start(
        folder: &DevFolder,
        cluster: &DevCluster,
        node: &DevNode,
        store: StoreKind,
    ) -> Result<Self> {
        let data = folder.node(node.node);
        fs::create_dir_all(&data)
            .map_err(|error| Failure::file("make the folder", &data, &error))?;
        let log = folder.node_log(node.node);
        let said = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| Failure::file("open", &log, &error))?;
        let also_said = said
            .try_clone()
            .map_err(|error| Failure::file("open", &log, &error))?;
        let program = std::env::current_exe()
            .map_err(|error| Failure::io("find this program's own file", &error))?;
        let mut command = Command::new(&program);
        command
            .args(arguments(cluster, node, store))
            .arg("--data")
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(said)
            .stderr(also_said)
            // Ctrl-C in the terminal is for us alone: we stop the nodes in order.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| Failure::file("start", &program, &error))?;
        Ok(Self {
            node: node.node,
            pid: child.id().unwrap_or_default(),
            log,
            _lifeline: child.stdin.take(),
            child,
        })
    }

    /// Waits until the process has ended, by itself or not.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .await
            .map_err(|error| Failure::io(format!("wait for node {}", self.node), &error))
    }

    /// Asks the process to stop.
    pub(crate) fn ask_to_stop(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (Some(pid), Some(_)) = (pid, self.child.id()) {
            // One that has just ended needs no asking.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Ends the process, whatever it does.
    pub(crate) async fn kill(&mut self) {
        // It may have ended meanwhile.
        let _ = self.child.kill().await;
    }

    /// The last lines that the node said.
    pub(crate) fn last_words(&self) -> String {
        let tail = tail(&self.log).unwrap_or_else(|error| format!("(cannot be read: {error})"));
        format!("the end of {}:\n{tail}", self.log.display())
    }
}

fn arguments(cluster: &DevCluster, node: &DevNode, store: StoreKind) -> Vec<String> {
    let mut arguments: Vec<String> = ["node", "run", "--exit-with-parent"]
        .map(str::to_owned)
        .into();
    let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    option("--node", node.node.to_string());
    option("--cluster", cluster.cluster.to_string());
    option("--listen", node.client.to_string());
    option("--peer-listen", node.peer.to_string());
    option("--store", store.to_string());
    for member in &cluster.nodes {
        option(
            "--member",
            format!("{}={},{}", member.node, member.peer, member.client),
        );
    }
    arguments
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines
        .iter()
        .skip(first)
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log.txt");
        let lines: Vec<String> = (0..5_000).map(|line| format!("line {line}")).collect();
        fs::write(&path, lines.join("\n")).expect("written");
        let tail = tail(&path).expect("it is there");
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert_eq!(tail.lines().last(), Some("  | line 4999"));
    }
}
