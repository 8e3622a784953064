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
        })
    }
}
