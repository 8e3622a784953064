//! Readers: they only look at what others write, so that a node that cannot write still answers.

use std::time::Duration;

use engine_client::Error;
use tokio::time::sleep;

use super::{Plan, Process, Role, rows};
use crate::history::{Act, Answer};

/// The longest pause between two reads.
const PAUSE_MS_MAX: u64 = 20;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    let writers: Vec<u64> = (0..)
        .zip(&plan.parts)
        .filter(|(_, part)| part.role == Role::Rows)
        .map(|(place, _)| place)
        .collect();
    while !process.stopped() {
        let writer = writers.get(rand::random_range(0..writers.len().max(1)));
        read(&mut process, plan, rows::any(writer.copied())).await;
        sleep(Duration::from_millis(rand::random_range(1..=PAUSE_MS_MAX))).await;
    }
}

async fn read(process: &mut Process, plan: &Plan, key: String) {
    let kv = process.client.kv();
    let keyspace = plan.keyspace.clone();
    let name = key.clone();
    let call = async move {
        let row = kv.get(keyspace, name).await?;
        Ok::<_, Error>(Some(Answer {
            revision: row.as_ref().map_or(0, |row| row.mod_revision),
            read: row.map(|row| String::from_utf8_lossy(&row.value).into_owned()),
            ..Answer::default()
        }))
    };
    process.perform(Act::Read { key }, call).await;
}
