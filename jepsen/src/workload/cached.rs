//! Readers of few rows, again and again: after the first read the caches of their node can answer.
//!
//! Each read is linearizable, as every read that goes through a node's row cache; the history
//! calls it cached, so that the checker of caches judges it, too.

use std::time::Duration;

use tokio::time::sleep;

use super::{Plan, Process, Role, rows};
use crate::history::Act;

/// Reads in a row of one row.
const READS: u64 = 6;
/// The longest pause between two reads of one row: others write meanwhile.
const PAUSE_MS_MAX: u64 = 20;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    while !process.stopped() {
        let key = rows::hot(plan.any_of(Role::Rows));
        for _ in 0..READS {
            let act = Act::CachedRead { key: key.clone() };
            rows::look(&mut process, plan, act, key.clone()).await;
            sleep(Duration::from_millis(rand::random_range(1..=PAUSE_MS_MAX))).await;
            if process.stopped() {
                return;
            }
        }
    }
}
