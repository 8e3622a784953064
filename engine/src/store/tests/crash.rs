//! Generated workloads of a store, and power cuts at each of their calls to the disk.
//!
//! What is found afterwards is the newest checkpoint that a flush made durable, or the one whose
//! flush was under way; and the rows are exactly those of that checkpoint.

use std::collections::VecDeque;

use super::*;
use crate::crash::{Process, Workload, World, survives_power_cuts};

#[test]
fn after_every_power_cut_a_durable_checkpoint_is_there_with_its_rows() {
    survives_power_cuts::<StoreWorkload>(12);
}

struct StoreWorkload;

/// What a workload does next.
#[derive(Clone, Copy)]
enum Op {
    Write,
    /// Freezes the memtable with a checkpoint; flushes before if it must.
    Freeze,
    Flush,
    Compact,
    /// Ends the process without notice and opens the store again.
    Kill,
}

enum Event {
    Wrote(u64, Vec<RowWrite>, Vec<KeyRange>),
    Froze(u64),
    FlushBegan,
    /// A flush made the oldest frozen checkpoint durable.
    Flushed,
    /// A compaction may drop what nobody sees from this revision up.
    Compacts(u64),
    /// The store was opened at this checkpoint; what was written later is gone.
    Found(u64),
}

#[derive(Clone, Default)]
struct Promise {
    model: Model,
    written: u64,
    durable: u64,
    frozen: VecDeque<u64>,
    flushing: bool,
    floor: u64,
}

impl Promise {
    fn check(&self, found: u64) -> Result<(), String> {
        let next = self.frozen.front().filter(|_| self.flushing);
        if found == self.durable || Some(&found) == next {
            return Ok(());
        }
        let durable = self.durable;
        Err(format!(
            "found checkpoint {found}; {durable} is durable, {next:?} was being flushed"
        ))
    }
}

impl Workload for StoreWorkload {
    const NAME: &'static str = "store";
    type Event = Event;
    type Promise = Promise;

    fn take_in(promise: &mut Promise, event: &Event) {
        match event {
            Event::Wrote(revision, writes, deleted) => {
                promise.written = *revision;
                for range in deleted {
                    promise.model.delete_range(*revision, range.clone());
                }
                promise.model.write(*revision, writes);
            }
            Event::Froze(revision) => promise.frozen.push_back(*revision),
            Event::FlushBegan => promise.flushing = true,
            Event::Flushed => {
                promise.flushing = false;
                promise.durable = promise.frozen.pop_front().expect("it was frozen");
            }
            Event::Compacts(floor) => promise.floor = promise.floor.max(*floor),
            Event::Found(revision) => {
                promise.model.cut(*revision);
                promise.written = *revision;
                promise.durable = *revision;
                promise.frozen.clear();
                promise.flushing = false;
            }
        }
    }

    fn play(world: &World<Self>) {
        let options = draw_options(world);
        // Large ones make the manifest grow until it is written anew.
        let checkpoint_bytes = world.one_of(&[16, 1600, 1600, 24_000]);
        let ops = 15 + world.below(50);
        let mut life = Life::begin(world, &options, checkpoint_bytes, Promise::default())
            .expect("without a power cut every store opens");
        for _ in 0..ops {
            let op = world.one_of(&[
                Op::Write,
                Op::Write,
                Op::Write,
                Op::Write,
                Op::Freeze,
                Op::Freeze,
                Op::Flush,
                Op::Flush,
                Op::Compact,
                Op::Compact,
                Op::Compact,
                Op::Kill,
            ]);
            if matches!(op, Op::Kill) && world.below(2) == 0 {
                drop(life);
                let promise = world.promise(Promise::default());
                life = Life::begin(world, &options, checkpoint_bytes, promise)
                    .expect("without a power cut nothing is lost");
            } else {
                life.step(op);
            }
        }
    }

    fn recover(world: &World<Self>, promise: &Promise, go_on: bool) -> Result<(), String> {
        let (store, process) = open_in(world, &tiny())?;
        let found = check(world, &store, promise)?;
        if go_on {
            world.note(Event::Found(found));
            let mut life = Life {
                world,
                store,
                checkpoint_bytes: 1600,
                promise: world.promise(promise.clone()),
                _process: process,
            };
            let more = [
                Op::Write,
                Op::Freeze,
                Op::Flush,
                Op::Compact,
                Op::Write,
                Op::Freeze,
                Op::Flush,
            ];
            for op in more {
                life.step(op);
            }
        }
        Ok(())
    }
}

fn draw_options(world: &World<StoreWorkload>) -> StoreOptions {
    StoreOptions {
        table_bytes: world.one_of(&[300, 700, 2000]),
        block_bytes: world.one_of(&[64, 128, 512]),
        compression: world.one_of(&[Compression::None, Compression::Lz4]),
        blob_bytes: world.one_of(&[60, 400, 1 << 20]),
        level_base_bytes: world.one_of(&[1 << 10, 2 << 10, 8 << 10]),
        l0_tables: world.one_of(&[1, 2, 3]),
        ..tiny()
    }
}

fn open_in(world: &World<StoreWorkload>, options: &StoreOptions) -> Result<(Lsm, Process), String> {
    let process = Process::start(world);
    let blocks = BlockCache::new(0);
    let store = Lsm::open(&process.env, &dir(), options.clone(), blocks)
        .map_err(|error| format!("open: {error}"))?;
    Ok((store, process))
}

/// Compares a store that was just opened with what was promised; answers its checkpoint.
fn check(world: &World<StoreWorkload>, store: &Lsm, promise: &Promise) -> Result<u64, String> {
    let found = store.checkpoint().map_or(Ok(0), checkpoint_revision)?;
    promise.check(found)?;
    let before = promise.floor.max(1) + world.below(found + 1);
    for at in [found, before.min(found)] {
        if at < promise.floor {
            continue;
        }
        let rows = scan(store, KeyRange::all(), at, false);
        let rows = rows.map_err(|error| format!("scan at {at} of {found}: {error}"))?;
        let expected = promise.model.rows_at(at);
        if rows != expected {
            return Err(format!("at {at} of {found}: {rows:?}, not {expected:?}"));
        }
    }
    let vfs: Arc<dyn Vfs> = Arc::new(world.disk.clone());
    let names = file_names(&vfs, &dir());
    let blobs = names.iter().filter(|name| name.ends_with("blob")).count();
    let (tables, stats) = (table_names(&vfs, &dir()).len(), store.stats());
    if (tables, blobs) != (table_count(store), stats.blob_files) {
        return Err(format!("{names:?} are not the files of {stats:?}"));
    }
    Ok(found)
}

fn checkpoint_revision(checkpoint: Bytes) -> Result<u64, String> {
    let first = checkpoint.first_chunk().ok_or("an empty checkpoint")?;
    if checkpoint.chunks(8).any(|chunk| chunk != first) {
        return Err(format!("a checkpoint of pieces: {checkpoint:?}"));
    }
    Ok(u64::from_le_bytes(*first))
}

fn table_count(store: &Lsm) -> usize {
    store.stats().levels.iter().map(|level| level.tables).sum()
}

/// An open store, and what is known of it.
struct Life<'w> {
    world: &'w World<StoreWorkload>,
    store: Lsm,
    checkpoint_bytes: usize,
    promise: Promise,
    _process: Process,
}

impl<'w> Life<'w> {
    fn begin(
        world: &'w World<StoreWorkload>,
        options: &StoreOptions,
        checkpoint_bytes: usize,
        promise: Promise,
    ) -> Result<Self, String> {
        let (store, process) = open_in(world, options)?;
        let found = check(world, &store, &promise)?;
        let mut life = Self {
            world,
            store,
            checkpoint_bytes,
            promise,
            _process: process,
        };
        life.note(Event::Found(found));
        Ok(life)
    }

    fn note(&mut self, event: Event) {
        StoreWorkload::take_in(&mut self.promise, &event);
        self.world.note(event);
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Write => self.write(),
            Op::Freeze => {
                if self.store.stalled() {
                    self.flush();
                }
                let revision = self.promise.written;
                self.note(Event::Froze(revision));
                self.store.freeze(self.checkpoint(revision));
            }
            Op::Flush => self.flush(),
            Op::Compact => self.compact(),
            Op::Kill => {}
        }
    }

    /// A checkpoint that says which revision it completes, in every eight of its bytes.
    fn checkpoint(&self, revision: u64) -> Bytes {
        let times = self.checkpoint_bytes / 8;
        revision.to_le_bytes().repeat(times).into()
    }

    fn write(&mut self) {
        let revision = self.promise.written + 1;
        let count = 1 + self.world.below(6);
        let writes: BTreeMap<String, RowWrite> = (0..count)
            .map(|_| {
                let key = format!("row/{:02}", self.world.below(14));
                let write = if self.world.below(4) == 0 {
                    delete(&key)
                } else {
                    let long = self.world.one_of(&[120, 120, 120, 900]);
                    let len = usize::try_from(self.world.below(long)).expect("small");
                    put(&key, &format!("value {revision} {}", "x".repeat(len)))
                };
                (key, write)
            })
            .collect();
        let writes: Vec<RowWrite> = writes.into_values().collect();
        let deleted = self.draw_deleted();
        self.note(Event::Wrote(revision, writes.clone(), deleted.clone()));
        let written = self.store.write(Revision(revision), &writes, &deleted);
        written.expect("the power is on");
    }

    /// Now and then some ranges, once in a while all.
    fn draw_deleted(&self) -> Vec<KeyRange> {
        match self.world.below(12) {
            0 => vec![KeyRange::prefix("row/0".into())],
            1 => vec![
                KeyRange::prefix("row/1".into()),
                KeyRange::prefix("row/05".into()),
            ],
            2 => vec![KeyRange::all()],
            _ => Vec::new(),
        }
    }

    fn flush(&mut self) {
        if self.promise.frozen.is_empty() {
            return;
        }
        self.note(Event::FlushBegan);
        assert!(self.store.flush().expect("the power is on"));
        self.note(Event::Flushed);
    }

    fn compact(&mut self) {
        let history = self.world.below(5);
        let floor = self.promise.durable.saturating_sub(history);
        self.note(Event::Compacts(floor));
        if self.world.below(4) == 0 {
            self.store.compact_l0();
        }
        let step = self.store.compact_step(Revision(floor));
        step.expect("the power is on");
    }
}
