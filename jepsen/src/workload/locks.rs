//! Locks: a row that only one can make; its revision is the fencing token.

use engine_client::{Commit, Guarded};

use super::{Process, done, guarded};
use crate::history::{Act, Answer, Found};

pub(super) const KEYSPACE: &str = "locks";

/// A process tries so often for a lock before it goes on to the next.
const TRIES: u64 = 30;

pub(super) async fn run(mut process: Process) {
    let mut count = 0_u64;
    while !process.stopped() {
        count += 1;
        let lock = format!("lock-{}", count / TRIES);
        if let Some(token) = acquire(&mut process, &lock).await {
            use_it(&mut process, &lock, token).await;
            release(&mut process, &lock, token).await;
        }
    }
}

async fn acquire(process: &mut Process, lock: &str) -> Option<u64> {
    let client = process.client.clone();
    let mut given = None;
    let call = async {
        let commit = Commit::new().guard_absent(KEYSPACE, lock.to_owned()).put(
            KEYSPACE,
            lock.to_owned(),
            "held",
        );
        Ok(match client.commit(commit).await? {
            Guarded::Done(done) => {
                given = Some(done.revision);
                Some(Answer {
                    revision: done.revision,
                    found: Some(Found::Token(done.revision)),
                    ..Answer::default()
                })
            }
            Guarded::Failed(_) => None,
        })
    };
    let act = Act::Acquire {
        lock: lock.to_owned(),
        leased: false,
    };
    process.perform(act, call).await;
    given
}

/// What the lock protects remembers the highest token.
async fn use_it(process: &mut Process, lock: &str, token: u64) {
    let client = process.client.clone();
    let call = async {
        let protected = format!("{lock}/protected");
        let old = client.kv().get(KEYSPACE, protected.clone()).await?;
        if let Some(row) = &old {
            let used = String::from_utf8_lossy(&row.value).parse();
            if used.unwrap_or(u64::MAX) > token {
                return Ok(None);
            }
        }
        let commit = guarded(Commit::new(), KEYSPACE, &protected, old.as_ref());
        let commit = commit.put(KEYSPACE, protected, token.to_string());
        Ok(done(client.commit(commit).await?))
    };
    let act = Act::Use {
        lock: lock.to_owned(),
        token,
    };
    process.perform(act, call).await;
}

async fn release(process: &mut Process, lock: &str, token: u64) {
    let client = process.client.clone();
    let call = async {
        let commit = Commit::new()
            .guard_revision(KEYSPACE, lock.to_owned(), token)
            .delete(KEYSPACE, lock.to_owned());
        Ok(done(client.commit(commit).await?))
    };
    let act = Act::Release {
        lock: lock.to_owned(),
        token,
    };
    process.perform(act, call).await;
}
