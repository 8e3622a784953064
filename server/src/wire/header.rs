//! Who answers.

use engine::ids::{ClusterId, GroupId, NodeId, Revision, Term};
use engine_proto::v1 as pb;

/// What stands at the top of an answer, but for the revision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// The node.
    pub(crate) node: NodeId,
    /// The Raft group.
    pub(crate) group: GroupId,
    /// Its term, as the node knows it.
    pub(crate) term: Term,
    /// Its newest published revision, for answers without one of their own.
    pub(crate) revision: Revision,
    /// Its time, for answers without one of their own.
    pub(crate) now_ms: u64,
}

impl Header {
    /// The header of an answer at the newest revision.
    pub(super) fn now(self) -> Option<pb::ResponseHeader> {
        self.at(self.revision)
    }

    /// The header of an answer at `revision`.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "a message field is an Option in the generated code"
    )]
    pub(super) fn at(self, revision: Revision) -> Option<pb::ResponseHeader> {
        Some(pb::ResponseHeader {
            cluster_id: self.cluster.0,
            node_id: self.node.0,
            group: self.group.0,
            term: self.term.0,
            revision: revision.0,
            now_ms: self.now_ms,
        })
    }

    /// The header of a read that was made at a revision and a time.
    pub(super) fn read(mut self, revision: Revision, now_ms: u64) -> Option<pb::ResponseHeader> {
        self.now_ms = now_ms;
        self.at(revision)
    }
}
