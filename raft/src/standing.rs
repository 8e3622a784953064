//! Where a group stands on this node, cheap enough to be asked at every moment.

use engine::ids::{LogId, LogIndex, Revision, Term};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use crate::group::Group;
use crate::types::engine_log_id;

/// One group on one node, for whoever checks that all nodes agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its term.
    pub term: Term,
    /// Whether it believes that it leads.
    pub leads: bool,
    /// Whether its state is again at least what it was before its last stop.
    pub recovered: bool,
    /// Whether it has answered a read that is not local, since it started.
    pub has_read: bool,
    /// The last entry known to be committed.
    pub committed: Option<LogId>,
    /// The last entry applied.
    pub applied: Option<LogId>,
    /// The entry that the newest durable checkpoint ends with.
    pub checkpoint: Option<LogId>,
    /// The last entry in its log.
    pub last: Option<LogId>,
    /// The last entry that its log has forgotten.
    pub purged: Option<LogId>,
    /// The last entry of its log that is on disk.
    pub synced: LogIndex,
    /// Bytes of the node's log that wait in memory for their sync.
    pub unsynced_bytes: usize,
    /// The revision of its state.
    pub revision: Revision,
    /// What its state was made of, as a number: equal at equal `applied` on all nodes.
    pub digest: u64,
}

impl Standing {
    pub(crate) fn of(group: &Group) -> Self {
        let metrics = group.raft.metrics();
        let metrics = metrics.borrow_watched();
        let state = group.replica.view();
        let log = group.log.known();
        Self {
            term: Term(metrics.current_term),
            leads: metrics.state == ServerState::Leader,
            recovered: *group.recovered.borrow(),
            has_read: group.read_index.has_answered(),
            committed: metrics.local_committed.map(engine_log_id),
            applied: state.applied,
            checkpoint: state.checkpoint,
            last: log.last,
            purged: log.purged,
            synced: log.synced,
            unsynced_bytes: group.log.pending_bytes(),
            revision: state.revision,
            digest: state.digest,
        }
    }
}
