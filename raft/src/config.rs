//! What a node is told at its start: who it is, where it lives, and how patient it is.
//!
//! ```text
//! heartbeat * 3 <= election_min < election_max <= request
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::env::Env;
use engine::ids::{ClusterId, GroupId, NodeId};
use engine::planted::{Planted, on};
use engine_proto::Dialer;
use openraft::{Config, SnapshotPolicy};

use crate::error::{Error, Result};
use crate::scrub::ScrubPlan;

/// Everything a node needs to start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its id; never used before by another node or another disk.
    pub node: NodeId,
    /// The cluster it belongs to; equal on all nodes.
    pub cluster: ClusterId,
    /// Its folder; made if missing, locked while it runs.
    pub dir: PathBuf,
    /// Where its peers reach it, `host:port`.
    pub peer_address: String,
    /// Where clients reach it, `host:port`.
    pub client_address: String,
    /// The Raft groups it holds; equal on all nodes. Group 0 is always among them.
    pub groups: Vec<GroupId>,
    /// How patient it is.
    pub timings: Timings,
    /// Sizes and budgets.
    pub options: engine::Options,
    /// When it looks at everything on its disk.
    pub scrub: ScrubPlan,
    /// Clock, chance, disk and workers.
    pub env: Env,
    /// Who connects to the other nodes.
    pub dialer: Dialer,
}

/// How often nodes speak, and how long they wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// A leader speaks at least this often. Default 100 ms.
    pub heartbeat: Duration,
    /// The shortest silence after which a follower asks to be elected. Default 400 ms.
    pub election_min: Duration,
    /// The longest; each node draws anew in between. Default 700 ms.
    pub election_max: Duration,
    /// The longest wait for a decision, a read barrier or a change of membership. Default 10 s.
    pub request: Duration,
    /// Entries kept behind a checkpoint, so that a node that was away for a moment is sent
    /// entries and no checkpoint. Default 1000.
    pub entries_kept: u64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(700),
            request: Duration::from_secs(10),
            entries_kept: 1000,
        }
    }
}

/// Most entries in one message to a follower; its bytes are bounded besides.
const MESSAGE_ENTRIES_MAX: u64 = 512;

/// The longest a checkpoint may take to send.
const SNAPSHOT_MAX: Duration = Duration::from_mins(10);

impl Timings {
    /// Checks the relations, and answers the same as openraft wants it.
    pub(crate) fn raft(&self, cluster: ClusterId) -> Result<Arc<Config>> {
        if self.heartbeat.is_zero() || self.heartbeat * 3 > self.election_min {
            return invalid("election_min must be at least three heartbeats");
        }
        if self.election_min >= self.election_max {
            return invalid("election_max must be above election_min");
        }
        if self.election_max > self.request {
            return invalid("request must be at least election_max");
        }
        let config = Config {
            cluster_name: format!("cluster-{cluster}"),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_MAX),
            max_payload_entries: MESSAGE_ENTRIES_MAX,
            // The engine decides when a checkpoint is due; see `snapshot`.
            snapshot_policy: SnapshotPolicy::Never,
            // `ticker` purges: openraft's own policy takes back what was ordered beyond it.
            max_in_snapshot_log_to_keep: u64::MAX,
            enable_pre_vote: Some(true),
            // A leader sends entries before its own disk has them. Restarted in its old term, it
            // would write other entries under the ids that its followers hold already.
            enable_leader_restore: Some(on(Planted::ResumedTerm)),
            ..Config::default()
        };
        let config = config
            .validate()
            .map_err(|error| Error::Invalid(format!("the timings do not fit: {error}")))?;
        Ok(Arc::new(config))
    }
}

fn invalid<T>(what: &str) -> Result<T> {
    Err(Error::Invalid(what.to_owned()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit() {
        Timings::default()
            .raft(ClusterId(1))
            .expect("defaults are valid");
    }

    #[test]
    fn impatient_followers_are_refused() {
        let timings = Timings {
            election_min: Duration::from_millis(200),
            ..Timings::default()
        };
        timings
            .raft(ClusterId(1))
            .expect_err("two heartbeats are too few");
    }
}
