//! One answered fetch.

use std::collections::BTreeSet;

use crate::checker::{Kind, Report};
use crate::history::{Act, Call, Found, FoundMessage};

/// What a fetch answered.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) partition: u32,
    /// The first offset that was asked for.
    pub(super) from: u64,
    /// The node whose own files were read, if it was one's.
    pub(super) node: Option<u64>,
    pub(super) messages: &'a [FoundMessage],
    /// Where the partition ended.
    pub(super) end: u64,
    pub(super) invoked_at: usize,
    pub(super) completed_at: usize,
    pub(super) line: usize,
    /// Whether whoever answered was asked nothing more about this partition.
    pub(super) is_last: bool,
}

impl<'a> View<'a> {
    /// All answered fetches, in the order of their beginnings.
    pub(super) fn all(calls: &[Call<'a>]) -> Vec<Self> {
        let mut views: Vec<View> = calls.iter().filter_map(View::of).collect();
        let mut asked_later: BTreeSet<(Option<u64>, u32)> = BTreeSet::new();
        for view in views.iter_mut().rev() {
            view.is_last = asked_later.insert((view.node, view.partition));
        }
        views
    }

    fn of(call: &Call<'a>) -> Option<Self> {
        let Act::Fetch {
            partition,
            offset,
            node,
        } = call.act
        else {
            return None;
        };
        let Found::Messages { messages, end } = call.answer()?.found.as_ref()? else {
            return None;
        };
        Some(Self {
            partition: *partition,
            from: *offset,
            node: *node,
            messages,
            end: *end,
            invoked_at: call.invoked_at,
            completed_at: call.acknowledged_at()?,
            line: call.line(),
            is_last: false,
        })
    }

    /// The first offset after what was answered.
    pub(super) fn next(&self) -> u64 {
        self.messages
            .last()
            .map_or(self.from, |message| message.offset.saturating_add(1))
    }

    /// Whether nothing of the partition comes after the answer.
    pub(super) fn reaches_end(&self) -> bool {
        self.next() >= self.end
    }

    /// Who answered, for people.
    pub(super) fn who(&self) -> String {
        match self.node {
            Some(node) => format!("node {node}"),
            None => "the cluster".to_owned(),
        }
    }

    /// Offsets must be dense from the one asked for, and end where the partition does.
    pub(super) fn judge_shape(&self, report: &mut Report) {
        let (line, partition) = (self.line, self.partition);
        let mut due = self.from;
        for message in self.messages {
            let offset = message.offset;
            if offset < due {
                let what =
                    format!("line {line}: partition {partition} has offset {offset} after {due}");
                report.violate(Kind::Reordered, what);
            } else if offset > due {
                let what = format!(
                    "line {line}: partition {partition} has nothing at offsets {due} to {}",
                    offset - 1
                );
                report.violate(Kind::Skipped, what);
            }
            due = offset.saturating_add(1);
        }
        if !self.messages.is_empty() && due > self.end {
            let what = format!(
                "line {line}: partition {partition} ends at {} and has offset {}",
                self.end,
                due - 1
            );
            report.violate(Kind::Misshapen, what);
        }
    }
}
