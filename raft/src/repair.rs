//! Before a group takes part: its state is opened or, if it is damaged, replaced by a peer's.
//!
//! ```text
//! open ─► Corrupt ─► note it ─┐
//! a note from the last run ───┴► ask one peer after the other for a checkpoint ─► check every
//! byte ─► switch ─► open ─► replay the log ─► take part
//! ```
//!
//! Log, vote and identity are intact, or the node would not have come this far; so it keeps its
//! id, and nothing that it ever acknowledged is forgotten: what the log has forgotten is in the
//! checkpoint, for one that ends before is not taken. Until all its groups are whole the node
//! answers no vote, no entry and no read, for no group of it is there to answer.
//!
//! Damage that is met while the node works is noted, and the node stops: the next start repairs.
//!
//! # Not here
//! The steps on disk (see `engine::replica::Repair`). Damage in the log: that node has forgotten
//! what it acknowledged, and never takes part again under its id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::ids::{GroupId, LogId, LogIndex, NodeId};
use engine::replica::{Repair, Repaired, Replica};
use engine::{Damage, ErrorKind};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::fetch::{Wanted, fetch};
use crate::group::Common;
use crate::log_store::LogStore;
use crate::member_list::{Members, peers_of};
use crate::types::Member;

/// How long to wait before all peers are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A group whose state was found damaged at this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairStatus {
    /// The group.
    pub group: GroupId,
    /// What was damaged; the path is relative to the group's folder.
    pub damage: Damage,
    /// How far its repair has come.
    pub progress: RepairProgress,
}

/// How far a repair has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairProgress {
    /// Not done; says what is done now or waited for.
    Repairing(String),
    /// Done.
    Repaired {
        /// Whose checkpoint it was.
        from: NodeId,
        /// The entry that it ended with.
        log_id: LogId,
        /// Where the damaged state is kept.
        quarantine: PathBuf,
    },
}

/// The repairs of this start; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repairs {
    known: Arc<watch::Sender<BTreeMap<GroupId, RepairStatus>>>,
}

impl Repairs {
    /// All of them, by group.
    pub(crate) fn list(&self) -> Vec<RepairStatus> {
        self.known.borrow().values().cloned().collect()
    }

    /// How many are done.
    pub(crate) fn done(&self) -> u64 {
        let known = self.known.borrow();
        let done =
            |status: &&RepairStatus| matches!(status.progress, RepairProgress::Repaired { .. });
        known.values().filter(done).count() as u64
    }

    /// Waits until there is one.
    pub(crate) async fn any(&self) {
        let mut known = self.known.subscribe();
        // The sender is held by `self`.
        known.wait_for(|known| !known.is_empty()).await.ok();
    }

    fn set(&self, group: GroupId, damage: &Damage, progress: RepairProgress) {
        let status = RepairStatus {
            group,
            damage: damage.clone(),
            progress,
        };
        self.known.send_modify(|known| {
            known.insert(group, status);
        });
    }
}

/// Opens a group's state, after its repair if it needs one.
pub(crate) async fn open(
    common: &Common,
    id: GroupId,
    dir: &Path,
    log: &LogStore,
) -> Result<Replica> {
    let mut repaired = false;
    loop {
        if let Some(due) = due(common, dir).await? {
            run(common, id, dir, log, due).await?;
            repaired = true;
        }
        match open_state(common, id, dir, log).await {
            // Damaged again at once: this disk does not keep what is written to it.
            Err(Error::Engine(damage)) if damage.kind() == ErrorKind::Corrupt && !repaired => {
                if others(common, dir).is_empty() {
                    return Err(Error::Engine(damage));
                }
                let (env, dir) = (common.shared.env.clone(), dir.to_owned());
                let note = move || Repair::note(&env, &dir, &damage);
                blocking_engine(common, note).await?;
            }
            opened => return opened,
        }
    }
}

/// Notes the damage that a replica meets, and stops the node; whatever a node without peers can
/// still read, it goes on serving.
pub(crate) fn watch_damage(common: &Common, dir: &Path, replica: &Replica) {
    replica.stop_at_damage(!others(common, dir).is_empty());
    let (env, dir) = (common.shared.env.clone(), dir.to_owned());
    let (node, failure) = (common.peers.identity.node, common.failure.clone());
    replica.on_fault(Box::new(move |fault| {
        if fault.kind() != ErrorKind::Corrupt {
            return;
        }
        // Without a peer a note would only keep what is whole from being read.
        if peers_of(node, env.vfs.as_ref(), &dir).is_empty() {
            return failure.fail(fault.to_string());
        }
        if let Err(error) = Repair::note(&env, &dir, fault) {
            tracing::error!(%error, "the damage could not be noted: it must be met once more");
        }
        failure.fail(format!("{fault}; the next start repairs it from a peer"));
    }));
}

async fn due(common: &Common, dir: &Path) -> Result<Option<Repair>> {
    let (shared, dir) = (common.shared.clone(), dir.to_owned());
    blocking_engine(common, move || Repair::due(&shared, &dir)).await
}

/// Asks the peers in turn until one has given what is needed.
async fn run(common: &Common, id: GroupId, dir: &Path, log: &LogStore, due: Repair) -> Result<()> {
    let repair = Arc::new(due);
    let damage = repair.damage().clone();
    let members = others(common, dir);
    if members.is_empty() {
        let path = dir.join(&damage.path);
        let what = format!("{}, and no peer is known to repair it from", damage.what);
        return Err(engine::Error::corrupt(&path, damage.offset, what).into());
    }
    let purged = log.purged();
    let path = damage.path.display().to_string();
    tracing::error!(
        group = id.0,
        file = path,
        offset = damage.offset,
        what = damage.what,
        "the state is damaged: it is repaired from a peer; until then nothing is served"
    );
    let progress = |doing: String| {
        let progress = RepairProgress::Repairing(doing);
        common.repairs.set(id, &damage, progress);
    };
    let mut told = String::new();
    let mut doubted = BTreeSet::new();
    loop {
        let mut refusals = Vec::new();
        for (node, member) in &members {
            progress(format!("fetches a checkpoint from node {node}"));
            let wanted = Wanted {
                at_least: purged.map_or(LogIndex(0), |purged| purged.index),
                doubted: doubted.remove(node),
            };
            match attempt(common, id, (*node, member), wanted, purged, &repair).await {
                Ok(repaired) => {
                    let progress = done(id, *node, repaired);
                    common.repairs.set(id, &damage, progress);
                    return Ok(());
                }
                Err(Refused { why, is_damaged }) => {
                    refusals.push(format!("node {node}: {why}"));
                    if is_damaged {
                        doubted.insert(*node);
                    }
                }
            }
            if *common.stopping.borrow() {
                return Err(Error::ShuttingDown);
            }
            if let Some(reason) = common.failure.reason() {
                return Err(Error::Fatal(reason));
            }
        }
        let waiting = format!("waits for a peer's checkpoint: {}", refusals.join("; "));
        if waiting != told {
            tracing::warn!(group = id.0, "{waiting}");
            told.clone_from(&waiting);
        }
        progress(waiting);
        let mut stopping = common.stopping.clone();
        let stopped = stopping.wait_for(|stopping| *stopping);
        if timeout(ASK_AGAIN, stopped).await.is_ok() {
            return Err(Error::ShuttingDown);
        }
    }
}

fn done(group: GroupId, from: NodeId, Repaired { log_id, quarantine }: Repaired) -> RepairProgress {
    tracing::warn!(
        group = group.0, from = from.0, %log_id, quarantine = %quarantine.display(),
        "the state is repaired"
    );
    RepairProgress::Repaired {
        from,
        log_id,
        quarantine,
    }
}

/// Why a peer's checkpoint was of no use.
struct Refused {
    why: String,
    /// Whether it was damaged: the peer does not know.
    is_damaged: bool,
}

/// Fetches one peer's checkpoint and puts it in place.
async fn attempt(
    common: &Common,
    id: GroupId,
    from: (NodeId, &Member),
    wanted: Wanted,
    purged: Option<LogId>,
    repair: &Arc<Repair>,
) -> Result<Repaired, Refused> {
    let peers = &common.peers;
    let fetched = fetch(peers, id, from, wanted, repair, &common.stopping).await;
    let writer = fetched.map_err(|status| {
        peers.heed(&status);
        Refused {
            why: status.message().to_owned(),
            is_damaged: false,
        }
    })?;
    let repair = Arc::clone(repair);
    let finish = move || repair.finish(writer, purged);
    blocking_engine(common, finish)
        .await
        .map_err(|error| Refused {
            why: format!("its checkpoint is of no use: {error}"),
            is_damaged: matches!(&error, Error::Engine(e) if e.kind() == ErrorKind::Corrupt),
        })
}

/// All members but this node.
fn others(common: &Common, dir: &Path) -> Members {
    let vfs = common.shared.env.vfs.as_ref();
    peers_of(common.peers.identity.node, vfs, dir)
}

async fn open_state(common: &Common, id: GroupId, dir: &Path, log: &LogStore) -> Result<Replica> {
    let (shared, dir, log) = (common.shared.clone(), dir.to_owned(), log.clone());
    let open = move || {
        let replica = Replica::open(&shared, id, &dir, log.purged())?;
        if let Err(error) = log.agree_with(replica.applied()) {
            replica.close()?;
            return Err(error);
        }
        Ok(replica)
    };
    blocking_engine(common, open).await
}

async fn blocking_engine<A: Send + 'static>(
    common: &Common,
    work: impl FnOnce() -> engine::Result<A> + Send + 'static,
) -> Result<A> {
    match blocking(common.shared.env.workers.as_ref(), work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Error::Fatal(format!(
            "work on the state did not end: {error}"
        ))),
    }
}
