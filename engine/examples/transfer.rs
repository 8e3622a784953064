//! One commit over rows and messages, guarded. `cargo run -p engine --example transfer`

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use bytes::Bytes;
use engine::command::{Command, Commit, Guard, NewMessage, Op, Outcome, Refusal, RowRef};
use engine::{DEFAULT_KEYSPACE, Engine, Options};

fn account(name: &str) -> RowRef {
    RowRef {
        keyspace: DEFAULT_KEYSPACE.into(),
        key: format!("account/{name}").into(),
    }
}

/// Both accounts change, and the statement is published, or nothing happens: the transfer is
/// refused if somebody changed the payer's account since it was read.
fn transfer(engine: &Engine, amount: i64) -> Result<Outcome, Box<dyn std::error::Error>> {
    let read = |name: &str| -> Result<_, Box<dyn std::error::Error>> {
        let row = engine.replica().get(&account(name), None)?.row;
        let row = row.ok_or("there is such an account")?;
        let balance: i64 = str::from_utf8(&row.value)?.parse()?;
        Ok((balance, row.mod_revision))
    };
    let (payer, seen) = read("payer")?;
    let (payee, _) = read("payee")?;
    let put = |name: &str, balance: i64| Op::put(account(name), balance.to_string().into());
    Ok(engine.commit(Commit {
        guards: vec![Guard::RevisionIs(account("payer"), seen)],
        ops: vec![
            put("payer", payer - amount),
            put("payee", payee + amount),
            Op::Publish {
                topic: "statements".into(),
                partition: None,
                message: NewMessage {
                    key: Some("payer".into()),
                    value: Bytes::from(format!("paid {amount}")),
                    headers: Vec::new(),
                },
            },
        ],
        ..Commit::default()
    })?)
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(folder.path(), Options::default())?;
    engine.execute(Command::CreateTopic {
        name: "statements".into(),
        partitions: 4,
    })?;
    let opening = ["payer", "payee"].map(|name| Op::put(account(name), "100".into()));
    engine.commit(Commit {
        ops: opening.to_vec(),
        ..Commit::default()
    })?;

    match transfer(&engine, 30)? {
        Outcome::Committed { revision, .. } => println!("paid at revision {revision}"),
        Outcome::Refused(Refusal::GuardFailed { .. }) => println!("somebody was faster"),
        other => println!("not paid: {other:?}"),
    }
    let payee = engine.replica().get(&account("payee"), None)?.row;
    assert_eq!(payee.map(|row| row.value), Some("130".into()));

    engine.close()?;
    Ok(())
}
