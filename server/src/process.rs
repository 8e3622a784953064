//! What the operating system knows of this process.

use engine::env::Env;

/// One look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: u32,
    /// Its resident memory, bytes; 0 where the system does not tell.
    pub(crate) rss_bytes: u64,
}

impl Process {
    /// Asks the system; a node on a simulated disk shares its process with others, and none is its
    /// own.
    pub(crate) fn look(env: &Env) -> Self {
        if !env.vfs.is_system() {
            return Self {
                pid: 0,
                rss_bytes: 0,
            };
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            pid: std::process::id(),
            rss_bytes: resident(&status).unwrap_or(0),
        }
    }
}

/// The resident memory in `/proc/PID/status`, which tells it in KiB whatever a page's size is.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tengine\nVmRSS:\t   12345 kB\nThreads:\t4\n";
        assert_eq!(resident(status), Some(12_345 * 1024));
        assert_eq!(resident("Name:\tengine\n"), None);
        assert_eq!(resident("VmRSS: many kB\n"), None);
    }

    #[test]
    fn this_process_is_there() {
        let process = Process::look(&Env::os());
        assert_eq!(process.pid, std::process::id());
        assert!(!cfg!(target_os = "linux") || process.rss_bytes > 0);
    }
}
