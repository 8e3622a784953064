//! A node's files, looked at while the node is stopped: what is in them, and what is wrong.
//!
//! ```text
//! a file ──► the decoders that the node itself uses ──► Seen::Item …     one by one, in file order
//!                                                       Seen::Problem …  with file and offset
//!                                                       └► a summary at the end
//! ```
//!
//! Nothing is changed and no lock is taken: files are opened for reading alone. A problem does
//! not end a look: it goes on with the next frame or block where one can be found, so that all
//! problems of a file are told at once.
//!
//! # Invariants
//! - What a node would refuse is [`Severity::Damage`]; what it would cut or pass over is not.
//! - In memory at any time: one frame or one block, and what is known of each segment or group. A
//!   manifest is read whole, as the node does.
//!
//! # Not here
//! The formats: each is owned, and read, by its module. How it is printed: see `engine-cli`.

use std::path::PathBuf;

use serde::Serialize;

pub use crate::queue::inspect::{
    MessageView, PartitionFileView, PartitionItem, PartitionView, partition,
};
pub use crate::segment::inspect::{FrameView, LogItem, LogView, Place, SegmentView, log};
pub use crate::store::inspect::{
    BlobFileView, BlobItem, BlobValueView, BlockView, CheckpointView, EditView, ManifestItem,
    ManifestTable, ManifestView, RowView, SectionView, TableItem, TableView, VersionView, blob,
    manifest, table,
};

use crate::error::{Damage, Error, Result};

/// What a look meets, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// Something that is in order.
    Item(T),
    /// Something that is not.
    Problem(Problem),
}

/// Something in a file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What a node makes of it.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

impl From<Problem> for Damage {
    fn from(problem: Problem) -> Self {
        let Problem {
            path, offset, what, ..
        } = problem;
        Self { path, offset, what }
    }
}

/// What a node makes of a problem when it opens or reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Bytes that count are not what was written: the node refuses them.
    Damage,
    /// A write that was cut short, of which nobody was told: the node cuts it off.
    TornTail,
    /// The node does without it.
    Harmless,
}

impl Problem {
    pub(crate) fn new(severity: Severity, damage: Damage) -> Self {
        Self {
            severity,
            path: damage.path,
            offset: damage.offset,
            what: damage.what,
        }
    }

    /// The damage that an error tells; any other error stays one.
    pub(crate) fn of(error: Error) -> Result<Self> {
        match error.damage() {
            Some(damage) => Ok(Self::new(Severity::Damage, damage.clone())),
            None => Err(error),
        }
    }
}
