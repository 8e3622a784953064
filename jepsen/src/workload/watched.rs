//! Rows that are watched: some clients change them, others watch, begin anew and look back.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine_client::{Change, Commit, Error, Event, Watch, Watched, Watcher};
use tokio::time::timeout;

use super::{Process, done};
use crate::history::{Act, Answer, Found, FoundChange, FoundCommit};

pub(super) const KEYSPACE: &str = "watched";

const ROWS: u64 = 5;
/// How many pages a watcher takes before it begins anew, at most.
const PAGES: u64 = 12;
/// How far back a watcher looks, at most, in revisions of the whole group.
const BACK: u64 = 400;
/// How long a watcher waits for a page.
const WAIT: std::time::Duration = std::time::Duration::from_millis(700);

/// Changes rows, one to three in a commit, at least one of them to a value of its own.
pub(super) async fn change(mut process: Process) {
    let mut count = 0_u64;
    while !process.stopped() {
        count += 1;
        let mut rows = BTreeMap::new();
        for _ in 0..rand::random_range(0..3) {
            let value = rand::random_bool(0.5).then(|| format!("{}-{count}", process.place));
            rows.insert(any_row(), value);
        }
        rows.insert(any_row(), Some(format!("{}-{count}", process.place)));
        let mut commit = Commit::new();
        for (key, value) in &rows {
            commit = match value {
                Some(value) => commit.put(KEYSPACE, key.clone(), value.clone()),
                None => commit.delete(KEYSPACE, key.clone()),
            };
        }
        let client = process.client.clone();
        let call = async move { Ok(done(client.commit(commit).await?)) };
        process.perform(Act::Change { rows }, call).await;
    }
}

/// Watches some pages long, and begins anew: now, or some way back.
pub(super) async fn watch(mut process: Process) {
    let mut furthest = 0_u64;
    while !process.stopped() {
        let key = rand::random_bool(0.5).then(any_row);
        let previous = rand::random_bool(0.5);
        let back = rand::random_range(0..BACK);
        let from = (rand::random_bool(0.5) && furthest > back).then(|| furthest - back);
        let mut watch = Watch::new(KEYSPACE);
        watch.previous = previous;
        watch.from_revision = from;
        if let Some(key) = &key {
            watch = watch.key(key.clone());
        }
        let act = |from| Act::Watch {
            key: key.clone(),
            previous,
            from,
        };
        let Some(mut watcher) = begin(&mut process, watch, act(from)).await else {
            continue;
        };
        for _ in 0..rand::random_range(1..=PAGES) {
            if process.stopped() {
                break;
            }
            let began = watcher.next_revision();
            let mut is_over = false;
            let call = async {
                let page = page(&mut watcher, began).await;
                is_over = page.is_err();
                page
            };
            process.perform(act(Some(began)), call).await;
            if is_over {
                break;
            }
        }
        furthest = furthest.max(watcher.next_revision());
    }
}

async fn begin(process: &mut Process, watch: Watch, act: Act) -> Option<Watcher> {
    let client = process.client.clone();
    let mut begun = None;
    let call = async {
        let watcher = client.watch(watch).await?;
        let next = watcher.next_revision();
        begun = Some(watcher);
        Ok(Some(found(
            next,
            &Watched {
                commits: Vec::new(),
                upto_revision: next.saturating_sub(1),
            },
        )))
    };
    process.perform(act, call).await;
    begun
}

/// What a watcher is told next; nothing, if that takes too long.
async fn page(watcher: &mut Watcher, began: u64) -> Result<Option<Answer>, Error> {
    let watched = match timeout(WAIT, watcher.next()).await {
        Ok(watched) => watched?,
        Err(_) => None,
    };
    Ok(watched.map(|watched| found(began, &watched)))
}

fn found(from: u64, watched: &Watched) -> Answer {
    let commits = watched.commits.iter().map(|commit| FoundCommit {
        revision: commit.revision,
        changes: commit.events.iter().filter_map(seen).collect(),
    });
    Answer {
        found: Some(Found::Watched {
            from,
            upto: watched.upto_revision,
            commits: commits.collect(),
        }),
        ..Answer::default()
    }
}

fn seen(event: &Event) -> Option<FoundChange> {
    let (key, value) = match &event.change {
        Change::Put(row) => (text(&row.key), Some(text(&row.value))),
        Change::Deleted(key) | Change::Ended(key) => (text(key), None),
        Change::RangeDeleted(..) | Change::KeyspaceDropped => return None,
    };
    let previous = event.previous.as_ref();
    Some(FoundChange {
        key,
        value,
        previous: previous.map(|row| text(&row.value)),
    })
}

fn any_row() -> String {
    format!("row-{}", rand::random_range(0..ROWS))
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
