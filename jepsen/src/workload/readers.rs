//! Readers: they only look at what others write, so that a node that cannot write still answers.

use std::time::Duration;

use tokio::time::sleep;

use super::{Plan, Process, Role, rows};

/// The longest pause between two reads.
const PAUSE_MS_MAX: u64 = 20;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    while !process.stopped() {
        let key = rows::any(plan.any_of(Role::Rows));
        rows::read(&mut process, plan, key).await;
        sleep(Duration::from_millis(rand::random_range(1..=PAUSE_MS_MAX))).await;
    }
}
