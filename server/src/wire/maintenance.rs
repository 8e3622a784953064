//! Scrubs and hashes.

use engine::Damage;
use engine::ids::{GroupId, LogIndex, Revision};
use engine::replica::KeyspaceHash;
use engine_proto::v1 as pb;
use engine_raft::{ScrubState, ScrubStatus};

use super::{Header, Invalid, limit};

/// Hashes that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HashRead {
    /// Of which group.
    pub(crate) group: GroupId,
    /// Whether every write acknowledged before must be in it.
    pub(crate) linearizable: bool,
    /// Which keyspace; `None` for all.
    pub(crate) keyspace: Option<String>,
    /// At which revision; `None` for the newest.
    pub(crate) at: Option<Revision>,
    /// The entry whose digest is asked for.
    pub(crate) digest_at: Option<LogIndex>,
}

/// How fast a scrub shall read; `None` for as configured.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "all decoders borrow alike"
)]
pub(crate) fn scrub_rate(request: &pb::ScrubRequest) -> Option<u64> {
    (request.bytes_per_second > 0).then_some(request.bytes_per_second)
}

/// What a follower of a scrub was told already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScrubFollowed {
    finds: usize,
}

/// How far a scrub has come; finds are told once.
pub(crate) fn scrub_response(
    header: Header,
    status: &ScrubStatus,
    followed: &mut ScrubFollowed,
) -> pb::ScrubResponse {
    let finds = status.finds.get(followed.finds..).unwrap_or_default();
    followed.finds += finds.len();
    let (state, reason) = match &status.state {
        ScrubState::Running => ("running", ""),
        ScrubState::Finished => ("finished", ""),
        ScrubState::Ended(why) => ("ended", why.as_str()),
        ScrubState::Never => ("ended", "it was never begun"),
    };
    pb::ScrubResponse {
        header: header.now(),
        state: state.to_owned(),
        reason: reason.to_owned(),
        read_bytes: status.read_bytes,
        total_bytes: status.total_bytes,
        file: status.file.display().to_string(),
        finds: finds.iter().map(find).collect(),
    }
}

fn find(damage: &Damage) -> pb::ScrubFind {
    pb::ScrubFind {
        file: damage.path.display().to_string(),
        offset: damage.offset,
        what: damage.what.clone(),
    }
}

/// Hashes of one keyspace or of all.
pub(crate) fn hash(request: &pb::HashRequest) -> Result<HashRead, Invalid> {
    let keyspace = match request.keyspace.as_str() {
        "" => None,
        name => Some(limit::name("keyspace", name)?),
    };
    Ok(HashRead {
        group: limit::group(request.group),
        linearizable: limit::linearizable(request.consistency)?,
        keyspace,
        at: request.revision.map(Revision),
        digest_at: (request.digest_index > 0).then_some(LogIndex(request.digest_index)),
    })
}

/// The hashes, and the digest if it was asked for and is known.
pub(crate) fn hash_response(
    header: Header,
    hashes: Vec<KeyspaceHash>,
    at: Revision,
    digest: Option<u64>,
) -> pb::HashResponse {
    let keyspaces = hashes.into_iter().map(|hash| pb::KeyspaceHash {
        name: hash.name,
        hash: hash.hash.to_be_bytes().to_vec().into(),
        rows: hash.rows,
        members: hash.members,
    });
    pb::HashResponse {
        header: header.at(at),
        keyspaces: keyspaces.collect(),
        digest,
    }
}
