//! A topic in this process: publish, fetch, remember how far one came.
//! `cargo run -p engine --example queue`

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use bytes::Bytes;
use engine::command::{Command, Commit, NewMessage, Op};
use engine::ids::{Offset, PartitionId};
use engine::query::FetchRequest;
use engine::{Engine, Options};

const PARTITION: PartitionId = PartitionId(0);

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(folder.path(), Options::default())?;
    engine.execute(Command::CreateTopic {
        name: "orders".into(),
        partitions: 1,
    })?;

    // Messages of one commit follow each other, and are on the disk when it returns.
    let order = |number: u32| Op::Publish {
        topic: "orders".into(),
        partition: Some(PARTITION),
        message: NewMessage {
            key: None,
            value: Bytes::from(format!("order {number}")),
            headers: Vec::new(),
        },
    };
    engine.commit(Commit {
        ops: (1..=3).map(order).collect(),
        ..Commit::default()
    })?;

    // A consumer goes on where its group stopped, and says how far it has come.
    let orders = engine.replica().topic("orders")?;
    let known = orders.consumer_groups.first();
    let from = known.and_then(|group| group.next[0]).unwrap_or(Offset(0));
    let answer = engine.replica().fetch(&FetchRequest {
        topic: "orders".into(),
        partition: PARTITION,
        from,
        limit: 0,
    })?;
    for message in &answer.messages {
        println!(
            "{}: {}",
            message.offset,
            str::from_utf8(&message.body.value)?
        );
    }
    assert_eq!(answer.messages.len(), 3);
    engine.commit(Commit {
        ops: vec![Op::CommitOffset {
            topic: "orders".into(),
            partition: PARTITION,
            consumer_group: "shipping".into(),
            next: answer.end,
        }],
        ..Commit::default()
    })?;

    engine.close()?;
    Ok(())
}
