//! Power cuts that wait for their moment: right after an election, right after an answer.
//!
//! What should have been on the disk by then was promised a moment ago, and slow disks keep it
//! waiting for as long as they may.

use super::super::fault::{Victims, When, Who};
use super::{End, World};
use crate::history::{Op, Phase};

/// A power cut that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ambush {
    when: When,
    victims: Victims,
    down_ms: u64,
    /// The highest term in which anybody led when it began to wait.
    term: u64,
}

impl World {
    pub(super) fn lie_in_ambush(
        &mut self,
        when: When,
        victims: Victims,
        step_ms: u64,
        down_ms: u64,
        ms: u64,
    ) {
        self.ambush = Some(Ambush {
            when,
            victims,
            down_ms,
            term: self.term_led(),
        });
        for index in 0..self.machines.len() {
            self.machines[index].pace.slow(step_ms);
        }
        if when == When::Elected
            && let Some(index) = self.find(Who::Leader)
        {
            self.kill(index, down_ms);
        }
        self.plan(ms, End::Ambush);
    }

    pub(super) fn give_up_ambush(&mut self) {
        if self.ambush.take().is_some() {
            for machine in &self.machines {
                machine.pace.slow(0);
            }
        }
    }

    /// Cuts the power, if the moment has come.
    pub(in crate::sim) fn spring(&mut self, ops: &[Op]) {
        let Some(ambush) = self.ambush else {
            return;
        };
        let is_time = match ambush.when {
            When::Elected => self.term_led() > ambush.term,
            When::Acknowledged => ops
                .iter()
                .any(|op| op.phase == Phase::Ok && op.act.is_write()),
        };
        if !is_time {
            return;
        }
        let leader = self.find(Who::Leader);
        let all = self.machines.len();
        let majority = usize::try_from(self.swarm.nodes / 2 + 1).unwrap_or(all);
        let first = leader.unwrap_or(0);
        let count = match ambush.victims {
            Victims::Leader => 1,
            Victims::Majority => majority,
            Victims::All => all,
        };
        self.give_up_ambush();
        for step in 0..count.min(all) {
            let down_ms = ambush.down_ms + self.rng.below(200);
            self.cut_power((first + step) % all, down_ms);
        }
    }

    fn term_led(&self) -> u64 {
        let nodes = self.nodes();
        let leaders = nodes.iter().filter(|node| node.standing.leads);
        leaders.map(|node| node.standing.term.0).max().unwrap_or(0)
    }
}
