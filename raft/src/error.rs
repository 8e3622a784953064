//! What keeps a cluster from doing what was asked.
//!
//! What the *state* refuses is no error: it is an [`Outcome`](engine::command::Outcome).

use engine::ids::NodeId;

use crate::types::Member;

/// Why a node could not do what it was asked; each kind asks for another reaction.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another node leads, or nobody does. Nothing was done here: ask the leader.
    #[error("{}", match leader { Some((node, member)) => format!("node {node} at {} leads", member.peer_address), None => "no leader is known".to_owned() })]
    NotLeader {
        /// The leader and where it is reached, if known.
        leader: Option<(NodeId, Member)>,
    },
    /// No majority answered, or leadership was lost meanwhile. Whether it happened is unknown.
    #[error("no quorum of voters confirmed it")]
    NoQuorum,
    /// Too much waits already. Nothing was done: try again later.
    #[error("the node is overloaded: too many bytes wait to be replicated")]
    Overloaded,
    /// It took too long. Whether it happened is unknown.
    #[error("it was not decided in time")]
    Timeout,
    /// The node is stopping. Whether it happened is unknown.
    #[error("the node is stopping")]
    ShuttingDown,
    /// No group has this number on this node.
    #[error("the group does not exist")]
    UnknownGroup,
    /// This node's disk or data is hurt.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The request was never acceptable; the text says why, and what to do instead.
    #[error("{0}")]
    Invalid(String),
    /// The node has failed and must stop; the text says why.
    #[error("the node has failed: {0}")]
    Fatal(String),
}

impl Error {
    /// Whether it was refused for want of room on the disk, before anything was done.
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Engine(error) if error.kind() == engine::ErrorKind::Full)
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
