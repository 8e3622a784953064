//! Transactions over lists: no anomaly of Adya's and its kin, up to strict serializability.
//!
//! The graph of dependencies and the search for cycles are those of the crate `adya`. Looked at
//! here is what it passes over: that a read answers as many lists as it asked for, that every
//! element was appended by somebody, by one transaction alone, and stands behind what that
//! transaction appended before it.

use std::collections::HashMap;

use adya::history::{Interner, Mop, Op, OpType, ReadValue, Scalar};
use adya::{Opts, Report as Findings, Valid, Workload};

use super::{Kind, Report};
use crate::history::{Act, Call, End, Found, History, Step};

/// What a history without any dependency is called.
const EMPTY: &str = "empty-transaction-graph";

/// Judges all transactions.
pub fn check(history: &History) -> Report {
    let calls = history.calls();
    let transactions: Vec<Transaction> = calls.iter().filter_map(Transaction::of).collect();
    let mut report = Report::new("transactions");
    report.judged = transactions.len();
    if transactions.is_empty() {
        return report;
    }
    judge_answers(&transactions, &mut report);
    if report.undecided.is_empty() {
        let options = Opts {
            models: vec!["strict-serializable".to_owned()],
            ..Opts::default()
        };
        let findings = adya::check(&translate(&transactions), Workload::ListAppend, &options);
        take(findings, &mut report);
    }
    report
}

struct Transaction<'c, 'a> {
    call: &'c Call<'a>,
    steps: &'a [Step],
}

impl<'c, 'a> Transaction<'c, 'a> {
    fn of(call: &'c Call<'a>) -> Option<Self> {
        match call.act {
            Act::Txn { steps } => Some(Self { call, steps }),
            _ => None,
        }
    }

    /// What its reads found, in their order; `None` if it was not answered.
    fn lists(&self) -> Option<&'a [Vec<u64>]> {
        match self.call.answer()?.found.as_ref() {
            Some(Found::Lists(lists)) => Some(lists),
            _ => Some(&[]),
        }
    }

    fn reads(&self) -> impl Iterator<Item = &'a str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Read { list } => Some(list.as_str()),
            Step::Append { .. } => None,
        })
    }
}

fn judge_answers(transactions: &[Transaction], report: &mut Report) {
    let mut appended: Appended = HashMap::new();
    for (index, transaction) in transactions.iter().enumerate() {
        let mut last: HashMap<&str, u64> = HashMap::new();
        for step in transaction.steps {
            let Step::Append { list, element } = step else {
                continue;
            };
            let before = last.insert(list, *element);
            if appended.insert((list, *element), (index, before)).is_some() {
                let what = format!("element {element} was appended to list {list} more than once");
                report.undecided.push(what);
            }
        }
    }
    for transaction in transactions {
        let Some(lists) = transaction.lists() else {
            continue;
        };
        let line = transaction.call.line();
        let reads = transaction.reads().count();
        if reads != lists.len() {
            let what = format!("line {line}: {reads} reads have {} answers", lists.len());
            report.violate(Kind::Misshapen, what);
        }
        for (list, elements) in transaction.reads().zip(lists) {
            judge_list(line, list, elements, &appended, report);
        }
    }
}

/// By list and element: the transaction that appended it, and what that had appended before.
type Appended<'a> = HashMap<(&'a str, u64), (usize, Option<u64>)>;

fn judge_list(line: usize, list: &str, found: &[u64], appended: &Appended, report: &mut Report) {
    let mut before: Option<(usize, u64)> = None;
    for element in found {
        let Some((index, due_before)) = appended.get(&(list, *element)) else {
            let what = format!("line {line}: nobody appended {element} to list {list}");
            report.violate(Kind::Phantom, what);
            before = None;
            continue;
        };
        // Elements of one transaction stand together, in its order, none left out.
        let neighbour = before
            .filter(|(other, _)| other == index)
            .map(|(_, one)| one);
        if neighbour != *due_before {
            let what = format!(
                "line {line}: element {element} of list {list} does not follow what its \
                 transaction had appended before it"
            );
            report.violate(Kind::Reordered, what);
        }
        before = Some((*index, *element));
    }
}

/// The same history in the words of `adya`. What was never answered ends as unknown at the end.
fn translate(transactions: &[Transaction]) -> adya::History {
    let mut names = Interner::default();
    let mut ops: Vec<(usize, Op)> = Vec::with_capacity(2 * transactions.len());
    for transaction in transactions {
        let call = transaction.call;
        let (kind, completed_at) = match call.end {
            End::Ok { completed_at, .. } => (OpType::Ok, completed_at),
            End::Fail { completed_at } => (OpType::Fail, completed_at),
            End::Unknown => (OpType::Info, usize::MAX),
        };
        let asked = steps(transaction, None, &mut names);
        ops.push(op(call, OpType::Invoke, call.invoked_at, asked));
        let answered = steps(transaction, transaction.lists(), &mut names);
        ops.push(op(call, kind, completed_at, answered));
    }
    ops.sort_by_key(|(at, _)| *at);
    adya::History::from_ops(ops.into_iter().map(|(_, op)| op).collect(), names)
}

fn op(call: &Call, kind: OpType, at: usize, value: Vec<Mop>) -> (usize, Op) {
    let op = Op {
        // Both ends bear the line on which the transaction began, so that findings name it.
        index: u64::try_from(call.line()).unwrap_or(u64::MAX),
        kind,
        process: i64::try_from(call.process).ok(),
        value,
        time: None,
    };
    (at, op)
}

fn steps(transaction: &Transaction, lists: Option<&[Vec<u64>]>, names: &mut Interner) -> Vec<Mop> {
    let mut lists = lists.unwrap_or_default().iter();
    let element = |number: &u64, names: &mut Interner| match i64::try_from(*number) {
        Ok(number) => names.intern(Scalar::Int(number)),
        Err(_) => names.intern(Scalar::Str(number.to_string())),
    };
    let mut mops = Vec::with_capacity(transaction.steps.len());
    for step in transaction.steps {
        mops.push(match step {
            Step::Append {
                list,
                element: number,
            } => Mop::Append {
                key: names.intern(Scalar::Str(list.clone())),
                value: element(number, names),
            },
            Step::Read { list } => Mop::Read {
                key: names.intern(Scalar::Str(list.clone())),
                value: match lists.next() {
                    Some(found) => {
                        ReadValue::List(found.iter().map(|one| element(one, names)).collect())
                    }
                    None => ReadValue::Nil,
                },
            },
        });
    }
    mops
}

fn take(findings: Findings, report: &mut Report) {
    for (name, anomalies) in findings.anomalies {
        for anomaly in anomalies {
            if findings.valid == Valid::False {
                let kind = Kind::Anomaly(anomaly.kind);
                let what = format!("lines {:?}: {}", anomaly.ops, anomaly.explanation);
                report.violate(kind, what);
            } else if name != EMPTY || report.judged > 1 {
                report
                    .undecided
                    .push(format!("{name}: {}", anomaly.explanation));
            }
        }
    }
}

#[cfg(test)]
mod tests;
