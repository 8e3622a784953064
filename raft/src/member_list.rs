//! Where a group's members are reached, kept beside its state: a node whose state is damaged
//! must know whom to ask.
//!
//! ```text
//! group-N/members.json = {"format":1,"members":{"1":{"peer_address":…,"client_address":…},…},"crc":…}
//! ```
//!
//! `crc` is the CRC-32 of the members' own JSON. The list decides nothing: a vote or a quorum
//! never comes from it. A list that cannot be read is none, and is written again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::env::Vfs;
use engine::env::vfs::{OpenMode, replace_durable};
use engine::ids::NodeId;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::blocking::blocking;
use crate::group::Group;
use crate::types::Member;

const FILE: &str = "members.json";
const FORMAT: u32 = 1;

/// More bytes than any list has: 64 members with long addresses.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// How long to wait after a list could not be written.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

pub(crate) type Members = BTreeMap<NodeId, Member>;

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    members: BTreeMap<u64, Member>,
    crc: u32,
}

/// The members that were known last; none if there is no list, or none that can be believed.
fn read(vfs: &dyn Vfs, dir: &Path) -> Members {
    let stored = match read_stored(vfs, dir) {
        Ok(stored) => stored,
        Err(error) => {
            tracing::debug!(%error, dir = %dir.display(), "there is no list of members");
            return Members::new();
        }
    };
    let members = stored.members.into_iter();
    members
        .map(|(node, member)| (NodeId(node), member))
        .collect()
}

/// The members but `node`, as they were known last.
pub(crate) fn peers_of(node: NodeId, vfs: &dyn Vfs, dir: &Path) -> Members {
    let mut members = read(vfs, dir);
    members.remove(&node);
    members
}

fn read_stored(vfs: &dyn Vfs, dir: &Path) -> std::io::Result<Stored> {
    let file = vfs.open(&dir.join(FILE), OpenMode::Read)?;
    let len = file.len()?.min(FILE_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    let stored: Stored = serde_json::from_slice(&bytes).map_err(std::io::Error::other)?;
    if stored.format == FORMAT && stored.crc == checksum(&stored.members)? {
        return Ok(stored);
    }
    Err(std::io::Error::other("the list of members is damaged"))
}

fn write(vfs: &dyn Vfs, dir: &Path, members: &Members) -> std::io::Result<()> {
    let members = members.iter();
    let members = members.map(|(node, member)| (node.0, member.clone()));
    let members: BTreeMap<u64, Member> = members.collect();
    let stored = Stored {
        format: FORMAT,
        crc: checksum(&members)?,
        members,
    };
    let bytes = serde_json::to_vec(&stored).map_err(std::io::Error::other)?;
    replace_durable(vfs, &dir.join(FILE), &bytes)
}

fn checksum(members: &BTreeMap<u64, Member>) -> std::io::Result<u32> {
    let bytes = serde_json::to_vec(members).map_err(std::io::Error::other)?;
    Ok(crc32fast::hash(&bytes))
}

/// Keeps the list as the membership changes, until the group is gone.
pub(crate) async fn follow(group: Arc<Group>, dir: PathBuf) {
    let vfs = Arc::clone(&group.env.vfs);
    let mut written = read(vfs.as_ref(), &dir);
    let mut seen = None;
    loop {
        let changed = group.wait_for(|metrics| {
            *metrics.membership_config.log_id() != seen
                && metrics.membership_config.nodes().next().is_some()
        });
        let Some(metrics) = changed.await else { return };
        let nodes = metrics.membership_config.nodes();
        let members: Members = nodes.map(|(node, m)| (*node, m.clone())).collect();
        seen = *metrics.membership_config.log_id();
        let has_peers = members.keys().any(|node| *node != metrics.id);
        if members != written {
            let (vfs, dir, list) = (Arc::clone(&vfs), dir.clone(), members.clone());
            let write = move || write(vfs.as_ref(), &dir, &list);
            let done = blocking(group.env.workers.as_ref(), write).await.flatten();
            if let Err(error) = done {
                tracing::warn!(group = group.id.0, %error, "the members could not be written down");
                seen = None;
                sleep(WRITE_AGAIN).await;
                continue;
            }
            written = members;
        }
        group.replica.stop_at_damage(has_peers);
    }
}

#[cfg(test)]
mod tests {
    use engine::env::Env;

    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_no_flipped_byte_is_believed() {
        let env = Env::memory();
        let dir = Path::new("/node");
        env.vfs.create_dir_all(dir).expect("a folder in memory");
        assert_eq!(read(env.vfs.as_ref(), dir), Members::new());
        let member = |node: u64| Member {
            peer_address: format!("n{node}:7201"),
            client_address: format!("n{node}:7101"),
        };
        let members: Members = (1..=3).map(|node| (NodeId(node), member(node))).collect();
        write(env.vfs.as_ref(), dir, &members).expect("a healthy disk");
        assert_eq!(read(env.vfs.as_ref(), dir), members);

        let path = dir.join(FILE);
        let file = env.vfs.open(&path, OpenMode::ReadWrite).expect("a file");
        for at in 0..file.len().expect("a length") {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("its bytes");
            file.write_at(&[byte[0] ^ 1], at).expect("a healthy disk");
            assert_eq!(read(env.vfs.as_ref(), dir), Members::new(), "byte {at}");
            file.write_at(&byte, at).expect("a healthy disk");
        }
        assert_eq!(read(env.vfs.as_ref(), dir), members);
    }
}
