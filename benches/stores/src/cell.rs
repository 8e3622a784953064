//! What one child process does: one phase of the workload on one engine.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::latency::Latencies;
use crate::peer::{self, Engine};
use crate::process;
use crate::workload::{
    BATCH_ROWS, KEY_BYTES, Key, Numbers, VALUE_BYTES, Values, absent_key, key, overwrite_order,
};

/// The cells of one engine, in their order: later ones use the folder of `load`.
pub const CELLS: &[&str] = &[
    "sync",
    "load4k",
    "load",
    "read",
    "overwrite",
    "mixed",
    "kill",
    "reopen",
];

/// What a killed process leaves behind in its log.
const UNFLUSHED_BYTES: u64 = 64 << 20;

/// Values of the second load.
const LARGE_VALUE_BYTES: usize = 4096;

/// Gets before the measured ones, so that caches are as full as they will be.
const WARM_UP_GETS: u64 = 300_000;

const SCAN_ROWS: usize = 100;

/// Rows that are read again and again.
const HOT_ROWS: u64 = 100_000;

/// Keys are spread equally: one in 256 begins with it.
const DELETED_PREFIX: u8 = 7;

/// Rows written per second while gets are measured.
const MIXED_ROWS_PER_SECOND: u64 = 100_000;

/// The time that background work has before space is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// How long an engine that was opened is left alone before it is read.
const REST: Duration = Duration::from_secs(8);

const MB: f64 = 1e6;

/// Names and values, in the order they were measured.
pub type Measures = Vec<(String, f64)>;

/// One engine and what is asked of it.
pub struct Cell {
    /// The engine's name.
    pub engine: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Rows of the data set.
    pub keys: u64,
    /// How long a phase is measured that has no end of its own.
    pub seconds: f64,
    /// Measures of the reading cell that are wanted; all if empty.
    pub only: Vec<String>,
}

impl Cell {
    /// Does the phase and answers its measures.
    pub fn run(&self, name: &str) -> Result<Measures> {
        match name {
            "sync" => self.sync(),
            "load" => self.load(VALUE_BYTES),
            "load4k" => self.load(LARGE_VALUE_BYTES),
            "read" => self.read(),
            "overwrite" => self.overwrite(),
            "mixed" => self.mixed(),
            "kill" => self.kill(),
            "reopen" => self.reopen(),
            other => bail!("no cell is called {other}"),
        }
    }

    fn open(&self) -> Result<Box<dyn Engine>> {
        peer::open(&self.engine, &self.dir)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn sync(&self) -> Result<Measures> {
        let engine = self.open()?;
        let values = Values::new(VALUE_BYTES);
        let mut latencies = Latencies::new()?;
        let mut batch = Vec::new();
        let begun = Instant::now();
        let mut batches = 0;
        while begun.elapsed() < self.duration() {
            let rows = batches * BATCH_ROWS..(batches + 1) * BATCH_ROWS;
            fill(&mut batch, rows.map(|row| (row, 0)), &values);
            let one = Instant::now();
            engine.write(&batch, true)?;
            latencies.record(one.elapsed());
            batches += 1;
        }
        let elapsed = begun.elapsed().as_secs_f64();
        engine.close()?;
        Ok(measures([
            ("batches_s", batches as f64 / elapsed),
            ("p50_ms", latencies.micros_at(0.5) / 1e3),
            ("p99_ms", latencies.micros_at(0.99) / 1e3),
        ]))
    }

    fn load(&self, value_bytes: usize) -> Result<Measures> {
        let large = value_bytes != VALUE_BYTES;
        // As many bytes, whatever the rows' length.
        let rows = if large {
            raw_bytes(self.keys, VALUE_BYTES) / raw_bytes(1, value_bytes)
        } else {
            self.keys
        };
        let raw = raw_bytes(rows, value_bytes) as f64;
        let engine = self.open()?;
        let values = Values::new(value_bytes);
        let written = process::written_bytes()?;
        let begun = Instant::now();
        write_all(engine.as_ref(), (0..rows).map(|row| (row, 0)), &values)?;
        let elapsed = begun.elapsed().as_secs_f64();
        // Some hold everything in memory until they are asked.
        engine.persist()?;
        let disk = process::disk_bytes(&self.dir)?;
        thread::sleep(SETTLE);
        let written = process::written_bytes()? - written;
        let (rss, peak) = (process::rss()?, process::rss_peak()?);
        let figures = engine.figures();
        let closing = Instant::now();
        engine.close()?;
        let mut measures = measures([
            ("kops", rows as f64 / elapsed / 1e3),
            ("mb_s", raw / elapsed / MB),
            ("disk", disk as f64 / raw),
            ("amplification", written as f64 / raw),
            ("rss_mb", rss as f64 / MB),
            ("peak_mb", peak as f64 / MB),
            ("close_ms", millis(closing)),
        ]);
        measures.extend(figures);
        Ok(measures)
    }

    fn read(&self) -> Result<Measures> {
        let opening = Instant::now();
        let engine = self.open()?;
        let mut measures = measures([("open_ms", millis(opening))]);
        let wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|only| only == name);
        thread::sleep(REST);
        let engine = engine.as_ref();
        let values = Values::new(VALUE_BYTES);
        let hit = |number: u64| {
            let number = number % self.keys;
            let expected = values.value(number, 0);
            let mut right = false;
            let found = engine.get(&key(number), &mut |value| right = value == expected)?;
            ensure!(found && right, "row {number} is not as it was written");
            Ok(())
        };
        let miss = |number: u64| {
            let found = engine.get(&absent_key(number), &mut |_| ())?;
            ensure!(!found, "row {number} was never written");
            Ok(())
        };
        let scan = |number: u64| {
            let mut bytes = 0;
            let from = absent_key(number);
            let seen = engine.scan(&from, SCAN_ROWS, &mut |key, value| {
                bytes += key.len() + value.len();
            })?;
            ensure!(
                bytes == seen * (KEY_BYTES + VALUE_BYTES),
                "a scan lost bytes"
            );
            Ok(())
        };
        let mut numbers = Numbers::new(1);
        for _ in 0..WARM_UP_GETS {
            hit(numbers.below(self.keys))?;
        }
        if wanted("hit1") {
            measures.push(("hit1_kops".into(), self.rate(1, &hit)? / 1e3));
        }
        if wanted("hit2") {
            measures.push(("hit2_kops".into(), self.rate(2, &hit)? / 1e3));
        }
        let hot = |number: u64| {
            let number = number % HOT_ROWS;
            let expected = values.value(number, 0);
            let mut right = false;
            let found = engine.get_hot(&key(number), &mut |value| right = value == expected)?;
            ensure!(found && right, "row {number} is not as it was written");
            Ok(())
        };
        if wanted("hot1") {
            (0..HOT_ROWS).try_for_each(hot)?;
            measures.push(("hot1_kops".into(), self.rate(1, &hot)? / 1e3));
            measures.push(("hot2_kops".into(), self.rate(2, &hot)? / 1e3));
        }
        if wanted("miss1") {
            measures.push(("miss1_kops".into(), self.rate(1, &miss)? / 1e3));
        }
        if wanted("miss2") {
            measures.push(("miss2_kops".into(), self.rate(2, &miss)? / 1e3));
        }
        if wanted("scan") {
            measures.push(("scans".into(), self.rate(1, &scan)?));
        }
        measures.push(("rss_mb".into(), process::rss()? as f64 / MB));
        measures.extend(engine.figures());
        Ok(measures)
    }

    /// How often per second threads together can do something with random numbers.
    fn rate(&self, threads: u64, act: &(dyn Fn(u64) -> Result<()> + Sync)) -> Result<f64> {
        let begun = Instant::now();
        let run = |seed| {
            let mut numbers = Numbers::new(100 + seed);
            let mut count = 0u64;
            // The clock is read now and then: it costs as much as a fast miss.
            while !count.is_multiple_of(64) || begun.elapsed() < self.duration() {
                act(numbers.below(1 << 40))?;
                count += 1;
            }
            Ok(count)
        };
        let run = &run;
        let counts = thread::scope(|scope| {
            let threads = (0..threads).map(|seed| scope.spawn(move || run(seed)));
            let threads: Vec<_> = threads.collect();
            let counts = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"));
            counts.collect::<Result<Vec<u64>>>()
        })?;
        Ok(counts.iter().sum::<u64>() as f64 / begun.elapsed().as_secs_f64())
    }

    fn overwrite(&self) -> Result<Measures> {
        let mut engine = self.open()?;
        let values = Values::new(VALUE_BYTES);
        let raw = raw_bytes(self.keys, VALUE_BYTES) as f64;
        let rows = (0..2 * self.keys).map(|position| {
            let row = overwrite_order(position, self.keys);
            (row, position / self.keys + 1)
        });
        let begun = Instant::now();
        write_all(engine.as_ref(), rows, &values)?;
        let kops = 2.0 * self.keys as f64 / begun.elapsed().as_secs_f64() / 1e3;
        thread::sleep(SETTLE);
        let disk = process::disk_bytes(&self.dir)?;
        let (rss, peak) = (process::rss()?, process::rss_peak()?);
        let compacting = Instant::now();
        engine.compact()?;
        let compact_s = compacting.elapsed().as_secs_f64();
        let disk_compact = process::disk_bytes(&self.dir)?;
        let deleting = Instant::now();
        engine.delete_prefix(DELETED_PREFIX)?;
        let delete_ms = millis(deleting);
        let mut from: Key = [0; KEY_BYTES];
        from[0] = DELETED_PREFIX;
        let mut next = None;
        engine.scan(&from, 1, &mut |key, _| next = key.first().copied())?;
        ensure!(next != Some(DELETED_PREFIX), "a deleted row is still there");
        let mut measures = measures([
            ("kops", kops),
            ("disk", disk as f64 / raw),
            ("disk_compact", disk_compact as f64 / raw),
            ("compact_s", compact_s),
            ("rss_mb", rss as f64 / MB),
            ("peak_mb", peak as f64 / MB),
            ("delete_ms", delete_ms),
        ]);
        measures.extend(engine.figures());
        engine.close()?;
        Ok(measures)
    }

    /// Gets of one thread while another overwrites at a steady rate.
    fn mixed(&self) -> Result<Measures> {
        let engine = self.open()?;
        let engine_ref = engine.as_ref();
        let stop = AtomicBool::new(false);
        let alone = thread::scope(|scope| {
            let reader = scope.spawn(|| read_until(engine_ref, self.keys, &stop));
            thread::sleep(self.duration());
            stop.store(true, Ordering::Relaxed);
            reader.join().expect("no panic")
        })?;
        stop.store(false, Ordering::Relaxed);
        let duration = self.duration() * 3;
        let (latencies, written, elapsed) = thread::scope(|scope| {
            let reader = scope.spawn(|| read_until(engine_ref, self.keys, &stop));
            let values = Values::new(VALUE_BYTES);
            let mut batch = Vec::new();
            let mut written = 0;
            let begun = Instant::now();
            while begun.elapsed() < duration {
                let due = Duration::from_secs_f64(written as f64 / MIXED_ROWS_PER_SECOND as f64);
                thread::sleep(due.saturating_sub(begun.elapsed()));
                let rows = (written..written + BATCH_ROWS)
                    .map(|position| (overwrite_order(position, self.keys), 3));
                fill(&mut batch, rows, &values);
                engine_ref.write(&batch, false)?;
                written += BATCH_ROWS;
            }
            let elapsed = begun.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
            let latencies = reader.join().expect("no panic")?;
            Ok::<_, anyhow::Error>((latencies, written, elapsed))
        })?;
        let mut measures = measures([
            ("alone_p99_us", alone.micros_at(0.99)),
            ("read_p50_us", latencies.micros_at(0.5)),
            ("read_p99_us", latencies.micros_at(0.99)),
            ("read_p999_us", latencies.micros_at(0.999)),
            ("read_max_us", latencies.micros_max()),
            ("write_kops", written as f64 / elapsed / 1e3),
        ]);
        measures.extend(engine.figures());
        engine.close()?;
        Ok(measures)
    }

    /// Leaves rows that are in the log only, says so and waits to be killed.
    fn kill(&self) -> Result<Measures> {
        let engine = self.open()?;
        engine.hold_checkpoints();
        let values = Values::new(VALUE_BYTES);
        let rows = (0..self.unflushed_rows()).map(|row| (row, 4));
        write_all(engine.as_ref(), rows, &values)?;
        engine.persist()?;
        let mut stdout = std::io::stdout();
        writeln!(stdout, "ready")?;
        stdout.flush()?;
        loop {
            thread::park();
        }
    }

    fn reopen(&self) -> Result<Measures> {
        let opening = Instant::now();
        let engine = self.open()?;
        let measures = measures([("open_ms", millis(opening))]);
        let values = Values::new(VALUE_BYTES);
        for row in [0, self.unflushed_rows() / 2, self.unflushed_rows() - 1] {
            let expected = values.value(row, 4);
            let mut right = false;
            let found = engine.get(&key(row), &mut |value| right = value == expected)?;
            ensure!(found && right, "row {row} was lost by the kill");
        }
        engine.close()?;
        Ok(measures)
    }

    fn unflushed_rows(&self) -> u64 {
        (UNFLUSHED_BYTES / raw_bytes(1, VALUE_BYTES)).min(self.keys)
    }
}

fn read_until(engine: &dyn Engine, keys: u64, stop: &AtomicBool) -> Result<Latencies> {
    let mut latencies = Latencies::new()?;
    let mut numbers = Numbers::new(7);
    while !stop.load(Ordering::Relaxed) {
        let key = key(numbers.below(keys));
        let one = Instant::now();
        engine.get(&key, &mut |_| ())?;
        latencies.record(one.elapsed());
    }
    Ok(latencies)
}

/// Writes rows of numbers and rounds in batches.
fn write_all(
    engine: &dyn Engine,
    mut rows: impl Iterator<Item = (u64, u64)>,
    values: &Values,
) -> Result<()> {
    let mut batch = Vec::new();
    loop {
        let next = rows.by_ref().take(BATCH_ROWS as usize);
        fill(&mut batch, next, values);
        if batch.is_empty() {
            return Ok(());
        }
        engine.write(&batch, false).context("write a batch")?;
    }
}

fn fill<'a>(
    batch: &mut Vec<(Key, &'a [u8])>,
    rows: impl Iterator<Item = (u64, u64)>,
    values: &'a Values,
) {
    batch.clear();
    batch.extend(rows.map(|(row, round)| (key(row), values.value(row, round))));
}

fn raw_bytes(rows: u64, value_bytes: usize) -> u64 {
    rows * (KEY_BYTES + value_bytes) as u64
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn measures<const N: usize>(measures: [(&str, f64); N]) -> Measures {
    measures
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
