//! Sets that end: each begins with its first element, ends a fixed time later with all of them, and
//! begins anew with the next.

use std::time::Duration;

use engine_client::{Commit, Error, Expiry, ReadOptions};

use super::sets::elements;
use super::{Process, done};
use crate::history::{Act, Answer, Found, Incarnation};

pub(super) const KEYSPACE: &str = "ending";

/// How long a set lives. Many ends come in a run, and many operations before each.
const TTL_MS: u64 = 1_500;
/// A process goes from one set to the next, and comes back.
const SETS: u64 = 3;
/// One operation of so many reads a set.
const LOOK_EVERY: u64 = 3;

pub(super) async fn run(mut process: Process) {
    let mut count = 0_u64;
    while !process.stopped() {
        count += 1;
        let set = format!("set-{}", rand::random_range(0..SETS));
        if count.is_multiple_of(LOOK_EVERY) {
            look(&mut process, set).await;
        } else {
            join(&mut process, set, count).await;
        }
    }
}

async fn join(process: &mut Process, set: String, count: u64) {
    let client = process.client.clone();
    let element = count * process.clients + process.place;
    let end = Expiry::IfNew(Duration::from_millis(TTL_MS));
    let commit = Commit::new().set_add(KEYSPACE, set.clone(), [element.to_string()], end);
    let call = async move { Ok(done(client.commit(commit).await?)) };
    process.perform(Act::Join { set, element }, call).await;
}

async fn look(process: &mut Process, set: String) {
    let kv = process.client.kv();
    let name = set.clone();
    let call = async move {
        let looked = kv
            .get_with(KEYSPACE, name.clone(), ReadOptions::default())
            .await?;
        let at = looked.revision;
        let incarnation = match looked.row {
            None => None,
            Some(row) => match elements(&kv, KEYSPACE, &name, Some(at)).await? {
                // It has ended between the two reads.
                None => return Ok(None),
                Some(elements) => Some(Incarnation {
                    created: row.create_revision,
                    ends_ms: row.expires_at_ms.unwrap_or(u64::MAX),
                    now_ms: looked.now_ms,
                    elements,
                }),
            },
        };
        Ok::<_, Error>(Some(Answer {
            found: Some(Found::Ending { at, incarnation }),
            ..Answer::default()
        }))
    };
    let ttl_ms = TTL_MS;
    process.perform(Act::Ending { set, ttl_ms }, call).await;
}
