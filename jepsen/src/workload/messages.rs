//! Messages with a key for each process, numbered; now and then together with a row.

use engine_client::{Commit, Error, Guarded, NewMessage, OpResult, Published};

use super::{Plan, Process};
use crate::history::{Act, Answer, Place};

/// Every so many messages come in a commit with a row.
const COMMIT_EVERY: u64 = 4;

pub(super) async fn run(mut process: Process, plan: &Plan) {
    let mut sequence = 0_u64;
    while !process.stopped() {
        let key = format!("process-{}", process.number);
        sequence += 1;
        if sequence.is_multiple_of(COMMIT_EVERY) {
            commit(&mut process, plan, key, sequence).await;
        } else {
            produce(&mut process, plan, key, sequence).await;
        }
    }
}

async fn produce(process: &mut Process, plan: &Plan, key: String, sequence: u64) {
    let log = process.client.log();
    let message = NewMessage {
        key: Some(key.clone().into()),
        value: sequence.to_string().into(),
        headers: Vec::new(),
    };
    let call = async {
        let produced = log.produce(plan.topic.as_str(), vec![message]).await?;
        Ok(Some(Answer {
            revision: produced.revision,
            place: produced.published.first().map(place),
            ..Answer::default()
        }))
    };
    process.perform(Act::Produce { key, sequence }, call).await;
}

async fn commit(process: &mut Process, plan: &Plan, key: String, sequence: u64) {
    let client = process.client.clone();
    let row = format!("commit-{key}-{sequence}");
    let commit = Commit::new()
        .put(plan.keyspace.as_str(), row.clone(), sequence.to_string())
        .publish(plan.topic.as_str(), key.clone(), sequence.to_string());
    let call = async {
        Ok::<_, Error>(match client.commit(commit).await? {
            Guarded::Done(done) => {
                let mut answer = Answer {
                    revision: done.revision,
                    ..Answer::default()
                };
                for result in done.results {
                    match result {
                        OpResult::Put { version } => answer.version = Some(version),
                        OpResult::Published { partition, offset } => {
                            answer.place = Some(Place { partition, offset });
                        }
                        _ => {}
                    }
                }
                Some(answer)
            }
            Guarded::Failed(_) => None,
        })
    };
    process
        .perform(Act::Commit { row, key, sequence }, call)
        .await;
}

fn place(published: &Published) -> Place {
    Place {
        partition: published.partition,
        offset: published.offset,
    }
}
