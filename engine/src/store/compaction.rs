//! Merging tables into the next level, piece by piece.
//!
//! L0 is merged into L1 when it has too many tables; a deeper level hands one table after another
//! to the next when it has too many bytes: always the one that costs least there. Tables that meet
//! nothing in the next level merely change their level.
//!
//! # What is dropped
//! Of each key every version above the floor stays, and so does the newest one at or below the
//! floor: it is what a read at the floor sees. Older ones go. If that newest one is a tombstone
//! and no deeper level may hold the key, it goes too. What a range deleted up to the floor hides
//! goes wherever it is met.
//!
//! # Invariants
//! - The inputs of a running compaction stay in their levels until its end: nothing else
//!   removes tables.
//! - All versions of a key go into one table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cleaning::{hidden_in_part, names_one, stale_blob_files};
use super::deleted::DeletedRanges;
use super::iter::{Direction, Merge, Source};
use super::key::Place;
use super::options::StoreOptions;
use super::row::{RowParts, StoredRow, ValueParts};
use super::table::{Fill, Properties, Table, TableWriter, WrittenTable};
use super::version::{LEVELS, Level, Levels, Tables, Version, table_of, tables_within};
use crate::Result;
use crate::ids::Revision;
use crate::planted::{Planted, on};

/// Most bytes of rows that one [`compact_step`](super::Store::compact_step) merges.
pub const STEP_BYTES: usize = 4 << 20;

/// How much larger than the one above it a level may grow.
const LEVEL_FACTOR: u64 = 10;

/// How many times the bytes of L0 a merge may write that no bound asks for, only reads do.
const UNASKED_FACTOR: u64 = 6;

/// What is to be merged although every level is within its bounds. Ids are never used again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// What was written up to here goes all the way down,
    pub(super) whole_until: Revision,
    /// and is written again there, if the table has an id below this.
    pub(super) whole_before: u64,
    /// Tables of L0 with ids below this go into L1.
    pub(super) l0_before: u64,
}

/// Tables to be merged.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where the upper tables are; the result goes one deeper.
    pub(super) level: usize,
    /// From new to old in L0, in key order below.
    pub(super) upper: Vec<Arc<Table>>,
    /// The tables of the next level that share keys with them.
    pub(super) lower: Vec<Arc<Table>>,
    /// The level of the result.
    pub(super) output: usize,
}

/// The most urgent compaction; `None` if every level is within its bounds, and deletions left
/// nothing to clean, and nothing is asked for.
pub(super) fn pick(
    version: &Version,
    floor: Revision,
    options: &StoreOptions,
    asked: Asked,
) -> Option<Plan> {
    let levels = &version.levels;
    let l0 = levels.level(0);
    if l0.len() >= options.l0_tables.max(1) || l0.iter().any(|table| table.id < asked.l0_before) {
        return Some(Plan::of_l0(levels));
    }
    let mut allowed = options.level_base_bytes.max(1);
    for level in 1..LEVELS - 1 {
        let tables = levels.level(level);
        let bytes: u64 = tables.iter().map(|table| table.len).sum();
        if bytes > allowed {
            let table = cheapest(levels, level)?;
            return Some(Plan::new(levels, level, vec![table]));
        }
        allowed = allowed.saturating_mul(LEVEL_FACTOR);
    }
    if let Some(plan) = pick_for_whole(levels, asked) {
        return Some(plan);
    }
    let left =
        hidden_in_part(version, floor).or_else(|| names_one(levels, &stale_blob_files(levels)));
    left.map(|(level, table)| Plan::rewrite(levels, level, table))
}

/// The next step of a compaction of the whole store: down to the deepest level, and there each
/// table once.
fn pick_for_whole(levels: &Levels, asked: Asked) -> Option<Plan> {
    let deepest = (0..LEVELS).rfind(|level| !levels.level(*level).is_empty())?;
    let mut tables = levels.tables();
    // A table above the deepest level may be new, but hold what is old: a merge has put it there.
    let (level, table) = tables.find(|(level, table)| {
        table.properties.revision_min <= asked.whole_until
            && (*level < deepest || table.id < asked.whole_before)
    })?;
    Some(if level == 0 {
        Plan::of_l0(levels)
    } else if level < deepest {
        Plan::new(levels, level, vec![Arc::clone(table)])
    } else {
        Plan::rewrite(levels, level, Arc::clone(table))
    })
}

/// The table whose keys meet the fewest bytes below, for its own: the cheapest way down.
fn cheapest(levels: &Levels, level: usize) -> Option<Arc<Table>> {
    let below = levels.level(level + 1);
    let cost = |table: &Table| {
        let meets = tables_within(below, &table.properties);
        let bytes: u64 = meets.iter().map(|table| table.len).sum();
        bytes.saturating_mul(1_000) / table.len.max(1)
    };
    let tables = levels.level(level).iter();
    tables.min_by_key(|table| cost(table)).cloned()
}

impl Plan {
    fn new(levels: &Levels, level: usize, upper: Vec<Arc<Table>>) -> Self {
        let bounds = upper
            .iter()
            .map(|table| table.properties.clone())
            .reduce(|a, b| Properties {
                smallest: a.smallest.min(b.smallest),
                largest: a.largest.max(b.largest),
                ..a
            });
        let lower = bounds.map_or(&[][..], |bounds| {
            tables_within(levels.level(level + 1), &bounds)
        });
        Self {
            level,
            lower: lower.to_vec(),
            upper,
            output: level + 1,
        }
    }

    /// All of L0 into L1.
    pub(super) fn of_l0(levels: &Levels) -> Self {
        Self::new(levels, 0, levels.level(0).to_vec())
    }

    /// Whether reads gain enough from a merge of L0 that is not due: there is another table for
    /// them to look into, and not too much is written again for it.
    pub(super) fn is_worth_it(&self) -> bool {
        let bytes = |tables: &[Arc<Table>]| tables.iter().map(|table| table.len).sum::<u64>();
        let lower = bytes(&self.lower);
        let several = self.upper.len() > 1 || (self.upper.len() == 1 && lower > 0);
        several && lower <= bytes(&self.upper).saturating_mul(UNASKED_FACTOR)
    }

    /// Most bytes that the result takes beside its inputs, which stay until it is complete.
    pub(super) fn output_bytes_max(&self, levels: &Levels) -> u64 {
        if self.is_move() {
            return 0;
        }
        let stale = stale_blob_files(levels);
        let inputs = self.inputs().map(|(_, table)| {
            let blobs = table.properties.blobs.iter();
            let values = blobs.filter(|used| stale.contains(&used.file));
            table.len + values.map(|used| used.used_bytes).sum::<u64>()
        });
        inputs.sum()
    }

    /// One table, read and written again for what deletions left in it. In L0, where tables
    /// overlap, all of them go on to L1 instead.
    pub(super) fn rewrite(levels: &Levels, level: usize, table: Arc<Table>) -> Self {
        if level == 0 {
            return Self::of_l0(levels);
        }
        Self {
            level,
            upper: vec![table],
            lower: Vec::new(),
            output: level,
        }
    }

    /// Whether the upper tables may go down as they are.
    pub(super) fn is_move(&self) -> bool {
        let mut bounds: Vec<&Properties> =
            self.upper.iter().map(|table| &table.properties).collect();
        bounds.sort_unstable_by(|a, b| a.smallest.cmp(&b.smallest));
        self.output > self.level
            && self.lower.is_empty()
            && bounds
                .windows(2)
                .all(|pair| matches!(pair, [a, b] if !a.overlaps(b)))
    }

    pub(super) fn inputs(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        let upper = self.upper.iter().map(|table| (self.level, table));
        let lower = self.lower.iter().map(|table| (self.level + 1, table));
        upper.chain(lower)
    }
}

/// A compaction between two of its steps.
pub(super) struct Compaction {
    pub(super) plan: Plan,
    pub(super) outputs: Vec<WrittenTable>,
    pub(super) dropped: u64,
    merge: Merge,
    floor: Revision,
    deleted: Arc<DeletedRanges>,
    /// Blob files whose values are written anew.
    stale: BTreeSet<u64>,
    deeper: Vec<Level>,
    table_bytes: u64,
    writer: Option<TableWriter>,
    last_key: Vec<u8>,
    last_revision: Option<Revision>,
    floor_passed: bool,
    hidden_below: Revision,
}

impl Compaction {
    pub(super) fn new(
        plan: Plan,
        version: &Version,
        floor: Revision,
        table_bytes: u64,
    ) -> Result<Self> {
        let levels = &version.levels;
        let mut sources = Vec::new();
        if plan.level == 0 {
            for table in &plan.upper {
                let table = Arc::clone(table);
                sources.push(Source::table(table, Direction::Forward, Fill::Ahead));
            }
        } else {
            let upper = Arc::new(Tables::new(plan.upper.clone()));
            sources.push(Source::level(upper, Direction::Forward, Fill::Ahead));
        }
        let lower = Arc::new(Tables::new(plan.lower.clone()));
        sources.push(Source::level(lower, Direction::Forward, Fill::Ahead));
        let mut merge = Merge::new(sources, Direction::Forward);
        merge.seek(Place::before(&[]))?;
        Ok(Self {
            deeper: levels.iter().skip(plan.output + 1).cloned().collect(),
            deleted: Arc::clone(&version.deleted),
            stale: stale_blob_files(levels),
            plan,
            outputs: Vec::new(),
            dropped: 0,
            merge,
            floor,
            table_bytes,
            writer: None,
            last_key: Vec::new(),
            last_revision: None,
            floor_passed: false,
            hidden_below: Revision(0),
        })
    }

    /// Ranges deleted up to this revision hide nothing of what comes out.
    pub(super) fn cleaned(&self) -> Revision {
        let ranges = self.deleted.ranges().iter();
        ranges
            .map(|deleted| deleted.revision)
            .filter(|revision| *revision <= self.floor)
            .max()
            .unwrap_or(Revision(0))
    }

    /// Merges some bytes; `true` once all inputs are merged and all outputs synced. `create`
    /// begins an output table.
    pub(super) fn step(&mut self, create: impl Fn() -> Result<TableWriter>) -> Result<bool> {
        let mut bytes = 0;
        while bytes < STEP_BYTES {
            let Some(place) = self.merge.place() else {
                if let Some(writer) = self.writer.take() {
                    self.outputs.push(writer.finish()?);
                }
                return Ok(true);
            };
            let new_key = self.last_revision.is_none() || self.last_key != place.key;
            if new_key {
                self.last_key.clear();
                self.last_key.extend_from_slice(place.key);
                self.floor_passed = false;
                self.last_revision = None;
                self.hidden_below = self.deleted.hidden_below(&self.last_key, self.floor);
            }
            let revision = place.revision;
            let row = self.merge.row();
            let parts = row.as_ref().map(StoredRow::parts);
            bytes += self.last_key.len() + parts.map_or(0, |row| row.value.inline_len()) + 16;
            if self.keeps(revision, row.is_none()) {
                let full = self.writer.as_ref().map(TableWriter::bytes);
                if new_key
                    && full.is_some_and(|bytes| bytes >= self.table_bytes)
                    && let Some(writer) = self.writer.take()
                {
                    self.outputs.push(writer.finish()?);
                }
                let writer = match &mut self.writer {
                    Some(writer) => writer,
                    empty => empty.insert(create()?),
                };
                let place = Place {
                    key: &self.last_key,
                    revision,
                };
                if let Some(value) = row
                    .as_ref()
                    .and_then(|row| row.value.in_any_of(&self.stale))
                {
                    let value = value.read()?;
                    bytes += value.len();
                    let value = ValueParts::Inline(&value);
                    writer.add(place, parts.map(|row| RowParts { value, ..row }))?;
                } else {
                    writer.add(place, parts)?;
                }
            } else {
                self.dropped += 1;
            }
            self.last_revision = Some(revision);
            self.merge.advance()?;
        }
        Ok(false)
    }

    /// Whether a version of `last_key` is still of use; versions come from new to old.
    fn keeps(&mut self, revision: Revision, tombstone: bool) -> bool {
        // Of two writes at one revision the newer came first.
        if self.last_revision == Some(revision) || self.floor_passed || revision < self.hidden_below
        {
            return false;
        }
        self.floor_passed = revision <= self.floor;
        let hides_something = || {
            let mut deeper = self.deeper.iter();
            deeper.any(|level| table_of(level, &self.last_key).is_some())
        };
        !(tombstone && self.floor_passed) || (hides_something() && !on(Planted::LostTombstone))
    }
}

impl std::fmt::Debug for Compaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compaction")
            .field("plan", &self.plan)
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}
