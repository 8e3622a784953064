//! A row as the store keeps it.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;

use super::blob::{BlobRef, BlobValue};
use crate::Result;
use crate::ids::Revision;

/// The end of a row that has none.
pub const NEVER_MS: u64 = u64::MAX;

/// What a version of a row knows beside its value and its revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMeta {
    /// When the row came into being: the first put after it was last absent.
    pub create_revision: Revision,
    /// How often the row was written since it came into being; 1 for a new row.
    pub version: u64,
    /// When the row ends, milliseconds since 1970; [`NEVER_MS`] if it does not. The store keeps
    /// this and hides nothing.
    pub expires_at_ms: u64,
    /// What the value is.
    pub kind: RowKind,
}

/// What a row's value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// What its writer wrote.
    #[default]
    Bytes,
    /// How many members a set has; each is a row of its own.
    Set,
    /// How many fields a hash has; each is a row of its own.
    Hash,
}

impl RowMeta {
    /// A row of bytes that never ends.
    pub fn of_bytes(create_revision: Revision, version: u64) -> Self {
        Self {
            create_revision,
            version,
            expires_at_ms: NEVER_MS,
            kind: RowKind::Bytes,
        }
    }

    /// Whether it is what [`RowMeta::of_bytes`] makes.
    pub(crate) fn is_plain(&self) -> bool {
        self.expires_at_ms == NEVER_MS && self.kind == RowKind::Bytes
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "plain value",
            Self::Set => "set",
            Self::Hash => "hash",
        })
    }
}

impl RowKind {
    /// The number of this kind in every format.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Bytes => 0,
            Self::Set => 1,
            Self::Hash => 2,
        }
    }

    /// The kind of this number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        [Self::Bytes, Self::Set, Self::Hash]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// One version of a row, as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was written.
    pub value: Bytes,
    /// When this version was written.
    pub mod_revision: Revision,
    /// What else it knows.
    pub meta: RowMeta,
}

/// One version of a row, shown where it lies: nothing is copied, and nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BorrowedRow<'a> {
    /// What was written.
    pub value: &'a [u8],
    /// When this version was written.
    pub mod_revision: Revision,
    /// What else it knows.
    pub meta: RowMeta,
}

/// A version to be written; its `mod_revision` is the revision of the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// The value.
    pub value: Bytes,
    /// What else it knows.
    pub meta: RowMeta,
}

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWrite {
    /// The full store key: the keyspace's id in four big-endian bytes, then the user's key.
    pub key: Bytes,
    /// The new version, or `None` for a tombstone.
    pub value: Option<NewRow>,
}

impl Row {
    /// The row without a claim on its value.
    pub fn borrowed(&self) -> BorrowedRow<'_> {
        BorrowedRow {
            value: &self.value,
            mod_revision: self.mod_revision,
            meta: self.meta,
        }
    }
}

/// A version that a read met; a tombstone has no row.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) revision: Revision,
    pub(super) row: Option<StoredRow>,
}

impl Found {
    /// The row as it is read.
    pub(super) fn into_row(self) -> Result<Option<Row>> {
        self.row.map(|row| row.load(self.revision)).transpose()
    }
}

/// A row as a table holds it.
#[derive(Clone, Debug)]
pub(super) struct StoredRow {
    pub(super) value: StoredValue,
    pub(super) meta: RowMeta,
}

/// A value as a table holds it.
#[derive(Clone, Debug)]
pub(super) enum StoredValue {
    /// Beside its key.
    Inline(Bytes),
    /// In a blob file.
    Blob(BlobValue),
}

impl StoredValue {
    /// The value, if it is in one of these blob files.
    pub(super) fn in_any_of(&self, files: &BTreeSet<u64>) -> Option<&BlobValue> {
        match self {
            Self::Blob(value) if files.contains(&value.at.file) => Some(value),
            Self::Inline(_) | Self::Blob(_) => None,
        }
    }
}

impl StoredRow {
    /// The row as it is read, once its revision is known.
    #[inline]
    pub(super) fn load(self, mod_revision: Revision) -> Result<Row> {
        Ok(Row {
            value: match self.value {
                StoredValue::Inline(value) => value,
                StoredValue::Blob(value) => value.read()?,
            },
            mod_revision,
            meta: self.meta,
        })
    }

    /// The row without its value, which is not read.
    pub(super) fn without_value(self, mod_revision: Revision) -> Row {
        Row {
            value: Bytes::new(),
            mod_revision,
            meta: self.meta,
        }
    }

    /// The row as a table writer takes it.
    pub(super) fn parts(&self) -> RowParts<'_> {
        RowParts {
            value: match &self.value {
                StoredValue::Inline(value) => ValueParts::Inline(value),
                StoredValue::Blob(value) => ValueParts::Blob {
                    at: value.at,
                    file_bytes: value.file.len,
                },
            },
            meta: self.meta,
        }
    }
}

/// A version on its way into a table, without its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowParts<'a> {
    pub(super) value: ValueParts<'a>,
    pub(super) meta: RowMeta,
}

/// A value on its way into a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum ValueParts<'a> {
    /// Beside its key, or, if it is long, in the table's own blob file.
    Inline(&'a [u8]),
    /// In a blob file that is there already, and so long.
    Blob { at: BlobRef, file_bytes: u64 },
}

impl ValueParts<'_> {
    /// Bytes that the value takes in a block.
    pub(super) fn inline_len(self) -> usize {
        match self {
            Self::Inline(value) => value.len(),
            Self::Blob { .. } => 0,
        }
    }
}

#[cfg(test)]
impl NewRow {
    /// The row as it is read, once its revision is known.
    pub(super) fn at(self, mod_revision: Revision) -> Row {
        Row {
            value: self.value,
            mod_revision,
            meta: self.meta,
        }
    }
}
