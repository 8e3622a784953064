//! How each fault begins, and how it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::failpoint::Point;

use super::super::fault::{Fault, Planned};
use super::super::machine::How;
use super::super::operator::Order;
use super::{End, World, host};

impl World {
    /// Begins a fault.
    pub(in crate::sim) fn begin(&mut self, planned: &Planned) {
        let text = serde_json::to_string(&planned.fault).unwrap_or_default();
        self.trace.note("fault", "world", text.as_bytes());
        tracing::info!(at_ms = self.now_ms(), fault = text, "fault");
        self.stop_machines(&planned.fault);
        self.disturb_network(&planned.fault);
        self.disturb_disk(&planned.fault);
        match &planned.fault {
            Fault::ClockJump { who, by_ms } => {
                if let Some(index) = self.find(*who) {
                    self.figures.clock_jumps += 1;
                    self.machines[index].clock.jump(*by_ms);
                }
            }
            Fault::ClockDrift { who, by_per_mille } => {
                if let Some(index) = self.find(*who) {
                    self.figures.clock_jumps += 1;
                    self.machines[index].clock.drift(*by_per_mille);
                }
            }
            Fault::RaiseFloor => self.raise_floor(),
            Fault::OldDisk { old, new } => self.copy_disk(*old, *new),
            Fault::Rot { node, down_ms } => self.rot(*node, *down_ms),
            Fault::Transfer { to } => self.orders.give(Order::Transfer { to: *to }),
            Fault::Replace { old, new } => {
                let (old, new) = (*old, *new);
                self.orders.give(Order::Replace { old, new });
            }
            _ => {}
        }
    }

    /// Ends everything that is wrong, now.
    pub(in crate::sim) fn heal(&mut self) {
        self.trace.note("heal", "world", b"");
        tracing::info!(at_ms = self.now_ms(), "heal");
        let mut starting = BTreeMap::new();
        for (when, end) in std::mem::take(&mut self.due) {
            match end {
                End::Start(_) => {
                    starting.insert(when, end);
                }
                End::OldDisk(..) => {}
                end => self.end(end),
            }
        }
        self.due = starting;
        self.end(End::Loss);
        self.end(End::Latency);
        self.end(End::Ambush);
        self.points.disarm();
        let ids: Vec<u64> = (0..=self.machines.len() as u64).collect();
        for (position, one) in ids.iter().enumerate() {
            for other in ids.iter().skip(position + 1) {
                self.end(End::Link(*one, *other));
            }
        }
        for index in 0..self.machines.len() {
            self.end(End::Slow(index));
            self.end(End::Full(index));
            self.end(End::Writes(index));
            self.machines[index].disk().crash_at(u64::MAX);
        }
    }

    pub(super) fn end(&mut self, end: End) {
        self.trace
            .note("end", "world", format!("{end:?}").as_bytes());
        match end {
            End::Start(index) => {
                let machine = &self.machines[index];
                if !machine.is_alive() {
                    tracing::info!(at_ms = self.now_ms(), node = machine.id, "start");
                    self.sim.bounce(machine.name.as_str());
                }
            }
            // What is held is delivered; what was dropped is gone.
            End::Link(one, other) => self.sim.release(host(one), host(other)),
            End::Loss => self.sim.set_fail_rate(0.0),
            End::Latency => self
                .sim
                .set_max_message_latency(Duration::from_millis(self.swarm.latency_ms)),
            End::Slow(index) => self.machines[index].pace.slow(0),
            End::Full(index) => self.machines[index].disk().make_room(),
            End::Writes(index) => self.machines[index].disk().allow_writes(),
            End::Ambush => self.give_up_ambush(),
            End::OldDisk(index, new) => self.put_back(index, new),
        }
    }

    fn stop_machines(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill { who, down_ms } => {
                if let Some(index) = self.find(*who) {
                    self.kill(index, *down_ms);
                }
            }
            Fault::PowerCut {
                who,
                down_ms,
                after_calls,
            } => {
                if let Some(index) = self.find(*who).filter(|at| !self.machines[*at].is_old()) {
                    match after_calls {
                        // Noticed when it happens; down for the usual time.
                        Some(calls) => {
                            let disk = self.machines[index].disk();
                            disk.crash_at(disk.io_count() + calls);
                        }
                        None => self.cut_power(index, *down_ms),
                    }
                }
            }
            Fault::Ambush {
                when,
                victims,
                step_ms,
                down_ms,
                ms,
            } => self.lie_in_ambush(*when, *victims, *step_ms, *down_ms, *ms),
            Fault::Failpoint {
                point,
                spared,
                power,
            } => {
                if let Some(point) = Point::named(point) {
                    let how = if *power { How::Power } else { How::Kill };
                    self.points.set_trap(point, *spared, how);
                }
            }
            Fault::Blackout { down_ms, power } => {
                self.figures.blackouts += 1;
                for index in 0..self.machines.len() {
                    let down_ms = down_ms + self.rng.below(500);
                    if *power {
                        self.cut_power(index, down_ms);
                    } else {
                        self.kill(index, down_ms);
                    }
                }
            }
            _ => {}
        }
    }

    fn disturb_network(&mut self, fault: &Fault) {
        match fault {
            Fault::Cut {
                from,
                to,
                one_way,
                ms,
            } => {
                self.figures.partitions += 1;
                let (here, there) = (host(*from), host(*to));
                if *one_way {
                    self.sim.partition_oneway(here, there);
                } else {
                    self.sim.partition(here, there);
                }
                self.plan(*ms, End::Link(*from, *to));
            }
            Fault::Isolate { who, hold, ms } => {
                if let Some(index) = self.find(*who) {
                    self.separate(&[self.machines[index].id], *hold, *ms);
                }
            }
            Fault::Split { side, hold, ms } => self.separate(side, *hold, *ms),
            Fault::Loss { per_million, ms } => {
                self.sim.set_fail_rate(f64::from(*per_million) / 1e6);
                self.plan(*ms, End::Loss);
            }
            Fault::Latency { max_ms, ms } => {
                self.sim
                    .set_max_message_latency(Duration::from_millis(*max_ms));
                self.plan(*ms, End::Latency);
            }
            _ => {}
        }
    }

    fn disturb_disk(&mut self, fault: &Fault) {
        match fault {
            Fault::SlowDisk { who, step_ms, ms } => {
                if let Some(index) = self.find(*who) {
                    self.figures.disk_faults += 1;
                    self.machines[index].pace.slow(*step_ms);
                    self.plan(*ms, End::Slow(index));
                }
            }
            Fault::FullDisk { who, ms } => {
                if let Some(index) = self.find(*who) {
                    self.figures.disk_faults += 1;
                    self.machines[index].disk().fill_at(0);
                    self.plan(*ms, End::Full(index));
                }
            }
            Fault::SyncFails { who } => {
                if let Some(index) = self.find(*who) {
                    self.figures.disk_faults += 1;
                    self.machines[index].disk().fail_sync_once();
                }
            }
            Fault::WritesFail { who, ms } => {
                if let Some(index) = self.find(*who) {
                    self.figures.disk_faults += 1;
                    let disk = self.machines[index].disk();
                    disk.fail_writes(std::io::ErrorKind::Other);
                    self.plan(*ms, End::Writes(index));
                }
            }
            _ => {}
        }
    }

    fn separate(&mut self, side: &[u64], hold: bool, ms: u64) {
        self.figures.partitions += 1;
        let ids: Vec<u64> = self.machines.iter().map(|machine| machine.id).collect();
        for one in ids.iter().filter(|id| side.contains(id)) {
            for other in ids.iter().filter(|id| !side.contains(id)) {
                if hold {
                    self.sim.hold(host(*one), host(*other));
                } else {
                    self.sim.partition(host(*one), host(*other));
                }
                self.plan(ms, End::Link(*one, *other));
            }
        }
    }
}
