//! After a heal the cluster goes on soon, and a run is fast enough to prove anything.
//!
//! ```text
//! ──ok─ok──┤ fault ├──────┤ heal ├───────ok──ok──
//!                          └─ recover ───┘
//! ```
//!
//! Who asked before the heal may be answered long after it, so only operations that begin after
//! it count. Time is that of the clock, not the order of lines.

use std::time::Duration;

use serde::Serialize;

use super::{Kind, Report};
use crate::history::{Act, Call, End, History};

/// What a run must keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// From a heal to the first answer.
    pub recover_max: Duration,
    /// Answered operations for each second of the whole run.
    pub rate_min: f64,
    /// Share of operations, begun between a fault and its heal, that are answered.
    pub availability_min: f64,
}

/// A time from a fault to its heal, and what came after it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outage {
    /// What was broken.
    pub name: String,
    /// When it was broken, in microseconds.
    pub from_us: u64,
    /// When it was healed, if it was.
    pub until_us: Option<u64>,
    /// Operations that began in that time.
    pub asked: usize,
    /// Those of them that were answered at some time.
    pub answered: usize,
    /// From the heal to the first answer to an operation that began after it.
    pub recovered_after: Option<Duration>,
}

impl Outage {
    /// The share of operations that were answered; 1 if nobody asked.
    pub fn availability(&self) -> f64 {
        if self.asked == 0 {
            return 1.0;
        }
        self.answered as f64 / self.asked as f64
    }
}

/// Judges every heal, every outage and the whole run.
pub fn check(history: &History, bounds: &Bounds) -> Report {
    let calls = history.calls();
    let mut report = Report::new("liveness");
    let outages = outages(history);
    let end_us = history.ops.last().map_or(0, |op| op.time_us);
    for (index, outage) in outages.iter().enumerate() {
        report.judged += 1;
        let next_us = outages.get(index + 1).map(|next| next.from_us);
        judge_recovery(outage, next_us, end_us, bounds, &mut report);
        if outage.availability() < bounds.availability_min {
            let what = format!(
                "during {} from {} us, {} of {} operations were answered",
                outage.name, outage.from_us, outage.answered, outage.asked
            );
            report.violate(Kind::Unavailable, what);
        }
    }
    let rate = rate(&calls);
    report.judged += usize::from(rate.is_some());
    if let Some(rate) = rate.filter(|rate| *rate < bounds.rate_min) {
        let what = format!(
            "{rate:.1} operations a second, and {:.1} are due",
            bounds.rate_min
        );
        report.violate(Kind::Slow, what);
    }
    report
}

/// All outages of a run, in the order of time. A fault during another belongs to it; a fault that
/// was never healed ends with the run.
pub fn outages(history: &History) -> Vec<Outage> {
    let calls = history.calls();
    let mut outages: Vec<Outage> = Vec::new();
    for call in &calls {
        match call.act {
            Act::Fault { name } => match outages.last_mut().filter(|one| one.until_us.is_none()) {
                Some(open) => open.name = format!("{}, {name}", open.name),
                None => outages.push(Outage {
                    name: name.clone(),
                    from_us: call.invoked_us,
                    until_us: None,
                    asked: 0,
                    answered: 0,
                    recovered_after: None,
                }),
            },
            Act::Heal => {
                let healed_us = call.acknowledged_us();
                if let Some(open) = outages.last_mut().filter(|one| one.until_us.is_none()) {
                    open.until_us = healed_us;
                }
            }
            _ => {}
        }
    }
    for outage in &mut outages {
        measure(outage, &calls);
    }
    outages
}

fn measure(outage: &mut Outage, calls: &[Call]) {
    let until_us = outage.until_us.unwrap_or(u64::MAX);
    for call in calls.iter().filter(|call| !call.act.is_nemesis()) {
        if call.invoked_us < outage.from_us {
            continue;
        }
        let answered_us = call.acknowledged_us();
        if call.invoked_us < until_us {
            outage.asked += 1;
            outage.answered += usize::from(answered_us.is_some());
        } else if let Some(answered_us) = answered_us {
            let after = Duration::from_micros(answered_us - until_us);
            let soonest = outage
                .recovered_after
                .map_or(after, |other| other.min(after));
            outage.recovered_after = Some(soonest);
        }
    }
}

fn judge_recovery(
    outage: &Outage,
    next_us: Option<u64>,
    end_us: u64,
    bounds: &Bounds,
    report: &mut Report,
) {
    let Some(healed_us) = outage.until_us else {
        return;
    };
    if outage
        .recovered_after
        .is_some_and(|after| after <= bounds.recover_max)
    {
        return;
    }
    let observed_us = next_us.unwrap_or(end_us).saturating_sub(healed_us);
    let observed = Duration::from_micros(observed_us);
    if observed > bounds.recover_max {
        let what = format!(
            "after {} was healed at {healed_us} us, nothing was answered for {:?}",
            outage.name,
            outage.recovered_after.unwrap_or(observed).min(observed)
        );
        report.violate(Kind::Unavailable, what);
    } else {
        let next = if next_us.is_some() {
            "the next fault"
        } else {
            "the end"
        };
        report.undecided.push(format!(
            "after {} was healed at {healed_us} us, {next} came before {:?} were over",
            outage.name, bounds.recover_max
        ));
    }
}

/// Answered operations a second, from the first beginning to the last end.
fn rate(calls: &[Call]) -> Option<f64> {
    let clients = calls.iter().filter(|call| !call.act.is_nemesis());
    let (mut answered, mut from_us, mut until_us) = (0_u32, None, 0);
    for call in clients {
        from_us = from_us.or(Some(call.invoked_us));
        until_us = until_us.max(call.invoked_us);
        if let End::Ok { completed_us, .. } = call.end {
            answered += 1;
            until_us = until_us.max(completed_us);
        }
    }
    let seconds = Duration::from_micros(until_us - from_us?).as_secs_f64();
    (seconds > 0.0).then(|| f64::from(answered) / seconds)
}

#[cfg(test)]
mod tests;
