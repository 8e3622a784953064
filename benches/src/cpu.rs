//! Processor time of a process, user and system, from `/proc/PID/stat`.
//!
//! The kernel counts in ticks of 10 ms, so short cells have coarse figures.

use std::fs;
use std::time::Duration;

/// Linux tells programs of 100 ticks a second, however often its own clock ticks.
const TICK_MS: u64 = 10;

/// Time that the process has used since it started; `None` if it is not on this machine.
pub fn used(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    ticks(&stat).map(length)
}

/// User and system ticks: fields 14 and 15. The second field is the program's name in
/// parentheses, and may itself hold spaces and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn length(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(TICK_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_a_strange_name() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 77";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("nonsense"), None);
        assert_eq!(ticks("17 (short) S 1"), None);
    }

    #[test]
    fn this_process_has_used_some_time() {
        assert!(used(std::process::id()).is_some());
        assert_eq!(used(0), None, "no process has id 0");
    }
}
