//! A bank: money moves between accounts, guarded by the revisions of both.

use std::collections::BTreeMap;

use engine_client::{Client, Commit, Error, Row, Scan};

use super::{Plan, Process, Role, done};
use crate::history::{Act, Answer, Found};

pub(super) const KEYSPACE: &str = "bank";

const ACCOUNTS: u64 = 5;
/// What each account holds at first.
const BALANCE: i64 = 100;
/// One operation of so many looks at all accounts.
const LOOK_EVERY: u64 = 4;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    let banks = |part: &super::Part| part.role == Role::Bank;
    if plan.parts.iter().position(banks) == usize::try_from(process.place).ok() {
        open(&mut process).await;
    }
    let mut count = 0_u64;
    while !process.stopped() {
        count += 1;
        if count.is_multiple_of(LOOK_EVERY) {
            look(&mut process).await;
        } else {
            let from = rand::random_range(0..ACCOUNTS);
            let to = (from + rand::random_range(1..ACCOUNTS)) % ACCOUNTS;
            transfer(&mut process, account(from), account(to)).await;
        }
    }
}

/// One bank is opened once; if nobody knows whether it was, its accounts may stay empty.
async fn open(process: &mut Process) {
    let balances: BTreeMap<String, i64> =
        (0..ACCOUNTS).map(|one| (account(one), BALANCE)).collect();
    let client = process.client.clone();
    while !process.stopped() {
        let rows = balances
            .keys()
            .map(|name| (name.clone(), BALANCE.to_string()));
        let commit = rows.fold(Commit::new(), |commit, (name, balance)| {
            commit.put(KEYSPACE, name, balance)
        });
        let client = client.clone();
        let call = async move { Ok(done(client.commit(commit).await?)) };
        let act = Act::Open {
            balances: balances.clone(),
        };
        if process.perform(act, call).await != Some(false) {
            return;
        }
    }
}

async fn transfer(process: &mut Process, from: String, to: String) {
    let client = process.client.clone();
    let amount = rand::random_range(1..BALANCE / 4);
    let act = Act::Transfer {
        from: from.clone(),
        to: to.clone(),
        amount,
    };
    let call = async move {
        let (Some(payer), Some(payee)) = (read(&client, &from).await?, read(&client, &to).await?)
        else {
            return Ok(None);
        };
        let left = balance(&payer) - amount;
        if left < 0 {
            return Ok(None);
        }
        let gained = balance(&payee) + amount;
        let commit = Commit::new()
            .guard_revision(KEYSPACE, from.clone(), payer.mod_revision)
            .guard_revision(KEYSPACE, to.clone(), payee.mod_revision)
            .put(KEYSPACE, from, left.to_string())
            .put(KEYSPACE, to, gained.to_string());
        Ok(done(client.commit(commit).await?))
    };
    process.perform(act, call).await;
}

async fn look(process: &mut Process) {
    let kv = process.client.kv();
    let call = async move {
        let page = kv.scan(Scan::new(KEYSPACE)).await?;
        if page.rows.is_empty() {
            return Ok(None);
        }
        let balances = page.rows.iter();
        let balances = balances.map(|row| (String::from_utf8_lossy(&row.key).into(), balance(row)));
        Ok(Some(Answer {
            found: Some(Found::Balances(balances.collect())),
            ..Answer::default()
        }))
    };
    process.perform(Act::Balances, call).await;
}

async fn read(client: &Client, account: &str) -> Result<Option<Row>, Error> {
    client.kv().get(KEYSPACE, account.to_owned()).await
}

/// What is no number is no balance, and breaks every sum.
fn balance(row: &Row) -> i64 {
    let text = String::from_utf8_lossy(&row.value);
    text.parse().unwrap_or(i64::MIN / 2)
}

fn account(number: u64) -> String {
    format!("account-{number}")
}
