//! One ordered walk over many sources, and the rows that are visible in it.
//!
//! A [`Merge`] keeps its sources sorted by where they stand. Since the front one tends to stay
//! in front, each step costs one or two comparisons. Sources are given from new to old; at one
//! place the newer comes first forward, and last in reverse: either way a reader that prefers
//! what it meets first (forward) or last (reverse) gets the newer.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use super::key::{KeyRange, Place};
use super::memtable::{Memtable, MemtableCursor};
use super::row::{BorrowedRow, Row, RowParts, StoredRow, ValueParts};
use super::table::{Fill, Table, TableCursor};
use super::version::{Level, Version};
use super::{RowIter, show};
use crate::ids::Revision;
use crate::{Error, ErrorKind, Result};

/// Versions of one key passed one by one, before a seek takes the rest in one leap.
const STEPS_MAX: usize = 8;

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Keys grow, and a key's newest version comes first.
    Forward,
    /// The exact opposite.
    Reverse,
}

/// Rows of a range as they stood at a revision.
pub(super) struct VisibleRows {
    merge: Merge,
    range: KeyRange,
    at: Revision,
    /// Forward: the key that the merge stands on, or stood on last.
    key: Vec<u8>,
    /// Forward: whether the row that the merge stands on was yielded.
    yielded: bool,
    /// Reverse: the newest visible version met so far of the key that the merge stands on.
    candidate: Option<(Bytes, Revision, Option<StoredRow>)>,
    version: Arc<Version>,
    keys_only: bool,
    ended: bool,
}

impl VisibleRows {
    pub(super) fn new(
        version: &Arc<Version>,
        range: KeyRange,
        at: Revision,
        direction: Direction,
    ) -> Result<Self> {
        let mut sources = Vec::new();
        let memtables = version.frozen.iter().map(|frozen| &frozen.memtable);
        for memtable in std::iter::once(&version.active).chain(memtables) {
            sources.push(Source::memtable(Arc::clone(memtable), direction));
        }
        for table in version.levels.level(0).iter() {
            if range.meets(&table.properties.smallest, &table.properties.largest) {
                sources.push(Source::table(Arc::clone(table), direction, Fill::Cache));
            }
        }
        for level in version.levels.iter().skip(1) {
            if !level.is_empty() {
                sources.push(Source::level(Arc::clone(level), direction, Fill::Cache));
            }
        }
        let mut merge = Merge::new(sources, direction);
        match (direction, &range.end) {
            (Direction::Forward, _) => merge.seek(Place::before(&range.start))?,
            (Direction::Reverse, Some(end)) => merge.seek(Place::before(end))?,
            (Direction::Reverse, None) => merge.seek_to_last()?,
        }
        Ok(Self {
            merge,
            ended: range.is_empty(),
            range,
            at,
            key: Vec::new(),
            yielded: false,
            candidate: None,
            version: Arc::clone(version),
            keys_only: false,
        })
    }

    /// The same rows without their values, which are not read.
    pub(super) fn keys_only(self) -> Self {
        Self {
            keys_only: true,
            ..self
        }
    }

    #[inline]
    fn load(&self, row: StoredRow, revision: Revision) -> Result<Row> {
        if self.keys_only {
            Ok(row.without_value(revision))
        } else {
            row.load(revision)
        }
    }

    /// Forward: goes on to the next visible row; its revision.
    fn stand(&mut self) -> Result<Option<Revision>> {
        if std::mem::take(&mut self.yielded) {
            self.merge.leave(&self.key)?;
        }
        while let Some(place) = self.merge.place() {
            if self.range.ends_before(place.key) {
                return Ok(None);
            }
            let revision = place.revision;
            self.key.clear();
            self.key.extend_from_slice(place.key);
            if revision > self.at {
                let visible = Place {
                    key: &self.key,
                    revision: self.at,
                };
                self.merge.skip_before(visible)?;
            } else if self.merge.parts().is_none()
                || revision < self.version.hidden_below(&self.key, self.at)
            {
                self.merge.leave(&self.key)?;
            } else {
                self.yielded = true;
                return Ok(Some(revision));
            }
        }
        Ok(None)
    }

    fn next_forward(&mut self) -> Result<Option<(Bytes, Row)>> {
        let Some(revision) = self.stand()? else {
            return Ok(None);
        };
        let Some(row) = self.merge.row() else {
            return Ok(None);
        };
        Ok(Some((self.merge.key(), self.load(row, revision)?)))
    }

    fn show_forward(&mut self, see: &mut dyn FnMut(&[u8], BorrowedRow<'_>)) -> Result<bool> {
        let Some(mod_revision) = self.stand()? else {
            return Ok(false);
        };
        if let Some(row) = self.merge.parts()
            && let ValueParts::Inline(value) = row.value
        {
            let row = BorrowedRow {
                value: if self.keys_only { &[] } else { value },
                mod_revision,
                meta: row.meta,
            };
            see(&self.key, row);
        } else if let Some(row) = self.merge.row() {
            see(&self.key, self.load(row, mod_revision)?.borrowed());
        }
        Ok(true)
    }

    fn next_reverse(&mut self) -> Result<Option<(Bytes, Row)>> {
        loop {
            let here = self.merge.place();
            let here = here.filter(|place| self.range.start <= place.key);
            if let Some((key, ..)) = &self.candidate
                && here.is_none_or(|place| place.key != key)
                && let Some((key, revision, row)) = self.candidate.take()
                && let Some(row) = row
                && revision >= self.version.hidden_below(&key, self.at)
            {
                return Ok(Some((key, self.load(row, revision)?)));
            }
            let Some(place) = here else {
                return Ok(None);
            };
            if place.revision <= self.at {
                let revision = place.revision;
                let row = self.merge.row();
                let key = match self.candidate.take() {
                    Some((key, ..)) => key,
                    None => self.merge.key(),
                };
                self.candidate = Some((key, revision, row));
            }
            self.merge.advance()?;
        }
    }
}

impl Iterator for VisibleRows {
    type Item = Result<(Bytes, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = match self.merge.direction {
            Direction::Forward => self.next_forward(),
            Direction::Reverse => self.next_reverse(),
        };
        self.ended = !matches!(item, Ok(Some(_)));
        item.transpose()
    }
}

impl RowIter for VisibleRows {
    fn show_next(&mut self, see: &mut dyn FnMut(&[u8], BorrowedRow<'_>)) -> Result<bool> {
        if self.merge.direction == Direction::Reverse {
            return show(self.next(), see);
        }
        if self.ended {
            return Ok(false);
        }
        let shown = self.show_forward(see);
        self.ended = !matches!(shown, Ok(true));
        shown
    }
}

/// Many sources as one.
pub(super) struct Merge {
    sources: Vec<Source>,
    /// Sources that stand on a version, in the order of the walk.
    order: Vec<usize>,
    direction: Direction,
}

impl Merge {
    /// `sources` from new to old. The merge stands nowhere until the first seek.
    pub(super) fn new(sources: Vec<Source>, direction: Direction) -> Self {
        Self {
            order: Vec::with_capacity(sources.len()),
            sources,
            direction,
        }
    }

    /// Forward: to the first version at or behind `to`. Reverse: to the last one before it.
    pub(super) fn seek(&mut self, to: Place<'_>) -> Result<()> {
        for source in &mut self.sources {
            source.seek(to)?;
        }
        self.sort();
        Ok(())
    }

    /// Forward: to the very first version. Reverse: to the very last.
    pub(super) fn seek_to_last(&mut self) -> Result<()> {
        for source in &mut self.sources {
            source.seek_to_last()?;
        }
        self.sort();
        Ok(())
    }

    #[inline]
    pub(super) fn place(&self) -> Option<Place<'_>> {
        self.sources.get(*self.order.first()?)?.place()
    }

    /// The key of the version it stands on.
    #[inline]
    pub(super) fn key(&self) -> Bytes {
        self.front().and_then(Source::key).unwrap_or_default()
    }

    /// The row of the version it stands on; `None` for a tombstone.
    #[inline]
    pub(super) fn row(&self) -> Option<StoredRow> {
        self.front()?.row()
    }

    /// The same, where it lies.
    #[inline]
    fn parts(&self) -> Option<RowParts<'_>> {
        self.front()?.parts()
    }

    pub(super) fn advance(&mut self) -> Result<()> {
        if let Some(front) = self.order.first() {
            self.sources[*front].advance()?;
            self.settle();
        }
        Ok(())
    }

    /// Forward: leaves every version before `target` behind.
    fn skip_before(&mut self, target: Place<'_>) -> Result<()> {
        self.skip(target, |place| place < target)
    }

    /// Forward: from a version of `key`, leaves it and all older ones behind.
    fn leave(&mut self, key: &[u8]) -> Result<()> {
        self.advance()?;
        if self.place().is_some_and(|place| place.key == key) {
            let last = Place::last(key);
            self.skip(last, |place| place <= last)?;
        }
        Ok(())
    }

    fn skip(&mut self, target: Place<'_>, unwanted: impl Fn(Place<'_>) -> bool) -> Result<()> {
        let mut steps = 0usize;
        let mut seeks = 0;
        let seeks_max = self.sources.len();
        while let Some(front) = self.order.first().copied() {
            let source = &mut self.sources[front];
            if !source.place().is_some_and(&unwanted) {
                break;
            }
            steps += 1;
            if steps.is_multiple_of(STEPS_MAX) && source.place().is_some_and(|p| p < target) {
                // A source that is in order needs no second seek. In one that is not, seeks
                // could lead back to the same place for ever.
                seeks += 1;
                if seeks > seeks_max {
                    return Err(source.out_of_order());
                }
                source.seek(target)?;
            } else {
                source.advance()?;
            }
            self.settle();
        }
        Ok(())
    }

    #[inline]
    fn front(&self) -> Option<&Source> {
        self.sources.get(*self.order.first()?)
    }

    fn sort(&mut self) {
        self.order.clear();
        for index in 0..self.sources.len() {
            if self.sources[index].place().is_some() {
                self.order.insert(0, index);
                self.settle();
            }
        }
    }

    /// Moves the front source to where it belongs; the others are in order.
    fn settle(&mut self) {
        let Some(moved) = self.order.first().copied() else {
            return;
        };
        let Some(place) = self.sources[moved].place() else {
            self.order.remove(0);
            return;
        };
        let mut index = 0;
        while let Some(next) = self.order.get(index + 1) {
            let after = self.sources[*next].place().map_or(Ordering::Less, |other| {
                let forward = place.cmp(&other).then(moved.cmp(next));
                match self.direction {
                    Direction::Forward => forward,
                    Direction::Reverse => forward.reverse(),
                }
            });
            if after == Ordering::Less {
                break;
            }
            self.order[index] = *next;
            index += 1;
        }
        self.order[index] = moved;
    }
}

/// Something that holds versions in order.
pub(super) enum Source {
    Memtable(MemtableCursor),
    Table(Box<TableCursor>),
    Level(Box<LevelCursor>),
}

impl Source {
    pub(super) fn memtable(memtable: Arc<Memtable>, direction: Direction) -> Self {
        Self::Memtable(MemtableCursor::new(memtable, direction))
    }

    pub(super) fn table(table: Arc<Table>, direction: Direction, fill: Fill) -> Self {
        Self::Table(Box::new(TableCursor::new(table, direction, fill)))
    }

    /// Tables in key order that share no key.
    pub(super) fn level(tables: Level, direction: Direction, fill: Fill) -> Self {
        Self::Level(Box::new(LevelCursor {
            tables,
            direction,
            fill,
            number: 0,
            cursor: None,
        }))
    }

    fn seek(&mut self, to: Place<'_>) -> Result<()> {
        match self {
            Self::Memtable(cursor) => {
                cursor.seek(to);
                Ok(())
            }
            Self::Table(cursor) => cursor.seek(to),
            Self::Level(cursor) => cursor.seek(to),
        }
    }

    fn seek_to_last(&mut self) -> Result<()> {
        match self {
            Self::Memtable(cursor) => {
                cursor.seek_to_last();
                Ok(())
            }
            Self::Table(cursor) => cursor.seek_to_last(),
            Self::Level(cursor) => cursor.seek_to_last(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        match self {
            Self::Memtable(cursor) => {
                cursor.advance();
                Ok(())
            }
            Self::Table(cursor) => cursor.advance(),
            Self::Level(cursor) => cursor.advance(),
        }
    }

    /// What to say of a source whose versions are not in order; those of a memtable always are.
    fn out_of_order(&self) -> Error {
        const PROBLEM: &str = "versions are not in order";
        let cursor = match self {
            Self::Memtable(_) => None,
            Self::Table(cursor) => Some(cursor.as_ref()),
            Self::Level(cursor) => cursor.cursor.as_ref(),
        };
        cursor.map_or_else(
            || Error::new(ErrorKind::Corrupt, PROBLEM),
            |cursor| cursor.damaged_here(PROBLEM),
        )
    }

    #[inline]
    fn place(&self) -> Option<Place<'_>> {
        match self {
            Self::Memtable(cursor) => cursor.place(),
            Self::Table(cursor) => cursor.place(),
            Self::Level(cursor) => cursor.cursor.as_ref()?.place(),
        }
    }

    #[inline]
    fn key(&self) -> Option<Bytes> {
        match self {
            Self::Memtable(cursor) => cursor.key(),
            Self::Table(cursor) => cursor.key(),
            Self::Level(cursor) => cursor.cursor.as_ref()?.key(),
        }
    }

    #[inline]
    fn row(&self) -> Option<StoredRow> {
        match self {
            Self::Memtable(cursor) => cursor.row(),
            Self::Table(cursor) => cursor.row(),
            Self::Level(cursor) => cursor.cursor.as_ref()?.row(),
        }
    }

    #[inline]
    fn parts(&self) -> Option<RowParts<'_>> {
        match self {
            Self::Memtable(cursor) => cursor.version()?.parts(),
            Self::Table(cursor) => cursor.parts(),
            Self::Level(cursor) => cursor.cursor.as_ref()?.parts(),
        }
    }
}

/// Walks tables that share no key, one after another.
pub(super) struct LevelCursor {
    tables: Level,
    direction: Direction,
    fill: Fill,
    number: usize,
    cursor: Option<TableCursor>,
}

impl LevelCursor {
    fn seek(&mut self, to: Place<'_>) -> Result<()> {
        let number = self.tables.before(to.key);
        match self.direction {
            Direction::Forward => self.open(number),
            Direction::Reverse => self.open(number.min(self.tables.len().saturating_sub(1))),
        }
        if let Some(cursor) = &mut self.cursor {
            cursor.seek(to)?;
        }
        self.pass_ended()
    }

    fn seek_to_last(&mut self) -> Result<()> {
        self.open(self.tables.len().saturating_sub(1));
        if let Some(cursor) = &mut self.cursor {
            cursor.seek_to_last()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        if let Some(cursor) = &mut self.cursor {
            cursor.advance()?;
        }
        self.pass_ended()
    }

    /// Goes on to the next table while the present one has nothing more.
    fn pass_ended(&mut self) -> Result<()> {
        while let Some(cursor) = &self.cursor
            && cursor.place().is_none()
        {
            match self.direction {
                Direction::Forward => {
                    self.open(self.number + 1);
                    if let Some(cursor) = &mut self.cursor {
                        cursor.seek(Place::before(&[]))?;
                    }
                }
                Direction::Reverse => {
                    let before = self.number.checked_sub(1);
                    self.open(before.unwrap_or(self.tables.len()));
                    if let Some(cursor) = &mut self.cursor {
                        cursor.seek_to_last()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, number: usize) {
        self.number = number;
        self.cursor = self
            .tables
            .get(number)
            .map(|table| TableCursor::new(Arc::clone(table), self.direction, self.fill));
    }
}
