//! A row as the store keeps it.

use bytes::Bytes;

use crate::ids::Revision;

/// One version of a row, as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was written.
    pub value: Bytes,
    /// When the row came into being: the first put after it was last absent.
    pub create_revision: Revision,
    /// When this version was written.
    pub mod_revision: Revision,
    /// How often the row was written since it came into being; 1 for a new row.
    pub version: u64,
}

/// A version to be written; its `mod_revision` is the revision of the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// The value.
    pub value: Bytes,
    /// When the row came into being.
    pub create_revision: Revision,
    /// How often the row was written since it came into being; 1 for a new row.
    pub version: u64,
}

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWrite {
    /// The full store key: the keyspace's id in four big-endian bytes, then the user's key.
    pub key: Bytes,
    /// The new version, or `None` for a tombstone.
    pub value: Option<NewRow>,
}

/// A version that a read met; a tombstone has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) revision: Revision,
    pub(super) row: Option<NewRow>,
}

impl Found {
    /// The row as it is read.
    pub(super) fn into_row(self) -> Option<Row> {
        self.row.map(|row| row.at(self.revision))
    }
}

/// A version on its way into a table, without its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowParts<'a> {
    pub(super) value: &'a [u8],
    pub(super) create_revision: Revision,
    pub(super) version: u64,
}

impl NewRow {
    /// The row as it is read, once its revision is known.
    pub(super) fn at(self, mod_revision: Revision) -> Row {
        Row {
            value: self.value,
            create_revision: self.create_revision,
            mod_revision,
            version: self.version,
        }
    }
}
