//! Readers of few rows, again and again: after the first read the caches of their node can answer.
//!
//! Each read is linearizable, as every read that goes through a node's row cache; the history
//! calls it cached, so that the checker of caches judges it, too.

use std::time::Duration;

use engine_client::Error;
use tokio::time::sleep;

use super::{Plan, Process, Role, rows};
use crate::history::{Act, Answer};

/// Reads in a row of one row.
const READS: u64 = 6;
/// The longest pause between two reads of one row: others write meanwhile.
const PAUSE_MS_MAX: u64 = 20;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    let writers: Vec<u64> = (0..)
        .zip(&plan.parts)
        .filter(|(_, part)| part.role == Role::Rows)
        .map(|(place, _)| place)
        .collect();
    while !process.stopped() {
        let writer = writers.get(rand::random_range(0..writers.len().max(1)));
        let key = rows::hot(writer.copied());
        for _ in 0..READS {
            read(&mut process, plan, key.clone()).await;
            sleep(Duration::from_millis(rand::random_range(1..=PAUSE_MS_MAX))).await;
            if process.stopped() {
                return;
            }
        }
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
    process.perform(Act::CachedRead { key }, call).await;
}
