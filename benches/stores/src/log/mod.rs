//! The logs that are compared, and the two ways to load them.
//!
//! - *tasks*: one thread stands for all appenders; whoever is answered appends again. Our log
//!   takes each append as it comes. The peers have no asynchronous append: a channel and one
//!   writer thread that makes one synced batch of all that waits do the same for them.
//! - *threads*: each appender is a thread that blocks in the log's own synced append, and has a
//!   group (or region) of its own.

mod fjall;
mod group_commit;
mod ours;
mod raft_engine;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::latency::Latencies;
use crate::workload::Values;

/// Length of every entry.
pub const ENTRY_BYTES: usize = 256;

/// Names of all logs.
pub const LOGS: &[&str] = &["ours", "raft-engine", "fjall"];

/// A group is purged whenever it has grown by this many bytes, up to that many before its end.
const KEPT_BYTES: u64 = 64 << 20;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Driver {
    /// One thread for all appenders.
    Tasks,
    /// A thread for each appender.
    Threads,
}

/// A log whose appends can be waited for in both ways.
trait Appendable: Sync {
    /// Queues an entry of group 0; sends `appender` to `done` once it is durable. Called by one
    /// thread only.
    fn append(&self, entry: &[u8], appender: usize, done: &Sender<usize>) -> Result<()>;

    /// Appends an entry to a group of the caller's own, and waits until it is durable.
    fn append_wait(&self, group: usize, entry: &[u8]) -> Result<()>;

    /// Syncs so far, as far as they can be counted.
    fn syncs(&self) -> u64;
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tasks => "tasks",
            Self::Threads => "threads",
        })
    }
}

/// Measures one log: entries and syncs per second, and how long an appender waits.
pub fn measure(
    name: &str,
    driver: Driver,
    appenders: usize,
    seconds: f64,
    dir: &Path,
) -> Result<Vec<(&'static str, f64)>> {
    let log: Box<dyn Appendable> = match name {
        "ours" => Box::new(ours::Ours::open(dir, appenders)?),
        "raft-engine" => Box::new(group_commit::GroupCommit::new(
            raft_engine::RaftEngine::open(dir, appenders)?,
        )?),
        "fjall" => Box::new(group_commit::GroupCommit::new(fjall::Fjall::open(dir)?)?),
        other => bail!("no log is called {other}; there are {}", LOGS.join(", ")),
    };
    let duration = Duration::from_secs_f64(seconds);
    let begun = Instant::now();
    let syncs = log.syncs();
    let (entries, latencies) = match driver {
        Driver::Tasks => drive_tasks(log.as_ref(), appenders, duration)?,
        Driver::Threads => drive_threads(log.as_ref(), appenders, duration)?,
    };
    let elapsed = begun.elapsed().as_secs_f64();
    let mut measures = vec![
        ("entries_s", entries as f64 / elapsed),
        ("p50_ms", latencies.micros_at(0.5) / 1e3),
        ("p99_ms", latencies.micros_at(0.99) / 1e3),
    ];
    let syncs = log.syncs() - syncs;
    if syncs > 0 {
        measures.push(("syncs_s", syncs as f64 / elapsed));
    }
    Ok(measures)
}

fn drive_tasks(
    log: &dyn Appendable,
    appenders: usize,
    duration: Duration,
) -> Result<(u64, Latencies)> {
    let values = Values::new(ENTRY_BYTES);
    let mut latencies = Latencies::new()?;
    let (done, answers): (Sender<usize>, Receiver<usize>) = channel();
    let begun = Instant::now();
    let mut appended_at = vec![begun; appenders];
    let mut entries = 0;
    for appender in 0..appenders {
        log.append(values.value(appender as u64, 1), appender, &done)?;
    }
    let mut waiting = appenders;
    while waiting > 0 {
        let appender = answers.recv().context("wait for an answer")?;
        let now = Instant::now();
        latencies.record(now - appended_at[appender]);
        entries += 1;
        if now - begun < duration {
            appended_at[appender] = now;
            log.append(values.value(entries, 0), appender, &done)?;
        } else {
            waiting -= 1;
        }
    }
    Ok((entries, latencies))
}

fn drive_threads(
    log: &dyn Appendable,
    appenders: usize,
    duration: Duration,
) -> Result<(u64, Latencies)> {
    let stop = AtomicBool::new(false);
    let values = Values::new(ENTRY_BYTES);
    let (stop_ref, values) = (&stop, &values);
    thread::scope(|scope| {
        let run = move |group: usize| {
            let mut latencies = Latencies::new()?;
            let mut entries = 0;
            while !stop_ref.load(Ordering::Relaxed) {
                let one = Instant::now();
                log.append_wait(group, values.value(entries, group as u64))?;
                latencies.record(one.elapsed());
                entries += 1;
            }
            Ok::<_, anyhow::Error>((entries, latencies))
        };
        let threads = (0..appenders).map(|group| {
            // A thousand threads need no more stack than this.
            let builder = thread::Builder::new().stack_size(256 << 10);
            builder.spawn_scoped(scope, move || run(group))
        });
        let threads = threads.collect::<Result<Vec<_>, _>>();
        thread::sleep(duration);
        stop.store(true, Ordering::Relaxed);
        let (mut entries, mut latencies) = (0, Latencies::new()?);
        for thread in threads? {
            let (count, of_thread) = thread.join().expect("no panic")?;
            entries += count;
            latencies.add(&of_thread)?;
        }
        Ok((entries, latencies))
    })
}

/// Entries of one group after which it is purged, if so many groups share the log.
fn purge_every(groups: usize) -> u64 {
    (KEPT_BYTES / ENTRY_BYTES as u64 / groups as u64).max(1)
}
