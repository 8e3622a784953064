//! Revisions: a write that began after another was acknowledged has the higher one.

use super::{Kind, Report};
use crate::history::{Act, Call, History};

/// Judges the revisions of all acknowledged writes.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let writes: Vec<Write> = calls.iter().filter_map(Write::of).collect();
    let mut by_end: Vec<(usize, u64)> = writes
        .iter()
        .map(|write| (write.acknowledged_at, write.revision))
        .collect();
    by_end.sort_unstable();
    let mut ended = by_end.iter().peekable();
    let mut highest = 0;
    let mut report = Report::new("order");
    report.judged = writes.len();
    for write in writes {
        while let Some((_, earlier)) = ended.next_if(|(at, _)| *at < write.invoked_at) {
            highest = highest.max(*earlier);
        }
        if write.revision <= highest {
            let what = format!(
                "line {}: a write has revision {}, and {highest} was acknowledged before it began",
                write.line, write.revision
            );
            report.violate(Kind::Reordered, what);
        }
    }
    report
}

/// An acknowledged write, in the order of beginnings.
struct Write {
    invoked_at: usize,
    acknowledged_at: usize,
    revision: u64,
    line: usize,
}

impl Write {
    /// A resend answers with the revision of the first attempt, and a delete that found nothing
    /// with one that was there before it; neither says anything about order.
    fn of(call: &Call) -> Option<Self> {
        let makes_revision = call.act.is_write() && !matches!(call.act, Act::Delete { .. });
        let revision = call.answer()?.revision;
        (makes_revision && call.request.is_none() && revision != 0).then_some(Self {
            invoked_at: call.invoked_at,
            acknowledged_at: call.acknowledged_at()?,
            revision,
            line: call.line(),
        })
    }
}

#[cfg(test)]
mod tests;
