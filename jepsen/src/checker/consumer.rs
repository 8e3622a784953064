//! A consumer group goes on behind what it has dealt with, and never further.
//!
//! ```text
//! handle 0 … handle 7 · commit offsets · handle 8 ─ crash ─ resume: 8 or 9
//!                                                   more: message 8 is lost, if nobody handled it
//!                                                   less: a recorded offset is lost
//! ```
//!
//! Each group has one member at a time, so that nobody else's record can be meant. Behind a record
//! of unknown outcome a group may go back, for that may take effect late.

use std::collections::BTreeMap;

use super::{Kind, Report};
use crate::history::{Act, Call, History};

/// Judges where consumer groups go on.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for call in &calls {
        let (Act::Handle { consumer_group, .. }
        | Act::CommitOffsets { consumer_group }
        | Act::Resume { consumer_group, .. }) = call.act
        else {
            continue;
        };
        groups.entry(consumer_group).or_default().take(call);
    }
    let mut report = Report::new("consumer");
    for (name, group) in &groups {
        for resumed in &group.resumed {
            report.judged += 1;
            group.judge(name, resumed, &mut report);
        }
    }
    report
}

#[derive(Default)]
struct Group {
    /// When each message was dealt with first, by partition and offset.
    first: BTreeMap<(u32, u64), usize>,
    /// When which message of which partition was dealt with, in the order of time.
    handled: Vec<(usize, u32, u64)>,
    /// Beginning and end of each acknowledged record of offsets.
    recorded: Vec<(usize, usize)>,
    /// When the first record began of which nobody knows what became of it.
    unknown_at: Option<usize>,
    resumed: Vec<Resumed>,
}

struct Resumed {
    partition: u32,
    next: u64,
    invoked_at: usize,
    completed_at: usize,
    line: usize,
}

impl Group {
    fn take(&mut self, call: &Call) {
        let Some(completed_at) = call.acknowledged_at() else {
            if matches!(call.act, Act::CommitOffsets { .. }) && !call.failed() {
                self.unknown_at.get_or_insert(call.invoked_at);
            }
            return;
        };
        match call.act {
            Act::Handle {
                partition, offset, ..
            } => {
                let at = self.first.entry((*partition, *offset));
                at.or_insert(completed_at);
                self.handled.push((completed_at, *partition, *offset));
            }
            Act::CommitOffsets { .. } => self.recorded.push((call.invoked_at, completed_at)),
            Act::Resume { partition, .. } => {
                let place = call.answer().and_then(|answer| answer.place);
                self.resumed.extend(place.map(|place| Resumed {
                    partition: *partition,
                    next: place.offset,
                    invoked_at: call.invoked_at,
                    completed_at,
                    line: call.line(),
                }));
            }
            _ => {}
        }
    }

    fn judge(&self, name: &str, resumed: &Resumed, report: &mut Report) {
        let Resumed {
            partition,
            next,
            line,
            ..
        } = *resumed;
        let first = |offset: u64| self.first.get(&(partition, offset));
        let is_lost = |offset: &u64| first(*offset).is_none_or(|at| *at > resumed.completed_at);
        if let Some(offset) = (0..next).find(is_lost) {
            let what = format!(
                "line {line}: group {name} goes on at offset {next} of partition {partition}, and \
                 nobody has dealt with offset {offset}"
            );
            report.violate(Kind::Skipped, what);
        }
        let due = self.due(resumed);
        if next < due {
            let what = format!(
                "line {line}: group {name} goes on at offset {next} of partition {partition}, and \
                 had recorded {due}"
            );
            report.violate(Kind::Lost, what);
        }
    }

    /// Behind which message the last acknowledged record before it stands, as far as it is known.
    fn due(&self, resumed: &Resumed) -> u64 {
        if self.unknown_at.is_some_and(|at| at < resumed.completed_at) {
            return 0;
        }
        let before = self.recorded.iter();
        let before = before.filter(|(_, completed_at)| *completed_at < resumed.invoked_at);
        let Some(recorded_at) = before.map(|(invoked_at, _)| *invoked_at).max() else {
            return 0;
        };
        // What it had dealt with in an earlier life, its member does not know any more.
        let began = self
            .resumed
            .iter()
            .filter(|one| one.partition == resumed.partition);
        let began = began
            .map(|one| one.completed_at)
            .filter(|at| *at < recorded_at);
        let began_at = began.max().unwrap_or(0);
        let since = self.handled.iter();
        let since = since.filter(|(at, partition, _)| {
            *partition == resumed.partition && (began_at..recorded_at).contains(at)
        });
        since.map(|(_, _, offset)| offset + 1).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
