//! The figures: a table for people, JSON for programs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;
use crate::cell::Cell;
use crate::machine::Machine;
use crate::workload::Workload;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How.
    pub settings: Settings,
    /// What came out.
    pub cells: Vec<Cell>,
}

/// What was the same in all cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The version of this program.
    pub version: String,
    /// Nodes that answered.
    pub nodes: usize,
    /// When a write is answered.
    pub durability: String,
    /// Whether writes carry a number, which makes them exactly-once.
    pub sessions: bool,
    /// Different keys, of 16 bytes, chosen evenly.
    pub keys: u64,
    /// Bytes of a row's value.
    pub value_bytes: usize,
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Uncounted time before each cell, in seconds.
    pub warm_up_seconds: f64,
    /// What went on beside every cell, uncounted, and with how many clients.
    pub beside: Option<(Workload, usize)>,
}

const HEAD: &str = "\
| workload | clients | conns | ops/s | p50 ms | p95 ms | p99 ms | max ms | client CPU us/op | leader CPU us/op | followers CPU us/op | log syncs/cmd | cmds/entry | log bytes/cmd | RSS MiB | stall ms | errors |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

impl Settings {
    pub(crate) fn of(arguments: &Arguments, nodes: usize) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            nodes,
            durability: "fsync on a majority before the answer".to_owned(),
            sessions: !arguments.no_sessions,
            keys: arguments.keys,
            value_bytes: arguments.value_bytes,
            message_bytes: arguments.message_bytes,
            partitions: arguments.partitions,
            warm_up_seconds: arguments.warm_up.as_secs_f64(),
            beside: arguments
                .beside
                .map(|beside| (beside, arguments.beside_clients)),
        }
    }
}

impl Report {
    /// A table with what must be known to read it.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes any text");
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let Self {
            machine, settings, ..
        } = self;
        writeln!(
            to,
            "Machine: {} CPUs ({}), {} GiB, kernel {}, load {} at the start. engine {}{}.\n",
            machine.cpus,
            machine.cpu_model,
            machine.memory_bytes >> 30,
            machine.kernel,
            machine.load_average,
            settings.version,
            if machine.debug_build {
                ", DEBUG BUILD: not for comparison"
            } else {
                ""
            },
        )?;
        writeln!(
            to,
            "{} {}; durability of writes: {}; {}. {} keys of 16 B, values of {} B, messages of \
             {} B over {} partitions; warm-up {} s.\n",
            settings.nodes,
            if settings.nodes == 1 { "node" } else { "nodes" },
            settings.durability,
            if settings.sessions {
                "exactly once (sessions)"
            } else {
                "at most once (no sessions)"
            },
            settings.keys,
            settings.value_bytes,
            settings.message_bytes,
            settings.partitions,
            settings.warm_up_seconds,
        )?;
        if let Some((workload, clients)) = settings.beside {
            writeln!(
                to,
                "Beside each cell, uncounted: {} with {clients} clients.\n",
                workload.name()
            )?;
        }
        to.push_str(HEAD);
        for cell in &self.cells {
            writeln!(
                to,
                "| {} | {} | {} | **{}** | {:.3} | {:.3} | {:.3} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                cell.workload.name(),
                cell.clients,
                cell.connections,
                thousands(cell.operations_per_second),
                cell.p50_ms,
                cell.p95_ms,
                cell.p99_ms,
                cell.max_ms,
                figure(cell.client_cpu_us, 1),
                figure(cell.leader_cpu_us, 1),
                figure(cell.followers_cpu_us, 1),
                figure(cell.log_syncs_per_command, 3),
                figure(cell.commands_per_entry, 1),
                figure(cell.log_bytes_per_command, 0),
                cell.rss_bytes_max >> 20,
                cell.stall_ms_max,
                cell.errors,
            )?;
        }
        for cell in &self.cells {
            if let Some(error) = &cell.first_error {
                let (name, clients) = (cell.workload.name(), cell.clients);
                writeln!(
                    to,
                    "\n{name} with {clients} clients failed at times: {error}"
                )?;
            }
        }
        Ok(())
    }
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// `12345.6` as `12,346`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(thousands(0.4), "0");
        assert_eq!(thousands(999.0), "999");
        assert_eq!(thousands(1234.5), "1,234");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(figure(None, 1), "-");
        assert_eq!(figure(Some(1.25), 1), "1.2");
    }
}
