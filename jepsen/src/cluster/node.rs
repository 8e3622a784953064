//! One node: its addresses, its folder, and the process while there is one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::machine::{Addresses, Machine};

/// How long all threads of a process may take to freeze.
const HALT_MAX: Duration = Duration::from_secs(5);

/// One node of a [`Cluster`](super::Cluster).
#[derive(Debug)]
pub struct Node {
    /// Its id.
    pub id: u64,
    /// Where it is reached, while it runs.
    pub addresses: Addresses,
    machine: Machine,
    /// How its program is called.
    command: Vec<OsString>,
    trace: PathBuf,
    /// The words before those of its program in the newest process.
    wrapper: Vec<OsString>,
    process: Option<Child>,
}

impl Node {
    pub(super) fn new(id: u64, machine: Machine, command: Vec<OsString>, trace: PathBuf) -> Self {
        Self {
            id,
            addresses: machine.addresses.clone(),
            machine,
            command,
            trace,
            wrapper: Vec::new(),
            process: None,
        }
    }

    /// On what it runs.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What it said about itself: standard output and error of all its processes.
    pub fn trace(&self) -> &Path {
        &self.trace
    }

    /// The last lines of [`trace`](Self::trace).
    pub fn trace_tail(&self, lines: usize) -> String {
        let text = fs::read(&self.trace).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let skipped = text.lines().count().saturating_sub(lines);
        text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    /// The id of its process, if it has one.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Starts a process on the node's folder.
    pub fn start(&mut self) -> Result<()> {
        self.start_under(&[])
    }

    /// Starts a process on the node's folder by another program, which ends by executing the
    /// node's: so the process id stays.
    pub fn start_under(&mut self, wrapper: &[OsString]) -> Result<()> {
        ensure!(self.process.is_none(), "node {} runs already", self.id);
        let mut words = wrapper.iter().chain(&self.command);
        let program = words.next().context("a command is named")?;
        let trace = self.open_trace()?;
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(trace.try_clone().context("share the trace file")?)
            .stderr(trace);
        let started = self.machine.launcher.launch(command);
        let process =
            started.with_context(|| format!("start node {} as {}", self.id, program.display()))?;
        self.process = Some(process);
        wrapper.clone_into(&mut self.wrapper);
        Ok(())
    }

    /// Whether it has a process, which was started by this program.
    pub fn runs_under(&self, wrapper: &[OsString]) -> bool {
        self.process.is_some() && self.wrapper == wrapper
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            bail!("node {} does not run", self.id);
        };
        process.kill().context("kill")?;
        process.wait().context("wait for a killed process")?;
        Ok(())
    }

    /// Sends `kill -9` only: for several nodes at once. [`kill`](Self::kill) must follow.
    pub fn strike(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    /// Freezes the process: it keeps its connections and answers nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Freezes the process and waits until none of its threads can do anything: those in the
    /// midst of a call to the kernel freeze on their way out of it.
    pub fn halt(&self) -> Result<()> {
        self.pause()?;
        let until = Instant::now() + HALT_MAX;
        while !self.is_halted()? {
            ensure!(Instant::now() < until, "node {} does not halt", self.id);
            thread::yield_now();
        }
        Ok(())
    }

    fn is_halted(&self) -> Result<bool> {
        let pid = self.pid().context("a process to be looked at")?;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread that has ended meanwhile does nothing.
            let stat = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
            let state = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next());
            if matches!(state, Some('R' | 'S')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets a frozen process go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Asks the process to end (`SIGTERM`) and waits; one that does not end in time is killed.
    ///
    /// # Errors
    /// If it had to be killed, or ended with a failure.
    pub async fn stop(&mut self, patience: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        let Some(status) = self.wait(patience).await? else {
            self.kill()?;
            bail!("node {} did not stop within {patience:?}", self.id);
        };
        self.process = None;
        ensure!(status.success(), "node {} ended with {status}", self.id);
        Ok(())
    }

    /// Whether the process ended by itself, and how.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.process {
            Some(process) => process.try_wait().context("look after a process"),
            None => Ok(None),
        }
    }

    async fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if tokio::time::Instant::now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = self
            .process
            .as_ref()
            .with_context(|| format!("node {} does not run", self.id))?;
        kill_process(Pid::from_child(process), signal)
            .with_context(|| format!("send {signal:?} to node {}", self.id))
    }

    fn open_trace(&self) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.trace)
            .with_context(|| format!("open {}", self.trace.display()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Nothing is left to be done about a process that cannot be killed.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
