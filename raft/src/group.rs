//! One Raft group on this node: its log, its state and its openraft instance, wired.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use engine::command::{Command, Outcome};
use engine::disk::DiskWatch;
use engine::env::Env;
use engine::ids::{GroupId, LogIndex, NodeId};
use engine::replica::{Replica, Shared};
use engine::segment::Log;
use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use tokio::sync::{Mutex, watch};

use crate::batcher::Batcher;
use crate::boot::Boots;
use crate::config::Timings;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::log_store::LogStore;
use crate::network::{Factory, Peers};
use crate::repair::Repairs;
use crate::snapshot::{self, on_replica};
use crate::state_machine::{StateMachine, Synced};
use crate::tasks::Tasks;
use crate::types::{Member, Raft, RaftMetrics, TypeConfig};
use crate::view::View;
use crate::{member_list, reads, repair, ticker};

/// A group at work.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) env: Env,
    pub(crate) timings: Timings,
    pub(crate) raft: Raft,
    pub(crate) replica: Replica,
    pub(crate) log: LogStore,
    pub(crate) view: Arc<View>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) batcher: Batcher,
    pub(crate) disk: DiskWatch,
    /// Whether all that this node has ever shown is applied again.
    pub(crate) recovered: watch::Sender<bool>,
    /// Held while a checkpoint is received.
    pub(crate) receiving: Mutex<()>,
    /// Held while the membership changes.
    pub(crate) changing: Mutex<()>,
    /// Shared reads of the leader's index; see `reads`.
    pub(crate) read_index: reads::Shared,
    pub(crate) counters: Arc<Counters>,
}

/// What a node has done since it started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commands: AtomicU64,
    pub(crate) entries: AtomicU64,
}

/// What the groups of a node have in common.
pub(crate) struct Common {
    pub(crate) shared: Shared,
    pub(crate) log: Log,
    pub(crate) peers: Arc<Peers>,
    pub(crate) boots: Arc<Boots>,
    pub(crate) timings: Timings,
    pub(crate) raft_config: Arc<openraft::Config>,
    pub(crate) failure: Failure,
    pub(crate) counters: Arc<Counters>,
    pub(crate) repairs: Repairs,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Group {
    /// Opens the group's folder and begins to take part.
    pub(crate) async fn start(
        common: &Common,
        id: GroupId,
        dir: &Path,
        tasks: &mut Tasks,
    ) -> Result<Arc<Self>> {
        let log = LogStore::new(common.log.clone(), id);
        let replica = repair::open(common, id, dir, &log).await?;
        repair::watch_damage(common, dir, &replica);
        common.boots.note(replica.boots());
        let view = Arc::new(View::new(&replica));
        let (ready, ready_changed) = watch::channel(());
        replica.on_ready(Box::new(move || {
            ready.send_replace(());
        }));
        let (durable, durable_changed) = watch::channel(LogIndex(0));
        replica.on_checkpoint(Box::new(move |log_id| {
            durable.send_replace(log_id.index);
        }));
        let state_machine = StateMachine {
            replica: replica.clone(),
            synced: synced(&common.log, id),
            ready: ready_changed,
            view: Arc::clone(&view),
            boots: Arc::clone(&common.boots),
        };
        let factory = Factory {
            peers: Arc::clone(&common.peers),
            group: id,
        };
        let node = common.peers.identity.node;
        let config = Arc::clone(&common.raft_config);
        let raft = Raft::new(node, config, factory, log.clone(), state_machine)
            .await
            .map_err(|error| fatal(&error))?;
        let (batcher, queue) = Batcher::new(common.log.clone());
        let group = Arc::new(Self {
            id,
            env: common.shared.env.clone(),
            timings: common.timings.clone(),
            raft,
            replica,
            log,
            view,
            peers: Arc::clone(&common.peers),
            batcher,
            disk: common.shared.disk.clone(),
            recovered: watch::Sender::new(false),
            receiving: Mutex::default(),
            changing: Mutex::default(),
            read_index: reads::Shared::default(),
            counters: Arc::clone(&common.counters),
        });
        tasks.spawn(queue.run(Arc::clone(&group)));
        tasks.spawn(snapshot::follow(group.raft.clone(), durable_changed));
        tasks.spawn(watch_faults(group.raft.clone(), common.failure.clone()));
        tasks.spawn(ticker::tick(Arc::clone(&group)));
        tasks.spawn(ticker::purge(Arc::clone(&group)));
        tasks.spawn(ticker::keep_house(Arc::clone(&group), common.log.clone()));
        tasks.spawn(reads::watch_recovery(Arc::clone(&group)));
        tasks.spawn(crate::announce::announce(Arc::clone(&group)));
        tasks.spawn(member_list::follow(Arc::clone(&group), dir.to_owned()));
        Ok(group)
    }

    /// Proposes a command and waits for its outcome. A leader whose disk is full refuses it
    /// before it enters the log, unless it only removes something and the log has room for it.
    pub(crate) async fn propose(&self, command: Command) -> Result<Outcome> {
        // Elsewhere the answer is who leads, however full this disk is.
        if self.leads() {
            self.disk.admit(&command)?;
            self.batcher.check_room(command.size_hint())?;
        }
        self.batcher.propose(command).await
    }

    /// The leader, if one is known.
    pub(crate) fn leader(&self) -> Option<(NodeId, Member)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader?;
        let membership = metrics.membership_config.membership();
        let member = membership.get_node(&leader)?;
        Some((leader, member.clone()))
    }

    /// Whether this node leads, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        let leader = self.raft.metrics().borrow_watched().current_leader;
        leader == Some(self.peers.identity.node)
    }

    /// Whether a majority has heard this leader within the longest time of an election.
    pub(crate) fn has_majority(&self) -> bool {
        let this = self.peers.identity.node;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let mut voters = metrics.membership_config.membership().voter_ids();
        let heard = metrics.last_quorum_acked;
        metrics.current_leader == Some(this)
            && (voters.all(|voter| voter == this)
                || heard.is_some_and(|heard| heard.elapsed() < self.timings.election_max))
    }

    /// What openraft tells of itself.
    pub(crate) fn metrics(&self) -> RaftMetrics {
        self.raft.metrics().borrow_watched().clone()
    }

    /// Waits until what openraft tells is as wanted; `None` if it stops before.
    pub(crate) async fn wait_for(
        &self,
        wanted: impl FnMut(&RaftMetrics) -> bool,
    ) -> Option<RaftMetrics> {
        wait_for(&self.raft, wanted).await
    }
}

fn synced(log: &Log, group: GroupId) -> Synced {
    let (told, changed) = watch::channel(());
    log.on_synced(
        group,
        Box::new(move |_| {
            told.send_replace(());
        }),
    );
    let log = log.clone();
    Synced {
        upto: Box::new(move || log.synced(group)),
        changed,
    }
}

/// Tells the node when openraft has stopped because this node is hurt.
async fn watch_faults(raft: Raft, failure: Failure) {
    let stopped = wait_for(&raft, |metrics| metrics.running_state.is_err()).await;
    match stopped.map(|metrics| metrics.running_state) {
        None | Some(Ok(()) | Err(Fatal::Stopped)) => {}
        Some(Err(error)) => failure.fail(error.to_string()),
    }
}

async fn wait_for(
    raft: &Raft,
    mut wanted: impl FnMut(&RaftMetrics) -> bool,
) -> Option<RaftMetrics> {
    let mut changes = raft.metrics();
    loop {
        // Copied once they are wanted: they change with every entry, and several wait.
        {
            let metrics = changes.borrow_watched();
            if wanted(&metrics) {
                return Some(metrics.clone());
            }
        }
        changes.changed().await.ok()?;
    }
}

/// openraft has stopped, or stops.
pub(crate) fn fatal(error: &Fatal<TypeConfig>) -> Error {
    match error {
        Fatal::Stopped => Error::ShuttingDown,
        other => Error::Fatal(other.to_string()),
    }
}

impl Group {
    /// Blocking work on the replica.
    pub(crate) async fn blocking<A: Send + 'static>(
        &self,
        work: impl FnOnce(&Replica) -> engine::Result<A> + Send + 'static,
    ) -> std::io::Result<A> {
        on_replica(&self.replica, work).await
    }
}
