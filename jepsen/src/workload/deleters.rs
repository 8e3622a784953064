//! Rows that are written, and much later deleted: by then the written versions lie deep in the
//! store, and the tombstones far above them.
//!
//! ```text
//! round  0   1   2   3   4   5   6 …       its rows are
//! batch  0   w           d   l   l w       written, deleted three rounds later, then looked at
//! batch  1       w           d   l   l     twice before they are written again
//! ```

use super::{Plan, Process, rows};

/// Rows of a batch.
const ROWS: u64 = 5;
/// One is written and one deleted in a round.
const BATCHES: u64 = 6;
/// From the round that writes a batch to the one that deletes it.
const DELETED_AFTER: u64 = 3;
/// Every value is longer than its number by up to so many words that do not compress: few rows fill
/// a table, and some values stand in a file of their own.
const PADDING_WORDS_MAX: usize = 80;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    let mut round = BATCHES;
    while !process.stopped() {
        for row in 0..ROWS {
            write(&mut process, plan, round, row).await;
            let key = key(&process, round - DELETED_AFTER, row);
            if round >= BATCHES + DELETED_AFTER {
                rows::delete(&mut process, plan, key).await;
            }
            for ago in DELETED_AFTER + 1..BATCHES {
                let key = self::key(&process, round - ago, row);
                rows::read(&mut process, plan, key).await;
            }
            if process.stopped() {
                return;
            }
        }
        round += 1;
    }
}

fn key(process: &Process, round: u64, row: u64) -> String {
    format!("deleted-{}-{}-{row}", process.place, round % BATCHES)
}

async fn write(process: &mut Process, plan: &Plan, round: u64, row: u64) {
    let words = 0..rand::random_range(0..PADDING_WORDS_MAX);
    let padding: Vec<String> = words
        .map(|_| format!("{:016x}", rand::random::<u64>()))
        .collect();
    let value = format!("{}-{round}-{}", process.number, padding.concat());
    let key = key(process, round, row);
    rows::put(process, plan, key, value).await;
}
