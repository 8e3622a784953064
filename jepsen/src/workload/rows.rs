//! Rows: new ones, own ones written again and again, and shared ones compared and set.

use engine_client::Guarded;

use super::{Plan, Process};
use crate::history::{Act, Answer};

/// Rows that a process writes again and again.
const OWN_ROWS: u64 = 4;
/// Rows that a process writes and deletes.
const FLEETING_ROWS: u64 = 2;
/// Rows that all clients compare and set.
const SHARED_ROWS: u64 = 8;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    let mut count = 0_u64;
    while !process.stopped() {
        let place = process.place;
        count += 1;
        let value = format!("{}-{count}", process.number);
        match count % 8 {
            0 | 4 => {
                let key = shared(rand::random_range(0..SHARED_ROWS));
                compare_and_set(&mut process, plan, key, value).await;
            }
            1 | 5 => {
                let key = own(place, rand::random_range(0..OWN_ROWS));
                put(&mut process, plan, key, value).await;
            }
            2 => {
                let key = fleeting(place, rand::random_range(0..FLEETING_ROWS));
                put(&mut process, plan, key, value).await;
            }
            6 => {
                let key = fleeting(place, rand::random_range(0..FLEETING_ROWS));
                delete(&mut process, plan, key).await;
            }
            _ => put(&mut process, plan, format!("new-{value}"), value).await,
        }
    }
}

/// A row that may change: of all clients, or of the writer at `place`.
pub(super) fn any(place: Option<u64>) -> String {
    match (rand::random_range(0..4), place) {
        (0, Some(place)) => own(place, rand::random_range(0..OWN_ROWS)),
        (1, Some(place)) => fleeting(place, rand::random_range(0..FLEETING_ROWS)),
        _ => shared(rand::random_range(0..SHARED_ROWS)),
    }
}

/// One of the few rows that change most often: of all clients, or of the writer at `place`.
pub(super) fn hot(place: Option<u64>) -> String {
    match (rand::random_range(0..3), place) {
        (0, Some(place)) => own(place, 0),
        (1, Some(place)) => fleeting(place, 0),
        _ => shared(0),
    }
}

fn own(place: u64, row: u64) -> String {
    format!("own-{place}-{row}")
}

fn fleeting(place: u64, row: u64) -> String {
    format!("fleeting-{place}-{row}")
}

fn shared(row: u64) -> String {
    format!("shared-{row}")
}

/// Reads a row; what was found, if it was answered.
pub(super) async fn read(process: &mut Process, plan: &Plan, key: String) -> Option<Answer> {
    let act = Act::Read { key: key.clone() };
    look(process, plan, act, key).await
}

/// Reads a row as `act`; what was found, if it was answered.
pub(super) async fn look(
    process: &mut Process,
    plan: &Plan,
    act: Act,
    key: String,
) -> Option<Answer> {
    let kv = process.client.kv();
    let mut found = None;
    let call = async {
        let row = kv.get(plan.keyspace.as_str(), key).await?;
        found = Some(Answer {
            revision: row.as_ref().map_or(0, |row| row.mod_revision),
            read: row.map(|row| String::from_utf8_lossy(&row.value).into_owned()),
            ..Answer::default()
        });
        Ok(found.clone())
    };
    process.perform(act, call).await;
    found
}

pub(super) async fn delete(process: &mut Process, plan: &Plan, key: String) {
    let kv = process.client.kv();
    let act = Act::Delete { key: key.clone() };
    let call = async {
        let removed = kv.delete(plan.keyspace.as_str(), key).await?;
        Ok(Some(Answer {
            revision: removed.revision,
            ..Answer::default()
        }))
    };
    process.perform(act, call).await;
}

pub(super) async fn put(process: &mut Process, plan: &Plan, key: String, value: String) {
    let kv = process.client.kv();
    let act = Act::Put {
        key: key.clone(),
        value: value.clone(),
    };
    let call = async {
        let written = kv.put(plan.keyspace.as_str(), key, value).await?;
        Ok(Some(Answer {
            revision: written.revision,
            version: Some(written.version),
            ..Answer::default()
        }))
    };
    process.perform(act, call).await;
}

async fn compare_and_set(process: &mut Process, plan: &Plan, key: String, value: String) {
    let Some(found) = read(process, plan, key.clone()).await else {
        return;
    };
    let kv = process.client.kv();
    let seen = found.read;
    let act = Act::Cas {
        key: key.clone(),
        expected: seen.clone(),
        value: value.clone(),
    };
    let call = async {
        let set = kv
            .cas(plan.keyspace.as_str(), key, seen.map(Into::into), value)
            .await?;
        Ok(match set {
            Guarded::Done(written) => Some(Answer {
                revision: written.revision,
                version: Some(written.version),
                ..Answer::default()
            }),
            Guarded::Failed(_) => None,
        })
    };
    process.perform(act, call).await;
}
