//! A look at partition files: every message, and what no checkpoint records.
//!
//! What counts is what the checkpoint in the store beside the files records; where that cannot be
//! found, a file counts to its end.

mod look;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::lengths::{PartitionLengths, PartitionRef};
use crate::env::Vfs;
use crate::error::{Error, Result};
use crate::ids::{GroupId, Offset, PartitionId, TopicId};
use crate::inspect::Seen;
use crate::query::Message;
use crate::store::inspect::recorded_lengths;
use look::Look;

/// What a look at partition files meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionItem {
    /// A file begins.
    File(PartitionFileView),
    /// A message in it.
    Message(MessageView),
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionFileView {
    /// The file.
    pub path: PathBuf,
    /// Its Raft group.
    pub group: GroupId,
    /// Its topic.
    pub topic: TopicId,
    /// Its partition.
    pub partition: PartitionId,
    /// The offset of its first message.
    pub base: Offset,
    /// Length of the file.
    pub bytes: u64,
    /// How many bytes of it the checkpoint records, if one was found.
    pub recorded_bytes: Option<u64>,
}

/// A message and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Byte of its frame in the file.
    pub position: u64,
    /// Length of the frame.
    pub bytes: usize,
    /// The message.
    pub message: Message,
}

/// What the files amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionView {
    /// How many files were looked at.
    pub files: u64,
    /// How many messages they hold.
    pub messages: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Whether a checkpoint was found that records their lengths.
    pub recorded: bool,
}

/// Looks at one partition file, at the folder of one partition, or at all of a group's.
///
/// # Errors
/// `Io` if the files cannot be read, `Unsupported` for those of a newer build. Damage is no
/// error: it is seen.
pub fn partition(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    seen: &mut dyn FnMut(Seen<PartitionItem>),
) -> Result<PartitionView> {
    let folders = folders(vfs, path)?;
    let lengths = folders
        .first()
        .and_then(|folder| lengths(vfs, &folder.path));
    let mut look = Look::new(vfs, lengths.as_ref(), seen);
    for folder in &folders {
        look.folder(folder)?;
    }
    Ok(look.view())
}

/// A partition's folder, and the files in it that are looked at.
struct Folder {
    path: PathBuf,
    files: Vec<String>,
    /// Whether these are all that are there.
    all: bool,
}

impl Folder {
    /// Whose folder it is by its name: `<topic>-<partition>`.
    fn at(&self) -> Option<PartitionRef> {
        let name = self.path.file_name()?.to_str()?;
        let (topic, partition) = name.split_once('-')?;
        Some(PartitionRef {
            topic: TopicId(topic.parse().ok()?),
            partition: PartitionId(partition.parse().ok()?),
        })
    }
}

fn folders(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<Vec<Folder>> {
    let failed = |e| Error::io(format!("open {}", path.display()), e);
    let entries = match vfs.list(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            let name = path.file_name().unwrap_or_default();
            return Ok(vec![Folder {
                path: path.parent().unwrap_or(Path::new("")).to_owned(),
                files: vec![name.to_string_lossy().into_owned()],
                all: false,
            }]);
        }
        Err(e) => return Err(failed(e)),
    };
    let (below, here): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.is_dir);
    let mut found = Vec::new();
    for folder in below {
        found.extend(folders(vfs, &path.join(folder.name))?);
    }
    let files = here.into_iter().map(|entry| entry.name);
    let files: Vec<String> = files.filter(|name| is_part(name)).collect();
    if !files.is_empty() {
        found.push(Folder {
            path: path.to_owned(),
            files,
            all: true,
        });
    }
    Ok(found)
}

fn is_part(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|kind| kind == "part")
}

/// What the checkpoint of the store beside the partitions records.
fn lengths(vfs: &Arc<dyn Vfs>, folder: &Path) -> Option<PartitionLengths> {
    let state = folder.parent()?.parent()?;
    recorded_lengths(vfs, &state.join("store"))
}
