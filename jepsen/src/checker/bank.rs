//! Money is neither made nor lost: every look at all accounts adds up to what was there at first.
//!
//! Each balance must lie, besides, between what the transfers make it at least and at most.

use std::collections::BTreeMap;

use super::flow::Flow;
use super::{Kind, Report};
use crate::history::{Act, Call, Found, History};

/// Judges all looks at the bank.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let mut report = Report::new("bank");
    let mut openings = calls.iter().filter_map(Opening::of);
    let opening = openings.next();
    if openings.next().is_some() {
        report
            .undecided
            .push("the bank was opened more than once".to_owned());
        return report;
    }
    let looks: Vec<Look> = calls.iter().filter_map(Look::of).collect();
    let Some(opening) = opening else {
        if !looks.is_empty() {
            report
                .undecided
                .push("nobody opened the accounts that were read".to_owned());
        }
        return report;
    };
    let bank = Bank::new(opening, &calls);
    report.judged = looks.len();
    for look in &looks {
        bank.judge(look, &mut report);
    }
    report
}

struct Opening<'a> {
    balances: &'a BTreeMap<String, i64>,
    invoked_at: usize,
    acknowledged_at: Option<usize>,
}

impl<'a> Opening<'a> {
    fn of(call: &Call<'a>) -> Option<Self> {
        match call.act {
            Act::Open { balances } if !call.failed() => Some(Self {
                balances,
                invoked_at: call.invoked_at,
                acknowledged_at: call.acknowledged_at(),
            }),
            _ => None,
        }
    }
}

/// All balances at one time.
struct Look<'a> {
    balances: &'a BTreeMap<String, i64>,
    invoked_at: usize,
    completed_at: usize,
    line: usize,
}

impl<'a> Look<'a> {
    fn of(call: &Call<'a>) -> Option<Self> {
        match (call.act, call.answer()?.found.as_ref()?) {
            (Act::Balances, Found::Balances(balances)) => Some(Self {
                balances,
                invoked_at: call.invoked_at,
                completed_at: call.acknowledged_at()?,
                line: call.line(),
            }),
            _ => None,
        }
    }
}

struct Bank<'a> {
    opening: Opening<'a>,
    total: i128,
    may_overdraw: bool,
    accounts: BTreeMap<&'a str, Flow>,
}

impl<'a> Bank<'a> {
    fn new(opening: Opening<'a>, calls: &[Call<'a>]) -> Self {
        let mut accounts: BTreeMap<&str, Flow> = opening
            .balances
            .keys()
            .map(|account| (account.as_str(), Flow::default()))
            .collect();
        for call in calls.iter().filter(|call| !call.failed()) {
            if let Act::Transfer { from, to, amount } = call.act {
                for (account, by) in [(from, -amount), (to, *amount)] {
                    if let Some(flow) = accounts.get_mut(account.as_str()) {
                        flow.add(call.invoked_at, call.acknowledged_at(), by);
                    }
                }
            }
        }
        accounts.values_mut().for_each(Flow::seal);
        Self {
            total: sum(opening.balances),
            may_overdraw: opening.balances.values().any(|balance| *balance < 0),
            accounts,
            opening,
        }
    }

    fn judge(&self, look: &Look, report: &mut Report) {
        let line = look.line;
        if look.balances.is_empty() {
            let opened_at = self.opening.acknowledged_at;
            if opened_at.is_some_and(|opened_at| opened_at < look.invoked_at) {
                let what = format!("line {line}: no account is there, and the bank was open");
                report.violate(Kind::Lost, what);
            }
            return;
        }
        if look.completed_at < self.opening.invoked_at {
            let what = format!("line {line}: accounts are there before the bank was opened");
            report.violate(Kind::Future, what);
        }
        if !look.balances.keys().eq(self.opening.balances.keys()) {
            let what = format!(
                "line {line}: the accounts are {:?} and not {:?}",
                look.balances.keys().collect::<Vec<_>>(),
                self.opening.balances.keys().collect::<Vec<_>>()
            );
            report.violate(Kind::Misshapen, what);
            return;
        }
        let total = sum(look.balances);
        if total != self.total {
            let what = format!(
                "line {line}: all accounts hold {total} and not {}",
                self.total
            );
            report.violate(Kind::Unbalanced, what);
        }
        for (account, balance) in look.balances {
            self.judge_balance(look, account, *balance, report);
        }
    }

    fn judge_balance(&self, look: &Look, account: &str, balance: i64, report: &mut Report) {
        let line = look.line;
        if balance < 0 && !self.may_overdraw {
            let what = format!("line {line}: account {account} holds {balance}");
            report.violate(Kind::Overdrawn, what);
        }
        let at_first = self.opening.balances.get(account).copied().unwrap_or(0);
        let Some(flow) = self.accounts.get(account) else {
            return;
        };
        let (low, high) = flow.bounds(look.invoked_at, look.completed_at);
        let (low, high) = (low + i128::from(at_first), high + i128::from(at_first));
        if !(low..=high).contains(&i128::from(balance)) {
            let what = format!(
                "line {line}: account {account} holds {balance}, which is not in {low}..={high}"
            );
            report.violate(Kind::OutOfBounds, what);
        }
    }
}

fn sum(balances: &BTreeMap<String, i64>) -> i128 {
    balances.values().map(|balance| i128::from(*balance)).sum()
}

#[cfg(test)]
mod tests;
