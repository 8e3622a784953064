//! Counters: a row is read, and written with more if it has not changed meanwhile; or the engine
//! adds by itself.

use engine_client::{Commit, Error, Expiry, Guarded, NumberChange, OpResult, Row};

use super::{Process, done, guarded};
use crate::history::{Act, Answer, Found};

pub(super) const KEYSPACE: &str = "counters";

/// A process adds so often to a counter before it goes on to the next.
const ADDITIONS: u64 = 60;
/// One operation of so many reads a counter.
const LOOK_EVERY: u64 = 3;

pub(super) async fn run(mut process: Process) {
    let mut count = 0_u64;
    while !process.stopped() {
        count += 1;
        let counter = format!("counter-{}", count / ADDITIONS);
        if count.is_multiple_of(LOOK_EVERY) {
            look(&mut process, counter).await;
        } else {
            add(&mut process, counter).await;
        }
    }
}

async fn add(process: &mut Process, counter: String) {
    let client = process.client.clone();
    let by = rand::random_range(1..10);
    let act = Act::Increment {
        counter: counter.clone(),
        by,
    };
    let call = async move {
        if rand::random_bool(0.5) {
            let change = NumberChange::Add(by);
            let commit = Commit::new().number(KEYSPACE, counter, change, Expiry::Default);
            return Ok(match client.commit(commit).await? {
                Guarded::Done(added) => Some(Answer {
                    revision: added.revision,
                    found: match added.results.as_slice() {
                        [OpResult::Number { value }] => Some(Found::Count(*value)),
                        _ => None,
                    },
                    ..Answer::default()
                }),
                Guarded::Failed(_) => None,
            });
        }
        let old = client.kv().get(KEYSPACE, counter.clone()).await?;
        let commit = guarded(Commit::new(), KEYSPACE, &counter, old.as_ref());
        let next = number(old.as_ref()) + by;
        let commit = commit.put(KEYSPACE, counter, next.to_string());
        Ok(done(client.commit(commit).await?))
    };
    process.perform(act, call).await;
}

async fn look(process: &mut Process, counter: String) {
    let kv = process.client.kv();
    let name = counter.clone();
    let call = async move {
        let row = kv.get(KEYSPACE, name).await?;
        Ok::<_, Error>(Some(Answer {
            found: Some(Found::Count(number(row.as_ref()))),
            ..Answer::default()
        }))
    };
    process.perform(Act::Count { counter }, call).await;
}

fn number(row: Option<&Row>) -> i64 {
    row.map_or(0, |row| {
        let text = String::from_utf8_lossy(&row.value);
        text.parse().unwrap_or(i64::MIN / 2)
    })
}
