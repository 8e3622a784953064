//! Transactions over lists: everything read is guarded by its revision when it is committed.

use engine_client::{Commit, Guarded};

use super::{Process, guarded};
use crate::history::{Act, Answer, Found, Step};

pub(super) const KEYSPACE: &str = "lists";

/// Lists that all clients use at a time.
const LISTS: u64 = 3;
/// After so many transactions a process goes on to other lists.
const TRANSACTIONS: u64 = 40;

pub(super) async fn run(mut process: Process) {
    let mut count = 0_u64;
    while !process.stopped() {
        count += 1;
        let (clients, own) = (process.clients, process.place);
        let first = rand::random_range(0..LISTS);
        let steps = (0..rand::random_range(1..=LISTS)).map(|step| {
            let place = (first + step) % LISTS;
            let list = format!("list-{}-{place}", count / TRANSACTIONS);
            if rand::random_bool(0.5) {
                let element = (count * LISTS + step) * clients + own;
                Step::Append { list, element }
            } else {
                Step::Read { list }
            }
        });
        transact(&mut process, steps.collect()).await;
    }
}

async fn transact(process: &mut Process, steps: Vec<Step>) {
    let client = process.client.clone();
    let act = Act::Txn {
        steps: steps.clone(),
    };
    let call = async move {
        let mut commit = Commit::new();
        let mut lists = Vec::new();
        for step in steps {
            let (Step::Append { list, .. } | Step::Read { list }) = &step;
            let row = client.kv().get(KEYSPACE, list.clone()).await?;
            commit = guarded(commit, KEYSPACE, list, row.as_ref());
            let text = row.map(|row| String::from_utf8_lossy(&row.value).into_owned());
            let text = text.unwrap_or_default();
            match step {
                Step::Append { list, element } if text.is_empty() => {
                    commit = commit.put(KEYSPACE, list, element.to_string());
                }
                Step::Append { list, element } => {
                    commit = commit.put(KEYSPACE, list, format!("{text} {element}"));
                }
                Step::Read { .. } => lists.push(elements(&text)),
            }
        }
        match client.commit(commit).await? {
            Guarded::Done(done) => Ok(Some(Answer {
                revision: done.revision,
                found: (!lists.is_empty()).then_some(Found::Lists(lists)),
                ..Answer::default()
            })),
            Guarded::Failed(_) => Ok(None),
        }
    };
    process.perform(act, call).await;
}

fn elements(text: &str) -> Vec<u64> {
    let words = text.split_ascii_whitespace();
    words.map(|word| word.parse().unwrap_or(u64::MAX)).collect()
}
