//! A look at a store's files: see [`inspect`](crate::inspect).

pub use super::blob::inspect::{BlobFileView, BlobItem, BlobValueView, blob};
pub use super::manifest::inspect::{
    CheckpointView, EditView, ManifestItem, ManifestTable, ManifestView, manifest,
};
pub use super::table::inspect::{
    BlockView, RowView, SectionView, TableItem, TableView, VersionView, table,
};

pub(crate) use super::manifest::CURRENT;
pub(crate) use super::manifest::inspect::{recorded_checkpoint, recorded_lengths};
