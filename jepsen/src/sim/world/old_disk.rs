//! A disk that is put back from an old copy, and old revisions that are given up.
//!
//! Two starts lie between: a node that comes back as the start after the copy is then older than
//! the one that all know. The copy is put back only when the other nodes have on their disks all
//! that this one has, and the cluster knows of its present start: else a right cluster could lose
//! something, too.

use std::sync::Arc;

use engine::ids::{GroupId, Revision};

use super::super::fault::Who;
use super::super::operator::Order;
use super::{End, World};

const GROUP: GroupId = GroupId(0);

/// How long a node that was copied is down.
const DOWN_MS: u64 = 100;
/// From the copy until it is put back, and how long that waits for its moment at a time.
const PUT_BACK_AFTER_MS: u64 = 2_000;
const TRY_AGAIN_MS: u64 = 500;

/// Fewer could not go on without one of them.
const VOTERS_MIN: usize = 3;

/// Revisions that stay readable when the others are given up.
const REVISIONS_KEPT: u64 = 20;

impl World {
    pub(super) fn copy_disk(&mut self, old: u64, new: u64) {
        let Some(index) = self.find(Who::Node(old)) else {
            return;
        };
        let machine = Arc::clone(&self.machines[index]);
        if machine.node().is_none() || machine.is_old() {
            return;
        }
        machine.keep_copy();
        self.kill(index, DOWN_MS);
        self.plan(PUT_BACK_AFTER_MS, End::OldDisk(index, new));
    }

    pub(super) fn put_back(&mut self, index: usize, new: u64) {
        let machine = Arc::clone(&self.machines[index]);
        if machine.starts_since_copy() == 1 {
            self.kill(index, DOWN_MS);
        }
        if !self.may_be_old(index) {
            self.plan(TRY_AGAIN_MS, End::OldDisk(index, new));
            return;
        }
        self.figures.disk_faults += 1;
        self.kill(index, DOWN_MS);
        machine.put_back_copy(new);
    }

    /// The node has refused its old disk: it stays down for ever.
    pub(super) fn retire(&mut self, index: usize) {
        let machine = Arc::clone(&self.machines[index]);
        machine.cut_off();
        if let Some(new) = machine.successor() {
            let old = machine.id;
            self.orders.give(Order::Retire { old, new });
        }
    }

    /// Whether the others hold all that this node holds, know of its start, and can go on without
    /// it.
    fn may_be_old(&self, index: usize) -> bool {
        let machine = &self.machines[index];
        let Some(leader) = self.find(Who::Leader) else {
            return false;
        };
        let nodes = self.nodes();
        let own = nodes.iter().find(|node| node.id == machine.id);
        let (Some(own), Some(lead)) = (own, self.machines[leader].node()) else {
            return false;
        };
        let known = lead.replica(GROUP).map(|replica| replica.boots());
        let known = known.is_ok_and(|boots| {
            machine.node().is_some_and(|node| {
                let status = node.status();
                boots.get(&status.node) == Some(&status.boot)
            })
        });
        let last = own.standing.last.map_or(0, |last| last.index.0);
        let members = self.members();
        let others = members.iter().filter(|id| **id != machine.id);
        let mut others = others.map(|id| nodes.iter().find(|node| node.id == *id));
        known
            && !self.has_rotten_node()
            && machine.starts_since_copy() >= 2
            && leader != index
            && members.contains(&machine.id)
            && self.voters().len() >= VOTERS_MIN
            && others.all(|other| other.is_some_and(|other| other.standing.synced.0 >= last))
    }

    /// Whether a node takes part whose disk is an old copy.
    pub(in crate::sim) fn has_old_node(&self) -> bool {
        let mut machines = self.machines.iter();
        machines.any(|machine| machine.is_old() && machine.is_alive())
    }

    pub(super) fn raise_floor(&self) {
        let leader = self.find(Who::Leader);
        let Some(node) = leader.and_then(|index| self.machines[index].node()) else {
            return;
        };
        let Ok(standing) = node.standing(GROUP) else {
            return;
        };
        let revision = standing.revision.0.saturating_sub(REVISIONS_KEPT);
        let revision = Revision(revision);
        self.orders.give(Order::RaiseFloor { node, revision });
    }
}
