//! Where it was measured: figures of two machines are not comparable.

use std::fs;

use serde::{Deserialize, Serialize};

/// This machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cpus: usize,
    /// What the processor calls itself.
    pub cpu_model: String,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// The kernel's version.
    pub kernel: String,
    /// Waiting and running processes over the last minute, when the run began: on a busy machine
    /// nothing can be measured.
    pub load_average: String,
    /// Whether this program, and so probably the nodes, was built without optimisation.
    pub debug_build: bool,
}

impl Machine {
    /// Looks around.
    pub fn look() -> Self {
        let memory = proc_value("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib = memory
            .split_ascii_whitespace()
            .next()
            .and_then(|kib| kib.parse::<u64>().ok());
        Self {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            cpu_model: proc_value("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory_bytes: kib.unwrap_or(0) * 1024,
            kernel: first_word("/proc/sys/kernel/osrelease"),
            load_average: first_word("/proc/loadavg"),
            debug_build: cfg!(debug_assertions),
        }
    }
}

fn first_word(file: &str) -> String {
    fs::read_to_string(file)
        .ok()
        .and_then(|text| text.split_ascii_whitespace().next().map(str::to_owned))
        .unwrap_or_default()
}

/// The first line `name : value` of a file.
fn proc_value(file: &str, name: &str) -> Option<String> {
    fs::read_to_string(file)
        .ok()?
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linux_machine_tells_about_itself() {
        let machine = Machine::look();
        assert!(machine.cpus > 0);
        assert!(machine.memory_bytes > 0);
        assert!(!machine.kernel.is_empty());
    }
}
