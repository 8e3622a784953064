//! Who this node is, how often it has started, and what it knows of others' starts.
//!
//! A disk that was put back from an old copy holds less log than its node has acknowledged; it
//! must never vote or acknowledge again under its old name. So every start counts up, durably,
//! and is announced to the leader, which commits it; a node whose count is not above the last
//! one known is refused and stops, to come back empty under a new id. The refusal is kept beside
//! the count: else some more starts would count past the one that is known.
//!
//! ```text
//! node.json    = {"format":2,"cluster":…,"node":…,"boot":…,"crc":…}     replaced as a whole on each start
//! node.refused = why, for people                                        made once, never removed
//! ```
//!
//! `crc` is the CRC-32 of the four numbers before it, each in eight bytes, little-endian: a digit
//! that rots would otherwise be another node or another count. Format 1 has none, and is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::env::vfs::{OpenMode, replace_durable};
use engine::env::{Env, Vfs};
use engine::failpoint::{Point, hit};
use engine::ids::{Boot, ClusterId, NodeId};
use engine::planted::{Planted, on};
use engine::{Error as EngineError, ErrorKind};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FILE: &str = "node.json";
const FILE_REFUSED: &str = "node.refused";
const FORMAT: u32 = 2;

/// Without a checksum.
const FORMAT_1: u32 = 1;

/// More bytes than any identity has.
const FILE_BYTES_MAX: u64 = 4096;

/// Who a node is, in its present life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) boot: Boot,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    cluster: u64,
    node: u64,
    boot: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc: Option<u32>,
}

impl Stored {
    fn checksum(&self) -> u32 {
        let numbers = [u64::from(self.format), self.cluster, self.node, self.boot];
        crc32fast::hash(&numbers.map(u64::to_le_bytes).concat())
    }

    /// Whether the checksum is that of the numbers, or none was written yet.
    fn is_intact(&self) -> bool {
        match self.format {
            FORMAT_1 => self.crc.is_none(),
            _ => self.crc == Some(self.checksum()),
        }
    }
}

impl Identity {
    /// Reads the identity in `dir`, or makes it, and counts this start.
    ///
    /// # Durability
    /// The new count survives a power cut once this returns.
    ///
    /// # Errors
    /// `Invalid` if the folder belongs to another node or cluster, or was refused.
    pub(crate) fn start(
        vfs: &dyn Vfs,
        dir: &Path,
        cluster: ClusterId,
        node: NodeId,
    ) -> Result<Self> {
        let refused = dir.join(FILE_REFUSED);
        let failed = |source| EngineError::io(format!("look for {}", refused.display()), source);
        if vfs.exists(&refused).map_err(failed)? {
            return Err(Error::Invalid(format!(
                "{} is an old copy of a disk, which the cluster has refused (see {}): {}",
                dir.display(),
                refused.display(),
                replace_it(node)
            )));
        }
        let before = match read(vfs, dir)? {
            None => 0,
            Some(stored) if stored.cluster != cluster.0 => {
                return Err(Error::Invalid(format!(
                    "{} belongs to cluster {}, not {cluster}: use another folder",
                    dir.display(),
                    stored.cluster
                )));
            }
            Some(stored) if stored.node != node.0 => {
                return Err(Error::Invalid(format!(
                    "{} belongs to node {}, not {node}: use another folder",
                    dir.display(),
                    stored.node
                )));
            }
            Some(stored) => stored.boot,
        };
        let identity = Self {
            cluster,
            node,
            boot: Boot(before + 1),
        };
        write(vfs, dir, identity).map_err(|source| {
            EngineError::io(format!("write {}", dir.join(FILE).display()), source)
        })?;
        hit(Point::BootCounted);
        Ok(identity)
    }
}

/// Reads and checks the identity in a node's folder.
///
/// # Errors
/// `Corrupt` if it is not what was written, or is gone; `Io` from the disk.
pub(crate) fn check(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    match read(vfs, dir)? {
        Some(_) => Ok(()),
        None => Err(EngineError::corrupt(&dir.join(FILE), 0, "the file is missing").into()),
    }
}

fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Stored>> {
    let path = dir.join(FILE);
    let failed = |source| EngineError::io(format!("read {}", path.display()), source);
    if !vfs.exists(&path).map_err(failed)? {
        return Ok(None);
    }
    let file = vfs.open(&path, OpenMode::Read).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    let damaged = |what: &str| Err(EngineError::corrupt(&path, 0, what).into());
    if len > FILE_BYTES_MAX {
        return damaged("it is too long for an identity");
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    let stored: Stored = match serde_json::from_slice(&bytes) {
        Ok(stored) => stored,
        Err(error) => return damaged(&error.to_string()),
    };
    if !stored.is_intact() {
        return damaged("the checksum does not match");
    }
    if !(FORMAT_1..=FORMAT).contains(&stored.format) {
        let context = format!("{} has format {}", path.display(), stored.format);
        return Err(EngineError::new(ErrorKind::Unsupported, context).into());
    }
    Ok(Some(stored))
}

fn write(vfs: &dyn Vfs, dir: &Path, identity: Identity) -> std::io::Result<()> {
    let mut stored = Stored {
        format: FORMAT,
        cluster: identity.cluster.0,
        node: identity.node.0,
        boot: identity.boot.0,
        crc: None,
    };
    stored.crc = Some(stored.checksum());
    let bytes = serde_json::to_vec(&stored).map_err(std::io::Error::other)?;
    replace_durable(vfs, &dir.join(FILE), &bytes)
}

/// A node's folder.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
}

impl Home {
    pub(crate) fn new(env: &Env, dir: &Path) -> Self {
        Self {
            vfs: Arc::clone(&env.vfs),
            dir: dir.to_owned(),
        }
    }

    /// No node shall start here any more.
    pub(crate) fn refuse(&self, reason: &str) -> std::io::Result<()> {
        let path = self.dir.join(FILE_REFUSED);
        if self.vfs.exists(&path)? {
            return Ok(());
        }
        let file = self.vfs.open(&path, OpenMode::CreateNew)?;
        file.write_at(reason.as_bytes(), 0)?;
        file.sync_data()?;
        self.vfs.sync_dir(&self.dir)
    }
}

/// The highest count of starts known of each node: applied in any group, or heard from it.
#[derive(Debug, Default)]
pub(crate) struct Boots {
    known: RwLock<BTreeMap<NodeId, Boot>>,
}

impl Boots {
    /// Takes note of starts that a group has applied.
    pub(crate) fn note(&self, boots: impl IntoIterator<Item = (NodeId, Boot)>) {
        let mut known = self.known.write();
        for (node, boot) in boots {
            let last = known.entry(node).or_default();
            *last = boot.max(*last);
        }
    }

    /// Hears from a node; `Err` tells the count that makes this one stale.
    pub(crate) fn hear(&self, node: NodeId, boot: Boot) -> Result<(), Boot> {
        let last = self.known.read().get(&node).copied().unwrap_or_default();
        if boot < last && !on(Planted::OldBoot) {
            return Err(last);
        }
        if boot > last {
            self.note([(node, boot)]);
        }
        Ok(())
    }
}

/// What an operator must do with a node whose disk is an old copy.
pub(crate) fn stale(node: NodeId, boot: u64, known: u64) -> String {
    format!(
        "the disk of node {node} is an old copy: this is its start {boot}, the cluster has seen \
         start {known}: {}",
        replace_it(node)
    )
}

fn replace_it(node: NodeId) -> String {
    format!(
        "remove node {node} from the cluster, and let it join with an empty folder under an id \
         never used before"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(env: &Env, cluster: u64, node: u64) -> Result<Identity> {
        let dir = Path::new("/node");
        env.vfs.create_dir_all(dir).expect("a folder in memory");
        Identity::start(env.vfs.as_ref(), dir, ClusterId(cluster), NodeId(node))
    }

    #[test]
    fn every_start_counts_up() {
        let env = Env::memory();
        for boot in 1..4 {
            let identity = start(&env, 7, 1).expect("the same node again");
            assert_eq!(identity.boot, Boot(boot));
        }
    }

    #[test]
    fn a_folder_belongs_to_one_node_of_one_cluster() {
        let env = Env::memory();
        start(&env, 7, 1).expect("the first start");
        let error = start(&env, 8, 1).expect_err("another cluster");
        assert!(error.to_string().contains("cluster 7"), "{error}");
        let error = start(&env, 7, 2).expect_err("another node");
        assert!(error.to_string().contains("node 1"), "{error}");
        let boot = start(&env, 7, 1).expect("the right one").boot;
        assert_eq!(boot, Boot(2), "refused starts do not count");
    }

    /// A disk on which `node.json` holds these bytes.
    fn disk(bytes: &[u8]) -> Env {
        let env = Env::memory();
        let dir = Path::new("/node");
        env.vfs.create_dir_all(dir).expect("a folder in memory");
        let file = env.vfs.open(&dir.join(FILE), OpenMode::CreateNew);
        let file = file.expect("a new file");
        file.write_at(bytes, 0).expect("there is room");
        env
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let env = Env::memory();
        for _ in 0..3 {
            start(&env, 7, 1).expect("the same node again");
        }
        let path = Path::new("/node").join(FILE);
        let file = env.vfs.open(&path, OpenMode::Read).expect("it is there");
        let len = usize::try_from(file.len().expect("a length")).expect("it is small");
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0).expect("its bytes");
        let flipped = (0..len).flat_map(|at| {
            let bytes = &bytes;
            [0x01, 0x80, 0xff].map(|mask| {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                changed
            })
        });
        let cut = (0..len).map(|len| bytes[..len].to_vec());
        for changed in flipped.chain(cut) {
            let text = String::from_utf8_lossy(&changed).into_owned();
            let error = start(&disk(&changed), 7, 1).expect_err(&text).to_string();
            assert!(
                error.contains(FILE) && error.contains("damaged"),
                "{error}: {text}"
            );
        }
        let boot = start(&disk(&bytes), 7, 1).expect("nothing is damaged").boot;
        assert_eq!(boot, Boot(4));
    }

    #[test]
    fn an_identity_without_a_checksum_is_still_read() {
        let env = disk(br#"{"format":1,"cluster":7,"node":1,"boot":9}"#);
        assert_eq!(start(&env, 7, 1).expect("format 1").boot, Boot(10));
        assert_eq!(start(&env, 7, 1).expect("format 2 by now").boot, Boot(11));
    }

    #[test]
    fn an_older_start_is_refused() {
        let boots = Boots::default();
        boots.note([(NodeId(1), Boot(3))]);
        assert_eq!(boots.hear(NodeId(1), Boot(2)), Err(Boot(3)));
        assert_eq!(boots.hear(NodeId(1), Boot(3)), Ok(()));
        assert_eq!(boots.hear(NodeId(1), Boot(4)), Ok(()));
        assert_eq!(boots.hear(NodeId(1), Boot(3)), Err(Boot(4)));
        assert_eq!(boots.hear(NodeId(2), Boot(1)), Ok(()));
    }
}
