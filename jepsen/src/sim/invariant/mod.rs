//! What must hold at every moment, seen from above: all nodes at once, after each tick.
//!
//! A client learns of a broken promise when it is too late to ask how it came; these see it
//! in the tick in which it happens. One property a file.

mod acknowledged_is_durable;
mod applied_is_synced;
mod committed_is_immutable;
mod digests_agree;
mod leader_is_complete;
mod logs_match;
mod memory_is_bounded;
mod never_backwards;
mod nothing_is_damaged;
mod one_leader_a_term;
mod recovered_before_reads;
mod votes_last;

use std::collections::BTreeMap;

use engine::ids::{GroupId, LogId, LogIndex};
use engine::query::MemoryUse;
use engine_raft::{Node, Standing};

use crate::history::Op;

/// Nodes have one group.
const GROUP: GroupId = GroupId(0);

/// All nodes after a tick.
pub struct Seen<'a> {
    /// Those with a process that serves.
    pub nodes: &'a [SeenNode],
    /// What the clients asked and heard in this tick.
    pub ops: &'a [Op],
    /// How many nodes are a majority of the first members.
    pub majority: usize,
    /// How many ticks there were.
    pub tick: u64,
}

impl Seen<'_> {
    /// Whether a node has no process that serves.
    fn is_down(&self, id: u64) -> bool {
        self.nodes.iter().all(|node| node.id != id)
    }
}

/// What was done to a node's disk, beside faults that any disk may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenDisk {
    /// It was put back from an old copy: the node may have forgotten what it promised.
    pub is_old: bool,
    /// Bits of the node's state have flipped.
    pub has_rotted: bool,
}

/// One node after a tick.
pub struct SeenNode {
    /// Its id.
    pub id: u64,
    /// Which of its processes this is.
    pub life: u64,
    /// What was done to its disk.
    pub disk: SeenDisk,
    /// Where it stands.
    pub standing: Standing,
    node: Node,
}

impl SeenNode {
    /// Looks at a running node; `None` if it has no group yet.
    pub fn look(id: u64, life: u64, disk: SeenDisk, node: Node) -> Option<Self> {
        let standing = node.standing(GROUP).ok()?;
        Some(Self {
            id,
            life,
            disk,
            standing,
            node,
        })
    }

    /// The id of an entry in its log, if it is there.
    pub fn log_id_at(&self, index: u64) -> Option<LogId> {
        self.node.log_id_at(GROUP, LogIndex(index))
    }

    /// What its state holds in memory; `None` if it has stopped.
    fn memory(&self) -> Option<MemoryUse> {
        let replica = self.node.replica(GROUP).ok()?;
        Some(replica.memory())
    }

    /// The index of its last committed entry.
    fn committed(&self) -> u64 {
        index(self.standing.committed)
    }

    /// The index of its last applied entry.
    fn applied(&self) -> u64 {
        index(self.standing.applied)
    }
}

fn index(log_id: Option<LogId>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index.0)
}

/// A property of all nodes.
pub trait Invariant {
    /// What it says, in a few words.
    fn name(&self) -> &'static str;

    /// Looks at a tick; `Err` tells what is wrong.
    ///
    /// # Errors
    /// If the property does not hold.
    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String>;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<one_leader_a_term::OneLeaderATerm>::default(),
        Box::<votes_last::VotesLast>::default(),
        Box::<logs_match::LogsMatch>::default(),
        Box::<committed_is_immutable::CommittedIsImmutable>::default(),
        Box::<leader_is_complete::LeaderIsComplete>::default(),
        Box::<applied_is_synced::AppliedIsSynced>::default(),
        Box::<digests_agree::DigestsAgree>::default(),
        Box::<acknowledged_is_durable::AcknowledgedIsDurable>::default(),
        Box::<never_backwards::NeverBackwards>::default(),
        Box::<recovered_before_reads::RecoveredBeforeReads>::default(),
        Box::<memory_is_bounded::MemoryIsBounded>::default(),
        Box::<nothing_is_damaged::NothingIsDamaged>::default(),
    ]
}

/// The entries ever seen committed, by index.
#[derive(Default)]
struct Committed {
    ids: BTreeMap<u64, LogId>,
    /// How far each node's commits were taken in, by node and life.
    upto: BTreeMap<(u64, u64), u64>,
}

impl Committed {
    /// Takes in what has become committed; `Err` if an index was committed twice.
    fn learn(&mut self, nodes: &[SeenNode]) -> Result<(), String> {
        for node in nodes {
            let upto = self.upto.entry((node.id, node.life)).or_default();
            for index in *upto + 1..=node.committed() {
                // What a log has forgotten was seen before, or elsewhere.
                let Some(id) = node.log_id_at(index) else {
                    continue;
                };
                let known = *self.ids.entry(index).or_insert(id);
                if known != id {
                    return Err(format!(
                        "node {} has committed entry {id}, but {known} was committed before",
                        node.id
                    ));
                }
            }
            *upto = node.committed().max(*upto);
        }
        Ok(())
    }
}
