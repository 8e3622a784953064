//! What was measured on: one line for the foot of a table.

use std::fs;
use std::thread;

/// Processor, memory, kernel, compiler and the versions of the peers.
pub fn describe() -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} x {cpu}, {} GiB, Linux {}; {}",
        memory >> 20,
        kernel.trim(),
        versions()
    )
}

/// The versions in this workspace's lock file.
fn versions() -> String {
    let lock = include_str!("../Cargo.lock");
    let wanted = ["fjall", "rocksdb", "redb", "sled", "raft-engine"];
    let mut found = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        let Some(name) = quoted(line, "name = ").filter(|name| wanted.contains(name)) else {
            continue;
        };
        if let Some(version) = lines.next().and_then(|line| quoted(line, "version = ")) {
            found.push(format!("{name} {version}"));
        }
    }
    found.join(", ")
}

fn quoted<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    line.strip_prefix(before)?
        .strip_prefix('"')?
        .strip_suffix('"')
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
